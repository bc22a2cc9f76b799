// What the panic needs of the console. Private to the kit.

#ifndef BATON_KERNEL_DEMO_KIT_CONSOLE_H_
#define BATON_KERNEL_DEMO_KIT_CONSOLE_H_

namespace kit {

/// From here on `write` takes no lock: whoever held it may never run again.
void take_console_over();

}  // namespace kit

#endif  // BATON_KERNEL_DEMO_KIT_CONSOLE_H_
