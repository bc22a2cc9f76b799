// An address space: the kernel's mappings, which no user program may touch, and pages of its own
// between `user::kBegin` and `user::kEnd`.
//
// The kernel's part is shared down to the tables that map 4 KiB, which never move: only the tables
// on the way to user memory are copies. So what the kernel guards later is guarded everywhere.
//
// The kernel never follows a pointer of a user program. It looks the address up in the tables, and
// reaches the page where its own mapping has it: nothing can fault, and the space need not be
// loaded.

#ifndef BATON_KERNEL_DEMO_USER_ADDRESS_SPACE_H_
#define BATON_KERNEL_DEMO_USER_ADDRESS_SPACE_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "hal/native.h"
#include "kernel_demo/kit/machine.h"
#include "kernel_demo/user/pages.h"

namespace demo {

/// See the head of this file. Not while a CPU has it loaded: `create`, `destroy`. By one task at a
/// time: everything. What is mapped anew need not be flushed: it was not there before.
class AddressSpace {
 public:
  constexpr AddressSpace() = default;
  AddressSpace(const AddressSpace&) = delete;
  AddressSpace& operator=(const AddressSpace&) = delete;

  /// Makes it the kernel's mappings and nothing else. False: no pages left, nothing has changed.
  bool create();

  /// Gives its pages and tables back. Also of one that was never created.
  void destroy();

  /// Maps a new page of zeroes at `address`, a multiple of the page size in user memory where there
  /// is none yet, for `access`: text, rodata or data. Null: no pages left.
  std::byte* add(uintptr_t address, kit::Access access);

  /// Maps a page that is another's too, which `destroy` leaves alone: one of the kernel's image.
  /// False: no pages left for a table.
  bool share(uintptr_t address, std::byte* page, kit::Access access);

  /// Where the kernel finds the byte at a user's `address`; null if the user has nothing there. Up
  /// to the end of the page.
  std::byte* find(uintptr_t address) const;

  /// Copies from user memory, once. False, and `to` is of no use: not all of it is the user's.
  bool copy_in(std::span<std::byte> to, uintptr_t from) const;

  bool exists() const { return tables_[0] != nullptr; }
  const kit::Table* top() const { return tables_[0]; }
  hal::Native::Space root() const;

 private:
  static constexpr unsigned kMostLevels = 4;

  kit::Table& middle() const;
  // The leaf for an address, for a table of its own if need be; null: no pages left for that.
  uint64_t* entry_for(uintptr_t address);

  // The copies, from the top down to the one that maps 2 MiB an entry.
  kit::Table* tables_[kMostLevels - 1] = {};
};

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_USER_ADDRESS_SPACE_H_
