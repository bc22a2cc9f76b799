// The rest of what the kit asks of QEMU's riscv64 `virt`: RAM by device tree, Sv39, fw_cfg, exit by
// the test finisher.

#include "kernel_demo/kit/machine.h"

#include "hal/native.h"
#include "kernel_demo/kit.h"
#include "kernel_demo/kit/device_tree.h"

// Set by boot.S to what the firmware passed. In .data: boot.S clears .bss first and stores then,
// but nothing must depend on that order.
extern "C" {
/// boot.S. Where a further CPU begins.
void kit_further_cpu();

[[gnu::section(".data.kit_boot_hart")]] constinit uint64_t kit_boot_hart = 0;
}

namespace kit::machine {
namespace {

// Entries: RISC-V privileged specification, 4.3 and 4.4.
constexpr uint64_t kValid = 1;
constexpr uint64_t kRead = 1 << 1;
constexpr uint64_t kWrite = 1 << 2;
constexpr uint64_t kExecute = 1 << 3;
constexpr uint64_t kAccessedAndDirty = 1 << 6 | 1 << 7;
constexpr uint64_t kSv39 = uint64_t{8} << 60;

constexpr uintptr_t kFinisher = 0x00100000;
constexpr uintptr_t kFwCfgData = 0x10100000;
constexpr uintptr_t kFwCfgSelect = 0x10100008;

constexpr Range kDevices[] = {
    {0x00100000, 0x00102000},  // finisher, RTC
    {0x0c000000, 0x10200000},  // PLIC, UART, virtio, fw_cfg
};

}  // namespace

// The frame pointer is the stack pointer before the call; the record lies below.
const intptr_t kFrameRecord = -16;

Range find_memory(uintptr_t boot_info) {
  const auto image_begin = reinterpret_cast<uintptr_t>(__image_start);
  const auto* const tree = reinterpret_cast<const uint8_t*>(boot_info);
  const MemoryBank bank = find_memory_bank(device_tree_at(tree));
  // No tree: the least that QEMU gives by default. What lies below the image is the firmware's.
  Range ram = {image_begin, 0x88000000};
  if (bank.size != 0) ram.end = bank.address + bank.size;
  // The tree itself lies near the end; it stays as it is.
  if (boot_info > image_begin && boot_info < ram.end) ram.end = boot_info;
  return ram;
}

std::string_view boot_arguments(uintptr_t boot_info) {
  return find_boot_arguments(device_tree_at(reinterpret_cast<const uint8_t*>(boot_info)));
}

std::span<const Range> devices() { return kDevices; }

uint64_t leaf(uintptr_t address, Access access, bool) {
  uint64_t entry = address >> 12 << 10 | kValid | kRead | kAccessedAndDirty;
  if (access == Access::data || access == Access::device) entry |= kWrite;
  if (access == Access::text) entry |= kExecute;
  return entry;
}

uint64_t branch(const Table& table) {
  return reinterpret_cast<uintptr_t>(&table) >> 12 << 10 | kValid;
}

bool is_valid(uint64_t entry) { return (entry & kValid) != 0; }

bool is_branch(uint64_t entry) { return (entry & (kRead | kWrite | kExecute)) == 0; }

Table& branch_target(uint64_t entry) { return *reinterpret_cast<Table*>(entry >> 10 << 12); }

void load_tables(const Table& root) {
  const uintptr_t satp = kSv39 | reinterpret_cast<uintptr_t>(&root) >> 12;
  asm volatile("sfence.vma; csrw satp, %0; sfence.vma" : : "r"(satp) : "memory");
}

void flush(uintptr_t address) { asm volatile("sfence.vma %0, zero" : : "r"(address) : "memory"); }

// The device is big-endian.
void select_fw_cfg(uint16_t key) {
  *reinterpret_cast<volatile uint16_t*>(kFwCfgSelect) = __builtin_bswap16(key);
}

uint8_t read_fw_cfg() { return *reinterpret_cast<volatile uint8_t*>(kFwCfgData); }

std::span<const hal::Native::HardwareId> hardware_ids() {
  // The firmware chooses which hart boots; the others follow in order.
  static constinit hal::Native::HardwareId ids[kMostCpus] = {};
  ids[0] = kit_boot_hart;
  for (unsigned i = 1; i < kMostCpus; ++i) ids[i] = i <= kit_boot_hart ? i - 1 : i;
  return ids;
}

bool power_on(unsigned number) {
  return hal::Native::power_on(hardware_ids()[number],
                               reinterpret_cast<uintptr_t>(&kit_further_cpu), number);
}

void stop() {
  hal::Native::mask();
  for (;;) asm volatile("wfi");
}

void exit(bool success) {
  *reinterpret_cast<volatile uint32_t*>(kFinisher) = (success ? 33u : 35u) << 16 | 0x3333;
  stop();
}

}  // namespace kit::machine
