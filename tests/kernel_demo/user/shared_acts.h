// What the program `shared_tester` can be asked for, by its argument.

#ifndef BATON_TESTS_KERNEL_DEMO_USER_SHARED_ACTS_H_
#define BATON_TESTS_KERNEL_DEMO_USER_SHARED_ACTS_H_

#include <cstdint>

namespace user_test {

enum class SharedAct : uint8_t {
  // Those that end with 0 if all is well, or else with the number of the line that found something.
  calls,       ///< every function of the image
  mappings,    ///< bad addresses, a second time
  take_turns,  ///< four tasks of fifty turns, and two answers of the kernel's for each
  no_room,     ///< where there are too few pages
  // Those that do not end.
  scribble,    ///< random bytes over its partition, and every call with random arguments
  keep_turn,   ///< joins, and keeps the turn
  keep_tasks,  ///< the same, with many tasks, ready and asleep
  keep_lock,   ///< the same, and nobody else gets into its partition
  sleep,       ///< joins, and has nothing to do
  // Those that end by a fault.
  write_header,
  write_text,
  write_board,
  run_header,
  run_data,
  run_board,
  read_behind,
  // Ends with a sum of all bytes of the header, the constants and the text.
  sum,
};

struct SharedArgument {
  SharedAct act = SharedAct::calls;
  bool elsewhere = false;  ///< not at `user::kShared`

  constexpr uint64_t word() const { return static_cast<uint64_t>(act) | uint64_t{elsewhere} << 8; }
  static constexpr SharedArgument of(uint64_t word) {
    return {.act = static_cast<SharedAct>(word), .elsewhere = (word >> 8 & 1) != 0};
  }
};

/// What it ends by says this.
struct SharedFault {
  SharedAct act;
  const char* name;
  const char* reason;
};
inline constexpr SharedFault kSharedFaults[] = {
    {SharedAct::write_header, "write_header", "on a write"},
    {SharedAct::write_text, "write_text", "on a write"},
    {SharedAct::write_board, "write_board", "on a write"},
    {SharedAct::run_header, "run_header", "on execution"},
    {SharedAct::run_data, "run_data", "on execution"},
    {SharedAct::run_board, "run_board", "on execution"},
    {SharedAct::read_behind, "read_behind", "on a read"},
};

/// The same of any image.
inline uint32_t sum_of(const unsigned char* bytes, uint64_t size) {
  uint32_t sum = 1;
  for (uint64_t i = 0; i < size; ++i) sum = (sum << 5 | sum >> 27) ^ bytes[i];
  return sum;
}

}  // namespace user_test

#endif  // BATON_TESTS_KERNEL_DEMO_USER_SHARED_ACTS_H_
