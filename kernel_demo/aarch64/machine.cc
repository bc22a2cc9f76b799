// The rest of what the kit asks of QEMU's aarch64 `virt`: RAM by device tree, translation, fw_cfg,
// exit by semihosting.

#include "kernel_demo/kit/machine.h"

#include "hal/native.h"
#include "kernel_demo/kit.h"
#include "kernel_demo/kit/device_tree.h"

extern "C" {
/// boot.S. Where a further CPU begins.
void kit_further_cpu();

/// What it turns its translation on with: MAIR, TCR, TTBR0, SCTLR. Stored while the caches of this
/// CPU are off, as that one's will be when it reads them.
constinit uint64_t kit_translation[4] = {};
}

namespace kit::machine {
namespace {

// Descriptors: Arm ARM, D8.3.
constexpr uint64_t kValid = 1;
constexpr uint64_t kTableOrPage = 1 << 1;
constexpr uint64_t kDeviceMemory = 1 << 2;  // attribute index 1; 0 is normal memory
constexpr uint64_t kReadOnly = 1 << 7;
constexpr uint64_t kInnerShareable = 3 << 8;
constexpr uint64_t kAccessed = 1 << 10;
constexpr uint64_t kPrivilegedExecuteNever = uint64_t{1} << 53;
constexpr uint64_t kUnprivilegedExecuteNever = uint64_t{1} << 54;
constexpr uint64_t kAddressMask = 0x0000'ffff'ffff'f000;

// Attribute 0: normal, write-back, allocating. Attribute 1: device, nGnRE.
constexpr uint64_t kMair = 0x04ff;
// 39 bits of address from a table of 1 GiB entries, 4 KiB pages, walks through the caches, inner
// shareable; no upper half (EPD1); 40 bits of physical address.
constexpr uint64_t kTcr = 25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | uint64_t{2} << 32;
// MMU, caches, stack alignment checks, writable memory never executed, and the bits that are one.
constexpr uint64_t kSctlr = 0x30d00800 | 1 << 0 | 1 << 2 | 1 << 3 | 1 << 12 | 1 << 19;

constexpr uintptr_t kFwCfgData = 0x09020000;
constexpr uintptr_t kFwCfgSelect = 0x09020008;

constexpr Range kDevices[] = {
    {0x08000000, 0x0a200000},  // GIC, UART, RTC, fw_cfg, GPIO, virtio
};

}  // namespace

const intptr_t kFrameRecord = 0;

Range find_memory(uintptr_t boot_info) {
  const auto* const tree = reinterpret_cast<const uint8_t*>(boot_info);
  const MemoryBank bank = find_memory_bank(device_tree_at(tree));
  // No tree: the least that QEMU gives by default.
  if (bank.size == 0) return {0x40000000, 0x48000000};
  return {bank.address, bank.address + bank.size};
}

std::string_view boot_arguments(uintptr_t boot_info) {
  return find_boot_arguments(device_tree_at(reinterpret_cast<const uint8_t*>(boot_info)));
}

std::span<const Range> devices() { return kDevices; }

uint64_t leaf(uintptr_t address, Access access, bool large) {
  uint64_t entry = address | kValid | kAccessed | kUnprivilegedExecuteNever;
  if (!large) entry |= kTableOrPage;
  if (access != Access::text) entry |= kPrivilegedExecuteNever;
  if (access == Access::text || access == Access::rodata) entry |= kReadOnly;
  entry |= access == Access::device ? kDeviceMemory : kInnerShareable;
  return entry;
}

uint64_t branch(const Table& table) {
  return reinterpret_cast<uintptr_t>(&table) | kValid | kTableOrPage;
}

bool is_valid(uint64_t entry) { return (entry & kValid) != 0; }

// The bit means "page" in the lowest level, whose entries nobody asks about.
bool is_branch(uint64_t entry) { return (entry & kTableOrPage) != 0; }

Table& branch_target(uint64_t entry) { return *reinterpret_cast<Table*>(entry & kAddressMask); }

void load_tables(const Table& root) {
  if (kit_translation[0] == 0) {
    kit_translation[0] = kMair;
    kit_translation[1] = kTcr;
    kit_translation[2] = reinterpret_cast<uintptr_t>(&root);
    kit_translation[3] = kSctlr;
  }
  asm volatile(
      "dsb sy\n"
      "msr mair_el1, %[mair]\n"
      "msr tcr_el1, %[tcr]\n"
      "msr ttbr0_el1, %[root]\n"
      "tlbi vmalle1\n"
      "ic iallu\n"
      "dsb sy\n"
      "isb\n"
      "msr sctlr_el1, %[sctlr]\n"
      "isb\n"
      :
      : [mair] "r"(kMair), [tcr] "r"(kTcr), [root] "r"(&root), [sctlr] "r"(kSctlr)
      : "memory");
}

void flush(uintptr_t address) {
  asm volatile(
      "dsb ishst\n"
      "tlbi vaae1is, %0\n"
      "dsb ish\n"
      "isb\n"
      :
      : "r"(address >> 12)
      : "memory");
}

// The device is big-endian.
void select_fw_cfg(uint16_t key) {
  *reinterpret_cast<volatile uint16_t*>(kFwCfgSelect) = __builtin_bswap16(key);
}

uint8_t read_fw_cfg() { return *reinterpret_cast<volatile uint8_t*>(kFwCfgData); }

std::span<const hal::Native::HardwareId> hardware_ids() {
  static constexpr hal::Native::HardwareId kIds[kMostCpus] = {0, 1, 2, 3, 4, 5, 6, 7};
  return kIds;
}

bool power_on(unsigned number) {
  return hal::Native::power_on(hardware_ids()[number],
                               reinterpret_cast<uintptr_t>(&kit_further_cpu), number);
}

unsigned cpu() {
  uint64_t affinity;
  asm volatile("mrs %0, mpidr_el1" : "=r"(affinity));
  return affinity & 0xffff;
}

void stop() {
  hal::Native::mask();
  for (;;) asm volatile("wfi");
}

void exit(bool success) {
  // SYS_EXIT of Arm semihosting: the reason (ADP_Stopped_ApplicationExit) and the status.
  constexpr uint64_t kSysExit = 0x18;
  const uint64_t block[2] = {0x20026, success ? 33u : 35u};
  register uint64_t operation asm("x0") = kSysExit;
  register const uint64_t* parameter asm("x1") = block;
  asm volatile("hlt #0xf000" : "+r"(operation) : "r"(parameter) : "memory");
  stop();
}

}  // namespace kit::machine
