// The kit's formatter: what it prints, beside std::format's own answer where the two agree.

#include "kernel_demo/kit/format.h"

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace {

template <typename... Values>
std::string formatted(kit::Format<std::type_identity_t<Values>...> format,
                      const Values&... values) {
  char buffer[128];
  return std::string(kit::format(buffer, format, values...));
}

TEST(Format, PlainTextAndBraces) {
  EXPECT_EQ(formatted(""), "");
  EXPECT_EQ(formatted("plain"), "plain");
  EXPECT_EQ(formatted("{{}} {{{}}}", 1), "{} {1}");
}

TEST(Format, Integers) {
  EXPECT_EQ(formatted("{} {} {}", 0, 42, -42), "0 42 -42");
  EXPECT_EQ(formatted("{}", std::numeric_limits<int64_t>::min()), "-9223372036854775808");
  EXPECT_EQ(formatted("{}", std::numeric_limits<int64_t>::max()), "9223372036854775807");
  EXPECT_EQ(formatted("{}", std::numeric_limits<uint64_t>::max()), "18446744073709551615");
  EXPECT_EQ(formatted("{} {}", uint8_t{200}, int8_t{-128}), "200 -128");
  EXPECT_EQ(formatted("{:x} {:x} {:#x}", 255, -255, uint64_t{0xdeadbeef}), "ff -ff 0xdeadbeef");
  EXPECT_EQ(formatted("{:x}", std::numeric_limits<uint64_t>::max()), "ffffffffffffffff");
}

TEST(Format, EverythingElse) {
  EXPECT_EQ(formatted("{}{}", 'o', 'k'), "ok");
  EXPECT_EQ(formatted("{} {}", true, false), "true false");
  const char* const none = nullptr;
  EXPECT_EQ(
      formatted("{} {} {} {}", "array", std::string_view("view"), std::string("string"), none),
      "array view string (null)");
  EXPECT_EQ(formatted("{}", reinterpret_cast<void*>(0x1f00)), "0x1f00");
  EXPECT_EQ(formatted("{}", nullptr), "0x0");
  EXPECT_EQ(formatted("[{}]", kit::Repeat{"=-", 3}), "[=-=-=-]");
}

TEST(Format, WidthAndAlignment) {
  EXPECT_EQ(formatted("{:5}|{:5}|{:5}", 42, "ab", 'c'), "   42|ab   |c    ");
  EXPECT_EQ(formatted("{:<5}|{:>5}|{:^5}|", 42, "ab", "c"), "42   |   ab|  c  |");
  EXPECT_EQ(formatted("{:*<4}{:->4}{:.^5}", 1, "x", "yy"), "1***---x.yy..");
  EXPECT_EQ(formatted("{:05} {:05} {:06x} {:#06x}", 42, -42, 255, 255),
            "00042 -0042 0000ff 0x00ff");
  EXPECT_EQ(formatted("{:2}", 12345), "12345");
  EXPECT_EQ(formatted("{:<6}|", kit::Repeat{"#", 4}), "####  |");
  EXPECT_EQ(formatted("{:<<3}", 1), "1<<");
  EXPECT_EQ(formatted("{:>255}", "").size(), 128u);
}

TEST(Format, CutsOffWhatDoesNotFit) {
  char buffer[4];
  EXPECT_EQ(kit::format(buffer, "{}{}", "abc", 123), "abc1");
  EXPECT_EQ(kit::format(std::span<char>(), "{}", 1), "");
}

// What the compiler cannot have checked: the formatter ends early and reads nothing that is not
// there.
TEST(Format, UncheckedFormatsAreHarmless) {
  char buffer[32];
  const kit::Argument one[] = {kit::Argument(7)};
  EXPECT_EQ(kit::format_into(buffer, "a{}b{}c", one), "a7bc");
  EXPECT_EQ(kit::format_into(buffer, "a{", one), "a");
  EXPECT_EQ(kit::format_into(buffer, "a}b", one), "a");
  EXPECT_EQ(kit::format_into(buffer, "a{:", one), "a");
  EXPECT_EQ(kit::format_into(buffer, "a{:256}", one), "a");
  EXPECT_EQ(kit::format_into(buffer, "a{:q}", one), "a");
  EXPECT_EQ(kit::format_into(buffer, "a{:<05}", one), "a");
  EXPECT_EQ(kit::format_into(buffer, "a{:#5}", one), "a");
}

}  // namespace
