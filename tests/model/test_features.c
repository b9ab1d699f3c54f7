/* Features: known answers for made-up samples, and bounds that hold for any bytes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "model/features.h"
#include "model/profile.h"

#define MIB INT64_C(1048576)
#define START INT64_C(1700000000000000)

struct world {
    struct feature_state state;
    struct msg_limits limits;
    struct msg_counters counters;
    struct feature_input input;
    float out[FEATURE_COUNT];
};

static void world_init(struct world *world)
{
    *world = (struct world){0};
    world->limits.memory_bytes = 100 * MIB;
    world->input = (struct feature_input){.started_us = START, .attempt = 1};
}

static float step(struct world *world, int64_t after_ms, enum feature_index index)
{
    world->input.limits = &world->limits;
    world->input.counters = &world->counters;
    world->input.time_us = START + after_ms * 1000;
    features_step(&world->state, &world->input, world->out);
    return world->out[index];
}

static void near(double actual, double expected, double tolerance)
{
    if (!(fabs(actual - expected) <= tolerance))
        fail_msg("got %.9g, expected %.9g +- %.3g", actual, expected, tolerance);
}

static void step__first_sample__has_rates_since_the_start(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    world.counters.memory_bytes = 20 * MIB; /* 200 MiB/s: 0.4 s left */
    world.counters.cpu_usage_us = 100000;
    float exhaustion = step(&world, 100, FEATURE_MEMORY_EXHAUSTION_FAST);
    near((double)exhaustion, 1 - log1p(0.4) / log1p(1000), 1e-4);
    near((double)world.out[FEATURE_MEMORY_RATE_FAST], log1p(20), 1e-4);
    near((double)world.out[FEATURE_MEMORY_RATE_SLOW], log1p(20), 1e-3);
    near((double)world.out[FEATURE_MEMORY_TO_LIMIT], 0.2, 1e-6);
    near((double)world.out[FEATURE_CPU_CORES_LOG], log1p(1), 1e-4);
}

static void step__steady_ramp__three_horizons_agree(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    for (int64_t ms = 100; ms <= 5000; ms += 100) {
        world.counters.memory_bytes = ms * MIB / 100; /* 10 MiB/s */
        step(&world, ms, FEATURE_MEMORY_LOG);
    }
    near(features_rate(&world.state, FEATURE_RATE_MEMORY_FAST) / (double)MIB, 10, 0.01);
    near(features_rate(&world.state, FEATURE_RATE_MEMORY_SLOW) / (double)MIB, 10, 0.01);
    near((double)world.out[FEATURE_MEMORY_ACCELERATION], 0, 1e-3);
    near((double)world.out[FEATURE_MEMORY_EXHAUSTION_SECOND], 1 - log1p(5) / log1p(1000), 1e-3);
    near((double)world.out[FEATURE_MEMORY_GROWING], 1, 1e-4);
}

static void step__lost_ticks__cost_only_resolution(void **unused)
{
    (void)unused;
    struct world every, lost;
    world_init(&every);
    world_init(&lost);
    for (int64_t ms = 100; ms <= 3000; ms += 100) {
        every.counters.memory_bytes = lost.counters.memory_bytes = ms * MIB / 50;
        every.counters.cpu_usage_us = lost.counters.cpu_usage_us = ms * 1500;
        step(&every, ms, FEATURE_MEMORY_LOG);
        if (ms % 1000 == 0)
            step(&lost, ms, FEATURE_MEMORY_LOG);
    }
    for (size_t i = 0; i < FEATURE_COUNT; i++)
        near((double)every.out[i], (double)lost.out[i], 1e-3);
}

static void step__counter_that_fell__begins_anew(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    world.counters.cpu_usage_us = 1000000;
    step(&world, 1000, FEATURE_MEMORY_LOG);
    world.counters.cpu_usage_us = 50000;
    step(&world, 1100, FEATURE_MEMORY_LOG);
    double cores = features_rate(&world.state, FEATURE_RATE_CPU) * 1e-6;
    assert_true(cores > 0.4 && cores < 1.1);
}

static void step__repeated_sample__changes_no_rate(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    world.counters.memory_bytes = 10 * MIB;
    step(&world, 1000, FEATURE_MEMORY_LOG);
    struct feature_state before = world.state;
    world.counters.memory_bytes = 90 * MIB;
    step(&world, 1000, FEATURE_MEMORY_LOG);
    assert_memory_equal(&before, &world.state, sizeof before);
    near((double)world.out[FEATURE_MEMORY_TO_LIMIT], 0.9, 1e-6);
}

/* Processes that are asked: how much is the test's to say. */
static void world_ask(struct world *world, struct msg_custom_metric *data)
{
    *data = (struct msg_custom_metric){.name = str_of("data_bytes")};
    world->counters.custom.items = data;
    world->counters.custom.count = 1;
}

/* An hour back in the middle of 10 MiB/s, of which twice as much is asked for, and one core. */
static void step__clock_set_back__rates_go_on(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    struct msg_custom_metric metric;
    world_ask(&world, &metric);
    for (int64_t ms = 100; ms <= 6000; ms += 100) {
        world.counters.memory_bytes = ms * MIB / 100;
        world.counters.cpu_usage_us = ms * 1000;
        metric.value = (double)FS_MIN(ms, 2000) * MIB / 50;
        step(&world, ms <= 3000 ? ms : ms - 3600000, FEATURE_MEMORY_LOG);
        near(features_rate(&world.state, FEATURE_RATE_MEMORY_FAST) / (double)MIB, 10, 0.01);
        near(features_rate(&world.state, FEATURE_RATE_CPU) * 1e-6, 1, 0.001);
    }
    near((double)world.out[FEATURE_DATA_STEADY], log1p(3.9) / 7,
         1e-4);                                    /* the tick of the change has no length */
    for (int64_t ms = 6100; ms <= 9000; ms += 100) /* it holds still: rates of before would stay */
        step(&world, ms - 3600000, FEATURE_MEMORY_LOG);
    near(features_rate(&world.state, FEATURE_RATE_MEMORY_FAST), 0, 0.01 * (double)MIB);
    near(features_rate(&world.state, FEATURE_RATE_CPU) * 1e-6, 0, 0.06);
}

static void step__sample_of_before__is_measured_from(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    world.counters.memory_bytes = 10 * MIB;
    step(&world, 1000, FEATURE_MEMORY_LOG);
    struct feature_state before = world.state;
    world.counters.memory_bytes = 90 * MIB;
    near((double)step(&world, 900, FEATURE_MEMORY_TO_LIMIT), 0.9, 1e-6);
    assert_memory_equal(before.rates, world.state.rates, sizeof before.rates);
    assert_memory_equal(before.weights, world.state.weights, sizeof before.weights);
    world.counters.memory_bytes = 94 * MIB; /* 40 MiB/s, after 10 */
    step(&world, 1000, FEATURE_MEMORY_LOG);
    near(features_rate(&world.state, FEATURE_RATE_MEMORY_FAST) / (double)MIB, 18.8, 0.5);
}

static void step__limit_change__moves_the_ratios_at_once(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    world.counters.memory_bytes = 90 * MIB;
    near((double)step(&world, 1000, FEATURE_MEMORY_TO_LIMIT), 0.9, 1e-6);
    world.limits.memory_bytes = 180 * MIB;
    near((double)step(&world, 1100, FEATURE_MEMORY_TO_LIMIT), 0.5, 1e-6);
    world.limits.memory_bytes = 0;
    near((double)step(&world, 1200, FEATURE_MEMORY_TO_LIMIT), 0, 0);
    near((double)world.out[FEATURE_MEMORY_EXHAUSTION_FAST], 0, 0);
}

static void step__throttled_half_of_the_periods__share_is_half(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    world.limits.cpu_millicores = 500;
    for (int64_t ms = 100; ms <= 2000; ms += 100) {
        world.counters.cpu_periods = ms / 100;
        world.counters.cpu_throttled_periods = ms / 200;
        world.counters.cpu_usage_us = ms * 500;
        step(&world, ms, FEATURE_MEMORY_LOG);
    }
    near((double)world.out[FEATURE_THROTTLED_SHARE], 0.5, 0.06);
    near((double)world.out[FEATURE_CPU_TO_LIMIT], 1, 1e-3);
}

static void step__progress_gauge__tells_a_late_finish(void **unused)
{
    (void)unused;
    struct world world;
    struct msg_custom_metric metric = {.name = str_of("progress")};
    world_init(&world);
    world.input.timeout_ms = 10000;
    world.counters.custom.items = &metric;
    world.counters.custom.count = 1;
    for (int64_t ms = 100; ms <= 5000; ms += 100) {
        metric.value = (double)ms / 20000; /* finishes after 20 s, the deadline is 10 s */
        step(&world, ms, FEATURE_MEMORY_LOG);
    }
    near((double)world.out[FEATURE_PROGRESS_FINISH], log(2) / 4, 1e-3);
    near((double)world.out[FEATURE_ELAPSED_TO_TIMEOUT], 0.5, 1e-6);
}

static void step__profile_below_the_limit__shows_it(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    struct profile_summary profile = {.runs = 5,
                                      .memory_p50 = 50e6,
                                      .memory_p95 = 60e6,
                                      .memory_max = 60e6,
                                      .duration_p50_s = 10,
                                      .cpu_time_p50_s = 10};
    world.input.profile = &profile;
    world.input.timeout_ms = 15000;
    world.counters.memory_bytes = 25000000;
    for (int64_t ms = 100; ms <= 5000; ms += 100) {
        world.counters.cpu_usage_us = ms * 500; /* half a core: 7.5 s to go allow 5 */
        step(&world, ms, FEATURE_MEMORY_LOG);
    }
    near((double)world.out[FEATURE_PROFILE_MAX_TO_LIMIT], log(60e6 / (100.0 * (double)MIB)) / 4, 1e-4);
    near((double)world.out[FEATURE_MEMORY_TO_PROFILE_P50], log(0.5) / 4, 1e-4);
    near((double)world.out[FEATURE_PROFILE_ELAPSED], 0.5, 1e-4);
    near((double)world.out[FEATURE_PROFILE_CPU_NEED], log(7.5 / (0.5 * 10)) / 4, 1e-3);
    assert_true(world.out[FEATURE_PROFILE_LIKENESS] == 0);
    profile.likeness = PROFILE_LIKE_COMMAND;
    assert_true(step(&world, 5100, FEATURE_PROFILE_LIKENESS) == 0.5);
}

static double exhaustion_of(double seconds)
{
    return 1 - log1p(seconds) / log1p(1000);
}

/* Of runs that reached 200 MiB steadily within 20 s at half a core; the limit is 100 MiB. */
static struct profile_summary steady_rise(void)
{
    struct profile_summary profile = {.runs = 3, .memory_p50 = 200.0 * (double)MIB};
    static const float shares[RISE_LEVELS] = {0.2f, 0.4f, 0.55f, 0.7f, 0.8f, 0.9f, 0.96f, 1};
    profile.memory_p95 = profile.memory_max = profile.memory_p50;
    for (size_t i = 0; i < RISE_LEVELS; i++) {
        profile.rise.s[i] = 20 * shares[i];
        profile.rise.cpu_s[i] = 10 * shares[i];
    }
    return profile;
}

static void step__rise_of_runs_like_it__tells_when_by_three_clocks(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    struct profile_summary profile = steady_rise();
    world.input.profile = &profile;
    for (int64_t ms = 100; ms <= 4000; ms += 100) {
        world.counters.cpu_usage_us = ms * 250; /* a quarter of a core */
        world.counters.memory_bytes = world.counters.memory_peak_bytes = ms * MIB * 2 / 1000; /* 2 MiB/s */
        step(&world, ms, FEATURE_PROFILE_RISE);
    }
    assert_true(world.out[FEATURE_PROFILE_RISE] == 1);
    near((double)world.out[FEATURE_PROFILE_CROSSING], exhaustion_of(10 - 4), 1e-4);
    near((double)world.out[FEATURE_PROFILE_CROSSING_CPU], exhaustion_of((5 - 1) / 0.25), 1e-3);
    near((double)world.out[FEATURE_PROFILE_CROSSING_LEVEL], exhaustion_of(10 - 0.8), 1e-4);
    near((double)world.out[FEATURE_PROFILE_AHEAD], log(1.4) / 4, 1e-4);
    near((double)world.out[FEATURE_MEMORY_TO_PROFILE_NOW], log(8.0 / 40) / 4, 1e-4);
    assert_true(step(&world, 30000, FEATURE_PROFILE_CROSSING) == 1); /* overdue */
    world.limits.memory_bytes = 300 * MIB;
    assert_true(step(&world, 30100, FEATURE_PROFILE_CROSSING) == 0); /* never */
    near((double)world.out[FEATURE_PROFILE_AHEAD], log(2.0 / 3) / 4, 1e-4);
}

static void step__rise_not_known_or_refuted__all_its_features_are_zero(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    struct profile_summary profile = steady_rise();
    world.input.profile = &profile;
    world.counters.memory_bytes = world.counters.memory_peak_bytes = 230 * MIB;
    for (int round = 0; round < 2; round++) {
        step(&world, 100 * (INT64_C(1) + round), FEATURE_PROFILE_RISE);
        for (int i = FEATURE_PROFILE_RISE; i <= FEATURE_MEMORY_TO_PROFILE_NOW; i++)
            assert_true(world.out[i] == 0);
        world.counters.memory_bytes = world.counters.memory_peak_bytes = 30 * MIB;
        profile.rise = (struct rise){0};
    }
    assert_true(world.out[FEATURE_HAS_PROFILE] == 1);
}

static void step__far_above_all_known_peaks__as_if_nothing_were_known(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    struct profile_summary profile = {.runs = 5, .memory_p50 = 50e6, .memory_p95 = 60e6, .memory_max = 60e6};
    world.input.profile = &profile;
    world.counters.memory_bytes = 65000000;
    assert_true(step(&world, 100, FEATURE_HAS_PROFILE) == 1);
    world.counters.memory_bytes = world.counters.memory_peak_bytes = 67000000;
    assert_true(step(&world, 200, FEATURE_HAS_PROFILE) == 0);
    assert_true(world.out[FEATURE_MEMORY_TO_PROFILE_MAX] == 0);
    world.counters.memory_bytes = 20000000; /* it stays refuted */
    assert_true(step(&world, 300, FEATURE_HAS_PROFILE) == 0);
}

/* It holds five bytes for each that it reads, 10 MiB of 40 in the first second: 200 in the end. */
static void step__input_half_read__memory_is_projected_to_its_end(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    struct msg_custom_metric metric = {.name = str_of("input_read_bytes")};
    world.counters.custom.items = &metric;
    world.counters.custom.count = 1;
    world.input.input_bytes = 40 * MIB;
    world.input.timeout_ms = 8000;
    for (int64_t ms = 100; ms <= 2000; ms += 100) {
        metric.value = (double)ms * 10 * MIB / 1000;
        world.counters.memory_bytes = world.counters.memory_peak_bytes = ms * 50 * MIB / 1000;
        step(&world, ms, FEATURE_READING);
    }
    assert_true(world.out[FEATURE_HAS_READING] == 1 && world.out[FEATURE_HAS_PROGRESS] == 0);
    near((double)world.out[FEATURE_READING], 0.5, 1e-6);
    near((double)world.out[FEATURE_READING_LEFT], exhaustion_of(2), 1e-3);
    near((double)world.out[FEATURE_READING_FINISH], log(4.0 / 8) / 4, 1e-3);
    near((double)world.out[FEATURE_READING_PROJECTED], log(2) / 4, 1e-4);
    near((double)world.out[FEATURE_READING_PROJECTED_SLOW], log(2) / 4, 1e-3);
    metric.value =
        (double)(50 * MIB); /* it reads a part twice: all is read, what it holds is what it holds */
    step(&world, 2100, FEATURE_READING);
    assert_true(world.out[FEATURE_READING] == 1 && world.out[FEATURE_READING_LEFT] == 1);
    near((double)world.out[FEATURE_READING_PROJECTED], 0, 1e-6);
    near((double)world.out[FEATURE_READING_PROJECTED_SLOW], 0, 1e-6);
}

static void step__input_not_known_or_small__all_of_reading_is_zero(void **unused)
{
    (void)unused;
    struct msg_custom_metric metric = {.name = str_of("input_read_bytes"), .value = 5e4};
    static const int64_t sizes[] = {0, 60000, 100000};
    for (size_t round = 0; round < FS_COUNT(sizes); round++) {
        struct world world;
        world_init(&world);
        world.counters.memory_bytes = 20 * MIB;
        world.counters.custom.items = &metric;
        world.counters.custom.count = round < 2; /* the last one is large, but nobody counts */
        world.input.input_bytes = sizes[round];
        step(&world, 100, FEATURE_HAS_READING);
        for (int i = FEATURE_HAS_READING; i <= FEATURE_READING_PROJECTED_SLOW; i++)
            assert_true(world.out[i] == 0);
    }
}

/* 10 MiB more asked for in each second, of which half is used, until half of the limit; then no more. */
static void step__memory_asked_for__is_seen_before_it_is_used(void **unused)
{
    (void)unused;
    struct world world;
    world_init(&world);
    struct msg_custom_metric metric;
    world_ask(&world, &metric);
    for (int64_t ms = 100; ms <= 5000; ms += 100) {
        metric.value = (double)ms * 10 * MIB / 1000;
        world.counters.memory_bytes = ms * 5 * MIB / 1000;
        step(&world, ms, FEATURE_HAS_DATA);
    }
    assert_true(world.out[FEATURE_HAS_DATA] == 1 && world.out[FEATURE_DATA_STEADY] == 0);
    near((double)world.out[FEATURE_DATA_TO_LIMIT], log(0.5) / 4, 1e-4);
    near((double)world.out[FEATURE_DATA_TO_MEMORY], log(2) / 4, 1e-4);
    near((double)world.out[FEATURE_DATA_EXHAUSTION], exhaustion_of(5), 1e-3);
    for (int64_t ms = 5100; ms <= 8000; ms += 100)
        step(&world, ms, FEATURE_HAS_DATA);
    near((double)world.out[FEATURE_DATA_STEADY], log1p(3) / 7, 1e-4);
    assert_true(world.out[FEATURE_DATA_EXHAUSTION] < exhaustion_of(6));
    world.counters.custom.count = 0; /* nobody could ask */
    step(&world, 8100, FEATURE_HAS_DATA);
    for (int i = FEATURE_HAS_DATA; i <= FEATURE_DATA_STEADY; i++)
        assert_true(world.out[i] == 0);
}

static uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void random_bytes(uint64_t *seed, void *out, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)out)[i] = (uint8_t)(random_next(seed) >> (random_next(seed) % 50));
}

static double random_double(uint64_t *seed)
{
    static const double odd[] = {(double)NAN, (double)INFINITY, -(double)INFINITY, 0, -1, 1e308, -1e308,
                                 1e-308};
    return odd[random_next(seed) % FS_COUNT(odd)];
}

static void step__any_bytes__stay_finite_and_bounded(void **unused)
{
    (void)unused;
    static const char *const names[] = {"progress", "input_read_bytes", "data_bytes"};
    uint64_t seed = 0x5eed0f0e57a11u;
    print_message("seed %llx\n", (unsigned long long)seed);
    for (int round = 0; round < 30000; round++) {
        struct world world = {0};
        struct profile_summary profile;
        struct msg_custom_metric metric = {.name = str_of(names[(size_t)round % FS_COUNT(names)]),
                                           .value = random_double(&seed)};
        double *numbers = &profile.memory_p50;
        for (int tick = 0; tick < 4; tick++) {
            random_bytes(&seed, &world.limits, sizeof world.limits);
            world.counters.brake_engaged = false;
            random_bytes(&seed, &world.counters, offsetof(struct msg_counters, brake_engaged));
            random_bytes(&seed, &world.counters.brake_us, sizeof world.counters.brake_us);
            profile.runs = (int64_t)random_next(&seed);
            profile.finished = 0;
            profile.likeness = random_double(&seed);
            for (size_t i = 0;
                 i < (sizeof profile - offsetof(struct profile_summary, memory_p50)) / sizeof(double); i++)
                numbers[i] = random_double(&seed);
            world.counters.custom.items = &metric;
            world.counters.custom.count = 1;
            world.input = (struct feature_input){.time_us = (int64_t)(random_next(&seed) >> (round % 64)),
                                                 .started_us = (int64_t)(random_next(&seed) >> (round % 64)),
                                                 .timeout_ms = (int64_t)random_next(&seed),
                                                 .attempt = (int32_t)random_next(&seed),
                                                 .input_bytes = (int64_t)random_next(&seed),
                                                 .limits = &world.limits,
                                                 .counters = &world.counters,
                                                 .profile = &profile};
            features_step(&world.state, &world.input, world.out);
            for (size_t i = 0; i < FEATURE_COUNT; i++)
                if (!isfinite(world.out[i]) || fabsf(world.out[i]) > 8)
                    fail_msg("round %d: %s = %g", round, feature_name((enum feature_index)i),
                             (double)world.out[i]);
        }
    }
}

static void name__every_feature__is_there_and_unique(void **unused)
{
    (void)unused;
    for (int i = 0; i < FEATURE_COUNT; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(feature_name((enum feature_index)i), feature_name((enum feature_index)k));
    assert_string_equal(feature_name(FEATURE_MEMORY_TO_LIMIT), "memory_to_limit");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(step__first_sample__has_rates_since_the_start),
        cmocka_unit_test(step__steady_ramp__three_horizons_agree),
        cmocka_unit_test(step__lost_ticks__cost_only_resolution),
        cmocka_unit_test(step__counter_that_fell__begins_anew),
        cmocka_unit_test(step__repeated_sample__changes_no_rate),
        cmocka_unit_test(step__clock_set_back__rates_go_on),
        cmocka_unit_test(step__sample_of_before__is_measured_from),
        cmocka_unit_test(step__limit_change__moves_the_ratios_at_once),
        cmocka_unit_test(step__throttled_half_of_the_periods__share_is_half),
        cmocka_unit_test(step__progress_gauge__tells_a_late_finish),
        cmocka_unit_test(step__profile_below_the_limit__shows_it),
        cmocka_unit_test(step__rise_of_runs_like_it__tells_when_by_three_clocks),
        cmocka_unit_test(step__rise_not_known_or_refuted__all_its_features_are_zero),
        cmocka_unit_test(step__far_above_all_known_peaks__as_if_nothing_were_known),
        cmocka_unit_test(step__input_half_read__memory_is_projected_to_its_end),
        cmocka_unit_test(step__input_not_known_or_small__all_of_reading_is_zero),
        cmocka_unit_test(step__memory_asked_for__is_seen_before_it_is_used),
        cmocka_unit_test(step__any_bytes__stay_finite_and_bounded),
        cmocka_unit_test(name__every_feature__is_there_and_unique),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
