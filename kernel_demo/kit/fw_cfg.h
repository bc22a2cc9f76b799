// Reads a named file from QEMU's fw_cfg device (QEMU docs/specs/fw_cfg): how a guest gets its
// arguments, alike on every machine. The device is a template parameter so that the parser runs in
// a host test.

#ifndef BATON_KERNEL_DEMO_KIT_FW_CFG_H_
#define BATON_KERNEL_DEMO_KIT_FW_CFG_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace kit {

/// What `read_fw_cfg_file` came to. `too_long`: the file is there and does not fit; nothing of it
/// was read. `no_device`: there is no fw_cfg, or it has no directory that makes sense.
enum class FwCfgResult : uint8_t { found, absent, too_long, no_device };

struct FwCfgFile {
  FwCfgResult result = FwCfgResult::no_device;
  size_t size = 0;
};

/// A device is `select(uint16_t key)`, which rewinds, and `uint8_t read()`.
template <typename Device>
FwCfgFile read_fw_cfg_file(Device& device, std::string_view name, std::span<char> into) {
  constexpr uint16_t kSignature = 0x0000;
  constexpr uint16_t kDirectory = 0x0019;
  constexpr size_t kNameSize = 56;
  // QEMU has room for a few dozen; a device that claims more is not one.
  constexpr uint32_t kMostFiles = 1024;

  const auto read_big_endian = [&device](int bytes) {
    uint32_t value = 0;
    for (; bytes > 0; --bytes) value = value << 8 | device.read();
    return value;
  };

  device.select(kSignature);
  for (const char expected : std::string_view("QEMU")) {
    if (static_cast<char>(device.read()) != expected) return {FwCfgResult::no_device};
  }
  device.select(kDirectory);
  const uint32_t count = read_big_endian(4);
  if (count > kMostFiles) return {FwCfgResult::no_device};
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t size = read_big_endian(4);
    const auto key = static_cast<uint16_t>(read_big_endian(2));
    read_big_endian(2);  // reserved
    char entry[kNameSize];
    for (char& c : entry) c = static_cast<char>(device.read());
    entry[kNameSize - 1] = '\0';
    if (std::string_view(entry) != name) continue;
    if (size > into.size()) return {FwCfgResult::too_long, size};
    device.select(key);
    for (uint32_t at = 0; at < size; ++at) into[at] = static_cast<char>(device.read());
    return {FwCfgResult::found, size};
  }
  return {FwCfgResult::absent};
}

}  // namespace kit

#endif  // BATON_KERNEL_DEMO_KIT_FW_CFG_H_
