// Where in the source an instruction came from, for a person.

#ifndef BATON_HAL_SIM_PLACE_H_
#define BATON_HAL_SIM_PLACE_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace hal::sim {

/// "function file:line" of each call that returns to a place of this program: of the innermost
/// function that is not the standard library's. Asks the symbolizer of LLVM or of binutils; without
/// one, an offset into the program. Empty for a null place. Slow.
std::vector<std::string> describe_places(std::span<const uintptr_t> places);

}  // namespace hal::sim

#endif  // BATON_HAL_SIM_PLACE_H_
