// What the rest of the kit needs of the console. Private to the kit.

#ifndef BATON_KERNEL_DEMO_KIT_CONSOLE_H_
#define BATON_KERNEL_DEMO_KIT_CONSOLE_H_

namespace kit {

/// Moves what waits in the device into the ring that `read` looks into first. For the interrupt,
/// and for the boot, before the device is set up, which would throw away what was typed early.
void take_waiting();

/// From here on `write` takes no lock: whoever held it may never run again.
void take_console_over();

}  // namespace kit

#endif  // BATON_KERNEL_DEMO_KIT_CONSOLE_H_
