// The formatter's running half: see format.h. Not a template, so a kernel has it once.

#include "kernel_demo/kit/format.h"

namespace kit {
namespace {

void append_repeated(Sink& sink, std::string_view text, size_t count) {
  for (; count > 0; --count) sink.append(text);
}

/// A number's digits, written from the end of `buffer` backward.
std::string_view digits_of(uint64_t number, bool hexadecimal, std::span<char, 20> buffer) {
  size_t begin = buffer.size();
  const unsigned base = hexadecimal ? 16 : 10;
  do {
    buffer[--begin] = "0123456789abcdef"[number % base];
    number /= base;
  } while (number != 0);
  return {buffer.data() + begin, buffer.size() - begin};
}

/// Prints one argument: `head` (sign, prefix), zeros, `body`, `count` times the body, padded.
void append_argument(Sink& sink, Specification spec, const Argument& argument) {
  char character = static_cast<char>(argument.number());
  char buffer[20];
  std::string_view head;
  std::string_view body = argument.text();
  size_t count = 1;
  bool is_number = false;
  switch (argument.kind()) {
    case Argument::Kind::text: break;
    case Argument::Kind::character: body = {&character, 1}; break;
    case Argument::Kind::repeat: count = argument.number(); break;
    case Argument::Kind::pointer: spec.hexadecimal = spec.prefix = true; [[fallthrough]];
    case Argument::Kind::negative:
    case Argument::Kind::number: {
      const bool negative = argument.kind() == Argument::Kind::negative;
      body = digits_of(argument.number(), spec.hexadecimal, buffer);
      head = spec.prefix ? (negative ? "-0x" : "0x") : (negative ? "-" : "");
      is_number = true;
      break;
    }
  }
  const size_t size = head.size() + body.size() * count;
  const size_t padding = spec.width > size ? spec.width - size : 0;
  size_t before = 0;
  size_t zeros = 0;
  if (spec.zeros && is_number) {
    zeros = padding;
  } else if (spec.align == '>' || (spec.align == 0 && is_number)) {
    before = padding;
  } else if (spec.align == '^') {
    before = padding / 2;
  }
  const std::string_view fill(&spec.fill, 1);
  append_repeated(sink, fill, before);
  sink.append(head);
  append_repeated(sink, "0", zeros);
  append_repeated(sink, body, count);
  append_repeated(sink, fill, padding - before - zeros);
}

class BufferSink final : public Sink {
 public:
  explicit BufferSink(std::span<char> buffer) : buffer_(buffer) {}

  void append(std::string_view text) override {
    for (const char c : text) {
      if (size_ == buffer_.size()) return;
      buffer_[size_++] = c;
    }
  }

  std::string_view text() const { return {buffer_.data(), size_}; }

 private:
  std::span<char> buffer_;
  size_t size_ = 0;
};

}  // namespace

void format_arguments(Sink& sink, std::string_view format, std::span<const Argument> arguments) {
  FormatReader reader(format);
  for (;;) {
    switch (reader.next()) {
      case FormatReader::Piece::literal: sink.append(reader.literal()); break;
      case FormatReader::Piece::argument:
        if (arguments.empty()) break;
        append_argument(sink, reader.specification(), arguments[0]);
        arguments = arguments.subspan(1);
        break;
      case FormatReader::Piece::end:
      case FormatReader::Piece::lone_brace:
      case FormatReader::Piece::bad_specification: return;
    }
  }
}

std::string_view format_into(std::span<char> buffer, std::string_view format,
                             std::span<const Argument> arguments) {
  BufferSink sink(buffer);
  format_arguments(sink, format, arguments);
  return sink.text();
}

}  // namespace kit
