// The symbolizer is another program: linking one in would cost every test what only a failure
// needs.

#include "hal/sim/place.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <map>

namespace hal::sim {
namespace {

// Without template arguments and parameters: "sched::Scheduler<...>::send(...)" in full is longer
// than any line.
std::string plain(const std::string& function) {
  std::string text;
  int depth = 0;
  for (const char c : function) {
    if (c == '<' || c == '(') ++depth;
    if (depth == 0) text += c;
    if (c == '>' || c == ')') --depth;
  }
  const size_t space = text.find_last_of(' ');  // before it: the return type
  return space == std::string::npos ? text : text.substr(space + 1);
}

// "f at /a/b.h:12:3" or " (inlined by) f at ..." as "f b.h:12"; empty for the standard library's.
std::string place_of(const std::string& line) {
  constexpr std::string_view kInlined = " (inlined by) ";
  const size_t at = line.rfind(" at ");
  if (at == std::string::npos) return {};
  const size_t begin = line.starts_with(kInlined) ? kInlined.size() : 0;
  std::string file = line.substr(at + 4);
  if (file.starts_with("/usr/") || file.find("/include/c++/") != std::string::npos ||
      file.starts_with("??")) {
    return {};
  }
  if (const size_t colon = file.find(':'); colon != std::string::npos) {
    file = file.substr(0, file.find_first_not_of("0123456789", colon + 1));
    const size_t slash = file.rfind('/', colon);
    const size_t before =
        slash == std::string::npos || slash == 0 ? slash : file.rfind('/', slash - 1);
    if (before != std::string::npos) file = file.substr(before + 1);
  }
  return plain(line.substr(begin, at - begin)) + " " + file;
}

}  // namespace

std::vector<std::string> describe_places(std::span<const uintptr_t> places) {
  std::map<uintptr_t, std::string> known;
  std::vector<uintptr_t> asked;
  Dl_info program{};
  for (const uintptr_t place : places) {
    if (place == 0 || known.contains(place)) continue;
    if (dladdr(reinterpret_cast<void*>(place), &program) == 0) continue;
    char text[40];
    const uintptr_t offset = place - 1 - reinterpret_cast<uintptr_t>(program.dli_fbase);
    std::snprintf(text, sizeof(text), "%#llx", static_cast<unsigned long long>(offset));
    known[place] = text;
    asked.push_back(place);
  }
  for (const char* symbolizer : {"llvm-symbolizer-19 --output-style=GNU", "addr2line"}) {
    std::string command = std::string(symbolizer) + " -a -p -f -C -i -e /proc/" + "$PPID/exe";
    for (const uintptr_t place : asked) command += " " + known[place];
    std::FILE* const pipe = popen((command + " 2>/dev/null").c_str(), "r");
    if (pipe == nullptr) continue;
    std::map<uintptr_t, std::string> found;
    size_t answer = 0;  // the next address
    char buffer[8192];
    while (std::fgets(buffer, sizeof(buffer), pipe) != nullptr) {
      std::string line(buffer);
      if (!line.empty() && line.back() == '\n') line.pop_back();
      if (line.starts_with("0x")) {
        ++answer;
        const size_t colon = line.find(": ");
        line = colon == std::string::npos ? "" : line.substr(colon + 2);
      }
      if (answer == 0 || answer > asked.size()) continue;
      std::string& text = found[asked[answer - 1]];
      if (text.empty()) text = place_of(line);
    }
    if (pclose(pipe) != 0 || answer != asked.size()) continue;
    for (const auto& [place, text] : found) {
      if (!text.empty()) known[place] = text;
    }
    break;
  }
  std::vector<std::string> texts;
  for (const uintptr_t place : places) texts.push_back(place == 0 ? "" : known[place]);
  return texts;
}

}  // namespace hal::sim
