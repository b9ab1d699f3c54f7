/* predict/learn and predict/codes: what a finished execution teaches, counts once, and survives the topic. */
#include "tests/predict/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "predict/forecast.h"
#include "predict/learn.h"

#define POINTS 150

/* A run of 15 s at rest far below its limit, and one that grows until it is killed. */
struct recorded {
    struct msg_series_point points[POINTS];
    struct msg_execution_record record;
};

static void record_run(struct recorded *recorded, bool killed)
{
    struct run run = make_run(1, "code", 100 * MIB);
    for (int64_t i = 0; i < POINTS; i++) {
        if (killed)
            run.counters.memory_bytes = (int64_t)(10 + i * 90 / POINTS) * MIB;
        run.counters.memory_peak_bytes = run.counters.memory_bytes;
        run.counters.memory_usage_bytes = run.counters.memory_bytes + MIB;
        recorded->points[i] = (struct msg_series_point){
            .time_us = START_US + (i + 1) * TICK_US, .limits = run.limits, .counters = run.counters};
    }
    recorded->record = (struct msg_execution_record){
        .attempt = 1,
        .code = str_of("code"),
        .started_us = START_US,
        .ended_us = START_US + (int64_t)(POINTS + 1) * TICK_US,
        .outcome = killed ? MSG_OUTCOME_OOM_KILLED : MSG_OUTCOME_FINISHED,
        .cause = killed ? MSG_CAUSE_MEMORY : MSG_CAUSE_NONE,
        .totals = run.counters,
        .first_limits = run.limits,
        .highest_limits = run.limits,
        .last_limits = run.limits,
        .series = {recorded->points, POINTS},
        .series_inclusion = 1,
        .series_stride = 1,
    };
    recorded->record.totals.oom_kills = killed;
}

/* Probability of memory that the code's head makes of an even one. */
static float corrected(const struct code *code, const struct network *network)
{
    float logits[ONLINE_CAUSES] = {0};
    online_apply(&code->profile.head, network->version, logits, logits);
    return forecast_logistic(logits[0]);
}

static struct network *named(uint64_t seed)
{
    struct buffer file;
    struct network *network = make_random_network(seed, 16, 1);
    save_network(network, &file);
    buffer_fini(&file);
    return network;
}

static void learn__runs_that_are_killed_and_that_never_are__answers_of_their_own(void **state)
{
    (void)state;
    struct codes *codes = codes_create(4);
    struct learner *learner = learner_create(600);
    struct network *network = named(1);
    struct recorded *killed = calloc(1, sizeof *killed), *quiet = calloc(1, sizeof *quiet);
    record_run(killed, true);
    record_run(quiet, false);
    for (int i = 0; i < 60; i++) {
        struct code *code = codes_own(codes, str_of("killed"));
        assert_in_range(learn(learner, code, &killed->record, network, NULL), POINTS - 5, POINTS);
        code = codes_own(codes, str_of("quiet"));
        assert_in_range(learn(learner, code, &quiet->record, network, NULL), POINTS - 5, POINTS);
    }
    const struct code *code = codes_find(codes, str_of("killed"));
    float high = corrected(code, network), low = corrected(codes_find(codes, str_of("quiet")), network);
    print_message("even odds became %.3f (killed), %.3f (quiet)\n", (double)high, (double)low);
    assert_true(online_ready(&code->profile.head, network->version));
    assert_true(high > low + 0.3f);
    assert_true(learner_score(learner, false)->ticks > 0);
    assert_int_equal(learner_score(learner, true)->ticks, 0);
    free(killed);
    free(quiet);
    network_destroy(network);
    learner_destroy(learner);
    codes_destroy(codes);
}

static void learn__challenger__its_head_becomes_the_head(void **state)
{
    (void)state;
    struct codes *codes = codes_create(4);
    struct learner *learner = learner_create(100); /* less than the series has */
    struct network *champion = named(1), *challenger = named(2);
    struct recorded *killed = calloc(1, sizeof *killed);
    record_run(killed, true);
    struct code *code = codes_own(codes, str_of("code"));
    assert_int_equal(learn(learner, code, &killed->record, champion, challenger), 100);
    assert_int_equal(learn(learner, code, &killed->record, champion, challenger), 100);
    assert_string_equal(code->profile.head.version, champion->version);
    assert_string_equal(code->profile.shadow.version, challenger->version);
    assert_true(learner_score(learner, true)->ticks > 0);
    struct online_head shadow = code->profile.shadow;
    assert_int_equal(learn(learner, code, &killed->record, challenger, NULL), 100);
    assert_string_equal(code->profile.head.version, challenger->version);
    assert_true(code->profile.head.records > shadow.records);
    assert_string_equal(code->profile.shadow.version, "");
    free(killed);
    network_destroy(champion);
    network_destroy(challenger);
    learner_destroy(learner);
    codes_destroy(codes);
}

static void learn__no_series_or_no_model__nothing(void **state)
{
    (void)state;
    struct codes *codes = codes_create(4);
    struct learner *learner = learner_create(600);
    struct network *network = named(1);
    struct recorded *quiet = calloc(1, sizeof *quiet);
    record_run(quiet, false);
    struct code *code = codes_own(codes, str_of("code"));
    assert_int_equal(learn(learner, code, &quiet->record, NULL, NULL), 0);
    quiet->record.series.count = 0;
    assert_int_equal(learn(learner, code, &quiet->record, network, NULL), 0);
    assert_string_equal(code->profile.head.version, "");
    free(quiet);
    network_destroy(network);
    learner_destroy(learner);
    codes_destroy(codes);
}

static void learn__absurd_times__survived(void **state)
{
    (void)state;
    struct codes *codes = codes_create(4);
    struct learner *learner = learner_create(600);
    struct network *network = named(1);
    struct recorded *killed = calloc(1, sizeof *killed);
    const int64_t absurd[] = {INT64_MIN, -1, 0, START_US, INT64_MAX};
    unsigned seed = 3;
    struct code *code = codes_own(codes, str_of("code"));
    for (int round = 0; round < 50; round++) {
        record_run(killed, round % 2);
        for (int i = 0; i < 20; i++) {
            killed->points[rand_r(&seed) % POINTS].time_us = absurd[rand_r(&seed) % 5];
            killed->points[rand_r(&seed) % POINTS].counters.memory_bytes = absurd[rand_r(&seed) % 5];
            killed->points[rand_r(&seed) % POINTS].limits.memory_bytes = absurd[rand_r(&seed) % 5];
        }
        killed->record.started_us = absurd[rand_r(&seed) % 5];
        killed->record.ended_us = absurd[rand_r(&seed) % 5];
        assert_true(learn(learner, code, &killed->record, network, NULL) >= 0);
    }
    free(killed);
    network_destroy(network);
    learner_destroy(learner);
    codes_destroy(codes);
}

/* Only a code that was dropped, or looks like one, is looked for in the topic again. */
static void codes_maybe_evicted__of_thousands__those_dropped(void **state)
{
    (void)state;
    struct codes *codes = codes_create(4);
    char name[32];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "code-%d", i);
        assert_non_null(codes_own(codes, str_of(name)));
    }
    size_t wrong = 0;
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(name, sizeof name, "code-%d", i);
        if (i < 996)
            assert_true(codes_maybe_evicted(codes, str_of(name)));
        else
            wrong += codes_maybe_evicted(codes, str_of(name));
    }
    assert_true(wrong <= 2);
    codes_destroy(codes);
}

static void codes__through_the_topic__newer_taken_lower_ignored(void **state)
{
    (void)state;
    struct codes *mine = codes_create(4), *theirs = codes_create(4);
    struct arena *arena = arena_create(1 << 16, 1 << 20);
    struct recorded *quiet = calloc(1, sizeof *quiet);
    record_run(quiet, false);
    struct code *code = codes_own(mine, str_of("code"));
    struct msg_code_profile first, second;
    struct profile_position position = {"executions.finished", 2, 10};
    assert_int_equal(profile_count(&code->profile, &quiet->record, &position, 1), 1);
    assert_int_equal(profile_store(&code->profile, arena, &first), 0);
    assert_int_equal(codes_take(theirs, &first), 1);
    position.offset = 11;
    assert_int_equal(profile_count(&code->profile, &quiet->record, &position, 1), 1);
    assert_int_equal(profile_count(&code->profile, &quiet->record, &position, 1), 0); /* once */
    assert_int_equal(profile_store(&code->profile, arena, &second), 0);
    assert_int_equal(codes_take(theirs, &second), 1);
    assert_int_equal(codes_take(theirs, &first), 0);
    assert_int_equal(codes_find(theirs, str_of("code"))->profile.runs, 2);
    assert_true(profile_contains(&codes_find(theirs, str_of("code"))->profile, &position));
    second.runs = -1;
    assert_int_equal(codes_take(theirs, &second), -EBADMSG);
    codes_drop(theirs, str_of("code"));
    codes_drop(theirs, str_of("code"));
    assert_null(codes_find(theirs, str_of("code")));
    assert_null(codes_own(theirs, str_of("")));
    free(quiet);
    arena_destroy(arena);
    codes_destroy(mine);
    codes_destroy(theirs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learn__runs_that_are_killed_and_that_never_are__answers_of_their_own),
        cmocka_unit_test(learn__challenger__its_head_becomes_the_head),
        cmocka_unit_test(learn__no_series_or_no_model__nothing),
        cmocka_unit_test(learn__absurd_times__survived),
        cmocka_unit_test(codes_maybe_evicted__of_thousands__those_dropped),
        cmocka_unit_test(codes__through_the_topic__newer_taken_lower_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
