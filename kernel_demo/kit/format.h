// A small text formatter for kernels: a checked subset of std::format that allocates nothing, needs
// no locale and no floating point, and costs one copy of its code whatever it prints.
//
// A format is text with `{}` where an argument goes, and `{{` or `}}` for a brace. Between the
// braces may stand `:` and, in this order:
//   fill and alignment  `<` left, `>` right, `^` centre, each with any character before it as fill;
//                       numbers go right and all else left by default
//   `#`                 `0x` before a hexadecimal number
//   `0`                 fill with zeros between sign and digits (no alignment then)
//   width               at least so many characters (at most 255)
//   `x`                 hexadecimal, for numbers
// Integers, characters, bool, strings, pointers and `Repeat` can be printed. A format that does not
// fit its arguments does not compile: the error names one of the functions in `format_error`.
//
// Everything here may be called from any context; it touches nothing but its arguments.

#ifndef BATON_KERNEL_DEMO_KIT_FORMAT_H_
#define BATON_KERNEL_DEMO_KIT_FORMAT_H_

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

namespace kit {

/// Prints `text`, `count` times: a rule under a table's head, a bar of a chart.
struct Repeat {
  std::string_view text;
  size_t count = 0;
};

/// One value to print, with its type erased so that the formatter itself is no template.
class Argument {
 public:
  enum class Kind : uint8_t { number, negative, character, text, pointer, repeat };

  /// What `T` is printed as. A negative number is kept as its magnitude, so both kinds of number
  /// are one to the checker.
  template <typename T>
  static constexpr Kind kind_of() {
    if constexpr (std::same_as<T, bool> || std::convertible_to<const T&, std::string_view>) {
      return Kind::text;
    } else if constexpr (std::same_as<T, char>) {
      return Kind::character;
    } else if constexpr (std::integral<T>) {
      return Kind::number;
    } else if constexpr (std::same_as<T, Repeat>) {
      return Kind::repeat;
    } else {
      static_assert(std::is_pointer_v<T> || std::same_as<T, std::nullptr_t>,
                    "only integers, char, bool, strings, pointers and kit::Repeat can be printed");
      return Kind::pointer;
    }
  }

  template <typename T>
  constexpr explicit Argument(const T& value) : kind_(kind_of<T>()) {
    if constexpr (std::same_as<T, bool>) {
      set_text(value ? "true" : "false");
    } else if constexpr (std::convertible_to<const T&, const char*>) {
      const char* const text = value;
      set_text(text == nullptr ? "(null)" : text);
    } else if constexpr (std::convertible_to<const T&, std::string_view>) {
      set_text(value);
    } else if constexpr (std::same_as<T, char>) {
      number_ = static_cast<unsigned char>(value);
    } else if constexpr (std::integral<T>) {
      number_ = static_cast<uint64_t>(value);
      if (std::signed_integral<T> && value < 0) {
        kind_ = Kind::negative;
        number_ = -number_;
      }
    } else if constexpr (std::same_as<T, Repeat>) {
      set_text(value.text);
      number_ = value.count;
    } else {
      number_ = reinterpret_cast<uintptr_t>(value);
    }
  }

  constexpr Kind kind() const { return kind_; }
  constexpr uint64_t number() const { return number_; }
  constexpr std::string_view text() const { return {text_, size_}; }

 private:
  constexpr void set_text(std::string_view text) {
    text_ = text.data();
    size_ = text.size();
  }

  Kind kind_;
  uint64_t number_ = 0;
  const char* text_ = nullptr;
  size_t size_ = 0;
};

/// What stands between a pair of braces.
struct Specification {
  char fill = ' ';
  char align = 0;  // '<', '>', '^', or 0: the argument's default
  bool prefix = false;
  bool zeros = false;
  bool hexadecimal = false;
  uint8_t width = 0;
};

/// A format, split: literal text and specifications in turn. `next` is used by the checker while
/// compiling and by the formatter while running, so that the two cannot disagree.
class FormatReader {
 public:
  enum class Piece : uint8_t { end, literal, argument, lone_brace, bad_specification };

  constexpr explicit FormatReader(std::string_view format) : rest_(format) {}

  /// The next piece; `literal()` or `specification()` has its content until the next call.
  constexpr Piece next() {
    if (rest_.empty()) return Piece::end;
    if (rest_[0] == '{' || rest_[0] == '}') {
      if (rest_.size() > 1 && rest_[1] == rest_[0]) return take_literal(1, 2);
      if (rest_[0] == '}') return Piece::lone_brace;
      return take_specification();
    }
    const size_t brace = rest_.find_first_of("{}");
    const size_t size = brace == std::string_view::npos ? rest_.size() : brace;
    return take_literal(size, size);
  }

  constexpr std::string_view literal() const { return literal_; }
  constexpr const Specification& specification() const { return specification_; }

 private:
  constexpr Piece take_literal(size_t size, size_t skip) {
    literal_ = rest_.substr(0, size);
    rest_.remove_prefix(skip);
    return Piece::literal;
  }

  static constexpr bool is_align(char c) { return c == '<' || c == '>' || c == '^'; }

  constexpr bool accept(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  constexpr Piece take_specification() {
    rest_.remove_prefix(1);
    specification_ = {};
    if (accept(':')) {
      Specification& s = specification_;
      if (rest_.size() > 1 && is_align(rest_[1])) {
        s.fill = rest_[0];
        s.align = rest_[1];
        rest_.remove_prefix(2);
      } else if (!rest_.empty() && is_align(rest_[0])) {
        s.align = rest_[0];
        rest_.remove_prefix(1);
      }
      s.prefix = accept('#');
      s.zeros = accept('0');
      unsigned width = 0;
      while (!rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9') {
        width = width * 10 + static_cast<unsigned>(rest_[0] - '0');
        if (width > 255) return Piece::bad_specification;
        rest_.remove_prefix(1);
      }
      s.width = static_cast<uint8_t>(width);
      s.hexadecimal = accept('x');
      if (s.zeros && s.align != 0) return Piece::bad_specification;
      if (s.prefix && !s.hexadecimal) return Piece::bad_specification;
    }
    if (rest_.empty()) return Piece::lone_brace;
    return accept('}') ? Piece::argument : Piece::bad_specification;
  }

  std::string_view rest_;
  std::string_view literal_;
  Specification specification_;
};

/// Not constexpr, so that a wrong format's compile error says which of them would be called.
namespace format_error {
void a_brace_has_no_partner();
void what_stands_between_the_braces_is_not_understood();
void there_are_fewer_arguments_than_braces();
void there_are_more_arguments_than_braces();
void hexadecimal_and_zeros_are_for_numbers();
}  // namespace format_error

/// A format that was checked against the types of its arguments while compiling.
template <typename... Values>
class Format {
 public:
  template <size_t size>
  consteval Format(const char (&text)[size])
      : text_(text, size - 1) {  // NOLINT: implicit by purpose
    constexpr std::array<Argument::Kind, sizeof...(Values)> kinds = {
        Argument::kind_of<Values>()...};
    FormatReader reader(text_);
    size_t used = 0;
    for (;;) {
      switch (reader.next()) {
        case FormatReader::Piece::literal: break;
        case FormatReader::Piece::lone_brace: format_error::a_brace_has_no_partner(); return;
        case FormatReader::Piece::bad_specification:
          format_error::what_stands_between_the_braces_is_not_understood();
          return;
        case FormatReader::Piece::argument:
          if (used == kinds.size()) {
            format_error::there_are_fewer_arguments_than_braces();
            return;
          }
          if ((reader.specification().hexadecimal || reader.specification().zeros) &&
              kinds[used] != Argument::Kind::number) {
            format_error::hexadecimal_and_zeros_are_for_numbers();
            return;
          }
          ++used;
          break;
        case FormatReader::Piece::end:
          if (used != kinds.size()) format_error::there_are_more_arguments_than_braces();
          return;
      }
    }
  }

  constexpr std::string_view text() const { return text_; }

 private:
  std::string_view text_;
};

/// Where formatted text goes, a piece at a time.
class Sink {
 public:
  virtual void append(std::string_view text) = 0;

 protected:
  ~Sink() = default;
};

/// Formats `arguments` as `format` says, into `sink`. Of a format that was never checked it prints
/// what it can: a piece that is not understood ends the text, a missing argument prints nothing.
void format_arguments(Sink& sink, std::string_view format, std::span<const Argument> arguments);

/// Formats into `buffer`, cutting off what does not fit; returns what was written there.
std::string_view format_into(std::span<char> buffer, std::string_view format,
                             std::span<const Argument> arguments);

/// The same, checked: `kit::format(buffer, "{:>4} {}", number, name)`.
template <typename... Values>
std::string_view format(std::span<char> buffer, Format<std::type_identity_t<Values>...> format,
                        const Values&... values) {
  const std::array<Argument, sizeof...(Values)> arguments = {Argument(values)...};
  return format_into(buffer, format.text(), arguments);
}

}  // namespace kit

#endif  // BATON_KERNEL_DEMO_KIT_FORMAT_H_
