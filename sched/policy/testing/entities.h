// The entities of a run of the conformance kit: their memory, and what the run knows of each.
// Freestanding.

#ifndef BATON_SCHED_POLICY_TESTING_ENTITIES_H_
#define BATON_SCHED_POLICY_TESTING_ENTITIES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <type_traits>

#include "sched/policy/policy.h"

namespace sched::conformance {

/// So many entities of a policy, numbered from zero. At first none of them is anywhere.
template <typename P, size_t kEntities>
class Entities {
 public:
  using Entity = typename P::Entity;
  using Attributes = typename P::Attributes;
  static constexpr int kNobody = -1;
  static constexpr bool kInherits = Inherits<P>;
  using Claim = decltype([] {
    if constexpr (kInherits) {
      return std::type_identity<typename P::Claim>();
    } else {
      return std::type_identity<bool>();
    }
  }())::type;
  static_assert(std::is_trivially_destructible_v<Entity>, "an entity's memory just ends");

  /// `away`: it has moved to another CPU, and may come back.
  enum class State : uint8_t { nowhere, blocked, runnable, away_blocked, away_runnable };

  Entity& entity(int e) {
    const size_t index = static_cast<size_t>(e);
    return slots_[backward_ ? kEntities - 1 - index : index];
  }
  State& state(int e) { return states_[static_cast<size_t>(e)]; }
  Attributes& given(int e) { return given_[static_cast<size_t>(e)]; }
  std::optional<Claim>& inherited(int e) { return inherited_[static_cast<size_t>(e)]; }
  /// When it was last detached.
  std::optional<Claim>& claimed(int e) { return claimed_[static_cast<size_t>(e)]; }

  int number(const Entity* found) {
    for (int e = 0; e < static_cast<int>(kEntities); ++e) {
      if (&entity(e) == found) return e;
    }
    return kNobody;
  }

  bool is_here(int e) { return state(e) == State::blocked || state(e) == State::runnable; }
  bool is_any(State wanted) const {
    for (const State state : states_) {
      if (state == wanted) return true;
    }
    return false;
  }
  bool is_empty() const { return !is_any(State::blocked) && !is_any(State::runnable); }

  /// Has them lie in memory in the opposite order. Before any is used.
  void turn_round() { backward_ = true; }

  /// What whoever gets the memory of a finished one may do, and that it is an entity again.
  void overwrite(int e) {
    entity(e).~Entity();
    unsigned char* const bytes = reinterpret_cast<unsigned char*>(&entity(e));
    for (size_t i = 0; i < sizeof(Entity); ++i) bytes[i] = 0xa5;
  }
  void begin_anew(int e) { new (&entity(e)) Entity(); }

 private:
  bool backward_ = false;
  std::array<Entity, kEntities> slots_{};
  std::array<State, kEntities> states_{};
  std::array<Attributes, kEntities> given_{};
  std::array<std::optional<Claim>, kEntities> inherited_{};
  std::array<std::optional<Claim>, kEntities> claimed_{};
};

}  // namespace sched::conformance

#endif  // BATON_SCHED_POLICY_TESTING_ENTITIES_H_
