// The line that is being typed: what each byte from a terminal does to it, and what is echoed. No
// console in it; runs in a host test.

#ifndef BATON_KERNEL_DEMO_SHELL_LINE_EDITOR_H_
#define BATON_KERNEL_DEMO_SHELL_LINE_EDITOR_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace demo {

/// Feed it what was typed, a byte at a time; write `echo` after each.
class LineEditor {
 public:
  static constexpr size_t kLongest = 78;

  enum class Event : uint8_t {
    none,       ///< the line goes on
    line,       ///< it is complete: `line`
    abandoned,  ///< Ctrl-C: it is not to be run
    end,        ///< Ctrl-D on an empty line: nothing more will come
  };

  Event feed(char c) {
    echo_ = {};
    const bool after_return = std::exchange(after_return_, c == '\r');
    if (escape_ != Escape::none) return skip_escape(c);
    switch (c) {
      case '\n':
        if (after_return) return Event::none;  // a terminal that ends lines with both
        [[fallthrough]];
      case '\r': return finish(Event::line, "\n");
      case kCtrlC: return finish(Event::abandoned, "^C\n");
      case kCtrlD:
        if (typed_ != 0) return Event::none;
        return finish(Event::end, "\n");
      case kBackspace:
      case kDelete:
        if (typed_ != 0) {
          --typed_;
          echo_ = "\b \b";
        }
        return Event::none;
      case kEscape: escape_ = Escape::begun; return Event::none;
      default: return add(c);
    }
  }

  /// The complete line; until the next `feed`.
  std::string_view line() const { return {text_.data(), size_}; }

  /// What the terminal is to show for the last byte.
  std::string_view echo() const { return echo_; }

 private:
  static constexpr char kCtrlC = 3, kCtrlD = 4, kBackspace = 8, kEscape = 27, kDelete = 127;

  // Keys that send several bytes (ESC [ ... letter) do nothing, as a whole.
  enum class Escape : uint8_t { none, begun, inside };

  Event skip_escape(char c) {
    const bool goes_on = escape_ == Escape::begun ? c == '[' || c == 'O' : c < '@' || c > '~';
    escape_ = goes_on ? Escape::inside : Escape::none;
    return Event::none;
  }

  Event finish(Event event, std::string_view echo) {
    size_ = event == Event::line ? typed_ : 0;
    typed_ = 0;
    echo_ = echo;
    return event;
  }

  Event add(char c) {
    if (c == '\t') c = ' ';
    if (c < ' ' || typed_ == kLongest) {
      echo_ = "\a";
      return Event::none;
    }
    text_[typed_] = c;
    echo_ = {&text_[typed_], 1};
    ++typed_;
    return Event::none;
  }

  std::array<char, kLongest> text_{};
  size_t typed_ = 0;  // of the line under way
  size_t size_ = 0;   // of the complete one
  std::string_view echo_;
  Escape escape_ = Escape::none;
  bool after_return_ = false;
};

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_SHELL_LINE_EDITOR_H_
