// The kernel's place for the image is in its own memory, where pages get the rights of the parts.

#include "kernel_demo/user/shared_image.h"

#include <algorithm>
#include <span>

#include "kernel_demo/kit.h"
#include "kernel_demo/kit/machine.h"
#include "kernel_demo/user/machine.h"
#include "kernel_demo/user/program.h"

namespace demo {
namespace {

using sched::shared::Board;
using sched::shared::Layout;
using user::Error;

constexpr size_t kMost = 64 * 1024;

alignas(BATON_SHARED_ALIGNMENT) constinit std::byte place[kMost] = {};
constinit Layout layout;
constinit bool is_loaded = false;

SharedMapping kernel_mapping() {
  const auto& partition = *reinterpret_cast<SharedPartition*>(place + layout.data);
  return {.head = &partition.head,
          .taken = &partition.taken,
          .board = reinterpret_cast<Board*>(place + layout.board)};
}

/// A word of the kernel's mapping, where a space has that one at `address`.
template <typename Word>
const Word* same_word(const Word* word, const AddressSpace& space, uintptr_t address) {
  const auto offset = static_cast<uintptr_t>(reinterpret_cast<const std::byte*>(word) - place);
  return reinterpret_cast<const Word*>(space.find(address + offset));
}

/// The right to a page of the image, at this offset.
kit::Access access_to(size_t offset) {
  if (offset < layout.text) return kit::Access::rodata;
  if (offset < layout.text_end) return kit::Access::text;
  return offset < layout.board ? kit::Access::data : kit::Access::rodata;
}

}  // namespace

std::expected<SharedMapping, Error> load_shared_image() {
  if (is_loaded) return kernel_mapping();
  const std::span<const std::byte> file = shared_scheduler();
  if (file.empty()) return std::unexpected(Error::no_program);
  const auto read = sched::shared::read_image<kSharedCapacity>(file);
  if (!read || read->size > kMost) {
    kit::print("the shared scheduler {}\n", read ? "is larger than its place" : read.error());
    return std::unexpected(Error::no_program);
  }
  layout = *read;
  std::ranges::copy(file, place);
  for (size_t offset = 0; offset < layout.text_end; offset += kit::kPageSize) {
    const std::span page(place + offset, kit::kPageSize);
    if (access_to(offset) == kit::Access::text) user_machine::write_text(page);
    kit::set_access(page, access_to(offset));
  }
  user_machine::publish_text();
  is_loaded = true;
  return kernel_mapping();
}

sched::shared::Client kernel_client() { return sched::shared::Client(place); }

std::expected<SharedMapping, Error> map_shared_image(AddressSpace& space, uintptr_t address,
                                                     Sharing sharing) {
  const auto loaded = load_shared_image();
  if (!loaded) return loaded;
  // Above every program and its stack there is nothing else.
  if (address % BATON_SHARED_ALIGNMENT != 0 || address < user::kStackEnd || address > user::kEnd ||
      layout.size > user::kEnd - address) {
    return std::unexpected(Error::bad_value);
  }
  SharedMapping mapping;
  for (size_t offset = 0; offset < layout.size; offset += kit::kPageSize) {
    if (offset >= layout.text_end && offset < layout.data) continue;
    const bool is_own =
        offset >= layout.board || (offset >= layout.data && sharing == Sharing::apart);
    const uintptr_t at = address + offset;
    if (!is_own) {
      if (!space.share(at, place + offset, access_to(offset)))
        return std::unexpected(Error::no_room);
      continue;
    }
    std::byte* const page = space.add(at, access_to(offset));
    if (page == nullptr) return std::unexpected(Error::no_room);
    if (offset == layout.board) mapping.board = new (page) Board;
  }
  mapping.head = same_word(loaded->head, space, address);
  mapping.taken = same_word(loaded->taken, space, address);
  return mapping;
}

}  // namespace demo
