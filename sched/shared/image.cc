// The image's entries (abi.h), and its only data: the partition of whoever calls.

#include <cstdint>

#include "sched/shared/abi.h"
#include "sched/shared/scheduler.h"

namespace sched::shared {
namespace {

#ifndef BATON_SHARED_CAPACITY
#define BATON_SHARED_CAPACITY 400
#endif
constexpr size_t kCapacity = BATON_SHARED_CAPACITY;
static_assert(alignof(Partition<kCapacity>) <= BATON_SHARED_ALIGNMENT,
              "the image must begin at a multiple of its partition's alignment");
static_assert(sizeof(Board) == BATON_SHARED_BOARD_SIZE);

[[gnu::section(".bss.partition")]] constinit Partition<kCapacity> partition;

/// The linker script puts it into the header.
[[gnu::used, gnu::section(".rodata.capacity")]] constexpr uint32_t kCapacityOfHeader = kCapacity;

}  // namespace
}  // namespace sched::shared

extern "C" {

/// The page after the data; from the linker script.
[[gnu::visibility("hidden")]] extern const sched::shared::Board baton_shared_board;

}  // extern "C"

namespace {

using sched::shared::Answer;
using sched::shared::Handle;

auto scheduler() { return sched::shared::Scheduler(sched::shared::partition, baton_shared_board); }

}  // namespace

extern "C" {

int32_t baton_shared_add_task(uint16_t hart, uint16_t space, uint64_t task, uint8_t priority,
                              uint64_t* handle) {
  Handle added;
  const auto result = scheduler().add(hart, space, task, priority, added);
  *handle = added.word();
  return static_cast<int32_t>(result);
}

int32_t baton_shared_peek_task(baton_shared_should_switch should_switch, void* context,
                               baton_shared_answer* answer) {
  return static_cast<int32_t>(
      scheduler().peek([=](uint16_t space) { return should_switch(context, space) != 0; },
                       *reinterpret_cast<Answer*>(answer)));
}

int32_t baton_shared_next_task(uint16_t hart, uint64_t previous, uint32_t state,
                               baton_shared_should_switch should_switch, void* context,
                               baton_shared_answer* answer) {
  static_assert(sizeof(Answer) == sizeof *answer);
  return static_cast<int32_t>(scheduler().next(
      hart, Handle(previous), state == BATON_SHARED_READY,
      [=](uint16_t space) { return should_switch(context, space) != 0; },
      *reinterpret_cast<Answer*>(answer)));
}

int32_t baton_shared_claim_task(uint16_t hart, uint64_t handle) {
  return static_cast<int32_t>(scheduler().claim(hart, Handle(handle)));
}

int32_t baton_shared_delete_task(uint64_t handle) {
  return static_cast<int32_t>(scheduler().remove(Handle(handle)));
}

int32_t baton_shared_set_task_state(uint64_t handle, uint32_t state) {
  switch (state) {
    case BATON_SHARED_READY: return static_cast<int32_t>(scheduler().wake(Handle(handle)));
    case BATON_SHARED_SLEEPING: return static_cast<int32_t>(scheduler().sleep(Handle(handle)));
    default: return BATON_SHARED_REFUSED;
  }
}

int32_t baton_shared_delete_task_by(uint64_t task) {
  return static_cast<int32_t>(scheduler().remove_by(task));
}

int32_t baton_shared_set_task_state_by(uint64_t task, uint32_t state) {
  switch (state) {
    case BATON_SHARED_READY: return static_cast<int32_t>(scheduler().wake_by(task));
    case BATON_SHARED_SLEEPING: return static_cast<int32_t>(scheduler().sleep_by(task));
    default: return BATON_SHARED_REFUSED;
  }
}

int32_t baton_shared_sweep(uint16_t space, uint32_t begin, uint32_t count) {
  return static_cast<int32_t>(scheduler().sweep(space, begin, count));
}

}  // extern "C"
