// The page tables: one identity mapping, built once, in which single pages are guarded later.
//
// The first 128 MiB of RAM (all there is by default, and where the image lies) are mapped by 4 KiB,
// the rest by 2 MiB. So no mapping ever has to be split while something runs on it, which aarch64
// allows only by "break before make" (Arm ARM, D8.16), and every table is known at build time.

#include "kernel_demo/kit.h"
#include "kernel_demo/kit/machine.h"

namespace kit {
namespace {

constexpr uintptr_t kLargeSize = 2u << 20;
constexpr uintptr_t kWindow = 128u << 20;
// 64 for the window, and a few for whatever it and the devices touch in other gigabytes.
constexpr size_t kTables = 64 + 24;

// In an entry that is not valid all bits but the lowest are software's on every machine.
constexpr uint64_t kGuardMark = 0x6775'6172'6400;

constinit Table root;
constinit Table tables[kTables];
constinit size_t tables_used = 0;
constinit Range window;
constinit bool paging = false;

constexpr unsigned index(uintptr_t address, unsigned level) {
  return address >> (12 + 9 * level) & 511;
}

Table& next_level(uint64_t& entry) {
  if (!machine::is_valid(entry)) {
    if (tables_used == kTables) panic("the kit has no page table left to map memory with", nullptr);
    entry = machine::branch(tables[tables_used++]);
  }
  return machine::branch_target(entry);
}

void map(Range range, Access access) {
  for (uintptr_t at = range.begin; at < range.end;) {
    Table& middle = next_level(root.entries[index(at, 2)]);
    const bool in_window = at >= window.begin && at < window.end;
    if (!in_window && at % kLargeSize == 0 && range.end - at >= kLargeSize) {
      middle.entries[index(at, 1)] = machine::leaf(at, access, true);
      at += kLargeSize;
    } else {
      Table& low = next_level(middle.entries[index(at, 1)]);
      low.entries[index(at, 0)] = machine::leaf(at, access, false);
      at += kPageSize;
    }
  }
}

/// The last entry on the way to `address`: its leaf, or the first that is not valid.
uint64_t& entry_of(uintptr_t address) {
  uint64_t* entry = &root.entries[index(address, 2)];
  for (unsigned level = 1;; --level) {
    if (!machine::is_valid(*entry) || !machine::is_branch(*entry)) return *entry;
    entry = &machine::branch_target(*entry).entries[index(address, level)];
    if (level == 0) return *entry;
  }
}

constexpr bool is_canonical(uintptr_t address) { return address < uintptr_t{1} << 38; }

uintptr_t address_of(const std::byte* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

/// Panics unless `page` is one that may be guarded.
uintptr_t check_page(std::span<std::byte> page) {
  const uintptr_t address = address_of(page.data());
  if (page.size() != kPageSize || address % kPageSize != 0) {
    panic("a guard page is 4096 bytes at a multiple of 4096", nullptr);
  }
  if (address < address_of(__data_start) || address < window.begin || address >= window.end) {
    panic("a guard page lies in the image's data or in the first 128 MiB of memory()", nullptr);
  }
  return address;
}

}  // namespace

void start_paging(Range ram) {
  // The image's first page, if RAM has anything in the same large page before it, stays by 4 KiB.
  const uintptr_t first = ram.begin & ~(kLargeSize - 1);
  window = {first, first + kWindow};
  const Range text = {address_of(__text_start), address_of(__text_end)};
  const Range rodata = {address_of(__rodata_start), address_of(__rodata_end)};
  if (text.begin < ram.begin || address_of(__image_end) > ram.end ||
      address_of(__image_end) > window.end) {
    panic("the image does not fit into the first 128 MiB of RAM", nullptr);
  }
  map(ram, Access::data);
  map(text, Access::text);
  map(rodata, Access::rodata);
  for (const Range& device : machine::devices()) map(device, Access::device);
  machine::load_tables(root);
  paging = true;
}

void join_paging() { machine::load_tables(root); }

bool is_readable(uintptr_t address) {
  if (!paging) return true;
  return is_canonical(address) && machine::is_valid(entry_of(address));
}

bool is_guard(uintptr_t address) {
  return is_canonical(address) && entry_of(address) == kGuardMark;
}

void guard(std::span<std::byte> page) {
  const uintptr_t address = check_page(page);
  entry_of(address) = kGuardMark;
  machine::flush(address);
}

void unguard(std::span<std::byte> page) {
  if (!is_guard(check_page(page))) panic("unguard of a page that is not guarded", nullptr);
  set_access(page, Access::data);
}

void set_access(std::span<std::byte> page, Access access) {
  const uintptr_t address = check_page(page);
  entry_of(address) = machine::leaf(address, access, false);
  machine::flush(address);
}

}  // namespace kit
