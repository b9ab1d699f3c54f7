/* predict/engine: one step per sample, bounds, rebuilding, swaps, explanations; nothing on the way of a
 * sample allocates. */
#include "tests/predict/fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/request.h"
#include "tests/support/allocations.h"

/* --- fixture --- */

struct bench {
    struct codes *codes;
    struct told *told;
    struct engine *engine;
};

static struct bench set_up(struct network *champion, int64_t training_ticks)
{
    struct bench bench = {.codes = codes_create(64), .told = calloc(1, sizeof(struct told))};
    assert_non_null(bench.codes);
    assert_non_null(bench.told);
    bench.engine = make_engine(bench.codes, bench.told, training_ticks);
    if (champion)
        assert_int_equal(engine_set_champion(bench.engine, champion, 0), 0);
    return bench;
}

static void tear_down(struct bench *bench)
{
    engine_destroy(bench->engine);
    codes_destroy(bench->codes);
    free(bench->told);
}

static void grow(struct run *run, int64_t bytes)
{
    run->counters.memory_bytes += bytes;
    run->counters.memory_usage_bytes += bytes;
    run->counters.memory_peak_bytes = FS_MAX(run->counters.memory_peak_bytes, run->counters.memory_bytes);
    run->counters.cpu_usage_us += TICK_US / 2;
}

static const struct msg_risk *last_risk(const struct bench *bench)
{
    assert_true(bench->told->count > 0);
    return &bench->told->risks[bench->told->count - 1];
}

/* --- tests --- */

static void ramp__towards_the_limit__crosses_before_it_with_reason(void **state)
{
    (void)state;
    struct bench bench = set_up(make_ramp_network(), 64);
    struct run run = make_run(1, "ramp", 200 * MIB);
    const struct msg_risk *crossing = NULL;
    for (int64_t i = 1; i < 400 && run.counters.memory_bytes < run.limits.memory_bytes; i++) {
        grow(&run, MIB / 2);
        feed_tick(bench.engine, i, &run, 1, false);
        if (!crossing && last_risk(&bench)->above)
            crossing = last_risk(&bench);
    }
    assert_int_equal(bench.told->risks[0].kind, MSG_RISK_KIND_REFRESH);
    assert_int_equal(bench.told->risks[0].sequence, 1);
    if (!crossing) {
        fail_msg("the risk never crossed the threshold");
        return;
    }
    assert_int_equal(crossing->kind, MSG_RISK_KIND_CROSSING);
    assert_int_equal(crossing->cause, MSG_CAUSE_MEMORY);
    assert_true(crossing->memory_bytes < 170 * MIB);
    assert_true(crossing->memory.p99 >= (double)crossing->memory_bytes);
    assert_int_equal(crossing->explanation.count, 1); /* the hand-made network looks at one feature only */
    assert_true(str_equal(crossing->explanation.items[0].feature, str_of("memory_exhaustion_second")));
    assert_true(crossing->explanation.items[0].weight > 0);
    tear_down(&bench);
}

static void quiet_run__refreshed_and_nothing_else(void **state)
{
    (void)state;
    struct bench bench = set_up(make_ramp_network(), 64);
    struct run run = make_run(1, "quiet", 200 * MIB);
    for (int64_t i = 1; i <= 151; i++)
        feed_tick(bench.engine, i, &run, 1, false);
    assert_int_equal(bench.told->count, 4); /* first, 5 s, 10 s, 15 s */
    for (size_t i = 0; i < bench.told->count; i++)
        assert_int_equal(bench.told->risks[i].kind, MSG_RISK_KIND_REFRESH);
    tear_down(&bench);
}

static void many_ticks_in_one_wave__as_one_by_one(void **state)
{
    (void)state;
    struct bench one = set_up(make_random_network(9, 24, 2), 64),
                 all = set_up(make_random_network(9, 24, 2), 64);
    struct run runs[3] = {make_run(1, "a", 100 * MIB), make_run(2, "b", 100 * MIB),
                          make_run(3, "c", 100 * MIB)};
    struct msg_sample samples[40][3];
    struct msg_tick ticks[40];
    for (int64_t i = 0; i < 40; i++) {
        for (size_t r = 0; r < 3; r++)
            grow(&runs[r], (int64_t)(r + 1) * MIB / 8);
        feed_tick(one.engine, i + 1, runs, 3, false);
        ticks[i] = make_tick("node-1", i + 1, runs, 3, samples[i]);
    }
    for (size_t i = 0; i < 40; i++) {
        struct engine_tick context = {.tick = &ticks[i], .partition = 3, .now_ms = 100};
        for (size_t r = 0; r < 3; r++)
            engine_add(all.engine, &context, &samples[i][r]);
    }
    engine_flush(all.engine);
    assert_int_equal(engine_counters(all.engine)->samples, 120);
    assert_int_equal(engine_counters(all.engine)->waves, 40); /* each attempt once per wave */
    assert_int_equal(one.told->count, all.told->count);
    for (size_t i = 0; i < one.told->count; i++)
        assert_true(fabsf(one.told->risks[i].probability - all.told->risks[i].probability) < 1e-6f);
    tear_down(&one);
    tear_down(&all);
}

static void table_full__longest_unused_dropped_and_counted(void **state)
{
    (void)state;
    struct bench bench = set_up(make_ramp_network(), 64);
    size_t capacity = (size_t)4 * ENGINE_WAVE;
    for (size_t i = 0; i < capacity + 10; i++) {
        struct run run = make_run(1, "many", 0);
        memcpy(run.execution, &i, sizeof i);
        feed_tick(bench.engine, (int64_t)i, &run, 1, true);
    }
    assert_int_equal(engine_running(bench.engine), capacity);
    assert_int_equal(engine_evicted(bench.engine), 10);
    engine_tend(bench.engine, (int64_t)(capacity + 10) * 100 + 59000, 60000);
    assert_int_equal(engine_running(bench.engine), 9); /* the others are idle for a minute or longer */
    engine_forget(bench.engine, 3);
    assert_int_equal(engine_running(bench.engine), 0);
    tear_down(&bench);
}

static void sample_path__no_allocation(void **state)
{
    (void)state;
    struct bench bench = set_up(make_ramp_network(), 64);
    assert_int_equal(engine_set_challenger(bench.engine, make_random_network(2, 32, 1)), 0);
    enum { RUNS = 50 };
    struct run runs[RUNS];
    struct msg_sample samples[RUNS];
    for (size_t i = 0; i < RUNS; i++) {
        runs[i] = make_run((uint8_t)i, "some", (60 + (int64_t)i) * MIB);
        assert_non_null(codes_own(bench.codes, str_of(runs[i].code)));
    }
    size_t before = 0;
    for (int64_t t = 1; t <= 100; t++) {
        for (size_t i = 0; i < RUNS; i++)
            grow(&runs[i], MIB);
        struct msg_tick tick = make_tick("node-1", t, runs, RUNS, samples);
        struct engine_tick context = {.tick = &tick, .partition = 3, .now_ms = t};
        if (t == 2) /* BLAS takes its buffers at the first step */
            before = allocations_count();
        for (size_t i = 0; i < RUNS; i++)
            engine_add(bench.engine, &context, &samples[i]);
        engine_flush(bench.engine);
        for (size_t i = 0; t == 50 && i < RUNS; i++) /* the next attempts: new entries */
            runs[i].attempt++;
    }
    assert_true(engine_counters(bench.engine)->risks[MSG_RISK_KIND_CHANGE] > 100);
    assert_int_equal(allocations_count() - before, 0);
    tear_down(&bench);
}

/* A run with some life in it: growing, falling back, throttled now and then. */
static void live(struct run *run, int64_t i)
{
    grow(run, i % 23 == 0 ? -5 * MIB : (i % 7) * MIB / 8);
    run->counters.cpu_periods++;
    run->counters.cpu_throttled_periods += i % 5 == 0;
    run->counters.page_faults += 100 + i % 50;
    run->counters.io_read_bytes += (i % 13) * 4096;
}

#define TRAINING 64

/* The state after a restart is built from the last T ticks; how far its probabilities are from those of a
 * life from the start. */
static void rebuilt_from_the_last_ticks__close_to_the_live_state(void **state)
{
    (void)state;
    float worst_first = 0, worst_later = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct bench live_bench = set_up(make_random_network(seed, 32, 1), TRAINING);
        struct bench built_bench = set_up(make_random_network(seed, 32, 1), TRAINING);
        struct run run = make_run(1, "life", 400 * MIB);
        int64_t restart = 300 + (int64_t)seed * 7;
        for (int64_t i = 1; i < restart + 50; i++) {
            live(&run, i);
            run.counters.oom_kills = i; /* each tick is told */
            feed_tick(live_bench.engine, i, &run, 1, false);
            if (i >= restart - TRAINING)
                feed_tick(built_bench.engine, i, &run, 1, i < restart);
            if (i < restart)
                continue;
            assert_int_equal(last_risk(&built_bench)->sequence, i);
            assert_int_equal(last_risk(&live_bench)->sequence, i);
            float apart = fabsf(last_risk(&built_bench)->probability - last_risk(&live_bench)->probability);
            apart = fmaxf(
                apart, fabsf(last_risk(&built_bench)->levels.memory - last_risk(&live_bench)->levels.memory));
            worst_first = i == restart ? fmaxf(worst_first, apart) : worst_first;
            worst_later = i == restart + 49 ? fmaxf(worst_later, apart) : worst_later;
        }
        assert_int_equal(built_bench.told->risks[0].sequence, restart); /* nothing before was told again */
        tear_down(&live_bench);
        tear_down(&built_bench);
    }
    print_message("largest difference at the restart %.5f, 5 s later %.5f\n", (double)worst_first,
                  (double)worst_later);
    assert_true(worst_first < 0.02f);
    assert_true(worst_later < 0.005f);
}

static void champion__swapped_while_running__warm_and_without_a_gap(void **state)
{
    (void)state;
    struct bench bench = set_up(make_random_network(1, 16, 1), TRAINING);
    struct buffer file;
    struct network *next = make_random_network(2, 32, 2); /* another shape */
    save_network(next, &file);
    char version[NETWORK_VERSION_SIZE];
    str_copy(version, sizeof version, str_of(next->version));
    struct bench fresh = set_up(make_random_network(2, 32, 2), TRAINING);
    struct run run = make_run(1, "life", 400 * MIB);
    int64_t swapped = 0;
    for (int64_t i = 1; i <= 400; i++) {
        live(&run, i);
        run.counters.oom_kills = i;
        if (i == 200) {
            assert_int_equal(engine_set_champion(bench.engine, next, i * 100), 0);
            assert_true(engine_warming(bench.engine));
        }
        feed_tick(bench.engine, i, &run, 1, false);
        engine_tend(bench.engine, i * 100, 60000);
        assert_int_equal(last_risk(&bench)->sequence, i); /* told all the time */
        if (i >= 200)
            feed_tick(fresh.engine, i, &run, 1, i < 200 + TRAINING);
        if (!engine_warming(bench.engine) && swapped == 0 && i > 200)
            swapped = i;
        if (swapped != 0 && i == swapped + 1) /* what the other one thought is no alarm of this one */
            assert_true(fabsf(last_risk(&bench)->levels.memory - last_risk(&bench)->probabilities.memory) <
                        1e-5f);
        if (swapped != 0 && i > swapped) {
            assert_true(str_equal(last_risk(&bench)->model_version, str_of(version)));
            float apart = fabsf(last_risk(&bench)->probability - last_risk(&fresh)->probability);
            assert_true(apart < 0.02f); /* features are older than the network's state, no more than that */
        }
    }
    assert_int_equal(swapped, 200 + TRAINING - 1);
    assert_int_equal(engine_swaps(bench.engine), 2);
    buffer_fini(&file);
    tear_down(&bench);
    tear_down(&fresh);
}

static void challenger__promoted__takes_over_at_once_when_warm(void **state)
{
    (void)state;
    struct bench bench = set_up(make_random_network(1, 16, 1), TRAINING);
    struct buffer file;
    struct network *challenger = make_random_network(2, 16, 1), *again;
    char error[128];
    save_network(challenger, &file);
    assert_int_equal(network_load(buffer_str(&file), &again, error, sizeof error), 0);
    assert_int_equal(engine_set_challenger(bench.engine, challenger), 0);
    struct run run = make_run(1, "life", 400 * MIB);
    for (int64_t i = 1; i <= TRAINING + 5; i++) {
        live(&run, i);
        feed_tick(bench.engine, i, &run, 1, false);
    }
    assert_ptr_equal(engine_challenger(bench.engine), challenger);
    assert_true(engine_counters(bench.engine)->shadow_ticks > 0);
    assert_true(engine_counters(bench.engine)->shadow_distance > 0);
    assert_int_equal(engine_set_champion(bench.engine, again, 10000), 0);
    assert_false(engine_warming(bench.engine));
    assert_ptr_equal(engine_champion(bench.engine), challenger);
    assert_null(engine_challenger(bench.engine));
    buffer_fini(&file);
    tear_down(&bench);
}

static struct network *named(uint64_t seed)
{
    struct buffer file;
    struct network *network = make_random_network(seed, 16, 1);
    save_network(network, &file);
    buffer_fini(&file);
    return network;
}

static void challenger__during_a_warm_up__waits_and_comes_after_it(void **state)
{
    (void)state;
    struct bench bench = set_up(named(1), 5);
    struct network *second = named(2), *third = named(3), *fourth = named(4);
    struct run run = make_run(1, "life", 400 * MIB);
    feed_tick(bench.engine, 1, &run, 1, false);
    assert_int_equal(engine_set_challenger(bench.engine, second), 0);
    assert_int_equal(engine_set_champion(bench.engine, third, 100), 0); /* the challenger gives way */
    assert_null(engine_challenger(bench.engine));
    assert_int_equal(engine_set_champion(bench.engine, fourth, 100),
                     0); /* and the one being warmed as well */
    for (int64_t i = 2; i < 8; i++) {
        feed_tick(bench.engine, i, &run, 1, false);
        engine_tend(bench.engine, i * 100, 60000);
    }
    assert_ptr_equal(engine_champion(bench.engine), fourth);
    assert_non_null(engine_challenger(bench.engine));
    tear_down(&bench);
}

static void champion__the_same_again__nothing_happens(void **state)
{
    (void)state;
    struct network *first = named(1);
    struct bench bench = set_up(first, 5);
    struct run run = make_run(1, "life", 400 * MIB);
    feed_tick(bench.engine, 1, &run, 1, false);
    assert_int_equal(engine_set_champion(bench.engine, named(2), 100), 0);
    assert_true(engine_warming(bench.engine));
    assert_int_equal(engine_set_champion(bench.engine, named(1), 100), 0); /* the rollback came first */
    assert_false(engine_warming(bench.engine));
    assert_ptr_equal(engine_champion(bench.engine), first);
    assert_int_equal(engine_swaps(bench.engine), 1);
    tear_down(&bench);
}

static void extra_tick__answered_and_forgotten(void **state)
{
    (void)state;
    struct bench plain = set_up(make_random_network(4, 16, 2), 64),
                 disturbed = set_up(make_random_network(4, 16, 2), 64);
    int averaged = 0;
    struct run run = make_run(1, "life", 400 * MIB);
    for (int64_t i = 1; i <= 100; i++) {
        live(&run, i);
        run.counters.oom_kills = i; /* each tick is told */
        feed_tick(plain.engine, 2 * i, &run, 1, false);
        feed_tick(disturbed.engine, 2 * i, &run, 1, false);
        assert_true(last_risk(&plain)->probability == last_risk(&disturbed)->probability);
        assert_true(last_risk(&plain)->levels.memory == last_risk(&disturbed)->levels.memory);
        averaged += last_risk(&plain)->levels.memory != last_risk(&plain)->probabilities.memory;
        struct run changed = run;
        changed.limits.memory_bytes = (400 + i) * MIB;
        struct msg_sample sample;
        struct msg_tick tick = make_tick("node-1", 2 * i + 1, &changed, 1, &sample);
        struct engine_tick context = {.tick = &tick, .partition = 3};
        tick.extra = true;
        engine_add(disturbed.engine, &context, &sample);
        engine_flush(disturbed.engine);
        assert_int_equal(last_risk(&disturbed)->sequence, 2 * i + 1);
        assert_int_equal(last_risk(&disturbed)->kind, MSG_RISK_KIND_CHANGE);
        assert_int_equal(last_risk(&disturbed)->limits.memory_bytes, (400 + i) * MIB);
    }
    assert_true(averaged > 50);
    tear_down(&plain);
    tear_down(&disturbed);
}

static void least_ticks__running_attempts_from_before__only_those(void **state)
{
    (void)state;
    struct bench bench = set_up(make_ramp_network(), 64);
    struct run before = make_run(1, "before", 0), ended = make_run(2, "ended", 0),
               fresh = make_run(3, "fresh", 0);
    assert_int_equal(engine_least_ticks(bench.engine, 3), UINT32_MAX);
    feed_tick(bench.engine, 100, &ended, 1, true);
    assert_int_equal(engine_least_ticks(bench.engine, 3), 1);
    for (int64_t i = 0; i < 70; i++)
        feed_tick(bench.engine, 101 + i, &before, 1, true);
    fresh.started_us = START_US + INT64_C(170) * TICK_US;
    feed_tick(bench.engine, 171, &fresh, 1, true);
    assert_int_equal(engine_least_ticks(bench.engine, 3), 70);
    assert_int_equal(engine_least_ticks(bench.engine, 4), UINT32_MAX);
    tear_down(&bench);
}

static void no_model__histogram_decides(void **state)
{
    (void)state;
    struct bench bench = set_up(NULL, 64);
    struct run run = make_run(1, "ramp", 100 * MIB);
    for (int64_t i = 1; i < 150; i++) {
        grow(&run, MIB / 2);
        feed_tick(bench.engine, i, &run, 1, false);
    }
    assert_true(last_risk(&bench)->above);
    assert_true(str_equal(last_risk(&bench)->model_version, str_of("histogram")));
    assert_int_equal(last_risk(&bench)->explanation.count, 3);
    assert_int_equal(engine_set_champion(bench.engine, named(1), 10000), 0); /* at once: anything is better */
    assert_non_null(engine_champion(bench.engine));
    assert_int_equal(engine_set_champion(bench.engine, NULL, 10000), 0);
    assert_null(engine_champion(bench.engine));
    tear_down(&bench);
}

static void count_run(struct code *code, struct str *program, int64_t peak_bytes)
{
    const struct profile_position nowhere = {.offset = -1};
    struct msg_execution_record record = {.started_us = START_US,
                                          .ended_us = START_US + 1000000,
                                          .outcome = MSG_OUTCOME_FINISHED,
                                          .totals = {.memory_peak_bytes = peak_bytes}};
    record.request.argv = (struct msg_str_array){program, 1};
    assert_int_equal(profile_count(&code->profile, &record, &nowhere, START_US), 1);
}

static const struct msg_risk *risk_of(const struct bench *bench, const struct run *run)
{
    size_t i = bench->told->count;
    while (i > 0 && memcmp(bench->told->risks[i - 1].execution, run->execution, 16) != 0)
        i--;
    assert_true(i > 0);
    return &bench->told->risks[i - 1];
}

static int32_t command_of(struct str *program)
{
    struct msg_execution_request request = {.argv = {program, 1}};
    return request_command(&request);
}

/* One code, two commands: each is judged by its own runs, and by those that end while it runs. */
static void command_that_ran_before__judged_by_its_own_runs(void **state)
{
    (void)state;
    struct bench bench = set_up(NULL, 64);
    struct str small = str_of("small"), large = str_of("large");
    struct code *code = codes_own(bench.codes, str_of("both"));
    for (int i = 0; i < 5; i++) {
        count_run(code, &small, 90 * MIB);
        count_run(code, &large, 400 * MIB);
    }
    struct run runs[2] = {make_run(1, "both", 200 * MIB), make_run(2, "both", 200 * MIB)};
    runs[0].command = command_of(&small);
    runs[1].command = command_of(&large);
    for (int64_t i = 1; i <= 100; i++) { /* neither grows: only what ran before can tell */
        runs[0].counters.memory_bytes = runs[1].counters.memory_bytes = 180 * MIB;
        feed_tick(bench.engine, i, runs, 2, false);
    }
    assert_false(risk_of(&bench, &runs[0])->above);
    assert_true(risk_of(&bench, &runs[1])->above);
    for (int i = 0; i < PROFILE_RECENT_SAME; i++)
        count_run(code, &small, 400 * MIB); /* it needs more now */
    for (int64_t i = 101; i <= 102; i++)
        feed_tick(bench.engine, i, runs, 2, false);
    assert_true(risk_of(&bench, &runs[0])->above);
    tear_down(&bench);
}

static void held_out_run__told_like_the_others(void **state)
{
    (void)state;
    struct bench bench = set_up(make_ramp_network(), 64);
    struct run run = make_run(1, "held", 200 * MIB);
    struct msg_sample sample;
    struct msg_tick tick = make_tick("node-1", 1, &run, 1, &sample);
    struct engine_tick context = {.tick = &tick, .partition = 3};
    sample.arm = MSG_ARM_HELD_OUT;
    engine_add(bench.engine, &context, &sample);
    engine_flush(bench.engine);
    assert_int_equal(last_risk(&bench)->arm, MSG_ARM_HELD_OUT);
    tear_down(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ramp__towards_the_limit__crosses_before_it_with_reason),
        cmocka_unit_test(quiet_run__refreshed_and_nothing_else),
        cmocka_unit_test(many_ticks_in_one_wave__as_one_by_one),
        cmocka_unit_test(table_full__longest_unused_dropped_and_counted),
        cmocka_unit_test(sample_path__no_allocation),
        cmocka_unit_test(rebuilt_from_the_last_ticks__close_to_the_live_state),
        cmocka_unit_test(champion__swapped_while_running__warm_and_without_a_gap),
        cmocka_unit_test(challenger__promoted__takes_over_at_once_when_warm),
        cmocka_unit_test(challenger__during_a_warm_up__waits_and_comes_after_it),
        cmocka_unit_test(champion__the_same_again__nothing_happens),
        cmocka_unit_test(extra_tick__answered_and_forgotten),
        cmocka_unit_test(least_ticks__running_attempts_from_before__only_those),
        cmocka_unit_test(no_model__histogram_decides),
        cmocka_unit_test(command_that_ran_before__judged_by_its_own_runs),
        cmocka_unit_test(held_out_run__told_like_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
