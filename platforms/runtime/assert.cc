// Where a failed assert (platforms/libcxx/c/assert.h) ends: the panic message is put together on
// the stack, there being no heap, from "file:line: assertion failed: condition".

#include "platforms/runtime/runtime.h"

namespace {

// A message of bounded length; what does not fit is cut off.
class Message {
 public:
  void add(const char* text) {
    while (*text != '\0' && used_ + 1 < sizeof(text_)) text_[used_++] = *text++;
    text_[used_] = '\0';
  }

  void add(int number) {
    char digits[12];
    char* first = &digits[11];
    *first = '\0';
    do {
      *--first = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number > 0);
    add(first);
  }

  const char* text() const { return text_; }

 private:
  char text_[256];
  unsigned used_ = 0;
};

}  // namespace

extern "C" [[noreturn]] void baton_runtime_assert_failed(const char* condition, const char* file,
                                                         int line) {
  Message message;
  message.add(file);
  message.add(":");
  message.add(line);
  message.add(": assertion failed: ");
  message.add(condition);
  baton_runtime_panic(message.text());
}
