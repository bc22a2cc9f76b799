// Budgets and classes, alone and in one another, put through the conformance kit.

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
using D = EdfSubject<EdfOptions{}>;
using E = EevdfSubject;
template <typename S, size_t kRefills = 4>
using B = BudgetedSubject<S, kRefills>;
template <typename... S>
using C = ClassesSubject<S...>;

const bool kDone[] = {
    put_through<B<F>>("budgets_over_fifo"),
    put_through<B<R, 1>>("budgets_of_one_refill_over_round_robin"),
    put_through<B<T>>("budgets_over_thresholds"),
    put_through<B<B<X>>>("budgets_over_budgets"),
    put_through<C<X, R>>("two_classes"),
    put_through<C<T, B<X>, R>>("three_classes"),
    put_through<C<F, C<R, F>, C<X, R, F>>>("classes_in_classes"),
    put_through<B<C<X, R>>>("budgets_over_classes"),
    put_through<C<D, B<X>, E>>("deadlines_then_budgets_then_shares"),
    put_through<B<MlfqSubject<8, 1000>>>("budgets_over_mlfq"),
    put_through<C<R, B<C<R, B<F, 2>>>, C<B<R>, T>>>("all_in_all"),
};

}  // namespace
}  // namespace sched::conformance
