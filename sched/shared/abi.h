/* The image of the shared scheduler, as kernel and programs see it: C, so that whatever language
 * can call C can call it. Version 3; client.h has the same in C++. docs/shared_scheduler.md
 *
 * In memory, at any multiple of `BATON_SHARED_ALIGNMENT`, in this order: read-only part, which
 * begins with the header; text; data, which is the partition of the space; and one page that the
 * kernel writes and others read. An address of the image is where it begins and an offset of the
 * header's.
 *
 * Whoever has the image mapped may call, masked and in an interrupt too: no function waits. Each
 * takes a constant number of steps, those that look for a task as many as the pool has places, and
 * answers one of the three results; what is no handle, or not one any more, is refused. `hart` is
 * written down and not looked at. `should_switch` is called with the partition locked, and must not
 * call an entry: the answer would be busy.
 */
#ifndef BATON_SCHED_SHARED_ABI_H_
#define BATON_SCHED_SHARED_ABI_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BATON_SHARED_MAGIC UINT64_C(0x314853204e4f5442) /* "BTON SH1" */
#define BATON_SHARED_VERSION UINT32_C(3)
#define BATON_SHARED_ALIGNMENT UINT32_C(0x4000)
#define BATON_SHARED_BOARD_SIZE UINT32_C(0x1000)

/* How a call went. */
enum {
  BATON_SHARED_BUSY = -1, /* somebody else is in the partition; nothing has been done */
  BATON_SHARED_REFUSED =
      0, /* full, no such task, or claimed by somebody else; nothing has been done */
  BATON_SHARED_DONE = 1
};

/* What `peek_task` answers. */
enum {
  BATON_SHARED_TASK = 0,         /* space, task, handle */
  BATON_SHARED_SHOULD_YIELD = 1, /* space */
  BATON_SHARED_NO_WAKE_TASK = 2,
  BATON_SHARED_FINISHED = 3
};

/* What `set_task_state` sets. */
enum { BATON_SHARED_READY = 0, BATON_SHARED_SLEEPING = 1 };

typedef struct {
  uint32_t kind;
  uint32_t space;
  uint64_t task;
  uint64_t handle;
} baton_shared_answer;

typedef int32_t (*baton_shared_should_switch)(void* context, uint16_t space);

/* What the entries are; scheduler.h has their contracts. A larger priority is more urgent. */
typedef int32_t (*baton_shared_add_task_t)(uint16_t hart, uint16_t space, uint64_t task,
                                           uint8_t priority, uint64_t* handle);
typedef int32_t (*baton_shared_peek_task_t)(baton_shared_should_switch should_switch, void* context,
                                            baton_shared_answer* answer);
/* `previous`, which this hart has claimed (0: none), is ready again or sleeps; then as `peek_task`,
 * and a task that it answers is claimed. */
typedef int32_t (*baton_shared_next_task_t)(uint16_t hart, uint64_t previous, uint32_t state,
                                            baton_shared_should_switch should_switch, void* context,
                                            baton_shared_answer* answer);
typedef int32_t (*baton_shared_claim_task_t)(uint16_t hart, uint64_t handle);
typedef int32_t (*baton_shared_delete_task_t)(uint64_t handle);
typedef int32_t (*baton_shared_set_task_state_t)(uint64_t handle, uint32_t state);
/* The same of a task of the caller's space by what `add_task` was given: by its representation.
 * Where several have the same one, of one of them. Not O(1). */
typedef int32_t (*baton_shared_delete_task_by_t)(uint64_t task);
typedef int32_t (*baton_shared_set_task_state_by_t)(uint64_t task, uint32_t state);
/* For a kernel: what spaces that have ended have left in a pool that is others', too. */
typedef int32_t (*baton_shared_sweep_t)(uint16_t space, uint32_t begin, uint32_t count);

/* The image begins with this. Sizes are whole pages; entries are offsets from the header. */
typedef struct {
  uint64_t magic;
  uint32_t version;
  uint32_t capacity; /* of the pool */
  uint32_t rodata_size;
  uint32_t text_size;
  uint32_t data_size;
  uint32_t add_task;
  uint32_t peek_task;
  uint32_t next_task;
  uint32_t claim_task;
  uint32_t delete_task;
  uint32_t set_task_state;
  uint32_t delete_task_by;
  uint32_t set_task_state_by;
  uint32_t sweep;
} baton_shared_header;

#ifdef __cplusplus
}
#endif

#endif /* BATON_SCHED_SHARED_ABI_H_ */
