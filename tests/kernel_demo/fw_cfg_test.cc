// The fw_cfg directory parser, against a device in memory: found, absent, too long, no device.

#include "kernel_demo/kit/fw_cfg.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"

namespace {

/// fw_cfg as its specification describes it: beyond an item's end it reads as zeros.
class FakeDevice {
 public:
  FakeDevice() { items_[0x00] = {'Q', 'E', 'M', 'U'}; }

  void add_file(std::string_view name, std::string_view content) {
    const auto key = static_cast<uint16_t>(0x20 + files_);
    items_[key].assign(content.begin(), content.end());
    append(directory_, static_cast<uint32_t>(content.size()), 4);
    append(directory_, key, 2);
    append(directory_, 0xabcd, 2);  // reserved, whatever it holds
    std::vector<uint8_t> padded(name.begin(), name.end());
    padded.resize(56);
    directory_.insert(directory_.end(), padded.begin(), padded.end());
    set_count(++files_);
  }

  void set_count(uint32_t count) {
    std::vector<uint8_t>& item = items_[0x19];
    item.clear();
    append(item, count, 4);
    item.insert(item.end(), directory_.begin(), directory_.end());
  }

  void set_signature(std::string_view text) { items_[0x00].assign(text.begin(), text.end()); }

  void select(uint16_t key) {
    item_ = &items_[key];
    at_ = 0;
  }

  uint8_t read() {
    ++reads_;
    return at_ < item_->size() ? (*item_)[at_++] : 0;
  }

  size_t reads() const { return reads_; }

 private:
  static void append(std::vector<uint8_t>& to, uint32_t value, int bytes) {
    while (bytes-- > 0) to.push_back(static_cast<uint8_t>(value >> (8 * bytes)));
  }

  std::map<uint16_t, std::vector<uint8_t>> items_;
  std::vector<uint8_t> directory_;
  uint32_t files_ = 0;
  const std::vector<uint8_t>* item_ = nullptr;
  size_t at_ = 0;
  size_t reads_ = 0;
};

TEST(FwCfg, FindsAFileAmongOthers) {
  FakeDevice device;
  device.add_file("etc/acpi/tables", std::string(3000, 'x'));
  device.add_file("opt/baton/args", "run=threads tasks=8");
  device.add_file("opt/baton/arguments", "no");
  char buffer[64];
  const kit::FwCfgFile file = kit::read_fw_cfg_file(device, "opt/baton/args", buffer);
  EXPECT_EQ(file.result, kit::FwCfgResult::found);
  EXPECT_EQ(std::string_view(buffer, file.size), "run=threads tasks=8");
}

TEST(FwCfg, AnEmptyFileIsFound) {
  FakeDevice device;
  device.add_file("opt/baton/args", "");
  char buffer[4];
  const kit::FwCfgFile file = kit::read_fw_cfg_file(device, "opt/baton/args", buffer);
  EXPECT_EQ(file.result, kit::FwCfgResult::found);
  EXPECT_EQ(file.size, 0u);
}

TEST(FwCfg, AFileThatJustFitsAndOneThatDoesNot) {
  FakeDevice device;
  device.add_file("fits", "1234");
  device.add_file("longer", "12345");
  char buffer[4] = {'.', '.', '.', '.'};
  EXPECT_EQ(kit::read_fw_cfg_file(device, "longer", buffer).result, kit::FwCfgResult::too_long);
  EXPECT_EQ(buffer[0], '.') << "nothing of a file that does not fit is read";
  EXPECT_EQ(kit::read_fw_cfg_file(device, "fits", buffer).result, kit::FwCfgResult::found);
  EXPECT_EQ(std::string_view(buffer, 4), "1234");
}

TEST(FwCfg, Absent) {
  FakeDevice device;
  char buffer[4];
  EXPECT_EQ(kit::read_fw_cfg_file(device, "x", buffer).result, kit::FwCfgResult::absent);
  device.add_file("xy", "1");
  EXPECT_EQ(kit::read_fw_cfg_file(device, "x", buffer).result, kit::FwCfgResult::absent);
}

TEST(FwCfg, ANameThatFillsItsFieldIsCutNotOverrun) {
  FakeDevice device;
  device.add_file(std::string(56, 'n'), "1");
  char buffer[4];
  EXPECT_EQ(kit::read_fw_cfg_file(device, std::string(55, 'n'), buffer).result,
            kit::FwCfgResult::found);
}

TEST(FwCfg, NoDevice) {
  FakeDevice device;
  device.set_signature("\xff\xff\xff\xff");
  char buffer[4];
  EXPECT_EQ(kit::read_fw_cfg_file(device, "x", buffer).result, kit::FwCfgResult::no_device);
}

TEST(FwCfg, AnAbsurdDirectoryIsNotWalked) {
  FakeDevice device;
  device.add_file("x", "1");
  device.set_count(0xffffffff);
  char buffer[4];
  EXPECT_EQ(kit::read_fw_cfg_file(device, "y", buffer).result, kit::FwCfgResult::no_device);
  EXPECT_LT(device.reads(), 100u);
}

}  // namespace
