/* Ratios of demand: there and back, at rest, absurd. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "model/demand.h"

static void peak__of_its_ratio__is_the_peak(void **state)
{
    (void)state;
    static const double values[] = {0, 1, 4096, 1e6, 5e7, 3e9};
    for (int resource = 0; resource < DEMAND_RESOURCE_COUNT; resource++)
        for (size_t i = 0; i < FS_COUNT(values); i++)
            for (size_t k = 0; k < FS_COUNT(values); k++) {
                double ratio = demand_ratio((enum demand_resource)resource, values[i], values[k]);
                double peak = demand_peak((enum demand_resource)resource, values[i], ratio);
                if (fabs(ratio) < DEMAND_RATIO_MAX)
                    assert_true(fabs(peak - values[k]) <= 1e-6 * (values[k] + values[i] + 1048576));
            }
    assert_true(fabs(demand_ratio(DEMAND_MEMORY, 1e9, 2e9) - log(2)) < 1e-3);
}

static void ratio__absurd_values__stay_bounded(void **state)
{
    (void)state;
    static const double odd[] = {(double)NAN, (double)INFINITY, -(double)INFINITY, -1, 1e300};
    for (size_t i = 0; i < FS_COUNT(odd); i++)
        for (size_t k = 0; k < FS_COUNT(odd); k++) {
            assert_true(fabs(demand_ratio(DEMAND_CPU, odd[i], odd[k])) <= DEMAND_RATIO_MAX);
            assert_true(demand_peak(DEMAND_CPU, 100, odd[i]) >= 0);
            assert_true(isfinite(demand_peak(DEMAND_CPU, 100, odd[i])));
        }
}

static void now__after_a_sample__is_gauge_and_averages(void **state)
{
    (void)state;
    struct feature_state features = {0};
    struct msg_limits limits = {0};
    struct msg_counters counters = {.memory_bytes = 5000000,
                                    .cpu_usage_us = 50000,
                                    .io_read_bytes = 1000000,
                                    .io_write_bytes = 1000000,
                                    .net_tx_bytes = 300000};
    struct feature_input input = {
        .time_us = 1000100000, .started_us = 1000000000, .limits = &limits, .counters = &counters};
    float out[FEATURE_COUNT];
    double now[DEMAND_RESOURCE_COUNT];
    features_step(&features, &input, out);
    demand_now(&features, &counters, now);
    assert_true(now[DEMAND_MEMORY] == 5e6);
    assert_true(fabs(now[DEMAND_CPU] - 500) < 1); /* 50 ms of CPU in 100 ms */
    assert_true(fabs(now[DEMAND_IO] - 2e7) < 1e4);
    assert_true(fabs(now[DEMAND_NET] - 3e6) < 1e4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peak__of_its_ratio__is_the_peak),
        cmocka_unit_test(ratio__absurd_values__stay_bounded),
        cmocka_unit_test(now__after_a_sample__is_gauge_and_averages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
