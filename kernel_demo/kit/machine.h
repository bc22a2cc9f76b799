// What the kit's architecture-independent parts ask of `kernel_demo/<arch>`, and what those find
// here. Private to the kit. Linked, not templated: nothing of it is called often.

#ifndef BATON_KERNEL_DEMO_KIT_MACHINE_H_
#define BATON_KERNEL_DEMO_KIT_MACHINE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "hal/interrupt.h"
#include "hal/native.h"

namespace kit {

/// Addresses from `begin` up to, not including, `end`.
struct Range {
  uintptr_t begin = 0;
  uintptr_t end = 0;
};

/// What a page is for, and so what may be done with it.
enum class Access : uint8_t { text, rodata, data, device };

/// A page of translation entries. All three machines have the same shape: 512 entries a table, and
/// three levels of 1 GiB, 2 MiB and 4 KiB an entry; x86_64 puts one entry more on top.
struct alignas(4096) Table {
  uint64_t entries[512] = {};
};

namespace machine {

// ---- Boot: called once by kit/start.cc, in this order.

/// Sets the console up for polling.
void start_console();
/// Exceptions and interrupts find their entries from here on, on this CPU; what firmware left on
/// makes no interrupt any more.
void start_vectors();
/// RAM that may be mapped and used, the image in it. `boot_info` is what the boot protocol passed.
Range find_memory(uintptr_t boot_info);
/// Arguments by the boot protocol, for a machine where fw_cfg has none. Read before `load_tables`.
std::string_view boot_arguments(uintptr_t boot_info);
/// Devices to be mapped, page-aligned.
std::span<const Range> devices();

// ---- Paging.

/// An entry that maps `address` to itself: of 2 MiB when `large`, else of 4 KiB.
uint64_t leaf(uintptr_t address, Access access, bool large);
/// An entry that leads to the next level's `table`.
uint64_t branch(const Table& table);
/// Whether translation may go through `entry`.
bool is_valid(uint64_t entry);
/// Whether a valid `entry` leads to a next level.
bool is_branch(uint64_t entry);
/// The table that a branch leads to.
Table& branch_target(uint64_t entry);
/// Turns translation on, or over to `root`, whose entries are 1 GiB each.
void load_tables(const Table& root);
/// The entry for `address` was changed: forget the old one.
void flush(uintptr_t address);

// ---- Console.

/// Waits until the device takes a byte, and gives it one.
void put(char c);
/// The byte that waits in the device, or -1.
int get();
/// Waits until everything given to `put` has left.
void drain();
/// Lets the receive interrupt reach this CPU.
void enable_console_interrupt();
/// Whether `interrupt` is the console's; if so, takes it from the controller that is the kit's.
bool claim_console(hal::Interrupt interrupt);
/// Called when a claimed interrupt's bytes have been read.
void release_console();

// ---- fw_cfg. Where there is none, `read_fw_cfg` returns whatever the bus does.

void select_fw_cfg(uint16_t key);
uint8_t read_fw_cfg();

// ---- Further CPUs. QEMU numbers them densely; number 0 is the one that has booted.

/// What the hardware calls each CPU of the kit's, whether or not it is there.
std::span<const hal::Native::HardwareId> hardware_ids();
/// Has CPU `number` begin in boot.S, which calls `kit_start_cpu` on its boot stack. Masked, after
/// `Machine::start_cpu`. False: the firmware refuses.
bool power_on(unsigned number);

// ---- This CPU.

/// A number of this CPU's own, below 2^16.
unsigned cpu();
/// Sleeps forever.
[[noreturn]] void stop();
/// Ends QEMU with `success` as its status.
[[noreturn]] void exit(bool success);

/// Where a frame record lies relative to the frame pointer: the caller's frame pointer, then the
/// return address.
extern const intptr_t kFrameRecord;

}  // namespace machine

/// What an exception's entry found out, in words that all machines share.
struct Trap {
  /// Set when `kit::panic` was called, which is an exception on purpose.
  bool is_panic = false;
  const char* rule = nullptr;
  const char* task = nullptr;

  const char* cause = nullptr;  // "store page fault"
  bool has_address = false;     // `address` is what was accessed
  uintptr_t address = 0;
  uintptr_t pc = 0;
  uintptr_t return_address = 0;  // as if the code at `pc` had no frame of its own yet
  uintptr_t frame_pointer = 0;
  std::span<const uint64_t> registers;
  const char* const* register_names = nullptr;
};

/// Prints the diagnosis and finishes. On the CPU's emergency stack, masked.
[[noreturn]] void report(const Trap& trap);

/// Whether `address` can be read without an exception, and whether it is in a guard page.
bool is_readable(uintptr_t address);
bool is_guard(uintptr_t address);

/// Maps one page of the kind that `guard` takes for another use: text, rodata or data. For this
/// CPU; another one may reach it as it was until its TLB forgets.
void set_access(std::span<std::byte> page, Access access);

/// Builds the page tables for `ram` and turns them on.
void start_paging(Range ram);
/// Turns them on for a further CPU.
void join_paging();

}  // namespace kit

/// From boot.S, on the boot stack, masked, with .bss zeroed. Runs the rest of the boot.
extern "C" [[noreturn]] void kit_start(uintptr_t boot_info);

/// The same on a further CPU, on that one's boot stack.
extern "C" [[noreturn]] void kit_start_cpu(unsigned number);

// Laid out by the linker script.
extern "C" {
extern std::byte __image_start[], __text_start[], __text_end[], __rodata_start[], __rodata_end[],
    __data_start[];
extern std::byte __image_end[];
}

#endif  // BATON_KERNEL_DEMO_KIT_MACHINE_H_
