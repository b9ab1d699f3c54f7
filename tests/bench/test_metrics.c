/* Scores that are known by counting. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "bench/metrics.h"

static void auc__known_order__pairs_won(void **state)
{
    (void)state;
    const float labels[] = {0, 1, 0, 1};
    const float perfect[] = {0.1f, 0.9f, 0.2f, 0.8f}, worst[] = {0.9f, 0.1f, 0.8f, 0.2f};
    const float mixed[] = {0.1f, 0.4f, 0.5f, 0.8f}, tied[] = {0.3f, 0.3f, 0.3f, 0.3f};
    assert_true(metrics_auc(perfect, labels, 4) == 1);
    assert_true(metrics_auc(worst, labels, 4) == 0);
    assert_true(metrics_auc(mixed, labels, 4) == 0.75); /* 3 of 4 pairs */
    assert_true(metrics_auc(tied, labels, 4) == 0.5);
}

static void auc__one_kind_only__not_a_number(void **state)
{
    (void)state;
    const float scores[] = {0.1f, 0.2f}, labels[] = {1, 1};
    assert_true(isnan(metrics_auc(scores, labels, 2)));
    assert_true(isnan(metrics_auc(scores, labels, 0)));
}

static void decide__at_the_threshold__positive(void **state)
{
    (void)state;
    const float scores[] = {0.5f, 0.7f, 0.49f, 0.9f, 0.1f}, labels[] = {1, 1, 1, 0, 0};
    struct metrics_decisions d = metrics_decide(scores, labels, 5, 0.5f);
    assert_true(d.true_positives == 2 && d.false_positives == 1);
    assert_true(d.false_negatives == 1 && d.true_negatives == 1);
    assert_true(fabs(d.accuracy - 0.6) < 1e-12 && fabs(d.precision - 2.0 / 3) < 1e-12);
    assert_true(fabs(d.recall - 2.0 / 3) < 1e-12 && fabs(d.f1 - 2.0 / 3) < 1e-12);
}

static void decide__nothing_positive__zeros(void **state)
{
    (void)state;
    const float scores[] = {0.1f}, labels[] = {0};
    struct metrics_decisions d = metrics_decide(scores, labels, 1, 0.5f);
    assert_true(d.precision == 0 && d.recall == 0 && d.f1 == 0 && d.accuracy == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auc__known_order__pairs_won),
        cmocka_unit_test(auc__one_kind_only__not_a_number),
        cmocka_unit_test(decide__at_the_threshold__positive),
        cmocka_unit_test(decide__nothing_positive__zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
