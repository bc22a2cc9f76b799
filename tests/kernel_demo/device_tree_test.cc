// The device tree reader, against trees built here, whole and damaged.

#include "kernel_demo/kit/device_tree.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"

namespace {

/// Builds a tree in the format of the specification's chapter 5.
class TreeBuilder {
 public:
  TreeBuilder& begin(std::string_view name) {
    word(structure_, 1);
    text(structure_, name);
    return *this;
  }

  TreeBuilder& end() {
    word(structure_, 2);
    return *this;
  }

  TreeBuilder& nothing() {
    word(structure_, 4);
    return *this;
  }

  TreeBuilder& property(std::string_view name, const std::vector<uint8_t>& value) {
    word(structure_, 3);
    word(structure_, static_cast<uint32_t>(value.size()));
    word(structure_, static_cast<uint32_t>(strings_.size()));
    structure_.insert(structure_.end(), value.begin(), value.end());
    pad(structure_);
    strings_.insert(strings_.end(), name.begin(), name.end());
    strings_.push_back(0);
    return *this;
  }

  TreeBuilder& property(std::string_view name, std::string_view value) {
    std::vector<uint8_t> bytes(value.begin(), value.end());
    bytes.push_back(0);
    return property(name, bytes);
  }

  static std::vector<uint8_t> cells(std::initializer_list<uint32_t> values) {
    std::vector<uint8_t> bytes;
    for (const uint32_t value : values) word(bytes, value);
    return bytes;
  }

  std::vector<uint8_t> tree() const {
    std::vector<uint8_t> body = structure_;
    word(body, 9);
    std::vector<uint8_t> tree;
    constexpr uint32_t kHeader = 40;
    const auto structure_size = static_cast<uint32_t>(body.size());
    const auto strings_size = static_cast<uint32_t>(strings_.size());
    for (const uint32_t value :
         {0xd00dfeedu, kHeader + structure_size + strings_size, kHeader, kHeader + structure_size,
          kHeader, 17u, 16u, 0u, strings_size, structure_size}) {
      word(tree, value);
    }
    tree.insert(tree.end(), body.begin(), body.end());
    tree.insert(tree.end(), strings_.begin(), strings_.end());
    return tree;
  }

 private:
  static void word(std::vector<uint8_t>& to, uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) to.push_back(static_cast<uint8_t>(value >> shift));
  }

  static void pad(std::vector<uint8_t>& to) { to.resize((to.size() + 3) & ~size_t{3}); }

  static void text(std::vector<uint8_t>& to, std::string_view value) {
    to.insert(to.end(), value.begin(), value.end());
    to.push_back(0);
    pad(to);
  }

  std::vector<uint8_t> structure_;
  std::vector<uint8_t> strings_;
};

std::vector<uint8_t> board() {
  TreeBuilder builder;
  builder.begin("")
      .property("compatible", "riscv-virtio")
      .nothing()
      .begin("chosen")
      .property("stdout-path", "/soc/serial@10000000")
      .property("bootargs", "run=threads tasks=8")
      .end()
      .begin("soc")
      .begin("memory@1000")  // not one of the root's nodes
      .property("reg", TreeBuilder::cells({0, 1, 0, 2}))
      .end()
      .end()
      .begin("memory-controller@2000")  // another name that begins alike
      .property("reg", TreeBuilder::cells({0, 3, 0, 4}))
      .end()
      .begin("memory@80000000")
      .property("device_type", "memory")
      .property("reg", TreeBuilder::cells({0, 0x80000000, 1, 0x08000000}))
      .end()
      .end();
  return builder.tree();
}

TEST(DeviceTree, FindsMemoryAndArguments) {
  const std::vector<uint8_t> tree = board();
  const kit::MemoryBank bank = kit::find_memory_bank(tree);
  EXPECT_EQ(bank.address, 0x80000000u);
  EXPECT_EQ(bank.size, 0x1'0800'0000u);
  EXPECT_EQ(kit::find_boot_arguments(tree), "run=threads tasks=8");
  EXPECT_EQ(kit::device_tree_at(tree.data()).size(), tree.size());
}

TEST(DeviceTree, WhatIsNotThereIsEmpty) {
  TreeBuilder builder;
  const std::vector<uint8_t> tree = builder.begin("").begin("memory").end().end().tree();
  EXPECT_EQ(kit::find_memory_bank(tree).size, 0u);
  EXPECT_EQ(kit::find_boot_arguments(tree), "");
  EXPECT_TRUE(kit::find_property({}, "memory", "reg").empty());
}

TEST(DeviceTree, AShortRegIsNotRead) {
  TreeBuilder builder;
  builder.begin("").begin("memory").property("reg", TreeBuilder::cells({1, 2})).end().end();
  EXPECT_EQ(kit::find_memory_bank(builder.tree()).size, 0u);
}

TEST(DeviceTree, NoTreeHasNoSize) {
  const uint8_t zeros[8] = {};
  EXPECT_TRUE(kit::device_tree_at(zeros).empty());
}

// Every prefix of a tree and every tree with one byte changed: an answer, or none, but no step out
// of bounds (a sanitizer watches; each tree is in a heap block of exactly its size) and always an
// end.
TEST(DeviceTree, DamagedTreesAreHarmless) {
  const std::vector<uint8_t> whole = board();
  for (size_t size = 0; size < whole.size(); ++size) {
    const std::vector<uint8_t> cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
    kit::find_memory_bank(cut);
    kit::find_boot_arguments(cut);
  }
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const uint8_t value : {0x00, 0x01, 0x7f, 0xff}) {
      std::vector<uint8_t> changed = whole;
      changed[at] = value;
      kit::find_memory_bank(changed);
      kit::find_boot_arguments(changed);
    }
  }
}

}  // namespace
