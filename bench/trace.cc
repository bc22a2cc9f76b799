// Reads what QEMU logs of every instruction a guest executes, and says what the guest cannot say of
// itself without disturbing it: how long interrupts stay masked, and which way an operation went.
//
//     qemu-system-… -singlestep -d exec,cpu,nochain … | trace stretches symbols
//     qemu-system-… -singlestep -d exec,cpu,nochain … | trace path 17 symbols
//
// `symbols` is a file written by `llvm-nm -C --defined-only --numeric-sort`. With -singlestep the
// log has one line that begins with "Trace" for each instruction, followed by the registers as they
// are before it; among them is the word with the bit that masks interrupts (sstatus.SIE, as the low
// half of mstatus; PSTATE.I; RFLAGS.IF). Two lines take the last instruction back: QEMU was about
// to execute it and has done something else first, and the instruction comes again.
//
// The guest marks its own doings by labels in its text, which cost no instruction; a number that
// makes each unique follows the name:
//
//     bench_window_open_, bench_window_close_   stretches count between these two
//     bench_not_counted_    the masked stretch that comes by here is the benchmark's own doing
//     bench_begin_          the first instruction of an operation
//     bench_end_            the first instruction after its effect
//
// stretches: for each place at which interrupts become masked, the longest run of instructions that
// began there and during which an interrupt would have waited; longest first, one line each:
// instructions, tab, where it began, tab, where it ended, tab, how many in which functions.
// path N: the instructions of the Nth operation (from 0), one line each: address, tab, place.

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::string_view kWindowOpen = "bench_window_open_";
constexpr std::string_view kWindowClose = "bench_window_close_";
constexpr std::string_view kNotCounted = "bench_not_counted_";
constexpr std::string_view kBegin = "bench_begin_";
constexpr std::string_view kEnd = "bench_end_";

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "trace: %s\n", why.c_str());
  std::exit(1);
}

std::optional<uint64_t> parse(std::string_view digits, int base) {
  uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (error != std::errc() || end == digits.data()) return std::nullopt;
  return value;
}

/// Without what stands between angle brackets, which for a scheduler's name is a line of its own.
std::string without_template_arguments(std::string_view name) {
  std::string plain;
  int depth = 0;
  for (const char c : name) {
    if (c == '<') ++depth;
    if (depth == 0) plain += c;
    if (c == '>') --depth;
  }
  return plain;
}

class Symbols {
 public:
  explicit Symbols(const std::string& file) {
    std::ifstream input(file);
    if (!input) fail("cannot read " + file);
    for (std::string line; std::getline(input, line);) {
      const size_t space = line.find(' ');
      if (space == std::string::npos || line.size() < space + 4) continue;
      const auto address = parse(std::string_view(line).substr(0, space), 16);
      if (!address) continue;
      const std::string name = line.substr(space + 3);
      if (name.starts_with("bench_") && !name.starts_with("bench_api")) {
        labels_.emplace(*address, name);
      } else if (std::string_view("tTwW").contains(line[space + 1])) {
        // Mapping symbols ($x) are no functions.
        if (!name.starts_with('$')) functions_.emplace(*address, without_template_arguments(name));
      }
    }
    if (functions_.empty()) fail("no functions in " + file);
  }

  bool has(uint64_t address, std::string_view kind) const {
    const auto [first, last] = labels_.equal_range(address);
    return std::any_of(first, last,
                       [&](const auto& label) { return label.second.starts_with(kind); });
  }

  /// Whether the processor comes here by taking an interrupt, and no other way: the vectors of the
  /// kit and of the machines.
  bool is_interrupt_entry(uint64_t address) const {
    const auto [function, offset] = find(address);
    if (function == "kit_trap_entry") return offset == 0;      // riscv64
    if (function == "kit_vectors") return offset % 0x80 == 0;  // aarch64
    return function == "baton_x86_64_interrupt_entries" && offset % 16 == 0;
  }

  std::string_view function(uint64_t address) const { return find(address).function; }

  /// As function+offset, without the function's parameters.
  std::string place(uint64_t address) const {
    const auto [function, offset] = find(address);
    char digits[32];
    std::snprintf(digits, sizeof digits, "+0x%llx", static_cast<unsigned long long>(offset));
    return std::string(function.substr(0, function.find('(', 1))) + digits;
  }

 private:
  struct Place {
    std::string_view function;
    uint64_t offset;
  };

  Place find(uint64_t address) const {
    auto after = functions_.upper_bound(address);
    if (after == functions_.begin()) return {"?", address};
    --after;
    return {after->second, address - after->first};
  }

  std::map<uint64_t, std::string> functions_;
  std::multimap<uint64_t, std::string> labels_;
};

struct Instruction {
  uint64_t address = 0;
  std::optional<bool> masked;
};

/// Splits the log into the instructions that were executed.
class Log {
 public:
  explicit Log(std::istream& input) : input_(input) {}

  /// The next instruction; nothing at the end of the log.
  std::optional<Instruction> next() {
    while (std::getline(input_, line_)) {
      if (line_.starts_with("Trace ")) {
        const std::optional<Instruction> finished = pending_;
        pending_ = Instruction{.address = address_of(line_), .masked = std::nullopt};
        if (finished) return finished;
      } else if (line_.starts_with("Stopped execution") || line_.starts_with("cpu_io_recompile")) {
        pending_.reset();
      } else if (pending_) {
        look_for_mask(line_);
      }
    }
    const std::optional<Instruction> last = pending_;
    pending_.reset();
    return last;
  }

 private:
  // Trace CPU: host-address [cs-base/pc/flags/cflags] symbol
  static uint64_t address_of(const std::string& line) {
    const size_t slash = line.find('/');
    const auto address = slash == std::string::npos
                             ? std::nullopt
                             : parse(std::string_view(line).substr(slash + 1), 16);
    if (!address) fail("a line that is not understood: " + line);
    return *address;
  }

  void look_for_mask(std::string_view line) {
    struct Word {
      std::string_view name;
      unsigned bit;
      bool masked_if_set;
    };
    static constexpr Word kWords[] = {
        {" mstatus ", 1, false}, {"PSTATE=", 7, true}, {" RFL=", 9, false}};
    for (const Word& word : kWords) {
      const size_t at = line.find(word.name);
      if (at == std::string_view::npos) continue;
      line.remove_prefix(at + word.name.size());
      line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
      const auto value = parse(line, 16);
      if (!value) fail("a register that is not understood: " + std::string(line));
      pending_->masked = ((*value >> word.bit & 1) != 0) == word.masked_if_set;
      return;
    }
  }

  std::istream& input_;
  std::string line_;
  std::optional<Instruction> pending_;
};

using Stretch = std::vector<uint64_t>;  // the addresses, in order of execution

/// How many instructions in a row each function has, by its own name without what encloses it.
std::string way_through(const Stretch& stretch, const Symbols& symbols) {
  std::string way;
  std::string_view current;
  size_t count = 0;
  const auto flush = [&] {
    if (count == 0) return;
    if (!way.empty()) way += ", ";
    way += std::string(current) + " " + std::to_string(count);
    count = 0;
  };
  for (const uint64_t address : stretch) {
    std::string_view function = symbols.function(address);
    function = function.substr(0, function.find('('));
    const size_t colons = function.rfind("::");
    if (colons != std::string_view::npos) function.remove_prefix(colons + 2);
    if (function != current) flush();
    current = function;
    ++count;
  }
  flush();
  return way;
}

int print_stretches(Log& log, const Symbols& symbols) {
  std::map<uint64_t, Stretch> longest;  // by the address at which it began
  bool opened = false;
  bool closed = false;
  Stretch current;
  bool counts = true;
  const auto end_stretch = [&] {
    if (counts && !current.empty()) {
      Stretch& best = longest[current.front()];
      if (current.size() > best.size()) best = current;
    }
    current.clear();
    counts = true;
  };
  while (const auto instruction = log.next()) {
    const uint64_t address = instruction->address;
    if (symbols.has(address, kWindowOpen)) opened = true;
    if (!opened) continue;
    if (symbols.has(address, kWindowClose)) {
      closed = true;
      break;
    }
    if (!instruction->masked) fail("the log has no registers: QEMU needs -d exec,cpu");
    // Taking an interrupt proves that they were let in, if for no instruction's time.
    if (!*instruction->masked || symbols.is_interrupt_entry(address)) end_stretch();
    if (*instruction->masked) current.push_back(address);
    if (symbols.has(address, kNotCounted)) counts = false;
  }
  if (!closed) fail(opened ? "the window was never closed" : "the window was never opened");
  end_stretch();

  std::vector<const Stretch*> sorted;
  for (const auto& [begin, stretch] : longest) sorted.push_back(&stretch);
  std::sort(sorted.begin(), sorted.end(), [](const Stretch* one, const Stretch* other) {
    return std::pair(other->size(), one->front()) < std::pair(one->size(), other->front());
  });
  if (sorted.empty()) fail("interrupts were never masked");
  for (const Stretch* stretch : sorted) {
    std::printf("%zu\t%s\t%s\t%s\n", stretch->size(), symbols.place(stretch->front()).c_str(),
                symbols.place(stretch->back()).c_str(), way_through(*stretch, symbols).c_str());
  }
  return 0;
}

int print_path(Log& log, const Symbols& symbols, uint64_t wanted) {
  uint64_t seen = 0;
  std::vector<uint64_t> path;
  bool inside = false;
  while (const auto instruction = log.next()) {
    if (inside && symbols.has(instruction->address, kEnd)) {
      inside = false;
      if (seen++ == wanted) {
        for (const uint64_t address : path) {
          std::printf("%llx\t%s\n", static_cast<unsigned long long>(address),
                      symbols.place(address).c_str());
        }
        return 0;
      }
    }
    if (symbols.has(instruction->address, kBegin)) {
      inside = !symbols.has(instruction->address, kEnd);  // with nothing between it is no operation
      path.clear();
    }
    if (inside) path.push_back(instruction->address);
  }
  fail("there are only " + std::to_string(seen) + " operations in the log");
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  Log log(std::cin);
  if (arguments.size() == 2 && arguments[0] == "stretches") {
    return print_stretches(log, Symbols(arguments[1]));
  }
  if (arguments.size() == 3 && arguments[0] == "path") {
    const auto number = parse(arguments[1], 10);
    if (number) return print_path(log, Symbols(arguments[2]), *number);
  }
  std::fprintf(stderr, "usage: trace stretches SYMBOLS | trace path NUMBER SYMBOLS\n");
  return 2;
}
