// The shared scheduler's image in C++: reading its file, and calling it where it is mapped.

#ifndef BATON_SCHED_SHARED_CLIENT_H_
#define BATON_SCHED_SHARED_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <optional>
#include <span>

#include "sched/shared/abi.h"
#include "sched/shared/scheduler.h"

namespace sched::shared {

/// Where the parts of an image lie, as offsets from its beginning; each ends where the next one
/// begins or before. A board is behind the data.
struct Layout {
  size_t text = 0;
  size_t text_end = 0;
  size_t data = 0;
  size_t board = 0;
  size_t size = 0;  ///< of all, the board too
};

/// Reads an image's file, for a kernel whose partitions are `Partition<kCapacity>`; or says, as a
/// sentence's end, what is wrong with it.
template <size_t kCapacity>
std::expected<Layout, const char*> read_image(std::span<const std::byte> file) {
  constexpr size_t kPage = 4096;
  baton_shared_header header;
  if (file.size() < sizeof header) return std::unexpected("is no image of a shared scheduler");
  std::memcpy(&header, file.data(), sizeof header);
  if (header.magic != BATON_SHARED_MAGIC) {
    return std::unexpected("is no image of a shared scheduler");
  }
  if (header.version != BATON_SHARED_VERSION) return std::unexpected("has another version");
  if (header.capacity != kCapacity || header.data_size != sizeof(Partition<kCapacity>)) {
    return std::unexpected("has a pool of another size");
  }
  const size_t rodata = header.rodata_size;
  const size_t text = header.text_size;
  if (rodata == 0 || text == 0 || rodata % kPage != 0 || text % kPage != 0 ||
      rodata + text != file.size()) {
    return std::unexpected("has parts that are not its file");
  }
  for (const uint32_t entry :
       {header.add_task, header.peek_task, header.next_task, header.claim_task, header.delete_task,
        header.set_task_state, header.delete_task_by, header.set_task_state_by, header.sweep}) {
    if (entry < rodata || entry >= rodata + text) {
      return std::unexpected("has an entry that is not in its text");
    }
  }
  constexpr size_t kMask = BATON_SHARED_ALIGNMENT - 1;
  Layout layout = {.text = rodata, .text_end = rodata + text};
  layout.data = (layout.text_end + kMask) & ~kMask;
  layout.board = layout.data + header.data_size;
  layout.size = layout.board + sizeof(Board);
  return layout;
}

/// An image that is mapped at `base`, for the space that calls: `Scheduler`'s functions.
class Client {
 public:
  constexpr Client() = default;
  explicit Client(const void* base) : base_(static_cast<const std::byte*>(base)) {}

  Result add(uint16_t hart, uint16_t space, uint64_t task, uint8_t priority, Handle& handle) const {
    uint64_t word = 0;
    const auto result =
        entry<baton_shared_add_task_t>(header().add_task)(hart, space, task, priority, &word);
    handle = Handle(word);
    return static_cast<Result>(result);
  }

  template <typename ShouldSwitch>
  Result peek(ShouldSwitch should_switch, Answer& answer) const {
    return static_cast<Result>(entry<baton_shared_peek_task_t>(header().peek_task)(
        &asked<ShouldSwitch>, &should_switch, reinterpret_cast<baton_shared_answer*>(&answer)));
  }

  template <typename ShouldSwitch>
  Result next(uint16_t hart, Handle previous, bool again, ShouldSwitch should_switch,
              Answer& answer) const {
    return static_cast<Result>(entry<baton_shared_next_task_t>(header().next_task)(
        hart, previous.word(), again ? BATON_SHARED_READY : BATON_SHARED_SLEEPING,
        &asked<ShouldSwitch>, &should_switch, reinterpret_cast<baton_shared_answer*>(&answer)));
  }

  Result claim(uint16_t hart, Handle handle) const {
    return static_cast<Result>(
        entry<baton_shared_claim_task_t>(header().claim_task)(hart, handle.word()));
  }
  Result remove(Handle handle) const {
    return static_cast<Result>(
        entry<baton_shared_delete_task_t>(header().delete_task)(handle.word()));
  }
  Result wake(Handle handle) const { return set_state(handle, BATON_SHARED_READY); }
  Result sleep(Handle handle) const { return set_state(handle, BATON_SHARED_SLEEPING); }

  Result remove_by(uint64_t task) const {
    return static_cast<Result>(entry<baton_shared_delete_task_by_t>(header().delete_task_by)(task));
  }
  Result wake_by(uint64_t task) const { return set_state_by(task, BATON_SHARED_READY); }
  Result sleep_by(uint64_t task) const { return set_state_by(task, BATON_SHARED_SLEEPING); }
  Result sweep(uint16_t space, uint32_t begin, uint32_t count) const {
    return static_cast<Result>(entry<baton_shared_sweep_t>(header().sweep)(space, begin, count));
  }

  /// What the kernel tells the space.
  const Board& board() const {
    const uintptr_t text_end =
        reinterpret_cast<uintptr_t>(base_) + header().rodata_size + header().text_size;
    constexpr uintptr_t kMask = BATON_SHARED_ALIGNMENT - 1;
    return *reinterpret_cast<const Board*>(((text_end + kMask) & ~kMask) + header().data_size);
  }

  const baton_shared_header& header() const {
    return *reinterpret_cast<const baton_shared_header*>(base_);
  }

 private:
  template <typename ShouldSwitch>
  static int32_t asked(void* context, uint16_t space) {
    return (*static_cast<ShouldSwitch*>(context))(space);
  }

  template <typename Entry>
  Entry entry(uint32_t offset) const {
    return reinterpret_cast<Entry>(reinterpret_cast<uintptr_t>(base_) + offset);
  }

  Result set_state(Handle handle, uint32_t state) const {
    return static_cast<Result>(
        entry<baton_shared_set_task_state_t>(header().set_task_state)(handle.word(), state));
  }

  Result set_state_by(uint64_t task, uint32_t state) const {
    return static_cast<Result>(
        entry<baton_shared_set_task_state_by_t>(header().set_task_state_by)(task, state));
  }

  const std::byte* base_ = nullptr;
};

/// The same for a program that has been built for partitions of `kCapacity`: if the image has such
/// ones, what ends most turns is a part of the program: the same code on the same memory.
template <size_t kCapacity>
class InlineClient : public Client {
 public:
  using Turn = typename Scheduler<kCapacity>::Turn;

  constexpr InlineClient() = default;
  explicit InlineClient(const void* base) : Client(base) {
    const baton_shared_header& header = this->header();
    if (header.magic != BATON_SHARED_MAGIC || header.version != BATON_SHARED_VERSION ||
        header.capacity != kCapacity || header.data_size != sizeof(Partition<kCapacity>)) {
      return;
    }
    // It lies before the board.
    const uintptr_t partition = reinterpret_cast<uintptr_t>(&board()) - header.data_size;
    mine_.emplace(*reinterpret_cast<Partition<kCapacity>*>(partition), board());
  }

  /// `Scheduler`'s. No turn: nor is there one where the image is another one.
  [[gnu::always_inline]] Turn exchange(Handle previous) const {
    return mine_ ? mine_->exchange(previous) : Turn();
  }

 private:
  std::optional<Scheduler<kCapacity>> mine_;
};

}  // namespace sched::shared

#endif  // BATON_SCHED_SHARED_CLIENT_H_
