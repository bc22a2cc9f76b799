// The one function of hal/user.h.

#include "kernel_demo/user/trap.h"

namespace demo {
namespace {

constinit void (*handler)(hal::UserFrame& frame) = nullptr;

}  // namespace

void set_user_trap(void (*handle)(hal::UserFrame& frame)) { handler = handle; }

}  // namespace demo

void baton_user_trap(hal::UserFrame* frame) { demo::handler(*frame); }
