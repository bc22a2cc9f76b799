// Walks through tables, which have the same shape on all machines (kit/machine.h).

#include "kernel_demo/user/address_space.h"

#include <algorithm>

#include "kernel_demo/user/abi.h"
#include "kernel_demo/user/machine.h"

namespace demo {
namespace {

constexpr size_t kLargePage = 512 * kit::kPageSize;
static_assert(user::kBegin % kLargePage == 0 && user::kEnd % kLargePage == 0);
static_assert(user::kBegin >> 30 == (user::kEnd - 1) >> 30, "one table maps all of user memory");

constexpr unsigned index(uintptr_t address, unsigned level) {
  return address >> (12 + 9 * level) & 511;
}

constexpr bool is_user(uintptr_t address) {
  return address >= user::kBegin && address < user::kEnd;
}

kit::Table* take_table() { return reinterpret_cast<kit::Table*>(take_page()); }
void give_table(kit::Table* table) { give_page(reinterpret_cast<Page*>(table)); }

}  // namespace

bool AddressSpace::create() {
  const unsigned count = user_machine::kLevels - 1;
  for (unsigned i = 0; i < count; ++i) {
    tables_[i] = take_table();
    if (tables_[i] == nullptr) {
      destroy();
      return false;
    }
  }
  const kit::Table* kernels = &user_machine::top_table();
  for (unsigned i = 0; i < count; ++i) {
    if (kernels != nullptr) *tables_[i] = *kernels;
    if (i + 1 == count) break;
    uint64_t& entry = tables_[i]->entries[index(user::kBegin, count - i)];
    kernels = kit::machine::is_valid(entry) ? &kit::machine::branch_target(entry) : nullptr;
    entry = user_machine::branch(*tables_[i + 1]);
  }
  // Whatever the kernel has there is out of its reach while this space is loaded.
  for (uintptr_t at = user::kBegin; at < user::kEnd; at += kLargePage) {
    middle().entries[index(at, 1)] = 0;
  }
  return true;
}

void AddressSpace::destroy() {
  if (!exists()) return;
  const unsigned count = user_machine::kLevels - 1;
  if (tables_[count - 1] != nullptr) {
    for (uintptr_t at = user::kBegin; at < user::kEnd; at += kLargePage) {
      const uint64_t entry = middle().entries[index(at, 1)];
      if (!kit::machine::is_valid(entry)) continue;
      kit::Table& low = kit::machine::branch_target(entry);
      for (const uint64_t leaf : low.entries) {
        if (!kit::machine::is_valid(leaf)) continue;
        Page* const page = reinterpret_cast<Page*>(user_machine::page_of(leaf));
        if (is_from_memory(page)) give_page(page);
      }
      give_table(&low);
    }
  }
  for (kit::Table*& table : tables_) {
    if (table != nullptr) give_table(table);
    table = nullptr;
  }
}

std::byte* AddressSpace::add(uintptr_t address, kit::Access access) {
  uint64_t* const entry = entry_for(address);
  Page* const page = entry == nullptr ? nullptr : take_page();
  if (page == nullptr) return nullptr;
  *entry = user_machine::leaf(page->bytes, access);
  return page->bytes;
}

bool AddressSpace::share(uintptr_t address, std::byte* page, kit::Access access) {
  uint64_t* const entry = entry_for(address);
  if (entry == nullptr) return false;
  *entry = user_machine::leaf(page, access);
  return true;
}

std::byte* AddressSpace::find(uintptr_t address) const {
  if (!is_user(address)) return nullptr;
  const uint64_t entry = middle().entries[index(address, 1)];
  if (!kit::machine::is_valid(entry)) return nullptr;
  const uint64_t leaf = kit::machine::branch_target(entry).entries[index(address, 0)];
  if (!kit::machine::is_valid(leaf)) return nullptr;
  return user_machine::page_of(leaf) + address % kit::kPageSize;
}

bool AddressSpace::copy_in(std::span<std::byte> to, uintptr_t from) const {
  while (!to.empty()) {
    const std::byte* const found = find(from);
    if (found == nullptr) return false;
    const size_t size = std::min(to.size(), kit::kPageSize - from % kit::kPageSize);
    std::copy_n(found, size, to.data());
    to = to.subspan(size);
    from += size;  // past the end of all addresses is not user memory
  }
  return true;
}

hal::Native::Space AddressSpace::root() const { return user_machine::space_of(*tables_[0]); }

uint64_t* AddressSpace::entry_for(uintptr_t address) {
  uint64_t& entry = middle().entries[index(address, 1)];
  if (!kit::machine::is_valid(entry)) {
    kit::Table* const low = take_table();
    if (low == nullptr) return nullptr;
    entry = user_machine::branch(*low);
  }
  return &kit::machine::branch_target(entry).entries[index(address, 0)];
}

kit::Table& AddressSpace::middle() const { return *tables_[user_machine::kLevels - 2]; }

}  // namespace demo
