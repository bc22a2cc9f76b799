// Short texts that numbers become before they are printed in a column.

#ifndef BATON_KERNEL_DEMO_TEXT_H_
#define BATON_KERNEL_DEMO_TEXT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel_demo/kit/format.h"
#include "kernel_demo/machine.h"

namespace demo {

/// A text that is a value. Longer ones are cut off.
class Text {
 public:
  constexpr Text() = default;

  template <typename... Values>
  explicit Text(kit::Format<std::type_identity_t<Values>...> format, const Values&... values)
      : size_(kit::format(buffer_, format, values...).size()) {}

  constexpr operator std::string_view() const { return {buffer_.data(), size_}; }

 private:
  std::array<char, 32> buffer_{};
  size_t size_ = 0;
};

/// What a length of time is counted in.
enum class Unit : uint8_t { automatic, microseconds, milliseconds };

/// `1.25 ms`, always with two decimals; `automatic` chooses the unit and gives three digits.
Text to_text(Duration length, Unit unit = Unit::automatic);

/// `12.50`: hundredths, with a point.
Text hundredths(uint64_t count);

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_TEXT_H_
