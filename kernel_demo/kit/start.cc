// The boot, from the moment that C++ can run to `kernel_main`, and the end; alike on all machines.

#include <algorithm>
#include <array>
#include <atomic>

#include "hal/native.h"
#include "kernel_demo/kit.h"
#include "kernel_demo/kit/console.h"
#include "kernel_demo/kit/fw_cfg.h"
#include "kernel_demo/kit/machine.h"
#include "kernel_demo/kit/stacks.h"
#include "platforms/runtime/runtime.h"

// Named for boot.S, which is on one of them from its first call on.
extern "C" {
alignas(4096) constinit std::byte kit_boot_stacks[KIT_CPUS * KIT_BOOT_STACK_STRIDE] = {};
}
static_assert(KIT_BOOT_STACK_STRIDE == KIT_BOOT_STACK_GUARD + KIT_BOOT_STACK_SIZE);
static_assert(KIT_CPUS == kit::kMostCpus);

namespace kit {
namespace {

// What the page tables have room for, by far.
constexpr uintptr_t kMostMemory = uintptr_t{16} << 30;

constinit char argument_text[1024] = {};
constinit size_t argument_size = 0;
constinit Range free_memory;

/// How far a further CPU is. Each may take the last step only once: one that comes too late stops.
enum class Arrival : uint8_t { none, called, here, given_up };

struct FurtherCpu {
  std::atomic<Arrival> arrival = Arrival::none;
  void (*entry)(hal::CpuNumber) = nullptr;
};
constinit std::array<FurtherCpu, kMostCpus> further_cpus{};

struct FwCfg {
  void select(uint16_t key) { machine::select_fw_cfg(key); }
  uint8_t read() { return machine::read_fw_cfg(); }
};

[[noreturn]] void refuse_arguments() {
  panic("the guest's arguments are longer than 1023 bytes", nullptr);
}

/// From fw_cfg, or, where QEMU offers no fw_cfg files (riscv64, before QEMU 8), from the boot
/// protocol.
void read_arguments(uintptr_t boot_info) {
  FwCfg device;
  // One byte less than there is room for, so that the text ends in a zero for whoever wants one.
  const std::span<char> room = std::span(argument_text).first(sizeof argument_text - 1);
  const FwCfgFile file = read_fw_cfg_file(device, "opt/baton/args", room);
  if (file.result == FwCfgResult::too_long) refuse_arguments();
  argument_size = file.size;
  if (file.result == FwCfgResult::found) return;

  const std::string_view text = machine::boot_arguments(boot_info);
  if (text.size() > room.size()) refuse_arguments();
  for (const char c : text) room[argument_size++] = c;
}

}  // namespace

std::string_view arguments() { return {argument_text, argument_size}; }

std::span<std::byte> memory() {
  return {reinterpret_cast<std::byte*>(free_memory.begin), free_memory.end - free_memory.begin};
}

const hal::Native::HardwareId* hardware_ids() { return machine::hardware_ids().data(); }

bool start_cpu(hal::CpuNumber number, void (*entry)(hal::CpuNumber)) {
  if (number == 0 || number >= kMostCpus) panic("there is no such CPU to start", nullptr);
  FurtherCpu& cpu = further_cpus[number];
  if (cpu.arrival.load(std::memory_order_relaxed) != Arrival::none) {
    panic("a CPU can be started once", nullptr);
  }
  cpu.entry = entry;
  cpu.arrival.store(Arrival::called, std::memory_order_release);
  if (!machine::power_on(number)) return false;
  using Machine = hal::Native;
  const hal::Instant limit = Machine::now() + hal::Duration{2 * Machine::ticks_per_second()};
  while (Machine::now() < limit) {
    if (cpu.arrival.load(std::memory_order_acquire) == Arrival::here) return true;
    Machine::relax();
  }
  Arrival expected = Arrival::called;
  return !cpu.arrival.compare_exchange_strong(expected, Arrival::given_up);
}

void finish(bool success) {
  machine::drain();
  machine::exit(success);
}

}  // namespace kit

void baton_runtime_panic(const char* why) noexcept { kit::panic(why, nullptr); }

void kit_start(uintptr_t boot_info) {
  using namespace kit;
  take_waiting();
  machine::start_console();
  machine::start_vectors();
  read_arguments(boot_info);
  Range ram = machine::find_memory(boot_info);
  ram.end = std::min(ram.end, ram.begin + kMostMemory);
  start_paging(ram);
  for (size_t i = 0; i < kMostCpus; ++i) {
    guard(std::span(kit_boot_stacks).subspan(i * KIT_BOOT_STACK_STRIDE, KIT_BOOT_STACK_GUARD));
  }
  const auto image_end = reinterpret_cast<uintptr_t>(__image_end);
  free_memory = {(image_end + kPageSize - 1) & ~(kPageSize - 1), ram.end & ~(kPageSize - 1)};
  kernel_main();
  panic("kernel_main returned", nullptr);
}

void kit_start_cpu(unsigned number) {
  using namespace kit;
  machine::start_vectors();
  join_paging();
  FurtherCpu& cpu = further_cpus[number];
  Arrival expected = Arrival::called;
  // Pairs with the store that called it: its entry is there.
  if (!cpu.arrival.compare_exchange_strong(expected, Arrival::here)) machine::stop();
  cpu.entry(static_cast<hal::CpuNumber>(number));
  panic("the entry of a further CPU returned", nullptr);
}
