// The boot, from the moment that C++ can run to `kernel_main`, and the end; alike on all machines.

#include <algorithm>

#include "kernel_demo/kit.h"
#include "kernel_demo/kit/console.h"
#include "kernel_demo/kit/fw_cfg.h"
#include "kernel_demo/kit/machine.h"
#include "kernel_demo/kit/stacks.h"
#include "platforms/runtime/runtime.h"

// Named for boot.S, which is on it from its first call on.
extern "C" {
alignas(4096) constinit std::byte kit_boot_stack[KIT_BOOT_STACK_GUARD + KIT_BOOT_STACK_SIZE] = {};
}

namespace kit {
namespace {

// What the page tables have room for, by far.
constexpr uintptr_t kMostMemory = uintptr_t{16} << 30;

constinit char argument_text[1024] = {};
constinit size_t argument_size = 0;
constinit Range free_memory;

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
  guard(std::span(kit_boot_stack).first(KIT_BOOT_STACK_GUARD));
  const auto image_end = reinterpret_cast<uintptr_t>(__image_end);
  free_memory = {(image_end + kPageSize - 1) & ~(kPageSize - 1), ram.end & ~(kPageSize - 1)};
  kernel_main();
  panic("kernel_main returned", nullptr);
}
