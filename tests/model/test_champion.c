/* The shipped model on hand-made series whose answer everybody knows: a leak, a flat program, a sawtooth, a
 * step, page cache, a throttled program with a deadline. Series are ideal, so bounds are wide; scores on real
 * programs are in its card. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "model/alarm_level.h"
#include "model/demand.h"
#include "model/network_widen.h"
#include "model/profile.h"
#include "schemas/hints.h"

#define MIB 1048576.0
#define T0 1700000000000000
#define MEMORY (MSG_CAUSE_MEMORY - 1)
#define CPU (MSG_CAUSE_CPU - 1)

static struct network *network;
static struct network_scratch *scratch;
static bool counted; /* agents ask processes: a plain program asks for what it uses and a little more */

struct run {
    struct feature_state state;
    real *memory; /* of the network */
    struct msg_limits limits;
    struct msg_counters counters;
    struct feature_input input;
    struct network_output out;
    float levels[NETWORK_CAUSES]; /* what alarms, log odds */
    double now[DEMAND_RESOURCE_COUNT];
    size_t tick;
    bool known;  /* at its last tick */
    double read; /* of its input, bytes */
    struct msg_custom_metric gauges[2];
};

static void run_init(struct run *run, double limit_mib, int64_t timeout_ms)
{
    *run = (struct run){.memory = calloc(network_state_size(&network->shape), sizeof(real))};
    assert_non_null(run->memory);
    run->limits.memory_bytes = (int64_t)(limit_mib * MIB);
    run->counters.tasks = 1;
    run->input = (struct feature_input){.started_us = T0,
                                        .timeout_ms = timeout_ms,
                                        .attempt = 1,
                                        .limits = &run->limits,
                                        .counters = &run->counters};
}

/* The next tick; a busy program of one thread whose page faults follow its growth. */
static void step(struct run *run, double memory_mib, double cache_mib, double cores)
{
    float features[FEATURE_COUNT];
    int64_t before = run->counters.memory_bytes;
    run->tick++;
    run->input.time_us = T0 + (int64_t)run->tick * 100000;
    run->counters.memory_bytes = (int64_t)(memory_mib * MIB);
    run->counters.memory_usage_bytes = (int64_t)((memory_mib + cache_mib) * MIB);
    run->counters.memory_peak_bytes = FS_MAX(run->counters.memory_peak_bytes, run->counters.memory_bytes);
    run->counters.cpu_usage_us += (int64_t)(cores * 100000);
    run->counters.page_faults += FS_MAX(run->counters.memory_bytes - before, 0) / 4096 + 5;
    run->gauges[0] = (struct msg_custom_metric){str_of(GAUGE_DATA), (memory_mib + 1) * MIB};
    run->gauges[1] = (struct msg_custom_metric){str_of(GAUGE_INPUT_READ), run->read};
    run->counters.custom.items = run->gauges;
    run->counters.custom.count = !counted ? 0 : run->input.input_bytes > 0 ? 2 : 1;
    features_step(&run->state, &run->input, features);
    demand_now(&run->state, &run->counters, run->now);
    network_step(network, scratch, features, &run->memory, &run->out, 1);
    bool follows = run->tick > 1 && run->known == (features[FEATURE_HAS_PROFILE] > 0);
    float keeps = follows ? alarm_level_keeps(100) : 0;
    run->known = features[FEATURE_HAS_PROFILE] > 0;
    for (size_t i = 0; i < NETWORK_CAUSES; i++)
        run->levels[i] = alarm_level_next(run->levels[i], alarm_log_odds(run->out.probabilities[i]), keeps);
}

/* As a probability. */
static double level_of(const struct run *run, size_t cause)
{
    return 1 / (1 + exp(-(double)run->levels[cause]));
}

static double memory_quantile(const struct run *run, size_t quantile)
{
    return demand_peak(DEMAND_MEMORY, run->now[DEMAND_MEMORY],
                       (double)run->out.demand[DEMAND_MEMORY][quantile]) /
           MIB;
}

struct leak {
    double lead_s;  /* with which the threshold is crossed before the limit; 0 = never */
    double highest; /* probability */
    double second;  /* the highest by one second before the limit */
};

/* After two seconds at 20 MiB (its first sample alone is growth enough to alarm some) to the limit of 200
 * with so many MiB/s. profile: of its code, NULL = not known. */
static struct leak leak_of(double rate, const struct profile_summary *profile)
{
    struct run run;
    struct leak leak = {0};
    run_init(&run, 200, 0);
    run.input.profile = profile;
    for (int tick = 0; tick < 20; tick++)
        step(&run, 20, 3, 1);
    for (int tick = 1; 20 + rate * tick / 10 < 199; tick++) {
        double t = tick / 10.0;
        step(&run, 20 + rate * t, 3, 1);
        double probability = (double)run.out.probabilities[MEMORY];
        double left_s = (180 - rate * t) / rate;
        leak.highest = fmax(leak.highest, probability);
        leak.second = left_s >= 1 ? leak.highest : leak.second;
        if (leak.lead_s == 0 && level_of(&run, MEMORY) >= (double)network->thresholds[MEMORY])
            leak.lead_s = left_s;
    }
    free(run.memory);
    return leak;
}

static void leak__any_rate__alarm_seconds_before(void **unused)
{
    (void)unused;
    /* MiB/s, and seconds: what is faster is for the agent's advance; the loop takes 0.02 to 0.14 s. */
    static const double rates[] = {5, 10, 20, 40, 80}, leads_s[] = {1, 1, 1, 0.5, 0.15};
    bool told = true;
    for (size_t i = 0; i < FS_COUNT(rates); i++) {
        struct leak leak = leak_of(rates[i], NULL);
        print_message(
            "leak %.0f MiB/s: alarm %.1f s before the limit, highest probability %.2f, %.2f a second "
            "before\n",
            rates[i], leak.lead_s, leak.highest, leak.second);
        told = told && leak.lead_s >= leads_s[i] && leak.highest >= 0.7;
    }
    assert_true(told);
}

/* What the very same command always needed, and that it grew by so many MiB/s of one core; 0: how it grew is
 * not known. */
static struct profile_summary always(double memory_mib, double rate)
{
    static const double shares[RISE_LEVELS] = {0.2, 0.4, 0.55, 0.7, 0.8, 0.9, 0.96, 1};
    struct profile_summary profile = {.runs = 10,
                                      .finished = 10,
                                      .likeness = PROFILE_LIKE_INPUT,
                                      .memory_p50 = memory_mib * MIB,
                                      .memory_p95 = memory_mib * MIB,
                                      .memory_max = memory_mib * MIB,
                                      .cpu_peak_p95 = 1000,
                                      .cpu_time_p50_s = 10,
                                      .cpu_time_p95_s = 10,
                                      .duration_p50_s = 10,
                                      .duration_p95_s = 10};
    for (size_t i = 0; i < RISE_LEVELS && rate > 0; i++)
        profile.rise.s[i] = profile.rise.cpu_s[i] = (float)(shares[i] * memory_mib / rate);
    return profile;
}

/* Its input or its version changed: what was must not be believed against what is seen. */
static void leak__beyond_what_the_command_ever_needed__alarm_before_the_limit(void **unused)
{
    (void)unused;
    /* At 40 MiB/s it is known 1.7 s before the limit that it needs more than ever. */
    static const double rates[] = {5, 10, 20, 40}, leads_s[] = {0.5, 0.5, 0.5, 0.25}, risen[] = {0, 60};
    for (size_t i = 0; i < FS_COUNT(rates) * FS_COUNT(risen); i++) {
        double rate = rates[i / FS_COUNT(risen)];
        const struct profile_summary profile = always(120, risen[i % FS_COUNT(risen)]);
        struct leak leak = leak_of(rate, &profile);
        print_message(
            "leak %.0f MiB/s past the 120 MiB that it always needed: alarm %.1f s before the limit, "
            "highest probability %.2f\n",
            rate, leak.lead_s, leak.highest);
        assert_true(leak.lead_s >= leads_s[i / FS_COUNT(risen)]);
    }
}

/* 60 MiB/s up to what it needs: told as soon as it grows when the limit is below that, never when it is
 * above. */
static void ramp__of_a_command_that_ran_before__by_what_it_needs(void **unused)
{
    (void)unused;
    static const double needs[] = {140, 185, 240}, risen[] = {0, 60};
    for (size_t i = 0; i < FS_COUNT(needs) * FS_COUNT(risen); i++) {
        struct run run;
        double highest = 0, early = 0, need = needs[i / FS_COUNT(risen)];
        const struct profile_summary profile = always(need, risen[i % FS_COUNT(risen)]);
        run_init(&run, 200, 0);
        run.input.profile = &profile;
        for (int t = 1; 10 + 6 * t < 199 && t < 80; t++) {
            step(&run, fmin(need, 10 + 6 * t), 5, 1);
            highest = fmax(highest, level_of(&run, MEMORY));
            early = t == 10 ? highest : early;
        }
        print_message("known to need %.0f of 200 MiB%s: highest level %.3f, %.3f in its first second\n", need,
                      rise_known(&profile.rise) ? " and how it grows" : "", highest, early);
        assert_true((early >= (double)network->thresholds[MEMORY]) == (need > 200));
        assert_true(need > 150 || highest < (double)network->thresholds[MEMORY]);
        free(run.memory);
    }
}

/* Four MiB/s of 40 that are its input, and it holds so much of each byte; nobody knows the code. */
static void reader__of_an_unknown_code__told_before_the_limit(void **unused)
{
    (void)unused;
    static const double ends[] = {240, 300, 400};
    for (size_t i = 0; i < FS_COUNT(ends); i++) {
        struct run run;
        double lead_s = 0;
        run_init(&run, 200, 0);
        run.input.input_bytes = (int64_t)(40 * MIB);
        for (int t = 1; lead_s == 0 && 10 + (ends[i] - 10) * t / 100 < 199; t++) {
            run.read = 0.4 * MIB * t;
            step(&run, 10 + (ends[i] - 10) * t / 100, 5, 1);
            if (level_of(&run, MEMORY) >= (double)network->thresholds[MEMORY])
                lead_s = 10 * 190 / (ends[i] - 10) - t / 10.0;
        }
        print_message("reader that would hold %.0f of 200 MiB in the end: alarm %.1f s before the limit\n",
                      ends[i], lead_s);
        assert_true(lead_s >= 2);
        free(run.memory);
    }
}

static void flat__far_or_near_the_limit__no_alarm(void **unused)
{
    (void)unused;
    static const double shares[] = {0.1, 0.5, 0.8};
    for (size_t i = 0; i < FS_COUNT(shares); i++) {
        struct run run;
        double highest = 0;
        run_init(&run, 200, 0);
        for (int t = 0; t < 300; t++) {
            step(&run, fmin(200 * shares[i], 10 + 60 * t / 10.0), 5, 1);
            highest = t > 50 ? fmax(highest, level_of(&run, MEMORY)) : highest;
        }
        print_message("flat at %.0f %%: highest level %.3f after 5 s, p99 %.0f MiB\n", 100 * shares[i],
                      highest, memory_quantile(&run, 2));
        assert_true(highest < (double)network->thresholds[MEMORY]);
        assert_true(memory_quantile(&run, 2) < 200 * shares[i] * 2.5 + 20);
        free(run.memory);
    }
}

static void sawtooth__below_the_limit__calms_down(void **unused)
{
    (void)unused;
    struct run run;
    double late = 0;
    run_init(&run, 200, 0);
    for (int t = 0; t < 600; t++) {
        step(&run, 40 + 100.0 * (t % 30) / 30, 5, 1); /* 40 .. 137 MiB every 3 s */
        late = t > 300 ? fmax(late, level_of(&run, MEMORY)) : late;
    }
    print_message("sawtooth to 68 %%: highest level %.3f after 30 s\n", late);
    free(run.memory);
    assert_true(late < 0.95);
}

static void step_up__to_half_the_limit__calms_down(void **unused)
{
    (void)unused;
    struct run run;
    double late = 0;
    run_init(&run, 200, 0);
    for (int t = 0; t < 300; t++) {
        step(&run, t < 50 ? 20 : 100, 5, 1);
        late = t > 150 ? fmax(late, level_of(&run, MEMORY)) : late;
    }
    print_message("step to 50 %%: highest level %.3f from 10 s after it\n", late);
    free(run.memory);
    assert_true(late < (double)network->thresholds[MEMORY]);
}

static void page_cache__at_the_limit__no_alarm(void **unused)
{
    (void)unused;
    struct run run;
    double highest = 0;
    run_init(&run, 100, 0);
    for (int t = 0; t < 300; t++) {
        run.counters.io_read_bytes += 20971520;
        step(&run, 1, fmin(98, t * 20.0), 0.5);
        highest = fmax(highest, level_of(&run, MEMORY));
    }
    print_message("page cache fills the limit: highest level %.3f\n", highest);
    free(run.memory);
    assert_true(highest < (double)network->thresholds[MEMORY]);
}

static void demand__of_a_leak__p50_follows_the_extrapolation(void **unused)
{
    (void)unused;
    struct run run;
    run_init(&run, 400, 0);
    for (int t = 1; t <= 100; t++)
        step(&run, 20 + 1.0 * t, 3, 1); /* 10 MiB/s */
    print_message("leak of 10 MiB/s at 120 MiB: p50 %.0f p90 %.0f p99 %.0f MiB in 10 s (straight on: 220)\n",
                  memory_quantile(&run, 0), memory_quantile(&run, 1), memory_quantile(&run, 2));
    assert_true(memory_quantile(&run, 0) >= 118 && memory_quantile(&run, 0) < 400);
    assert_true(memory_quantile(&run, 1) > 150 && memory_quantile(&run, 2) > 200);
    free(run.memory);
}

/* Half a core under a quota with every period throttled. known: a profile says it needs 20 CPU seconds. */
static void throttled_run(struct run *run, int64_t timeout_ms, double seconds,
                          const struct profile_summary *profile)
{
    run_init(run, 0, timeout_ms);
    run->limits.cpu_millicores = 500;
    run->input.profile = profile;
    for (int t = 0; t < (int)(seconds * 10); t++) {
        run->counters.cpu_periods++;
        run->counters.cpu_throttled_periods++;
        run->counters.cpu_throttled_us += 50000;
        run->counters.cpu_some_us += 48000 + t % 7 * 500;
        step(run, 30, 3, 0.5);
    }
}

static void deadline__throttled__rises_only_with_one(void **unused)
{
    (void)unused;
    struct profile_summary profile = {.runs = 5,
                                      .finished = 5,
                                      .likeness = PROFILE_LIKE_INPUT,
                                      .memory_p50 = 30 * MIB,
                                      .memory_p95 = 32 * MIB,
                                      .memory_max = 32 * MIB,
                                      .cpu_peak_p95 = 1000,
                                      .cpu_time_p50_s = 20,
                                      .cpu_time_p95_s = 21,
                                      .duration_p50_s = 21,
                                      .duration_p95_s = 22};
    struct run run;
    throttled_run(&run, 0, 10, NULL);
    double without = level_of(&run, CPU);
    free(run.memory);
    throttled_run(&run, 20000, 15, NULL);
    double unknown = level_of(&run, CPU);
    free(run.memory);
    throttled_run(&run, 20000, 5, &profile);
    double misses = level_of(&run, CPU);
    free(run.memory);
    throttled_run(&run, 200000, 5, &profile);
    double makes = level_of(&run, CPU);
    free(run.memory);
    print_message(
        "throttled: no deadline %.3f; unknown code at 75 %% of it %.3f; known, needs twice the time %.3f; "
        "known, needs a fifth of it %.3f\n",
        without, unknown, misses, makes);
    assert_true(without < 0.1 && unknown > without && misses > makes);
    assert_true(misses > 0.3 && misses > 5 * makes);
    assert_true(misses >= (double)network->thresholds[CPU]);
    assert_true(makes < (double)network->thresholds[CPU]);
}

static int load(void **unused)
{
    (void)unused;
    static char bytes[16 << 20];
    char error[256] = "";
    FILE *file = fopen(getenv("FORESTALL_MODEL"), "rb");
    size_t size = file ? fread(bytes, 1, sizeof bytes, file) : 0;
    if (file)
        (void)fclose(file); /* only read from */
    if (network_load_current((struct str){bytes, size}, &network, error, sizeof error) < 0) {
        print_error("%s\n", error);
        return -1;
    }
    scratch = network_scratch_create(&network->shape);
    print_message("version %s, hidden %zu, layers %zu, thresholds %.3f memory, %.3f cpu\n", network->version,
                  network->shape.hidden, network->shape.layers, (double)network->thresholds[MEMORY],
                  (double)network->thresholds[CPU]);
    return scratch ? 0 : -1;
}

static int unload(void **unused)
{
    (void)unused;
    network_scratch_destroy(scratch);
    network_destroy(network);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leak__any_rate__alarm_seconds_before),
        cmocka_unit_test(leak__beyond_what_the_command_ever_needed__alarm_before_the_limit),
        cmocka_unit_test(ramp__of_a_command_that_ran_before__by_what_it_needs),
        cmocka_unit_test(reader__of_an_unknown_code__told_before_the_limit),
        cmocka_unit_test(flat__far_or_near_the_limit__no_alarm),
        cmocka_unit_test(sawtooth__below_the_limit__calms_down),
        cmocka_unit_test(step_up__to_half_the_limit__calms_down),
        cmocka_unit_test(page_cache__at_the_limit__no_alarm),
        cmocka_unit_test(demand__of_a_leak__p50_follows_the_extrapolation),
        cmocka_unit_test(deadline__throttled__rises_only_with_one),
    };
    if (!getenv("FORESTALL_MODEL")) {
        print_error("set FORESTALL_MODEL to the model's file\n");
        return 1;
    }
    print_message("nobody asks processes:\n");
    int failed = cmocka_run_group_tests(tests, load, unload);
    counted = true;
    print_message("processes are asked:\n");
    return failed + cmocka_run_group_tests(tests, load, unload);
}
