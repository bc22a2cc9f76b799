// The least that an image needs of a machine to end in each of the ways a qemu_test tells apart.
// One implementation a machine, in the folder of its name; boot code there calls image_main on a
// stack.

#ifndef BATON_TESTS_PLATFORMS_MACHINE_H_
#define BATON_TESTS_PLATFORMS_MACHINE_H_

#include <cstddef>
#include <cstdint>

// What the image does; machine code calls it with interrupts off. Must not return.
extern "C" [[noreturn]] void image_main();

// Writes one character to the serial port.
void put_char(char c);

// Ends QEMU with this exit status, which must be odd and below 256 (x86_64 has no other).
[[noreturn]] void exit_qemu(int status);

// Ends the machine without a result: a triple fault on x86_64, a power-off through the firmware
// elsewhere.
[[noreturn]] void end_machine();

// The kernel's command line, or null if there is none.
const char* command_line();

// Whether QEMU takes files for this machine's fw_cfg; if so: selects an item, then reads its next
// byte.
extern const bool has_fw_cfg;
void fw_cfg_select(std::uint16_t item);
std::uint8_t fw_cfg_next();

inline void print(const char* text) {
  for (; *text != '\0'; ++text) {
    if (*text == '\n') put_char('\r');
    put_char(*text);
  }
}

#endif  // BATON_TESTS_PLATFORMS_MACHINE_H_
