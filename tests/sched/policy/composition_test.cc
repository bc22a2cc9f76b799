// Budgets and classes in one another, against the same composition of their models.

#include "gtest/gtest.h"
#include "tests/sched/policy/compose_models.h"

namespace sched::test {
namespace {

using F = FifoModel;
using R = RoundRobinModel;
template <typename M>
using B = BudgetModel<M>;
template <typename... Ms>
using C = ClassesModel<Ms...>;

TEST(Composition, BudgetsOverFifo) { check_composition<B<F>>(8, 2000); }
TEST(Composition, BudgetsOverRoundRobin) { check_composition<B<R>>(8, 2000); }
TEST(Composition, BudgetsInBudgets) { check_composition<B<BudgetModel<R, 90>>>(8, 2000); }
TEST(Composition, TwoClasses) { check_composition<C<R, F>>(8, 2000); }
TEST(Composition, ThreeClasses) { check_composition<C<F, R, R>>(8, 2000); }
TEST(Composition, ClassesInClasses) { check_composition<C<F, C<R, F>, C<F, R, F>>>(8, 2000); }
TEST(Composition, BudgetsInClasses) { check_composition<C<B<F>, B<R>, F>>(8, 2000); }
TEST(Composition, ClassesUnderBudgets) { check_composition<B<C<F, R>>>(8, 2000); }
TEST(Composition, AllInAll) { check_composition<C<R, B<C<R, B<F>>>, C<B<R>, R>>>(8, 2000); }

}  // namespace
}  // namespace sched::test
