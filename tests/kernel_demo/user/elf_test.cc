// The reader of programs' files: what it takes, and every way in which it refuses.

#include "kernel_demo/user/elf.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace demo {
namespace {

constexpr size_t kHeader = 64, kEntry = 56;
constexpr size_t kText = kHeader, kData = kHeader + kEntry;  // where their rows of the table are

/// A file with a text of 32 bytes at the lowest address and, on the next page, data of 16 bytes and
/// zeroes up to 5000. Its bytes can be changed.
class File {
 public:
  File() : bytes_(kHeader + 2 * kEntry + 48) {
    constexpr unsigned char kMagic[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    std::memcpy(bytes_.data(), kMagic, sizeof kMagic);
    set<uint16_t>(16, 2);
    set<uint64_t>(24, user::kBegin + 4);
    set<uint64_t>(32, kHeader);
    set<uint16_t>(54, kEntry);
    set<uint16_t>(56, 2);
    set_segment(kText, 5, kHeader + 2 * kEntry, user::kBegin, 32, 32);
    set_segment(kData, 6, kHeader + 2 * kEntry + 32, user::kBegin + 0x1000, 16, 5000);
  }

  template <typename T>
  File& set(size_t offset, T value) {
    std::memcpy(&bytes_[offset], &value, sizeof value);
    return *this;
  }

  void set_segment(size_t at, uint32_t flags, uint64_t offset, uint64_t address, uint64_t file_size,
                   uint64_t size) {
    set<uint32_t>(at, 1).set<uint32_t>(at + 4, flags).set(at + 8, offset).set(at + 16, address);
    set(at + 32, file_size).set(at + 40, size);
  }

  File& cut(size_t size) {
    bytes_.resize(size);
    return *this;
  }

  std::expected<ProgramLayout, const char*> read() const { return read_program(bytes_); }

  std::string problem() const {
    const auto layout = read();
    return layout ? "none" : layout.error();
  }

  std::span<std::byte> bytes() { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

TEST(Elf, ReadsSegments) {
  File file;
  const auto layout = file.read();
  ASSERT_TRUE(layout) << layout.error();
  EXPECT_EQ(layout->entry, user::kBegin + 4);
  ASSERT_EQ(layout->segments().size(), 2u);
  const Segment& text = layout->segments()[0];
  EXPECT_EQ(text.address, user::kBegin);
  EXPECT_EQ(text.size, 32u);
  EXPECT_TRUE(text.executable && !text.writable);
  const Segment& data = layout->segments()[1];
  EXPECT_EQ(data.address, user::kBegin + 0x1000);
  EXPECT_EQ(data.size, 5000u);
  EXPECT_EQ(data.bytes.size(), 16u);
  EXPECT_TRUE(data.writable && !data.executable);
}

TEST(Elf, SkipsWhatIsNotLoaded) {
  EXPECT_EQ(File().set<uint32_t>(kData, 7).read()->segments().size(), 1u);
  EXPECT_EQ(File().set<uint64_t>(kData + 32, 0).set<uint64_t>(kData + 40, 0).read()->count, 1u);
}

TEST(Elf, RefusesOtherFiles) {
  EXPECT_EQ(File().cut(0).problem(), "is not a 64-bit ELF file");
  EXPECT_EQ(File().cut(63).problem(), "is not a 64-bit ELF file");
  EXPECT_EQ(File().set<uint8_t>(4, 1).problem(), "is not a 64-bit ELF file");
  EXPECT_EQ(File().set<uint16_t>(16, 3).problem(), "is not linked at fixed addresses");
}

TEST(Elf, RefusesATableBeyondTheEnd) {
  const std::string problem = "has a table of segments beyond its end";
  EXPECT_EQ(File().set<uint64_t>(32, UINT64_MAX).problem(), problem);
  EXPECT_EQ(File().set<uint16_t>(56, 4).problem(), problem);
  EXPECT_EQ(File().set<uint16_t>(54, 32).problem(), problem);
  EXPECT_EQ(File().cut(kHeader + kEntry).problem(), problem);
}

TEST(Elf, RefusesSegmentsBeyondTheEnd) {
  const std::string problem = "has a segment beyond its end";
  EXPECT_EQ(File().set<uint64_t>(kText + 8, UINT64_MAX).problem(), problem);
  EXPECT_EQ(File().set<uint64_t>(kText + 32, 1000).set<uint64_t>(kText + 40, 1000).problem(),
            problem);
  EXPECT_EQ(File().set<uint64_t>(kText + 40, 31).problem(), problem);  // less than in the file
}

TEST(Elf, RefusesSegmentsOutsideOfUserMemory) {
  const std::string problem = "has a segment where none may be";
  EXPECT_EQ(File().set<uint64_t>(kText + 16, user::kBegin - 0x1000).problem(), problem);
  EXPECT_EQ(File().set<uint64_t>(kText + 16, user::kBegin + 8).problem(), problem);
  EXPECT_EQ(File().set<uint64_t>(kData + 16, user::kBegin).problem(), problem);  // overlaps
  EXPECT_EQ(File().set<uint64_t>(kData + 16, user::kStackBegin).problem(), problem);
  EXPECT_EQ(File().set<uint64_t>(kData + 16, UINT64_MAX - 0xfff).problem(), problem);
  EXPECT_EQ(File().set<uint64_t>(kData + 40, UINT64_MAX).problem(), problem);
  EXPECT_EQ(File().set<uint64_t>(kData + 40, user::kProgramEnd - user::kBegin - 0xfff).problem(),
            problem);
  EXPECT_EQ(File().set<uint64_t>(kData + 40, user::kProgramEnd - user::kBegin - 0x1000).problem(),
            "none");
}

TEST(Elf, RefusesWhatIsWritableAndExecutable) {
  EXPECT_EQ(File().set<uint32_t>(kData + 4, 7).problem(),
            "has a segment that is writable and executable");
}

TEST(Elf, RefusesAnEntryThatCannotRun) {
  const std::string problem = "begins outside of what it may execute";
  EXPECT_EQ(File().set<uint64_t>(24, user::kBegin + 32).problem(), problem);
  EXPECT_EQ(File().set<uint64_t>(24, user::kBegin + 0x1000).problem(), problem);
  EXPECT_EQ(File().set<uint64_t>(24, 0).problem(), problem);
}

TEST(Elf, TrustsNothing) {
  for (unsigned seed = 1; seed <= 20'000; ++seed) {
    std::mt19937_64 random(seed);
    File file;
    for (unsigned i = 0; i < 1 + seed % 4; ++i) {
      file.bytes()[random() % file.bytes().size()] = static_cast<std::byte>(random());
    }
    const auto layout = file.cut(file.bytes().size() - (seed % 8 == 0 ? random() % 64 : 0)).read();
    if (!layout) continue;
    for (const Segment& segment : layout->segments()) {
      EXPECT_GE(segment.address, user::kBegin);
      EXPECT_LE(segment.address + segment.size, user::kProgramEnd);
      EXPECT_LE(segment.bytes.size(), segment.size);
      // Under a sanitizer: that they are the file's.
      for (const std::byte byte : segment.bytes) EXPECT_LE(std::to_integer<int>(byte), 255);
    }
  }
}

}  // namespace
}  // namespace demo
