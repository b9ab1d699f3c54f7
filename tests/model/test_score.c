/* Scores against scikit-learn 1.9 (average_precision_score, brier_score_loss), calibration against scipy's
 * minimiser, and alarms counted by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "model/calibrate.h"
#include "model/score.h"

static const float labels[] = {0, 0, 1, 1, 0, 1, 0, 1, 0, 0};
static const float scores[] = {0.1f, 0.4f, 0.35f, 0.8f, 0.35f, 0.9f, 0.2f, 0.35f, 0.8f, 0.05f};
static const float weights[] = {1, 2, 1, 0.5f, 1, 3, 1, 1, 0.25f, 4};

static void near(double actual, double expected, double tolerance)
{
    if (!(fabs(actual - expected) <= tolerance))
        fail_msg("got %.9g, expected %.9g +- %.3g", actual, expected, tolerance);
}

static void average_precision__golden_vectors__match(void **state)
{
    (void)state;
    near(score_average_precision(scores, labels, NULL, 10), 0.7023809523809523, 1e-7);
    near(score_average_precision(scores, labels, weights, 10), 0.8588744588744588, 1e-7);
    assert_true(isnan(score_average_precision(scores, (float[]){0, 0, 0}, NULL, 3)));
    assert_true(isnan(score_average_precision(NULL, NULL, NULL, 0)));
}

static void brier__golden_vectors__match(void **state)
{
    (void)state;
    near(score_brier(scores, labels, NULL, 10), 0.187, 1e-7);
    near(score_brier(scores, labels, weights, 10), 0.10559322033898308, 1e-7);
}

static void calibration_error__golden_vectors__match(void **state)
{
    (void)state;
    static const float off_the_bounds[] = {0.11f, 0.43f, 0.36f, 0.81f, 0.34f,
                                           0.93f, 0.22f, 0.37f, 0.78f, 0.06f};
    near(score_calibration_error(off_the_bounds, labels, NULL, 10), 0.279, 1e-6);
    near(score_calibration_error(off_the_bounds, labels, weights, 10), 0.19389830508474573, 1e-6);
}

static void platt__against_a_minimiser__same_map(void **state)
{
    (void)state;
    static const float logits[] = {-2,    -1.5f, -1.2f, -1,   -0.8f, -0.6f, -0.5f, -0.3f,
                                   -0.2f, -0.1f, 0,     0.1f, 0.2f,  0.4f,  0.5f,  0.7f,
                                   0.9f,  1.1f,  1.4f,  1.8f, 2.2f,  2.5f,  3,     3.3f};
    static const float truth[] = {0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1};
    float one[24], slope, intercept;
    for (size_t i = 0; i < 24; i++)
        one[i] = 1;
    calibrate_platt(logits, truth, one, 24, &slope, &intercept);
    near((double)slope, 0.82320539, 1e-4);
    near((double)intercept, -0.50598007, 1e-4);
}

static void platt__too_few_of_a_kind__identity(void **state)
{
    (void)state;
    float logits[30], truth[30] = {0}, one[30], slope, intercept;
    for (size_t i = 0; i < 30; i++) {
        logits[i] = (float)i;
        one[i] = 1;
        truth[i] = i > 25;
    }
    calibrate_platt(logits, truth, one, 30, &slope, &intercept);
    near((double)slope, 1, 0);
    near((double)intercept, 0, 0);
}

static void platt__logits_pointing_the_wrong_way__never_a_falling_map(void **state)
{
    (void)state;
    float logits[40], truth[40], one[40], slope, intercept;
    for (size_t i = 0; i < 40; i++) {
        logits[i] = (float)i / 10 - 2;
        one[i] = 1;
        truth[i] = i < 20;
    }
    calibrate_platt(logits, truth, one, 40, &slope, &intercept);
    assert_true(slope > 0);
}

/* Ticks each 1 s; fails at 20 s. Up at 5 s (false: 15 s early), still up 10 s later (counts again: true, 5 s
 * lead). */
static void alarms__held_over_the_horizon__counts_again(void **state)
{
    (void)state;
    float high[21] = {0};
    int64_t time_ms[21];
    for (int i = 0; i <= 20; i++) {
        time_ms[i] = (int64_t)1000 * i;
        high[i] = i >= 5;
    }
    struct score_series series[] = {{high, time_ms, 21, 20000}, {high, time_ms, 4, INT64_MAX}};
    struct score_alarms alarms;
    score_alarms(series, 2, 0.5f, 10000, &alarms);
    assert_int_equal(alarms.failures, 1);
    assert_int_equal(alarms.false_alarms, 1);
    assert_int_equal(alarms.true_alarms, 1);
    near(alarms.hours, 23.0 / 3600, 1e-9);
    near(alarms.false_alarms_per_hour, 3600 / 23.0, 1e-6);
    near(alarms.recall[0], 1, 0);
    near(alarms.recall[1], 1, 0);
    near(alarms.recall[2], 1, 0);
}

static void alarms__short_lead__only_the_short_recall(void **state)
{
    (void)state;
    float high[] = {0, 0, 0, 1};
    int64_t time_ms[] = {0, 1000, 2000, 3000};
    struct score_series series = {high, time_ms, 4, 4500};
    struct score_alarms alarms;
    score_alarms(&series, 1, 0.5f, 10000, &alarms);
    near(alarms.recall[0], 1, 0);
    near(alarms.recall[1], 0, 0);
    near(alarms.recall[2], 0, 0);
    assert_int_equal(alarms.false_alarms, 0);
}

static void threshold__false_alarms_allowed__lowest_that_keeps_it(void **state)
{
    (void)state;
    float spikes[] = {0, 0.3f, 0, 0.6f, 0, 0.9f, 0};
    int64_t time_ms[] = {0, 100000, 200000, 300000, 400000, 500000, 3600000};
    struct score_series series = {spikes, time_ms, 7, INT64_MAX};
    static const float thresholds[] = {0.1f, 0.4f, 0.7f, 0.95f};
    near((double)score_threshold(&series, 1, thresholds, 4, 10000, 3), 0.1, 1e-6);
    near((double)score_threshold(&series, 1, thresholds, 4, 10000, 2), 0.4, 1e-6);
    near((double)score_threshold(&series, 1, thresholds, 4, 10000, 0), 0.95, 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(average_precision__golden_vectors__match),
        cmocka_unit_test(brier__golden_vectors__match),
        cmocka_unit_test(calibration_error__golden_vectors__match),
        cmocka_unit_test(platt__against_a_minimiser__same_map),
        cmocka_unit_test(platt__too_few_of_a_kind__identity),
        cmocka_unit_test(platt__logits_pointing_the_wrong_way__never_a_falling_map),
        cmocka_unit_test(alarms__held_over_the_horizon__counts_again),
        cmocka_unit_test(alarms__short_lead__only_the_short_recall),
        cmocka_unit_test(threshold__false_alarms_allowed__lowest_that_keeps_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
