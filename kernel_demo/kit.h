// The start-up kit: all that a small kernel needs of three machines beside the scheduler.
//
// A kernel image is `extern "C" void kernel_main()`, the two functions of hal/interrupt.h, and a
// dependency on `@baton//kernel_demo:kit`, which brings `_start` and the machine (hal/native.h),
// and boots x86_64, aarch64 and riscv64 under QEMU (q35, virt and virt). When `kernel_main` begins:
//
// - It runs on CPU 0 of the image, the others sleep until `start_cpu`, on a 32 KiB stack with a
//   guard page below, with interrupts masked. On riscv64 `tp` still holds the hart id, which S-mode
//   cannot read back, and `gp` is the trap entry's own.
// - Paging is on, each address mapped to itself: text may only be executed, constants only be read,
//   all other RAM never be executed, devices are uncached, and page zero is not there.
// - Exceptions lead to a diagnosis, on a stack of their own, and to `finish(false)`; interrupts
// lead
//   to the entry of `hal/<arch>/interrupt.S`. Every interrupt controller is silent but the ones
//   that the kernel turns on: `Machine::start_cpu` (timer, kick) and `listen` (console).
// - The console is set up: 115200 8N1 where that means anything.
//
// It must not return; it ends with `finish`.

#ifndef BATON_KERNEL_DEMO_KIT_H_
#define BATON_KERNEL_DEMO_KIT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "hal/hal.h"
#include "hal/interrupt.h"
#include "hal/native.h"
#include "kernel_demo/kit/format.h"

/// Defined by the kernel: where it begins. See the head of this page for what it finds.
extern "C" void kernel_main();

namespace kit {

// ---- Console and arguments -----------------------------------------------------------------

/// Writes `text` to the serial console, as it is. From any context, interrupts included; the text
/// of one call is never mixed with another CPU's. Masks interrupts and waits for the device: on a
/// real wire 87 us a byte, next to nothing under QEMU.
void write(std::string_view text);

/// `print("{:>5} tasks on {}\n", count, name)`: formats as kit/format.h says and writes. From any
/// context; needs about 400 bytes of stack; what is longer than 256 bytes is written in pieces of
/// that size. A format that does not fit its arguments does not compile.
void print_arguments(std::string_view format, std::span<const Argument> arguments);
template <typename... Values>
void print(Format<std::type_identity_t<Values>...> format, const Values&... values) {
  const std::array<Argument, sizeof...(Values)> arguments = {Argument(values)...};
  print_arguments(format.text(), arguments);
}

/// The next byte that was typed, or -1 when nothing waits. Never blocks. For one reader at a time.
int read();

/// Asks for an interrupt, on this CPU, whenever bytes arrive. Once, after `Machine::start_cpu`;
/// from then on the kernel passes every interrupt that `Machine::acknowledge` calls a device's to
/// `console_interrupt`, and `read` answers from a buffer of 256 bytes, dropping what comes when it
/// is full.
void listen();

/// In `baton_interrupt`: whether this was the console's, in which case the bytes were taken into
/// the buffer and the kernel may wake its reader. The kernel still calls `Machine::complete`.
bool console_interrupt(hal::Interrupt interrupt);

/// What the guest was started with, read at boot: fw_cfg file `opt/baton/args`, or else the device
/// tree's `/chosen/bootargs` (QEMU 7.2 has no fw_cfg files on riscv64; there `-append` does it); ""
/// where there is none. At most 1023 bytes; more stops the boot with a message. Lives forever.
std::string_view arguments();

// ---- The end -------------------------------------------------------------------------------

/// Ends QEMU with status 33 (success) or 35 (failure). From any context on any CPU.
[[noreturn]] void finish(bool success);

/// For what must not be: prints the broken `rule` and the `task` (null: nobody to blame), the
/// caller's registers and a backtrace, lets `on_panic` speak, then finishes as a failure. From any
/// context, also with a stack that has overflowed: it works on the CPU's emergency stack. A panic
/// while panicking ends at once; another CPU that panics meanwhile stops silently.
[[noreturn]] void panic(const char* rule, const char* task) asm("kit_panic");

/// What a kernel may add to a diagnosis; each is null until the kernel sets it, before it enables
/// interrupts. All are called on the emergency stack (16 KiB), masked, and may use `print`.
///
/// After registers and backtrace: the last scheduling decisions, the tasks, what is known.
extern void (*on_panic)();
/// The name of the task whose stack has its guard page at `address`, or null.
extern const char* (*name_of_guard)(uintptr_t address);
/// The name of the task that runs on this CPU, or null. Asked when an exception has no other name.
extern const char* (*name_of_task)();

// ---- Further CPUs --------------------------------------------------------------------------

/// How many the kit can start, the first included.
inline constexpr size_t kMostCpus = 8;

/// Starts CPU `number`, from 1 on: `entry(number)` begins there in the state that the head of this
/// page describes, on a stack of its own of the same size, and must not return. On CPU 0, masked,
/// after `Machine::start_cpu`; each number once. False: the firmware refuses, or the CPU has not
/// come within two seconds, and will not come any more. That there is no such CPU is one reason.
bool start_cpu(hal::CpuNumber number, void (*entry)(hal::CpuNumber number));

/// What `Local::hardware_ids` of each CPU must be before the first kick: of `kMostCpus`.
const hal::Native::HardwareId* hardware_ids();

// ---- Memory --------------------------------------------------------------------------------

inline constexpr size_t kPageSize = 4096;

/// Free RAM after the image: page-aligned, readable and writable, of unknown content; the same span
/// at every call, for the kernel to divide up. One piece: what lies below the image, above 16 GiB
/// or, on x86_64, above the hole under 4 GiB is not in it.
std::span<std::byte> memory();

/// Makes one page inaccessible: the lowest of a stack, so that an overflow is an exception that
/// names the task and not another task's data. `page` is 4096 bytes at a multiple of 4096 in the
/// image's data or in `memory()`, in the first 128 MiB of RAM; anything else panics. Its content is
/// kept. Constant time. Not for two CPUs at once; another CPU that has used the page before may
/// still reach it until its TLB forgets.
void guard(std::span<std::byte> page);

/// Gives a guarded page back. Panics if the page is not one.
void unguard(std::span<std::byte> page);

}  // namespace kit

#endif  // BATON_KERNEL_DEMO_KIT_H_
