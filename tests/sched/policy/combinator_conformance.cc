// Groups, exchanged policies, global queues and what they compose, put through the conformance kit.

#include "sched/policy/testing/combinators.h"
#include "sched/policy/testing/compositions.h"
#include "sched/policy/testing/edf_subjects.h"
#include "sched/policy/testing/share_subjects.h"
#include "sched/policy/testing/subjects.h"
#include "tests/conformance/conformance.h"

namespace sched::conformance {
namespace {

using F = FifoSubject;
using R = RoundRobinSubject;
using X = FixedPrioritySubject;
using T = ThresholdSubject;
using E = EevdfSubject;
using M = MlfqSubject<8, 1000>;
using D = EdfSubject<EdfOptions{}>;
using Reclaiming = EdfSubject<EdfOptions{.reclaims = true}>;
template <typename Tasks, typename Nodes>
using G = GroupsSubject<Tasks, Nodes>;

const bool kDone[] = {
    put_through<G<F, F>>("groups_in_order"),
    put_through<G<R, X>>("groups_by_priority"),
    put_through<G<R, R>>("groups_in_turns"),
    put_through<G<E, E>>("groups_by_share"),
    put_through<G<R, StrideSubject>>("groups_by_stride"),
    put_through<G<R, BudgetedSubject<E>>>("groups_by_share_and_quota"),
    put_through<G<T, D>>("groups_by_deadline"),
    put_through<G<D, E>>("deadlines_in_groups"),
    put_through<G<G<R, F>, X>>("groups_of_groups"),

    put_through<DynamicSubject<F, R, X>>("one_of_three"),
    put_through<DynamicSubject<E, D, BudgetedSubject<M>, LotterySubject>>("one_of_four"),
    put_through<DynamicSubject<G<R, E>, X>>("one_with_groups"),

    put_through<GlobalSubject<X>>("one_queue_for_all"),
    put_through<GlobalSubject<R>>("one_round_robin_for_all"),

    put_through<ClassesSubject<D, X, E>>("deadlines_then_priorities_then_shares"),
    put_through<ClassesSubject<Reclaiming, M>>("reclaimed_deadlines_then_the_rest"),
    put_through<BudgetedSubject<E>>("budgets_over_shares"),
    put_through<BudgetedSubject<D>>("budgets_over_deadlines"),
    put_through<ClassesSubject<BudgetedSubject<X>, G<R, BudgetedSubject<E>>, DynamicSubject<M, F>>>(
        "all_of_it"),
};

}  // namespace
}  // namespace sched::conformance
