"""The mistakes: name, what it is, where, how it is made, and the explored tests of which one must find it.

`edit` is a program for `sed -Ez`, which sees the file as one line: `\\s+` also matches where a line ends. An edit that
changes nothing is an error. In the order of docs of the protocol: word, mailbox, drain, lives, guards, waits, locks.
"""

_MAILBOX = "sched:mailbox.h"
_TURN = "sched:turn_impl.h"
_TASK = "sched:task_impl.h"
_REQUEST = "sched:request_impl.h"
_TIMER = "sched:timer_impl.h"
_LIFE = "sched:life_impl.h"
_AFFINITY = "sched:affinity_impl.h"
_PLACEMENT = "sched:placement_impl.h"
_HOTPLUG = "sched:hotplug_impl.h"
_WAIT = "sched:wait.h"
_TICKET_LOCK = "sched/policy:ticket_lock.h"
_SHARED_QUEUE = "sched:shared_queue_impl.h"
_SLOT = "sched:attribute_slot.h"
_OWNED = "sched/sync:owned.h"

_POST = r"word_\.compare_exchange_weak\(word, after, std::memory_order_acq_rel,\s+std::memory_order_relaxed\)"

MUTANTS = [
    # The word.
    ("post_stores", _MAILBOX, "s/%s/(word_.store(after, std::memory_order_release), true)/" % _POST, ["pieces"]),
    ("post_is_relaxed", _MAILBOX, "s/%s/word_.compare_exchange_weak(word, after, std::memory_order_relaxed)/" % _POST, ["pieces"]),
    ("post_skips_what_is_set", _MAILBOX, r"s/(if \(before.generation\(\) != generation [^;]*;)/\1 if ((before.pending() \& requests) == requests) return before;/", ["pieces"]),
    ("post_ignores_the_generation", _MAILBOX, r"s/before\.generation\(\) != generation \|\| //", ["wakes"]),
    ("post_ignores_death", _MAILBOX, r"s/ \|\| !before\.is_alive\(\)\) return before/) return before/", ["pieces"]),
    ("change_checks_then_stores", _MAILBOX, r"s/return word_\.compare_exchange_strong\(word, to\.word\(\), std::memory_order_acq_rel,\s+std::memory_order_relaxed\)/return word_.load(std::memory_order_acquire) == word \&\& (word_.store(to.word(), std::memory_order_release), true)/", ["pieces"]),
    ("take_loads_then_stores", _MAILBOX, r"s/word_\.exchange\(to\.word\(\), std::memory_order_acq_rel\)/[\&] { const uint64_t was = word_.load(std::memory_order_acquire); word_.store(to.word(), std::memory_order_release); return was; }()/", ["pieces"]),
    ("take_is_relaxed", _MAILBOX, r"s/word_\.exchange\(to\.word\(\), std::memory_order_acq_rel\)/word_.exchange(to.word(), std::memory_order_relaxed)/", ["pieces"]),
    ("hand_back_is_relaxed", _MAILBOX, r"s/handed_back\(\)\.word\(\), std::memory_order_release/handed_back().word(), std::memory_order_relaxed/", ["pieces"]),
    ("birth_is_relaxed", _MAILBOX, r"s/alive\.word\(\), std::memory_order_release/alive.word(), std::memory_order_relaxed/", ["pieces"]),
    # The mailbox.
    ("push_is_relaxed", _MAILBOX, r"s/std::memory_order_release, std::memory_order_relaxed\)\);/std::memory_order_relaxed, std::memory_order_relaxed));/", ["pieces"]),
    ("push_stores", _MAILBOX, r"s/while \(!head_\.compare_exchange_weak\(head, reinterpret_cast<uintptr_t>\(&task\),\s+std::memory_order_release, std::memory_order_relaxed\)\);/while ((head_.store(reinterpret_cast<uintptr_t>(\&task), std::memory_order_release), false));/", ["pieces"]),
    ("push_links_once", _MAILBOX, r"s/do \{(\s+if \(head == kClosed\) return Pushed::closed;\s+)(task\.next_ = [^;]*;)/\2 do {\1/", ["pieces"]),
    ("push_ignores_closed", _MAILBOX, r"s/if \(head == kClosed\) return Pushed::closed;//", ["pieces"]),
    ("push_never_kicks", _MAILBOX, r"s/\? Pushed::kick :/? Pushed::quiet :/", ["pieces"]),
    ("push_kicks_by_an_earlier_look", _MAILBOX, r"s/(uintptr_t head = head_\.load\(std::memory_order_relaxed\);)(.*)return head == kEmpty \? Pushed::kick/\1 const bool was_empty = head == kEmpty;\2return was_empty ? Pushed::kick/", ["pieces"]),
    ("take_all_loads_then_stores", _MAILBOX, r"s/(reinterpret_cast<Postable\*>\()head_\.exchange\(kEmpty, std::memory_order_acquire\)\);/\1head_.load(std::memory_order_acquire)); head_.store(kEmpty, std::memory_order_relaxed);/", ["pieces"]),
    ("take_all_is_relaxed", _MAILBOX, r"s/head_\.exchange\(kEmpty, std::memory_order_acquire\)/head_.exchange(kEmpty, std::memory_order_relaxed)/", ["pieces"]),
    # The drain, and whose a task is.
    ("no_kick", _REQUEST, r"s/cpu\.kicks_\.add\(\); return M::kick\(to\);/return;/", ["wakes"]),
    ("arrival_is_ignored", _REQUEST, r"s/return seen\.owner\(\) == cpu\.number && \(seen\.pending\(\) & request::arrive\) == 0;/return seen.owner() == cpu.number;/", ["wakes"]),
    ("foreign_tasks_are_touched", _REQUEST, r"s/return seen\.owner\(\) == cpu\.number && /return /", ["wakes"]),
    ("push_comes_before_the_owner", _LIFE, r"s/task\.be_born\(to, request::arrive\);\s+send\(to, task\);/send(to, task); task.be_born(to, request::arrive);/", ["wakes"]),
    ("idle_lets_interrupts_in", _LIFE, r"s/M::wait\(\);/M::unmask(M::kUnmasked); M::mask(); M::wait();/", ["wakes"]),
    # Lives.
    ("a_running_task_loses_wakes", _TASK, r"s/task\.permit_ = true; return;/return;/", ["wakes"]),
    ("retire_ignores_requests", _TASK, r"s/return is_private\(cpu, task\) && task\.change/return task.change/", ["wakes"]),
    ("retire_checks_then_takes", _TASK, r"s/(is_private\(cpu, task\) && )task\.change\(seen, seen\.after_death\(\)\)/\1(task.take(seen.after_death()), true)/", ["wakes"]),
    ("a_late_end_is_not_retired", _REQUEST, r"s/if \(task\.stored_state\(\) == State::finished && /if (false \&\& /", ["wakes"]),
    # From CPU to CPU.
    ("a_move_forgets_what_is_asked", _AFFINITY, r"s/!task\.is_private_to\(cpu\.privately_mine_\) \|\|\s+!task\.change\(mine, mine/!task.change(mine, mine/", ["moves"]),
    ("a_move_stores_the_owner", _AFFINITY, r"s/!task\.change\(mine, mine\.with_owner\(to\)\.with_pending\(request::arrive\)\)/(task.take(mine.with_owner(to).with_pending(request::arrive)), false)/", ["moves"]),
    ("a_move_that_failed_is_forgotten", _AFFINITY, r"s/task\.post\(request::place, mine\.generation\(\)\);//", ["moves"]),
    ("a_mover_waits_on_its_old_cpu", _AFFINITY, r"s/task\.runnable_\.stop\(now\);//", ["moves"]),
    ("one_taken_from_a_cpu_that_is_gone_has_not_come", _HOTPLUG, r"s/task\.post\(request::arrive, seen\.generation\(\)\);//", ["moves"]),
    ("a_parked_task_is_let_go_though_asked", _PLACEMENT, r"s/if \(task\.is_private_to\(cpu\.privately_mine_\)\) task\.change/task.change/", ["moves"]),
    ("a_cpu_closes_though_asked_back", _HOTPLUG, r"s/!cpu\.is_leaving\(\) \|\| //", ["moves"]),
    # Calls.
    ("a_call_takes_the_kick_of_the_mail", _REQUEST, r"s/else if \(more\)/else if (has_calls(cpu))/", ["wakes"]),
    # A queue that all share.
    ("the_newly_born_is_not_handed_over", _LIFE, r"s/hand_over\(cpu, task\);//", ["queues"]),
    ("whoever_is_chosen_is_taken_at_once", _SHARED_QUEUE, r"s/has_come = may_touch\(cpu, seen\);/has_come = true;/", ["queues"]),
    ("one_that_runs_is_handed_over", _AFFINITY, r"s/if \(to != cpu\.number && &task != cpu\.current_\) return/if (to != cpu.number) return/", ["queues"]),
    # Waits.
    ("a_server_checks_then_stores", _WAIT, r"s/return outcome_\.compare_exchange_strong\(open, kServing, std::memory_order_acquire,\s+std::memory_order_relaxed\);/return outcome_.load(std::memory_order_acquire) == open \&\& (outcome_.store(kServing, std::memory_order_relaxed), true);/", ["pieces"]),
    ("a_wait_does_not_wait_for_its_server", _WAIT, r"s/while \(!is_served<kMany>\(\)\) relax\(\);//", ["pieces"]),
    ("a_wake_is_promised_after_the_service", _WAIT, r"s/const Served served = S::Masked::promise\(waiter\.task\(\)\);/auto\& task = waiter.task();/; s/(&waiter\);\s+)return served;/\1return S::Masked::promise(task);/", ["locks"]),
    ("a_woken_task_does_not_wait_for_its_server", _TIMER, r"s/wait\.template await_service<kMany>\(&relax\)/wait.is_served()/", ["locks"]),
    ("service_is_relaxed", _WAIT, r"s/outcome_\.store\(outcome, std::memory_order_release\)/outcome_.store(outcome, std::memory_order_relaxed)/", ["pieces"]),
    ("a_service_is_looked_at_relaxed", _WAIT, r"s/outcome_\.load\(std::memory_order_acquire\) > kServing/outcome_.load(std::memory_order_relaxed) > kServing/", ["pieces"]),
    # Locks.
    ("tickets_are_loaded_and_stored", _TICKET_LOCK, r"s/next_\.fetch_add\(1, std::memory_order_relaxed\);/next_.load(std::memory_order_relaxed); next_.store(mine + 1, std::memory_order_relaxed);/", ["pieces"]),
    ("a_ticket_is_waited_for_relaxed", _TICKET_LOCK, r"s/while \(serving_\.load\(std::memory_order_acquire\)/while (serving_.load(std::memory_order_relaxed)/", ["pieces"]),
    ("a_ticket_is_tried_relaxed", _TICKET_LOCK, r"s/uint32_t mine = serving_\.load\(std::memory_order_acquire\)/uint32_t mine = serving_.load(std::memory_order_relaxed)/", ["pieces"]),
    ("unlock_is_relaxed", _TICKET_LOCK, r"s/\+ 1, std::memory_order_release/+ 1, std::memory_order_relaxed/", ["pieces"]),
    ("attributes_are_copied_unlocked", _SLOT, r"s/while \(busy_\.exchange\(true, std::memory_order_acquire\)\) \{\s+\}//", ["pieces"]),
    ("attributes_are_locked_relaxed", _SLOT, r"s/busy_\.exchange\(true, std::memory_order_acquire\)/busy_.exchange(true, std::memory_order_relaxed)/", ["pieces"]),
    ("attributes_are_unlocked_relaxed", _SLOT, r"s/busy_\.store\(false, std::memory_order_release\)/busy_.store(false, std::memory_order_relaxed)/", ["pieces"]),
    ("a_mutex_is_taken_relaxed", _OWNED, r"s/address\(self\), std::memory_order_acquire/address(self), std::memory_order_relaxed/", ["locks"]),
    ("a_mutex_is_freed_relaxed", _OWNED, r"s/mine, 0, std::memory_order_release/mine, 0, std::memory_order_relaxed/", ["locks"]),
    ("a_mutex_is_freed_though_waited_for", _OWNED, r"s/if \(!word_\.compare_exchange_strong\(mine, 0, std::memory_order_release,\s+std::memory_order_relaxed\)\) \[\[unlikely\]\]/if (word_.exchange(0, std::memory_order_acq_rel) == 1)/", ["locks"]),
    ("inheritance_is_settled_from_afar", _OWNED, r"s/if \(!S::may_touch\(cpu, seen\)\)\s+return [^;]*;//", ["locks"]),
    ("inheritance_is_not_sent", _OWNED, r"s/if \(!S::may_touch\(cpu, seen\)\)\s+return [^;]*;/if (!S::may_touch(cpu, seen)) return;/", ["locks"]),
    ("the_graph_is_not_locked", _OWNED, r"s/Graph& graph = S::graph\(\);\s+graph\.acquire\(\);\s+const auto/Graph\& graph = S::graph(); const auto/", ["locks"]),
    ("no_kick_for_the_rest", _REQUEST, r"s/(else if \(more\) \{\s+)kick_self\(cpu\);/\1/", ["wakes"]),
    ("mail_is_dropped", _REQUEST, r"s/Requests requests = (task\.take\(seen\.with_pending\(request::none\)\));/Requests requests = seen.pending(); \1;/", ["wakes"]),
    ("a_guard_ends_without_a_look", _TURN, r"s/unlock\(cpu\);\s+honour\(cpu, may_switch\);/unlock(cpu);/", ["wakes"]),
    ("a_guard_looks_before_it_ends", _TURN, r"s/unlock\(cpu\);\s+honour\(cpu, may_switch\);/honour(cpu, may_switch); unlock(cpu);/", ["wakes"]),
]

# A part for every run of the tests: the ones whose test is compiled fastest, one of each kind; and one of the
# scheduler.
FEW = [
    "post_is_relaxed",
    "push_stores",
    "take_loads_then_stores",
    "tickets_are_loaded_and_stored",
    "no_kick",
]
