// Finds the kernel's command line in a flattened device tree (Devicetree Specification 0.4, chapter
// 5).

#ifndef BATON_TESTS_PLATFORMS_DEVICE_TREE_H_
#define BATON_TESTS_PLATFORMS_DEVICE_TREE_H_

#include <cstdint>
#include <cstring>

// The value of the first property named `bootargs`, which only /chosen has, or null. Trusts QEMU's
// tree.
inline const char* boot_arguments(const void* tree) {
  const auto* words = static_cast<const std::uint32_t*>(tree);
  const auto word = [](const std::uint32_t* p) { return __builtin_bswap32(*p); };
  const auto* structure = words + word(words + 2) / 4;
  const char* names = static_cast<const char*>(tree) + word(words + 3);
  for (const auto* p = structure;;) {
    switch (word(p++)) {
      case 1:  // A node begins: its name, padded.
        p += std::strlen(reinterpret_cast<const char*>(p)) / 4 + 1;
        break;
      case 3: {  // A property: length, offset of its name, value, padded.
        const char* value = reinterpret_cast<const char*>(p + 2);
        if (std::strcmp(names + word(p + 1), "bootargs") == 0) return value;
        p += 2 + (word(p) + 3) / 4;
        break;
      }
      case 9:  // The end.
        return nullptr;
    }
  }
}

#endif  // BATON_TESTS_PLATFORMS_DEVICE_TREE_H_
