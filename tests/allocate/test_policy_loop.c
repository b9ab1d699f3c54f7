/* The policy in a closed loop on growth curves, synthetic and recorded: programs survive, and what they are
 * given stays near what they use. Targets are the product's: every program finishes, median of highest limit
 * / peak <= 1.5, none above 2.5; the next execution starts with enough. */
#include <math.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "allocate/settle.h"
#include "common/base.h"
#include "simulate.h"

#define MIB 1048576.0
#define CURVES_MAX 32
#define SEEDS 20

static struct curve curves[CURVES_MAX];
static int curve_count;

static void add_curve(const char *name, size_t count, const double (*points)[2])
{
    struct curve *curve = &curves[curve_count++];
    (void)snprintf(curve->name, sizeof curve->name, "%s", name);
    curve->count = count;
    for (size_t i = 0; i < count; i++) {
        curve->at_ms[i] = points[i][0];
        curve->bytes[i] = points[i][1] * MIB;
    }
}
#define ADD(name, ...)                                                                                       \
    do {                                                                                                     \
        static const double points[][2] = {__VA_ARGS__};                                                     \
        add_curve(name, FS_COUNT(points), points);                                                           \
    } while (0)

static int load_curves(void **state)
{
    (void)state;
    char path[512];
    const char *source = getenv("FORESTALL_SOURCE");
    (void)snprintf(path, sizeof path, "%s/tests/allocate/growth_curves.txt", source ? source : ".");
    curve_count = simulate_load(path, curves, CURVES_MAX);
    if (curve_count < 5) {
        (void)fprintf(stderr, "%s: no curves\n", path);
        return -1;
    }
    ADD("plateau jumps", {0, 2}, {300, 20}, {310, 60}, {2000, 60}, {2040, 94}, {6000, 94}, {6100, 95});
    ADD("linear leak", {0, 8}, {20000, 600});
    ADD("slow leak", {0, 20}, {60000, 120});
    ADD("sawtooth", {0, 40}, {2000, 120}, {2050, 50}, {4000, 122}, {4050, 50}, {6000, 121}, {6050, 48},
        {8000, 125}, {8100, 40});
    ADD("steps 100 MiB/s", {0, 10}, {500, 60}, {1500, 62}, {3500, 262}, {5000, 262}, {7000, 462},
        {9000, 462});
    ADD("steps 800 MiB/s", {0, 10}, {200, 60}, {1500, 62}, {1750, 262}, {4000, 262}, {4300, 502},
        {6000, 500});
    ADD("one ramp 2 GiB/s", {0, 10}, {100, 10}, {600, 1034}, {3000, 1034});
    ADD("small", {0, 3}, {1000, 8}, {3000, 24}, {5000, 26});
    return 0;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct tally {
    double ratios[4096];
    size_t count;
    int killed, raises, brakes;
    double braked_ms;
};

static double quantile(struct tally *tally, double share)
{
    qsort(tally->ratios, tally->count, sizeof tally->ratios[0], by_value);
    return tally->ratios[(size_t)((double)(tally->count - 1) * share)];
}

static void count(struct tally *tally, const struct simulated *result)
{
    tally->killed += result->killed;
    tally->raises += result->raises;
    tally->brakes += result->brakes;
    tally->braked_ms += result->braked_ms;
    if (!result->killed)
        tally->ratios[tally->count++] = result->highest_bytes / result->peak_bytes;
}

/* One curve under several starting limits below its peak, with this forecaster. */
static void run_curve(const struct curve *curve, const struct forecaster *forecaster, bool brake,
                      struct tally *tally)
{
    static const double shares[] = {0.3, 0.5, 0.7, 0.9};
    struct tally own = {.count = 0};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct simulation with = {.config = &policy_defaults,
                                  .curve = curve,
                                  .scale = 1,
                                  .brake = brake,
                                  .limit_bytes = fmax(curve_peak(curve) * shares[seed % 4], 12 * MIB),
                                  .forecaster = *forecaster,
                                  .seed = seed};
        struct simulated result = simulate(&with);
        count(&own, &result);
        count(tally, &result);
    }
    if (!getenv("SIMULATE_VERBOSE"))
        return;
    print_message("%-18s peak %5.0f MiB: %d of %d killed, highest/peak median %.2f most %.2f, %.1f raises, "
                  "%.1f brakes, "
                  "%.0f ms held each\n",
                  curve->name, curve_peak(curve) / MIB, own.killed, SEEDS,
                  own.count ? quantile(&own, 0.5) : 0, own.count ? quantile(&own, 1) : 0,
                  (double)own.raises / SEEDS, (double)own.brakes / SEEDS, own.braked_ms / SEEDS);
}

static void run_all(const struct forecaster *forecaster, struct tally *tally)
{
    for (int c = 0; c < curve_count; c++)
        run_curve(&curves[c], forecaster, true, tally);
    print_message("miss %.2f, false alarms %.3f, spread %.1f, bias %.1f: %d killed, highest/peak median "
                  "%.2f, 0.9 quantile "
                  "%.2f, most %.2f, %.1f raises and %.0f ms in the brake each\n",
                  forecaster->miss, forecaster->alarm, forecaster->spread, forecaster->bias, tally->killed,
                  quantile(tally, 0.5), quantile(tally, 0.9), quantile(tally, 1),
                  tally->raises / (double)tally->count, tally->braked_ms / (double)tally->count);
}

static void assert_targets(struct tally *tally)
{
    assert_int_equal(tally->killed, 0);
    assert_true(quantile(tally, 0.5) <= 1.5);
    assert_true(quantile(tally, 1) <= 2.5);
}

static void loop__good_forecaster__all_survive_near_their_peak(void **state)
{
    (void)state;
    struct tally tally = {.count = 0};
    const struct forecaster good = {.miss = 0, .alarm = 0.005, .spread = 0.1, .bias = 1};
    run_all(&good, &tally);
    assert_targets(&tally);
    assert_true(quantile(&tally, 0.5) <= 1.4);
}

static void loop__bad_forecasters__brake_and_headroom_hold(void **state)
{
    (void)state;
    static const struct forecaster bad[] = {
        {.miss = 1, .alarm = 0, .spread = 0, .bias = 1},        /* says nothing at all */
        {.miss = 0.3, .alarm = 0.05, .spread = 0.5, .bias = 1}, /* noisy */
        {.miss = 0, .alarm = 0.01, .spread = 0.1, .bias = 3},   /* three times too high */
        {.miss = 0, .alarm = 0.01, .spread = 0.1, .bias = 0.5}, /* half of it */
        {.miss = 0, .alarm = 0.5, .spread = 0.3, .bias = 1.5},  /* cries wolf */
    };
    for (size_t i = 0; i < FS_COUNT(bad); i++) {
        struct tally tally = {.count = 0};
        run_all(&bad[i], &tally);
        assert_targets(&tally);
    }
}

/* What grows faster than the loop cannot be saved without the brake; the others are. */
static void loop__no_brake__what_the_loop_can_follow_survives(void **state)
{
    (void)state;
    static const char *const followed[] = {"xz",          "python",    "gawk",           "gcc",
                                           "linear leak", "slow leak", "steps 100 MiB/s"};
    const struct forecaster good = {.miss = 0, .alarm = 0.005, .spread = 0.1, .bias = 1};
    for (size_t i = 0; i < FS_COUNT(followed); i++) {
        struct tally tally = {.count = 0};
        for (int c = 0; c < curve_count; c++)
            if (strcmp(curves[c].name, followed[i]) == 0)
                run_curve(&curves[c], &good, false, &tally);
        assert_int_equal(tally.killed, 0);
        assert_int_equal(tally.count, SEEDS);
    }
}

static double spread_peak(const struct curve *curve, double share, uint64_t *random)
{
    return curve_peak(curve) * (1 + share * (2 * simulate_random(random) - 1));
}

/* The second execution starts with what the first one's record leads to; its peak is up to 5 % higher. */
static void next__peak_varies_5_percent__starts_with_enough(void **state)
{
    (void)state;
    const struct forecaster wolf = {.miss = 0, .alarm = 0.2, .spread = 0.3, .bias = 1.3};
    uint64_t random = 7;
    double worst = 0;
    for (int c = 0; c < curve_count; c++) {
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            struct msg_execution_record record = {.outcome = MSG_OUTCOME_FINISHED, .ended_us = 5000000};
            record.totals.memory_peak_bytes = (int64_t)curve_peak(&curves[c]);
            record.first_limits.memory_bytes = record.highest_limits.memory_bytes =
                (int64_t)curve_peak(&curves[c]);
            struct settle_input input = {.config = &settle_defaults, .policy = &policy_defaults, .now_us = 1};
            struct settle_storage storage;
            struct msg_allocation next;
            assert_true(settle_record(&input, NULL, &record, &storage, &next));
            struct policy_history history = {.runs = 1,
                                             .memory_p95 = curve_peak(&curves[c]) * 1.04,
                                             .memory_max = curve_peak(&curves[c]) * 1.04};
            double scale = spread_peak(&curves[c], 0.05, &random) / curve_peak(&curves[c]);
            struct simulation with = {.config = &policy_defaults,
                                      .curve = &curves[c],
                                      .scale = scale,
                                      .brake = true,
                                      .limit_bytes = (double)next.limits.memory_bytes,
                                      .forecaster = wolf,
                                      .history = &history,
                                      .seed = seed};
            struct simulated result = simulate(&with);
            assert_false(result.killed);
            assert_int_equal(result.brakes, 0);
            if (result.raises != 0)
                print_message("%s: %d raises at scale %.3f\n", curves[c].name, result.raises, scale);
            assert_int_equal(result.raises, 0);
            worst = fmax(worst, result.highest_bytes / result.peak_bytes);
        }
    }
    print_message("next execution: limit / peak at most %.2f\n", worst);
    assert_true(worst <= 1.7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loop__good_forecaster__all_survive_near_their_peak),
        cmocka_unit_test(loop__bad_forecasters__brake_and_headroom_hold),
        cmocka_unit_test(loop__no_brake__what_the_loop_can_follow_survives),
        cmocka_unit_test(next__peak_varies_5_percent__starts_with_enough),
    };
    return cmocka_run_group_tests(tests, load_curves, NULL);
}
