// The rest of what the kit asks of a PC under QEMU: RAM by PVH, page table entries, fw_cfg by its
// ports, exit by isa-debug-exit.

#include "kernel_demo/kit/machine.h"

#include <algorithm>

#include "kernel_demo/kit.h"
#include "kernel_demo/x86_64/io.h"

extern "C" {
/// boot.S: what a further CPU begins with, to be copied to a page below 1 MiB.
extern const std::byte kit_trampoline[], kit_trampoline_end[];
}

namespace kit::machine {
namespace {

// Page table entries: Intel SDM volume 3, 4.5.
constexpr uint64_t kPresent = 1;
constexpr uint64_t kWritable = 1 << 1;
constexpr uint64_t kUncached = 1 << 3 | 1 << 4;
constexpr uint64_t kAccessedAndDirty = 1 << 5 | 1 << 6;
constexpr uint64_t kLarge = 1 << 7;
constexpr uint64_t kNoExecute = uint64_t{1} << 63;
constexpr uint64_t kAddressMask = 0x000f'ffff'ffff'f000;

constexpr uint16_t kFwCfgSelect = 0x510;
constexpr uint16_t kFwCfgData = 0x511;
constexpr uint16_t kDebugExit = 0xf4;

// What PVH passes (Xen include/public/arch-x86/hvm/start_info.h), as far as it is used.
struct StartInfo {
  uint32_t magic;
  uint32_t version;
  uint32_t flags;
  uint32_t module_count;
  uint64_t modules;
  uint64_t command_line;
  uint64_t rsdp;
  uint64_t memory_map;  // from version 1 on
  uint32_t memory_map_entries;
};

struct MemoryMapEntry {
  uint64_t address;
  uint64_t size;
  uint32_t type;  // 1: RAM
  uint32_t reserved;
};

constexpr uint32_t kStartInfoMagic = 0x336ec578;
constexpr uint32_t kRam = 1;

constexpr Range kDevices[] = {
    {0xfec00000, 0xfec01000},  // IOAPIC
    {0xfee00000, 0xfee01000},  // LAPIC
};

// The top level: all that is mapped is in its first 512 GiB.
constinit Table top;

}  // namespace

const intptr_t kFrameRecord = 0;

Range find_memory(uintptr_t boot_info) {
  const auto image_begin = reinterpret_cast<uintptr_t>(__image_start);
  const auto* const info = reinterpret_cast<const StartInfo*>(boot_info);
  if (info->magic == kStartInfoMagic && info->version >= 1) {
    const auto* const map = reinterpret_cast<const MemoryMapEntry*>(info->memory_map);
    for (uint32_t i = 0; i < info->memory_map_entries; ++i) {
      const MemoryMapEntry& entry = map[i];
      const uint64_t end = entry.address + entry.size;
      if (entry.type != kRam || image_begin < entry.address || image_begin >= end) continue;
      // Down to the page after the first: what firmware left there is RAM too, a null pointer not.
      return {0x1000, end};
    }
  }
  // No map: the least that QEMU gives a q35 by default.
  return {0x1000, 128u << 20};
}

// A PC always has fw_cfg.
std::string_view boot_arguments(uintptr_t) { return {}; }

std::span<const Range> devices() { return kDevices; }

uint64_t leaf(uintptr_t address, Access access, bool large) {
  uint64_t entry = address | kPresent | kAccessedAndDirty | (large ? kLarge : 0);
  if (access != Access::text) entry |= kNoExecute;
  if (access == Access::data || access == Access::device) entry |= kWritable;
  if (access == Access::device) entry |= kUncached;
  return entry;
}

uint64_t branch(const Table& table) {
  return reinterpret_cast<uintptr_t>(&table) | kPresent | kWritable;
}

bool is_valid(uint64_t entry) { return (entry & kPresent) != 0; }

// The bit means "large" in every level but the lowest, whose entries nobody asks about.
bool is_branch(uint64_t entry) { return (entry & kLarge) == 0; }

Table& branch_target(uint64_t entry) { return *reinterpret_cast<Table*>(entry & kAddressMask); }

void load_tables(const Table& root) {
  top.entries[0] = branch(root);
  asm volatile("mov %0, %%cr3" : : "r"(&top) : "memory");
}

void flush(uintptr_t address) { asm volatile("invlpg (%0)" : : "r"(address) : "memory"); }

void select_fw_cfg(uint16_t key) { out16(kFwCfgSelect, key); }

uint8_t read_fw_cfg() { return in8(kFwCfgData); }

std::span<const hal::Native::HardwareId> hardware_ids() {
  static constexpr hal::Native::HardwareId kIds[kMostCpus] = {0, 1, 2, 3, 4, 5, 6, 7};
  return kIds;
}

bool power_on(unsigned number) {
  // RAM that is nobody's: what the kit gives away begins after the image.
  constexpr uintptr_t kPage = 0x8000;
  std::copy(kit_trampoline, kit_trampoline_end, reinterpret_cast<std::byte*>(kPage));
  hal::Native::power_on(hardware_ids()[number], kPage);
  return true;
}

unsigned cpu() {
  // The initial APIC id, from CPUID leaf 1: readable in any context.
  uint32_t eax = 1;
  uint32_t ebx;
  asm volatile("cpuid" : "+a"(eax), "=b"(ebx) : : "ecx", "edx");
  return ebx >> 24;
}

void stop() {
  for (;;) asm volatile("cli; hlt");
}

void exit(bool success) {
  // QEMU ends with (value << 1) | 1.
  out8(kDebugExit, success ? 0x10 : 0x11);
  stop();
}

}  // namespace kit::machine
