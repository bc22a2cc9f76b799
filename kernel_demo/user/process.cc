// Loading, and what is printed of a process.

#include "kernel_demo/user/process.h"

#include <algorithm>
#include <cstring>

#include "kernel_demo/kit.h"
#include "kernel_demo/user/elf.h"
#include "kernel_demo/user/machine.h"

namespace demo {
namespace {

// Where the first stack pointer points to.
constexpr uintptr_t kArgument = user::kStackEnd - 16;

kit::Access access_of(const Segment& segment) {
  if (segment.executable) return kit::Access::text;
  return segment.writable ? kit::Access::data : kit::Access::rodata;
}

bool add_segment(AddressSpace& space, const Segment& segment) {
  for (size_t done = 0; done < segment.size; done += kit::kPageSize) {
    std::byte* const page = space.add(segment.address + done, access_of(segment));
    if (page == nullptr) return false;
    if (done < segment.bytes.size()) {
      const size_t size = std::min(kit::kPageSize, segment.bytes.size() - done);
      std::memcpy(page, segment.bytes.data() + done, size);
    }
    if (segment.executable) user_machine::write_text({page, kit::kPageSize});
  }
  return true;
}

bool add_stack(AddressSpace& space, uint64_t argument) {
  for (uintptr_t at = user::kStackBegin; at < user::kStackEnd; at += kit::kPageSize) {
    if (space.add(at, kit::Access::data) == nullptr) return false;
  }
  std::memcpy(space.find(kArgument), &argument, sizeof argument);
  return true;
}

bool is_stack_overflow(const hal::UserTrap& fault) {
  return fault.has_address && fault.address < user::kStackBegin &&
         fault.address >= user::kProgramEnd;
}

}  // namespace

bool load(Process& process, std::span<const std::byte> file, uint64_t argument,
          const char*& problem) {
  problem = nullptr;
  const auto layout = read_program(file);
  if (!layout) {
    problem = layout.error();
    return false;
  }
  AddressSpace& space = process.space;
  if (!space.create()) return false;
  const auto add = [&](const Segment& segment) { return add_segment(space, segment); };
  if (!std::ranges::all_of(layout->segments(), add) || !add_stack(space, argument)) {
    space.destroy();
    return false;
  }
  user_machine::publish_text();
  process.entry = layout->entry;
  return true;
}

void print_fault(const Process& process) {
  const hal::UserTrap& fault = process.fault;
  kit::print("process {} ({}) ended: {}{}", process.id, process.program->name,
             is_stack_overflow(fault) ? "stack overflow, " : "", fault.reason);
  if (fault.has_address) kit::print(" at {:#x}", fault.address);
  kit::print(", pc {:#x}, sp {:#x}\n", process.frame->pc(), process.frame->sp());
}

void print_process(const Process& process, const void* kernel_sp) {
  kit::print("    process {} of {}: page table {:#x}", process.id, process.program->name,
             reinterpret_cast<uintptr_t>(process.space.top()));
  if (process.frame != nullptr) {
    kit::print(", pc {:#x}, sp {:#x}", process.frame->pc(), process.frame->sp());
  }
  kit::print(", kernel sp {:#x}, FPU {}\n", reinterpret_cast<uintptr_t>(kernel_sp),
             process.uses_fpu ? "used" : "not used");
}

const Program* find_program(std::string_view name) {
  const auto all = programs();
  const auto found = std::ranges::find(all, name, &Program::name);
  return found == all.end() ? nullptr : &*found;
}

}  // namespace demo
