// What else ThreadSanitizer has to be told where one host thread runs all CPUs, and what the
// explorer has to know of it: which accesses are the simulation's own.
//
// Where TSan is to look for races between the virtual CPUs it must not learn an order from the
// simulation: `Unseen` hides its accesses, and the switches between CPUs are "unordered".

#ifndef BATON_HAL_SIM_SANITIZER_H_
#define BATON_HAL_SIM_SANITIZER_H_

#include "hal/stack/sanitizer.h"

#ifdef BATON_TSAN
extern "C" {
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}
#endif

namespace hal::sim::sanitizer {

using namespace stack::sanitizer;  // NOLINT: of the same

#ifndef BATON_TSAN
// How deep the simulation is in its own code, on the stack that runs.
inline constinit thread_local int hidden = 0;
#endif

/// Whether accesses of this stack are looked at.
inline bool is_seen() {
#ifdef BATON_TSAN
  return false;  // not by the explorer
#else
  return hidden == 0;
#endif
}

inline void hide() {
#ifdef BATON_TSAN
  AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
  AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
#else
  ++hidden;
#endif
}
inline void show() {
#ifdef BATON_TSAN
  AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
  AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
#else
  --hidden;
#endif
}

/// While it lives, accesses of this stack are the simulation's own and are not looked at.
class Unseen {
 public:
  Unseen() { hide(); }
  ~Unseen() { show(); }
  Unseen(const Unseen&) = delete;
  Unseen& operator=(const Unseen&) = delete;
};

/// The reverse, for a call from the simulation into the guest.
class Seen {
 public:
  Seen() { show(); }
  ~Seen() { hide(); }
  Seen(const Seen&) = delete;
  Seen& operator=(const Seen&) = delete;
};

}  // namespace hal::sim::sanitizer

#endif  // BATON_HAL_SIM_SANITIZER_H_
