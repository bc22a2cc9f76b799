// A linked program's file (System V ABI, chapters 4 and 5), as far as loading it needs. Trusts
// nothing in it, reads it where it lies, knows no machine: runs in a host test.

#ifndef BATON_KERNEL_DEMO_USER_ELF_H_
#define BATON_KERNEL_DEMO_USER_ELF_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <span>

#include "kernel_demo/user/abi.h"

namespace demo {

/// A part of a program in memory: `bytes`, then zeroes up to `size`.
struct Segment {
  uintptr_t address = 0;
  size_t size = 0;
  std::span<const std::byte> bytes;
  bool writable = false;
  bool executable = false;
};

/// A program: its segments, each on pages of its own, between `user::kBegin` and
/// `user::kProgramEnd`; what it executes first is in one that may be executed.
struct ProgramLayout {
  static constexpr size_t kMostSegments = 8;

  std::span<const Segment> segments() const { return std::span(all).first(count); }

  Segment all[kMostSegments];
  size_t count = 0;
  uintptr_t entry = 0;
};

/// Reads `file`; or says, as a sentence's end, what is wrong with it.
inline std::expected<ProgramLayout, const char*> read_program(std::span<const std::byte> file) {
  constexpr size_t kPage = 4096;
  constexpr size_t kHeaderSize = 64, kEntrySize = 56;
  constexpr uint32_t kLoad = 1;
  constexpr uint32_t kExecutable = 1, kWritable = 2;
  const auto word = [file]<typename T>(size_t offset, T value) {
    std::memcpy(&value, file.data() + offset, sizeof value);
    return value;
  };
  const auto half = [&](size_t offset) { return word(offset, uint16_t{}); };
  const auto wide = [&](size_t offset) { return word(offset, uint64_t{}); };

  static constexpr char kMagic[] =
      "\x7f"
      "ELF\x02\x01\x01";  // 64 bits, little-endian, version 1
  constexpr uint16_t kExecutableFile = 2;
  if (file.size() < kHeaderSize || std::memcmp(file.data(), kMagic, sizeof kMagic - 1) != 0) {
    return std::unexpected("is not a 64-bit ELF file");
  }
  if (half(16) != kExecutableFile) return std::unexpected("is not linked at fixed addresses");
  const uint64_t table = wide(32);
  const size_t count = half(56);
  if (half(54) != kEntrySize || table > file.size() || count > (file.size() - table) / kEntrySize) {
    return std::unexpected("has a table of segments beyond its end");
  }

  ProgramLayout layout;
  layout.entry = wide(24);
  bool entry_found = false;
  uintptr_t lowest = user::kBegin;
  for (size_t i = 0; i < count; ++i) {
    const size_t at = table + i * kEntrySize;
    if (word(at, uint32_t{}) != kLoad) continue;
    const auto flags = word(at + 4, uint32_t{});
    const uint64_t offset = wide(at + 8), address = wide(at + 16);
    const uint64_t file_size = wide(at + 32), size = wide(at + 40);
    if (size == 0) continue;
    if (offset > file.size() || file_size > file.size() - offset || file_size > size) {
      return std::unexpected("has a segment beyond its end");
    }
    if (address % kPage != 0 || address < lowest || address > user::kProgramEnd ||
        size > user::kProgramEnd - address) {
      return std::unexpected("has a segment where none may be");
    }
    if ((flags & kWritable) != 0 && (flags & kExecutable) != 0) {
      return std::unexpected("has a segment that is writable and executable");
    }
    if (layout.count == ProgramLayout::kMostSegments) return std::unexpected("has many segments");
    lowest = (address + size + kPage - 1) & ~(kPage - 1);
    layout.all[layout.count++] = {.address = address,
                                  .size = size,
                                  .bytes = file.subspan(offset, file_size),
                                  .writable = (flags & kWritable) != 0,
                                  .executable = (flags & kExecutable) != 0};
    entry_found |=
        (flags & kExecutable) != 0 && layout.entry >= address && layout.entry - address < size;
  }
  if (!entry_found) return std::unexpected("begins outside of what it may execute");
  return layout;
}

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_USER_ELF_H_
