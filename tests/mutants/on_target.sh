#!/bin/bash
#
# Mistakes on purpose in what runs on the target: makes each in a copy of this repository, and says what the test on
# the target that is there to catch it has said. Fails if one has survived, or changes nothing any more.
#
#   bazel run //tests/mutants:on_target                          all of them: half an hour
#   bazel run //tests/mutants:on_target -- claims_do_not_look    some
#
# Needs the machine's Bazel, which it calls once for each mistake.

set -euo pipefail

# What the mistake is called; the test of //tests/kernel_demo/user that must find it; where it is made; and how: a
# program for `sed -Ez`, which sees the file as one line.
readonly MUTANTS='
the_header_is_writable         shared_faults_riscv64         kernel_demo/user/shared_image.cc     s/(offset < layout\.text\) return kit::Access::)rodata/\1data/
the_header_is_executable       shared_faults_aarch64         kernel_demo/user/shared_image.cc     s/(offset < layout\.text\) return kit::Access::)rodata/\1text/
the_text_is_writable           shared_faults_riscv64         kernel_demo/riscv64/user.cc          s/(access, false\) \| kUser);/\1 | (access == kit::Access::text ? 4 : 0);/
data_is_executable             shared_faults_riscv64         kernel_demo/riscv64/user.cc          s/(access, false\) \| kUser);/\1 | (access == kit::Access::data ? 8 : 0);/
the_board_is_writable          shared_faults_x86_64          kernel_demo/user/shared_image.cc     s/(kit::Access::data : kit::Access::)rodata/\1data/
the_board_is_executable        shared_faults_x86_64          kernel_demo/user/shared_image.cc     s/(kit::Access::data : kit::Access::)rodata/\1text/
a_page_too_many                shared_faults_riscv64         kernel_demo/user/shared_image.cc     s/(size_t offset = 0; offset )< layout\.size;/\1<= layout.size;/
words_of_all_spaces_are_one    words_riscv64                 sched/sync/address_wait.h            s/waiter\.address != address/(reinterpret_cast<uintptr_t>(waiter.address) ^ reinterpret_cast<uintptr_t>(address)) % 4096 != 0/; s/(Bucket& bucket\(const void\* address\) \{)/\1 address = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(address) % 4096);/
a_timeout_is_a_wake            words_riscv64                 kernel_demo/user/processes.h         s/\? user::kTimedOut : 0/? 0 : 0/
children_keep_their_parent     orphan_riscv64                kernel_demo/user/processes.h         s/if \(other\.parent != self\.id\) continue;/continue;/
children_that_ended_stay       orphan_riscv64                kernel_demo/user/processes.h         s/if \(task_of\(other\) == nullptr\) clear_place\(other\);//
orphans_that_end_stay          orphan_riscv64                kernel_demo/user/processes.h         s/if \(process->parent == 0\) clear_place\(\*process\);//
calls_are_masked               preempted_call_riscv64        kernel_demo/user/processes.h         s/Machine::unmask\(Machine::kUnmasked\);\s+(serve\(self, frame\);)\s+Machine::mask\(\);/\1/
kills_are_not_looked_at        kill_riscv64                  kernel_demo/user/processes.h         s/if \(S::current\(\)\.kill_requested\(\)\) \{[^}]*\}//
kills_wait_for_a_call          kill_riscv64                  kernel_demo/user/processes.h         s/if \(S::current\(\)\.kill_requested\(\)\) \{/if (trap.kind == Kind::call \&\& S::current().kill_requested()) {/
who_never_ran_leaves_pages     kill_riscv64                  kernel_demo/user/processes.h         s/(SharedSpaces::leave\(process->shared_space\);)\s+process->space\.destroy\(\);/\1 if (process->frame != nullptr) process->space.destroy();/
attributes_are_not_set         attributes_riscv64            kernel_demo/user/processes.h         s/return S::retune\(S::current\(\), attributes\) \? 0 :[^;]*;/return 0;/
attributes_have_no_most        attributes_riscv64            kernel_demo/user/processes.h         s/number < knob\.least \|\| number > knob\.most/number < knob.least/
attributes_are_not_inherited   attributes_riscv64            kernel_demo/user/processes.h         s/self\.id, own_attributes\(\)\)/self.id, Attributes{})/
reservations_are_not_inherited reserve_riscv64               kernel_demo/user/processes.h         s/self\.id, own_attributes\(\)\)/self.id, Attributes{})/
a_refusal_is_not_told          reserve_riscv64               kernel_demo/user/processes.h         s/return S::retune\(S::current\(\), attributes\) \? 0 :[^;]*;/S::retune(S::current(), attributes); return 0;/
all_have_an_fpu_state          no_fpu_riscv64                kernel_demo/user/processes.h         s/self\.space\.root\(\), nullptr\)/self.space.root(), \&self.fpu)/
the_fpu_is_loaded_each_time    one_fpu_riscv64               hal/space.h                          s/next\.fpu != nullptr && next\.fpu != here\.fpu/next.fpu != nullptr/
the_fpu_is_saved_each_time     one_fpu_aarch64               hal/space.h                          s/(here\.fpu = next\.fpu;\s+\})/\1 else if (next.fpu == nullptr) { leave_cpu(); }/
the_fpu_stays_behind           migration_riscv64             hal/space.h                          s/(here\.fpu != leaving\.fpu\) return;)\s+M::swap_fpu\(here\.fpu, nullptr\);/\1/
an_fpu_that_left_is_here       migration_x86_64              hal/space.h                          s/(M::swap_fpu\(here\.fpu, nullptr\);)\s+here\.fpu = nullptr;/\1/
claims_do_not_look             shared_harts_riscv64          sched/shared/pool.h                  s/slot == nullptr \|\| slot->state != State::ready\) return false/slot == nullptr) return false/
turns_are_not_given_back       shared_harts_apart_riscv64    kernel_demo/user/shared_spaces.h     s/if \(std::exchange\(member\.has_turn, false\)\) --given_;/member.has_turn = false;/
questions_stay_open            shared_harts_apart_riscv64    kernel_demo/user/shared_spaces.h     s/--member\.open_questions;//
no_way_past_who_runs           shared_merged_ends_riscv64    sched/shared/scheduler.h             s/ && \(waiting >> s\.space\(\) & 1\) != 0 && / \&\& /
turns_are_never_taken          shared_merged_ends_riscv64    kernel_demo/user/shared_spaces.h     s/if \(was_taken\) take_turn\(self\);//
a_lock_stays                   shared_merged_leaves_riscv64  kernel_demo/user/shared_spaces.h     s/kernel_client\(\)\.sweep\(number, 0, 0\);//
tasks_stay                     shared_merged_leaves_riscv64  kernel_demo/user/shared_spaces.h     s/unswept_ \|= 1u << number;//
one_step_of_a_sweep            shared_merged_leaves_riscv64  kernel_demo/user/shared_spaces.h     s/if \(!goes_on \|\| \(swept_ \+= kSweep\) < kSharedCapacity\) continue;/if (!goes_on) continue;/
'

scratch="$(mktemp -d "${TMPDIR:-/tmp}/on_target.XXXXXX")"
readonly scratch
bazel() { (cd "${scratch}/copy" && ./bazelw --output_base="${scratch}/bazel" "$@"); }
trap 'bazel shutdown; chmod -R u+w "${scratch}"; rm -rf "${scratch}"' EXIT

mkdir "${scratch}/copy"
(cd "${BUILD_WORKSPACE_DIRECTORY}" && git ls-files -z | tar -c --null -T -) | tar -x -C "${scratch}/copy"

result=0
while read -r name test file edit; do
  [[ -n "${name}" && (" $* " == *" ${name} "* || "$#" == 0) ]] || continue
  mutated="${scratch}/copy/${file}"
  cp "${mutated}" "${scratch}/true"
  sed -Ez -i "${edit}" "${mutated}"
  status=0
  if cmp -s "${mutated}" "${scratch}/true"; then
    echo "${name} changes nothing any more: look for what it was to change"
    result=1
    continue
  fi
  output="$(bazel test --noshow_progress "//tests/kernel_demo/user:${test}_test" 2>&1 < /dev/null)" || status=$?
  cp "${scratch}/true" "${mutated}"
  # 3: it was built, and the test has failed.
  if ((status == 3)); then
    echo "${name}: ${test}: $(grep -aoE '^(PANIC|FAILED): [^[:cntrl:]]*' <<< "${output}" | head -n 1)"
  else
    ((status == 0)) || grep -a '^ERROR\|error:' <<< "${output}" || true
    echo "${name} HAS $( ((status == 0)) && echo SURVIVED || echo 'NOT BEEN BUILT')"
    result=1
  fi
done <<< "${MUTANTS}"
exit "${result}"
