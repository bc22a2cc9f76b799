// Words and numbers in a line of text: what the arguments and the shell have in common.

#ifndef BATON_KERNEL_DEMO_WORDS_H_
#define BATON_KERNEL_DEMO_WORDS_H_

#include <algorithm>
#include <optional>
#include <string_view>

namespace demo {

/// Takes the first word off `text`, with the blanks around it; empty when there is none left.
inline std::string_view take_word(std::string_view& text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  const std::string_view word = text.substr(0, text.find_first_of(kBlanks));
  text.remove_prefix(word.size());
  return word;
}

/// The decimal number that `text` is, all of it; nothing if it is something else or above `most`.
inline std::optional<unsigned> read_number(std::string_view text, unsigned most) {
  if (text.empty()) return {};
  unsigned number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return {};
    const unsigned digit = static_cast<unsigned>(c - '0');
    if (digit > most || number > (most - digit) / 10) return {};
    number = number * 10 + digit;
  }
  return number;
}

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_WORDS_H_
