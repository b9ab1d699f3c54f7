/* Demand as a distribution. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "allocate/demand.h"

static void demand__quantiles__probabilities_of_the_quantiles(void **state)
{
    (void)state;
    struct demand demand = {100, 150, 300};
    assert_true(fabs(demand_exceeds(&demand, 100) - 0.5) < 1e-9);
    assert_true(fabs(demand_exceeds(&demand, 150) - 0.1) < 1e-9);
    assert_true(fabs(demand_exceeds(&demand, 300) - 0.01) < 1e-9);
    assert_true(demand_exceeds(&demand, 0) == 0);
}

static void demand__equal_or_crossing_quantiles__finite(void **state)
{
    (void)state;
    struct demand same = {100, 100, 100}, crossing = {100, 90, 80}, nothing = {0, 0, 0};
    assert_true(demand_exceeds(&same, 110) < 1e-6 && demand_exceeds(&same, 90) > 1 - 1e-6);
    double crossed = demand_exceeds(&crossing, 100);
    assert_true(isfinite(crossed) && crossed >= 0 && crossed <= 1);
    assert_true(demand_exceeds(&nothing, 10) == 0);
}

static void demand__within__grows_straight_from_now(void **state)
{
    (void)state;
    struct demand demand = demand_within(&(struct demand){200, 300, 50}, 100, 2500, 10000);
    assert_true(fabs(demand.p50 - 125) < 1e-9 && fabs(demand.p90 - 150) < 1e-9 &&
                fabs(demand.p99 - 100) < 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(demand__quantiles__probabilities_of_the_quantiles),
        cmocka_unit_test(demand__equal_or_crossing_quantiles__finite),
        cmocka_unit_test(demand__within__grows_straight_from_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
