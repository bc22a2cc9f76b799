// Reading an image's file: what is accepted, and each thing that is not.

#include "sched/shared/client.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace sched::shared {
namespace {

constexpr size_t kCapacity = 400;
constexpr size_t kPage = 4096;

class ImageTest : public testing::Test {
 protected:
  ImageTest() {
    header_ = {.magic = BATON_SHARED_MAGIC,
               .version = BATON_SHARED_VERSION,
               .capacity = kCapacity,
               .rodata_size = kPage,
               .text_size = 2 * kPage,
               .data_size = sizeof(Partition<kCapacity>),
               .add_task = kPage,
               .peek_task = kPage + 4,
               .next_task = kPage + 6,
               .claim_task = kPage + 8,
               .delete_task = kPage + 12,
               .set_task_state = kPage + 16,
               .delete_task_by = kPage + 20,
               .set_task_state_by = kPage + 24,
               .sweep = 3 * kPage - 4};
  }

  std::expected<Layout, const char*> read() {
    file_.resize(size_);
    std::memcpy(file_.data(), &header_, std::min(size_, sizeof header_));
    return read_image<kCapacity>(file_);
  }
  void expect_problem(const char* problem) {
    const auto layout = read();
    ASSERT_FALSE(layout);
    EXPECT_STREQ(layout.error(), problem);
  }

  baton_shared_header header_;
  size_t size_ = 3 * kPage;
  std::vector<std::byte> file_;
};

TEST_F(ImageTest, SaysWhereThePartsAre) {
  const auto layout = read();
  ASSERT_TRUE(layout) << layout.error();
  EXPECT_EQ(layout->text, kPage);
  EXPECT_EQ(layout->text_end, 3 * kPage);
  EXPECT_EQ(layout->data, BATON_SHARED_ALIGNMENT);
  EXPECT_EQ(layout->board, layout->data + sizeof(Partition<kCapacity>));
  EXPECT_EQ(layout->size, layout->board + BATON_SHARED_BOARD_SIZE);
}

TEST_F(ImageTest, ShorterThanItsHeader) {
  size_ = sizeof header_ - 1;
  expect_problem("is no image of a shared scheduler");
}
TEST_F(ImageTest, SomethingElse) {
  ++header_.magic;
  expect_problem("is no image of a shared scheduler");
}
TEST_F(ImageTest, AnotherVersion) {
  ++header_.version;
  expect_problem("has another version");
}
TEST_F(ImageTest, AnotherCapacity) {
  ++header_.capacity;
  expect_problem("has a pool of another size");
}
TEST_F(ImageTest, AnotherPartition) {
  header_.data_size += kPage;
  expect_problem("has a pool of another size");
}
TEST_F(ImageTest, PartsThatAreNotTheFile) {
  const baton_shared_header good = header_;
  const char* const problem = "has parts that are not its file";
  header_.text_size += kPage;
  expect_problem(problem);
  header_ = good;
  header_.text_size = 0;
  expect_problem(problem);
  header_ = good;
  header_.rodata_size = 0;
  expect_problem(problem);
  header_ = good;
  header_.rodata_size += 8;
  header_.text_size -= 8;
  expect_problem(problem);
  header_.rodata_size = 0xffff'f000;  // their sum is not to wrap
  header_.text_size = 4 * kPage;
  expect_problem(problem);
}
TEST_F(ImageTest, EntriesOutsideOfTheText) {
  const baton_shared_header good = header_;
  for (const auto entry : {&baton_shared_header::add_task, &baton_shared_header::peek_task,
                           &baton_shared_header::next_task, &baton_shared_header::claim_task,
                           &baton_shared_header::delete_task, &baton_shared_header::set_task_state,
                           &baton_shared_header::delete_task_by,
                           &baton_shared_header::set_task_state_by, &baton_shared_header::sweep}) {
    for (const size_t offset : {size_t{0}, kPage - 4, 3 * kPage, size_t{UINT32_MAX}}) {
      header_ = good;
      header_.*entry = static_cast<uint32_t>(offset);
      expect_problem("has an entry that is not in its text");
    }
  }
}

}  // namespace
}  // namespace sched::shared
