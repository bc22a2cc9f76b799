// Reads a flattened device tree (Devicetree Specification, chapter 5), as QEMU's `virt` machines
// pass one: how much RAM there is, and on riscv64 what the guest was started with. Bounds-checked,
// no allocation, no recursion; runs in a host test.

#ifndef BATON_KERNEL_DEMO_KIT_DEVICE_TREE_H_
#define BATON_KERNEL_DEMO_KIT_DEVICE_TREE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace kit {

/// A big-endian 32-bit word at a possibly odd address.
constexpr uint32_t big_endian_word(const uint8_t* at) {
  return uint32_t{at[0]} << 24 | uint32_t{at[1]} << 16 | uint32_t{at[2]} << 8 | at[3];
}

/// The tree that begins at `begin`, as long as it says it is; empty when there is none.
inline std::span<const uint8_t> device_tree_at(const uint8_t* begin) {
  constexpr uint32_t kMagic = 0xd00dfeed;
  return {begin, big_endian_word(begin) == kMagic ? big_endian_word(begin + 4) : 0};
}

/// The value of `property` in the first node below the root that is called `node`, whatever its
/// unit address (`memory` finds `memory@80000000`). Empty: there is none, or the tree is damaged.
inline std::span<const uint8_t> find_property(std::span<const uint8_t> tree, std::string_view node,
                                              std::string_view property_name) {
  enum : uint32_t { begin_node = 1, end_node = 2, property = 3, nothing = 4 };
  constexpr size_t kHeaderSize = 40;
  if (tree.size() < kHeaderSize) return {};
  const size_t structure = big_endian_word(&tree[8]);
  const size_t strings = big_endian_word(&tree[12]);

  // A word, or a text that ends in a zero. Out of bounds a word is 0, which no token is, and ends
  // the walk; a text is "".
  const auto word = [tree](size_t at) -> uint32_t {
    return at < tree.size() && tree.size() - at >= 4 ? big_endian_word(&tree[at]) : 0;
  };
  const auto text = [tree](size_t at) -> std::string_view {
    size_t end = at;
    while (end < tree.size() && tree[end] != 0) ++end;
    if (end >= tree.size()) return {};
    return {reinterpret_cast<const char*>(&tree[at]), end - at};
  };
  const auto padded = [](size_t size) { return (size + 3) & ~size_t{3}; };

  int depth = 0;
  bool in_node = false;
  for (size_t at = structure;;) {
    switch (word(at)) {
      case begin_node: {
        const std::string_view name = text(at + 4);
        ++depth;
        in_node = depth == 2 && name.substr(0, name.find('@')) == node;
        at += 4 + padded(name.size() + 1);
        break;
      }
      case end_node:
        --depth;
        in_node = false;
        at += 4;
        break;
      case property: {
        const size_t size = word(at + 4);
        const size_t value = at + 12;
        if (in_node && text(strings + word(at + 8)) == property_name) {
          if (value > tree.size() || tree.size() - value < size) return {};
          return tree.subspan(value, size);
        }
        at = value + padded(size);
        break;
      }
      case nothing: at += 4; break;
      default:  // the end, or nonsense
        return {};
    }
  }
}

struct MemoryBank {
  uint64_t address = 0;
  uint64_t size = 0;
};

/// The first bank of RAM, with two cells for an address and two for a size, as both `virt` machines
/// have it. Size 0: not known.
inline MemoryBank find_memory_bank(std::span<const uint8_t> tree) {
  const std::span<const uint8_t> reg = find_property(tree, "memory", "reg");
  if (reg.size() < 16) return {};
  const auto cells = [reg](size_t at) {
    return uint64_t{big_endian_word(&reg[at])} << 32 | big_endian_word(&reg[at + 4]);
  };
  return {cells(0), cells(8)};
}

/// What a boot loader passes on: `/chosen/bootargs`, without the zero that ends it.
inline std::string_view find_boot_arguments(std::span<const uint8_t> tree) {
  const std::span<const uint8_t> value = find_property(tree, "chosen", "bootargs");
  if (value.empty()) return {};
  return {reinterpret_cast<const char*>(value.data()), value.size() - 1};
}

}  // namespace kit

#endif  // BATON_KERNEL_DEMO_KIT_DEVICE_TREE_H_
