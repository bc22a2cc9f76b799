// A process: a user program in an address space of its own, which a task runs. What of it does not
// depend on the scheduler; processes.h has the rest.

#ifndef BATON_KERNEL_DEMO_USER_PROCESS_H_
#define BATON_KERNEL_DEMO_USER_PROCESS_H_

#include <atomic>
#include <cstdint>
#include <span>

#include "hal/native.h"
#include "hal/native_user.h"
#include "kernel_demo/user/abi.h"
#include "kernel_demo/user/address_space.h"
#include "kernel_demo/user/program.h"

namespace demo {

/// See the head of this file. Its place in the table is its own from `spawn` until somebody has
/// been told how it ended, or nobody wants to know.
struct Process {
  uint64_t id = 0;      ///< 0: the place is free
  uint64_t parent = 0;  ///< who may wait for it; `kKernel`, or 0: nobody
  const Program* program = nullptr;
  AddressSpace space;
  uintptr_t entry = 0;
  hal::UserFrame* frame = nullptr;    ///< of its last trap; null before it has begun
  std::atomic<void*> task = nullptr;  ///< null once the task has reached the sink
  void* waiter = nullptr;             ///< the task that waits for that

  bool uses_fpu = false;  ///< from the first use on
  hal::Native::Fpu fpu;

  uint16_t shared_space = 0;      ///< its number in the shared scheduler; 0: it has not joined
  bool has_shared_image = false;  ///< mapped, all of it or as much as there was room for

  int64_t ending = user::kKilled;  ///< as `user::Call::wait` answers
  hal::UserTrap fault;             ///< where it ended by one
  uint64_t preempted_calls = 0;    ///< where that is watched (Processes)
};

/// The kernel as a parent.
inline constexpr uint64_t kKernel = UINT64_MAX;

/// Puts a program and an empty stack with its argument into a new space. False: it is not a program
/// (`problem` says why), or there are no pages left (null); everything has been given back.
bool load(Process& process, std::span<const std::byte> file, uint64_t argument,
          const char*& problem);

/// One line that says why and where a process ended by a fault.
void print_fault(const Process& process);

/// One line: page table, registers that lead anywhere, FPU.
void print_process(const Process& process, const void* kernel_sp);

/// The program with this name; null if there is none.
const Program* find_program(std::string_view name);

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_USER_PROCESS_H_
