/* What a risk says: probabilities, causes, demand; the fallback; absurd samples. */
#include "tests/predict/fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "predict/fallback.h"
#include "predict/forecast.h"

static void forecast__ratios__rising_and_never_below_now(void **state)
{
    (void)state;
    struct network *network = make_ramp_network();
    struct usage usage = {.now = {100.0 * (double)MIB, 500, 0, 1e6}};
    const float logits[NETWORK_CAUSES] = {2, -9, -9, -9, -9};
    const struct network_output answer = {
        .demand = {{-3, 0.6931472f, 1}, {0.1f, 0.2f, NAN}, {1, 2, 3}, {-1, -1, -1}}};
    struct forecast forecast;
    forecast_from(network, logits, &answer, &usage, &forecast);
    assert_true(forecast.above);
    assert_int_equal(forecast.cause, MSG_CAUSE_MEMORY);
    assert_true(fabsf(forecast.probability - 0.881f) < 0.002f);
    assert_true(forecast.demand[0].p50 == usage.now[0]);
    assert_true(fabs(forecast.demand[0].p90 - 2 * usage.now[0]) < 0.02 * usage.now[0]);
    for (size_t r = 0; r < NETWORK_RESOURCES; r++) {
        const struct msg_demand_quantiles *demand = &forecast.demand[r];
        assert_true(demand->p50 >= usage.now[r] && demand->p90 >= demand->p50 && demand->p99 >= demand->p90);
        assert_true(isfinite(demand->p99));
    }
    assert_true(forecast.demand[2].p50 > 0); /* a program at rest may begin */
    network_destroy(network);
}

static void forecast__horizons__sooner_never_above_later(void **state)
{
    (void)state;
    struct network *network = make_ramp_network();
    struct usage usage = {.now = {100.0 * (double)MIB}};
    const float logits[NETWORK_CAUSES] = {0, 0, 0, 0, 0}; /* 0.5 each */
    const struct network_output answer = {
        .horizon_probabilities = {{0.7f, 0.7f, 0.1f, 0.4f, 0.1f}, {0.3f, 0.6f, 0.2f, 0.3f, 0.9f}}};
    const float soon[] = {0.5f, 0.5f, 0.1f, 0.3f, 0.1f}, later[] = {0.5f, 0.5f, 0.2f, 0.3f, 0.9f};
    struct forecast forecast;
    forecast_from(network, logits, &answer, &usage, &forecast);
    assert_memory_equal(forecast.horizons[0], soon, sizeof soon);
    assert_memory_equal(forecast.horizons[1], later, sizeof later);
    network->has_horizons = false;
    forecast_from(network, logits, &answer, &usage, &forecast);
    for (size_t i = 0; i < NETWORK_CAUSES; i++)
        assert_true(forecast.horizons[0][i] == 0 && forecast.horizons[1][i] == 0);
    network_destroy(network);
}

static void forecast__thresholds__each_cause_by_its_own(void **state)
{
    (void)state;
    struct forecast forecast = {.probabilities = {0.5f, 0.3f, 0.1f, 0, 0},
                                .levels = {0.5f, 0.3f, 0.1f, 0, 0},
                                .thresholds = {0.6f, 0.35f, 0.5f, 0.5f, 0.5f}};
    forecast_conclude(&forecast);
    assert_false(forecast.above); /* though any of them is more probable than each threshold */
    assert_true(forecast.probability > 0.6f);
    assert_int_equal(forecast.cause, MSG_CAUSE_MEMORY);
    forecast.thresholds[1] = 0.25f;
    forecast_conclude(&forecast);
    assert_true(forecast.above);
    assert_int_equal(forecast.cause, MSG_CAUSE_CPU); /* what is told is what alarms */
    forecast.thresholds[0] = 0.5f;
    forecast_conclude(&forecast);
    assert_int_equal(forecast.cause, MSG_CAUSE_MEMORY);
}

/* The probabilities of memory at these log odds, one tick after the other. */
static struct forecast follow(struct forecast_levels *levels, const struct msg_limits *limits, float log_odds)
{
    struct forecast forecast = {.log_odds = {log_odds, -9, -9, -9, -9},
                                .probabilities = {forecast_logistic(log_odds)},
                                .thresholds = {0.5f, 0.5f, 0.5f, 0.5f, 0.5f}};
    forecast_follow(&forecast, levels, levels->time_us + TICK_US, limits, true);
    return forecast;
}

static void forecast__levels__alarm_when_it_stays(void **state)
{
    (void)state;
    struct forecast_levels levels = {0};
    const struct msg_limits limits = {.memory_bytes = 100 * MIB};
    assert_false(follow(&levels, &limits, -1).above);
    for (int i = 0; i < 100; i++) { /* one tick in four says yes */
        struct forecast forecast = follow(&levels, &limits, i % 4 ? -1 : 1);
        assert_false(forecast.above);
        assert_true((forecast.probability > 0.5f) == (i % 4 == 0)); /* told as it is */
    }
    int ticks = 1;
    while (!follow(&levels, &limits, 2).above)
        assert_true(ticks++ < 5);
    assert_true(follow(&levels, &limits, -0.5f).above); /* nor does one tick end it */
}

static void forecast__levels__begin_anew_under_other_limits(void **state)
{
    (void)state;
    struct forecast_levels levels = {0};
    const struct msg_limits limits = {.memory_bytes = 100 * MIB}, raised = {.memory_bytes = 200 * MIB};
    assert_true(follow(&levels, &limits, 6).above); /* the first: nothing came before */
    assert_true(follow(&levels, &limits, -1).above);
    struct forecast forecast = follow(&levels, &raised, -1);
    assert_false(forecast.above);
    assert_true(fabsf(forecast.levels[0] - forecast.probabilities[0]) < 1e-6f);
}

/* It has outgrown all that was known: what that made of the samples before tells nothing. */
static void forecast__levels__begin_anew_when_what_was_known_is_refuted(void **state)
{
    (void)state;
    struct forecast_levels levels = {0};
    const struct msg_limits limits = {.memory_bytes = 100 * MIB};
    for (int i = 0; i < 20; i++)
        assert_false(follow(&levels, &limits, -6).above);
    struct forecast_levels known = levels;
    assert_false(follow(&known, &limits, 1).above);
    struct forecast forecast = {.log_odds = {1}, .probabilities = {0.73f}, .thresholds = {0.5f, 1, 1, 1, 1}};
    forecast_follow(&forecast, &levels, levels.time_us + TICK_US, &limits, false);
    assert_true(forecast.above && forecast.levels[0] > 0.72f);
}

static void forecast__levels__begin_anew_after_a_gap_or_when_time_goes_back(void **state)
{
    (void)state;
    static const int64_t passed_us[] = {60000000, -1, -500, -TICK_US, INT64_MIN};
    const struct msg_limits limits = {.memory_bytes = 100 * MIB};
    for (size_t i = 0; i < FS_COUNT(passed_us); i++) {
        struct forecast_levels levels = {0};
        assert_true(follow(&levels, &limits, 6).above);
        levels.time_us = i == 4 ? INT64_MAX : levels.time_us - TICK_US - passed_us[i] + TICK_US;
        struct forecast forecast = {
            .log_odds = {-1}, .probabilities = {0.27f}, .thresholds = {0.5f, 1, 1, 1, 1}};
        forecast_follow(&forecast, &levels, i == 4 ? INT64_MIN : TICK_US, &limits, true);
        assert_false(forecast.above);
    }
}

static bool is_stalled(struct msg_limits limits, int64_t timeout_ms)
{
    struct msg_risk risk = {.limits = limits,
                            .timeout_ms = timeout_ms,
                            .throttled_permille = 300,
                            .io_stall_permille = 300,
                            .net_bps = 850};
    struct publish_view view;
    forecast_view(&risk, &view);
    return view.stalled;
}

static void forecast__stalled__only_by_a_limit_and_with_a_deadline(void **state)
{
    (void)state;
    assert_true(is_stalled((struct msg_limits){.cpu_millicores = 100}, 1000));
    assert_true(is_stalled((struct msg_limits){.io_read_bps = 100}, 1000));
    assert_true(is_stalled((struct msg_limits){.net_egress_bps = 1000}, 1000));
    assert_false(is_stalled((struct msg_limits){.net_egress_bps = 2000}, 1000));
    assert_false(is_stalled((struct msg_limits){.cpu_millicores = 100, .io_write_bps = 100}, 0));
    assert_false(is_stalled((struct msg_limits){0}, 1000));
}

static void forecast__stalled_for_memory__told_without_a_deadline(void **state)
{
    (void)state;
    struct msg_risk risk = {.limits = {.memory_bytes = 100}, .memory_stall_permille = 150};
    struct publish_view view;
    forecast_view(&risk, &view);
    assert_true(view.stalled);
    risk.memory_stall_permille = 149;
    forecast_view(&risk, &view);
    assert_false(view.stalled);
    risk = (struct msg_risk){.memory_stall_permille = 900};
    forecast_view(&risk, &view);
    assert_false(view.stalled); /* no limit of ours */
}

static void forecast__absurd_samples__finite_and_bounded(void **state)
{
    (void)state;
    struct codes *codes = codes_create(16);
    struct told *told = calloc(1, sizeof *told);
    struct engine *engine = make_engine(codes, told, 64);
    assert_int_equal(engine_set_champion(engine, make_random_network(3, 16, 2), 0), 0);
    const int64_t absurd[] = {INT64_MIN, -1, 0, 1, INT64_MAX};
    unsigned seed = 5;
    for (int64_t i = 0; i < 300; i++) {
        struct run run = make_run(1, "c", absurd[rand_r(&seed) % 5]);
        int64_t *counters = (int64_t *)&run.counters;
        for (size_t c = 0; c < offsetof(struct msg_counters, tasks) / sizeof *counters; c++)
            counters[c] = absurd[rand_r(&seed) % 5];
        run.started_us = absurd[rand_r(&seed) % 5];
        run.timeout_ms = absurd[rand_r(&seed) % 5];
        run.limits.cpu_millicores = rand_r(&seed) % 2 ? INT32_MIN : INT32_MAX;
        run.counters.tasks = INT32_MIN;
        feed_tick(engine, i, &run, 1, false);
    }
    assert_true(told->count > 100);
    for (size_t i = 0; i < told->count; i++) {
        const struct msg_risk *risk = &told->risks[i];
        assert_true(risk->probability >= 0 && risk->probability <= 1);
        assert_true(isfinite(risk->memory.p99) && isfinite(risk->cpu.p99) && isfinite(risk->io.p99) &&
                    isfinite(risk->net.p99));
        assert_true(risk->memory_bytes >= 0 && risk->cpu_millicores >= 0 && risk->io_bps >= 0 &&
                    risk->net_bps >= 0);
        assert_in_range(risk->throttled_permille, 0, 1000);
        assert_in_range(risk->io_stall_permille, 0, 1000);
    }
    engine_destroy(engine);
    codes_destroy(codes);
    free(told);
}

/* --- fallback --- */

static const struct profile_summary known = {
    .runs = 20, .finished = 20, .memory_p50 = 100, .memory_p95 = 200, .memory_max = 300};

static void fallback_exceeds__history__survival_between_its_quantiles(void **state)
{
    (void)state;
    assert_true(fallback_exceeds(NULL, 10, 100) == 0);
    assert_true(fabs(fallback_exceeds(&known, 0, 100) - 0.5) < 1e-9);
    assert_true(fabs(fallback_exceeds(&known, 0, 200) - 0.05) < 1e-9);
    assert_true(fallback_exceeds(&known, 0, 300) == 0);
    assert_true(fabs(fallback_exceeds(&known, 100, 200) - 0.1) < 1e-9); /* of those that came that far */
    assert_true(fallback_exceeds(&known, 400, 500) == 0);               /* beyond all history */
    assert_true(fallback_exceeds(&known, 10, 0) == 0);                  /* no limit */
}

struct fallen {
    struct forecast forecast;
    struct msg_contribution terms[FALLBACK_TERMS];
};

/* A run that rests for 10 s and then grows by so much each tick for 3 s. */
static struct fallen fall_back(int64_t from, int64_t step, int64_t limit,
                               const struct profile_summary *profile)
{
    struct run run = make_run(1, "c", limit);
    struct feature_state features = {0};
    struct fallen fallen;
    float values[FEATURE_COUNT];
    struct usage usage;
    for (int64_t i = 0; i < 130; i++) {
        run.counters.memory_bytes = run.counters.memory_peak_bytes = from + FS_MAX(i - 100, 0) * step;
        struct feature_input input = {.time_us = START_US + (i + 1) * TICK_US,
                                      .started_us = START_US,
                                      .attempt = 1,
                                      .limits = &run.limits,
                                      .counters = &run.counters,
                                      .profile = profile};
        features_step(&features, &input, values);
    }
    usage_read(&features, &run.counters, &usage);
    fallback_forecast(&features, values, &run.limits, &usage, profile, &fallen.forecast, fallen.terms);
    return fallen;
}

static void fallback__memory__alarms_when_the_limit_is_a_horizon_away(void **state)
{
    (void)state;
    struct fallen fallen = fall_back(200 * MIB, MIB, 1024 * MIB, NULL); /* 80 s away */
    assert_false(fallen.forecast.above);
    fallen = fall_back(200 * MIB, MIB, 270 * MIB, NULL); /* 4 s away */
    assert_true(fallen.forecast.above);
    assert_int_equal(fallen.forecast.cause, MSG_CAUSE_MEMORY);
    assert_true(fallen.forecast.demand[0].p50 > 300.0 * (double)MIB);
    assert_true(fallen.forecast.demand[0].p99 > fallen.forecast.demand[0].p50);
    assert_true(fallen.terms[0].weight > 0);
    fallen = fall_back(200 * MIB, 0, 210 * MIB, NULL); /* at rest, just below */
    assert_false(fallen.forecast.above);
    fallen = fall_back(200 * MIB, MIB, 0, NULL); /* no limit */
    assert_false(fallen.forecast.above);
}

static void fallback__history__alarms_without_growth_and_bounds_the_demand(void **state)
{
    (void)state;
    const struct profile_summary larger = {.runs = 9,
                                           .finished = 9,
                                           .memory_p50 = 400.0 * (double)MIB,
                                           .memory_p95 = 450.0 * (double)MIB,
                                           .memory_max = 460.0 * (double)MIB};
    struct fallen fallen = fall_back(200 * MIB, 0, 220 * MIB, &larger);
    assert_true(fallen.forecast.above);
    assert_true(fallen.terms[2].weight > 0);
    assert_true(fallen.forecast.demand[0].p99 >= larger.memory_p95); /* the peak is still to come */
    fallen = fall_back(200 * MIB, MIB, 4096 * MIB, &larger);
    assert_true(fallen.forecast.demand[0].p99 <= larger.memory_max);
    fallen = fall_back(200 * MIB, 10 * MIB, 4096 * MIB, &larger); /* beyond all history */
    assert_true(fallen.forecast.demand[0].p99 > 2 * larger.memory_max);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forecast__ratios__rising_and_never_below_now),
        cmocka_unit_test(forecast__horizons__sooner_never_above_later),
        cmocka_unit_test(forecast__thresholds__each_cause_by_its_own),
        cmocka_unit_test(forecast__levels__alarm_when_it_stays),
        cmocka_unit_test(forecast__levels__begin_anew_under_other_limits),
        cmocka_unit_test(forecast__levels__begin_anew_when_what_was_known_is_refuted),
        cmocka_unit_test(forecast__levels__begin_anew_after_a_gap_or_when_time_goes_back),
        cmocka_unit_test(forecast__stalled__only_by_a_limit_and_with_a_deadline),
        cmocka_unit_test(forecast__stalled_for_memory__told_without_a_deadline),
        cmocka_unit_test(forecast__absurd_samples__finite_and_bounded),
        cmocka_unit_test(fallback_exceeds__history__survival_between_its_quantiles),
        cmocka_unit_test(fallback__memory__alarms_when_the_limit_is_a_horizon_away),
        cmocka_unit_test(fallback__history__alarms_without_growth_and_bounds_the_demand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
