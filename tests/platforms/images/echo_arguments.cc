// An image that prints its arguments: the kernel's command line and, where there is one, the fw_cfg
// file opt/baton/args, found in fw_cfg's directory (item 0x19: a big-endian count, then entries of
// size, item, two reserved bytes and a name of 56).

#include <cstring>

#include "tests/platforms/machine.h"

namespace {

std::uint32_t next(int bytes) {
  std::uint32_t value = 0;
  for (; bytes > 0; --bytes) value = value << 8 | fw_cfg_next();
  return value;
}

void print_fw_cfg_file() {
  fw_cfg_select(0x19);
  for (auto files = next(4); files > 0; --files) {
    const std::uint32_t size = next(4);
    const auto item = static_cast<std::uint16_t>(next(2));
    next(2);
    char name[56];
    for (char& c : name) c = static_cast<char>(fw_cfg_next());
    if (std::strcmp(name, "opt/baton/args") != 0) continue;
    print("fw_cfg: [");
    fw_cfg_select(item);
    for (std::uint32_t i = 0; i < size; ++i) put_char(static_cast<char>(fw_cfg_next()));
    print("]\n");
  }
}

}  // namespace

void image_main() {
  if (has_fw_cfg) print_fw_cfg_file();
  const char* arguments = command_line();
  print("arguments: [");
  print(arguments == nullptr ? "" : arguments);
  print("]\n");
  exit_qemu(33);
}
