/* What a code's profile takes from records, that each record counts once, and its way through the CodeProfile
 * message. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "model/profile.h"

#define T0 1700000000000000

static struct msg_execution_record record_of(enum msg_outcome outcome, enum msg_cause cause,
                                             int64_t peak_bytes)
{
    return (struct msg_execution_record){
        .started_us = T0,
        .ended_us = T0 + 10000000,
        .outcome = outcome,
        .cause = cause,
        .totals = {.memory_peak_bytes = peak_bytes, .cpu_usage_us = 5000000, .io_read_bytes = 50000000},
        .peak_cpu_millicores = 900,
        .peak_io_bps = 10000000};
}

static struct profile_position position_of(int64_t offset)
{
    struct profile_position position = {.partition = 3, .offset = offset};
    (void)str_copy(position.topic, sizeof position.topic, str_of("executions.finished")); /* it fits */
    return position;
}

static bool within(double actual, double expected, double share)
{
    return fabs(actual - expected) <= expected * share;
}

static void count__finished_run__feeds_every_histogram(void **state)
{
    (void)state;
    struct profile profile;
    struct profile_summary summary;
    struct profile_position position = position_of(7);
    struct msg_execution_record record = record_of(MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE, 100000000);
    profile_init(&profile, str_of("xz"));
    profile_summarise(&profile, NULL, &summary);
    assert_int_equal(summary.runs, 0);
    assert_true(summary.memory_max == 0);
    assert_int_equal(profile_count(&profile, &record, &position, T0), 1);
    profile_summarise(&profile, NULL, &summary);
    assert_int_equal(summary.runs, 1);
    assert_int_equal(summary.finished, 1);
    assert_true(within(summary.memory_p50, 1e8, 0.06) && within(summary.memory_max, 1e8, 0.06));
    assert_true(within(summary.cpu_time_p50_s, 5, 0.06) && within(summary.duration_p50_s, 10, 0.06));
    assert_true(within(summary.io_total_p50, 5e7, 0.1) && within(summary.cpu_peak_p95, 900, 0.06));
}

static void count__killed_run__is_a_lower_bound_and_no_duration(void **state)
{
    (void)state;
    struct profile profile;
    struct profile_summary summary;
    struct profile_position position = position_of(7);
    struct msg_execution_record record = record_of(MSG_OUTCOME_OOM_KILLED, MSG_CAUSE_MEMORY, 100000000);
    profile_init(&profile, str_of("xz"));
    assert_int_equal(profile_count(&profile, &record, &position, T0), 1);
    profile_summarise(&profile, NULL, &summary);
    assert_true(within(summary.memory_max, 1e8 * PROFILE_OOM_BUMP, 0.06));
    assert_true(summary.duration_p50_s == 0 && summary.cpu_time_p50_s == 0);
    assert_int_equal(profile.failures[MSG_CAUSE_MEMORY], 1);
    record = record_of(MSG_OUTCOME_KILLED, MSG_CAUSE_NONE, 900000000);
    position = position_of(8);
    assert_int_equal(profile_count(&profile, &record, &position, T0), 1);
    profile_summarise(&profile, NULL, &summary);
    assert_true(summary.memory_max < 2e8); /* a cancelled run says nothing about demand */
    assert_int_equal(summary.runs, 2);
}

static void count__same_offset_again__is_skipped(void **state)
{
    (void)state;
    struct profile profile;
    struct msg_execution_record record = record_of(MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE, 100000000);
    struct profile_position seven = position_of(7), six = position_of(6), file = position_of(-1);
    profile_init(&profile, str_of("xz"));
    assert_int_equal(profile_count(&profile, &record, &seven, T0), 1);
    assert_int_equal(profile_count(&profile, &record, &seven, T0), 0);
    assert_int_equal(profile_count(&profile, &record, &six, T0), 0);
    assert_int_equal(profile_count(&profile, &record, &file, T0), 1);
    seven.partition = 4;
    assert_int_equal(profile_count(&profile, &record, &seven, T0), 1);
    assert_int_equal(profile.runs, 3);
    assert_int_equal(profile.revision, 3);
}

static void load__what_store_wrote__is_the_same(void **state)
{
    (void)state;
    struct profile profile, loaded;
    struct msg_code_profile message;
    struct profile_summary a, b;
    struct arena *arena = arena_create(65536, 1 << 22);
    profile_init(&profile, str_of("xz"));
    for (int64_t i = 0; i < 20; i++) {
        struct msg_execution_record record =
            record_of(i % 5 ? MSG_OUTCOME_FINISHED : MSG_OUTCOME_OOM_KILLED,
                      i % 5 ? MSG_CAUSE_NONE : MSG_CAUSE_MEMORY, 50000000 + i * 5000000);
        struct profile_position position = position_of(i);
        assert_int_equal(profile_count(&profile, &record, &position, T0), 1);
    }
    assert_int_equal(profile_store(&profile, arena, &message), 0);
    assert_int_equal(profile_load(&loaded, &message), 0);
    profile_summarise(&profile, NULL, &a);
    profile_summarise(&loaded, NULL, &b);
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(loaded.failures[MSG_CAUSE_MEMORY], 4);
    struct profile_position last = position_of(19), next = position_of(20);
    assert_true(profile_contains(&loaded, &last) && !profile_contains(&loaded, &next));
    message.runs = -1;
    assert_int_equal(profile_load(&loaded, &message), -EBADMSG);
    arena_destroy(arena);
}

/* --- the latest runs --- */

static char words[8][16];
static struct str arguments[8][2];

/* The record of a run of `program number`. */
static struct msg_execution_record run_of(int number, enum msg_outcome outcome, int64_t peak_bytes)
{
    struct msg_execution_record record = record_of(outcome, MSG_CAUSE_NONE, peak_bytes);
    (void)snprintf(words[number], sizeof words[number], "%d", number);
    arguments[number][0] = str_of("program");
    arguments[number][1] = str_of(words[number]);
    record.request.argv = (struct msg_str_array){arguments[number], 2};
    return record;
}

static const struct request_identity *what_of(int number)
{
    static struct request_identity what;
    struct msg_execution_record record = run_of(number, MSG_OUTCOME_FINISHED, 0);
    what = request_identity(&record.request);
    return &what;
}

static void count_run(struct profile *profile, int number, enum msg_outcome outcome, int64_t peak_bytes)
{
    const struct profile_position nowhere = {.offset = -1};
    struct msg_execution_record record = run_of(number, outcome, peak_bytes);
    assert_int_equal(profile_count(profile, &record, &nowhere, T0), 1);
}

static void summarise__command_run_before__its_own_runs_only(void **state)
{
    (void)state;
    struct profile profile;
    struct profile_summary own, other, all;
    profile_init(&profile, str_of("xz"));
    for (int i = 1; i <= 5; i++)
        count_run(&profile, 1, MSG_OUTCOME_FINISHED, i * (int64_t)1000000);
    for (int i = 0; i < 20; i++)
        count_run(&profile, 2, MSG_OUTCOME_FINISHED, 500000000);
    profile_summarise(&profile, what_of(1), &own);
    assert_true(own.likeness == PROFILE_LIKE_INPUT);
    assert_int_equal(own.runs, 5);
    assert_int_equal(own.finished, 5);
    assert_true(own.memory_p50 == 3000000 && own.memory_p95 == 5000000 && own.memory_max == 5000000);
    assert_true(own.duration_p50_s == 10 && own.cpu_time_p95_s == 5 && own.io_total_p50 == 50000000);
    assert_true(within(own.cpu_peak_p95, 900, 0.06)); /* of all runs */
    profile_summarise(&profile, what_of(3), &other);
    profile_summarise(&profile, NULL, &all);
    assert_true(other.likeness == PROFILE_LIKE_CODE);
    assert_memory_equal(&other, &all, sizeof all);
    assert_int_equal(all.runs, 25);
    assert_true(within(all.memory_p50, 5e8, 0.06));
}

static void summarise__inputs__those_of_its_size_first(void **state)
{
    (void)state;
    struct profile profile;
    struct profile_summary summary;
    const struct profile_position nowhere = {.offset = -1};
    static const char *const sizes[] = {"1000000", "1040000", "5000000", "x"};
    profile_init(&profile, str_of("sort"));
    for (int i = 0; i < 4; i++) {
        struct msg_str_entry hint = {str_of("input_bytes"), str_of(sizes[i])};
        struct msg_execution_record record = run_of(1, MSG_OUTCOME_FINISHED, (i + 1) * (int64_t)10000000);
        record.request.hints = (struct msg_str_map){&hint, 1};
        assert_int_equal(profile_count(&profile, &record, &nowhere, T0), 1);
    }
    struct request_identity what = *what_of(1);
    assert_int_equal(what.input_bytes, 0);
    profile_summarise(&profile, &what, &summary); /* not told, as of the fourth */
    assert_true(summary.likeness == PROFILE_LIKE_INPUT && summary.memory_max == 4e7);
    what.input_bytes = 1020000;
    profile_summarise(&profile, &what, &summary);
    assert_true(summary.likeness == PROFILE_LIKE_INPUT);
    assert_true(summary.runs == 2 && within(summary.memory_max, 2e7, 0.03));
    what.input_bytes = 3000000;
    profile_summarise(&profile, &what, &summary);
    assert_true(summary.likeness == PROFILE_LIKE_COMMAND);
    assert_true(summary.runs == 4);
    what.command ^= 1;
    profile_summarise(&profile, &what, &summary);
    assert_true(summary.likeness == PROFILE_LIKE_CODE && summary.runs == 4);
    struct request_identity script = {1, 1000}, longer = {1, 1001}, large = {1, 100000}, larger = {1, 104000};
    assert_true(profile_likeness(&script, &script) == PROFILE_LIKE_INPUT);
    assert_true(profile_likeness(&script, &longer) == PROFILE_LIKE_COMMAND); /* small ones say what to do */
    assert_true(profile_likeness(&large, &larger) == PROFILE_LIKE_INPUT);
    assert_true(profile_likeness(&script, &large) == PROFILE_LIKE_COMMAND);
}

/* A run of program 1 on so much input, with series. */
static void count_sized(struct profile *profile, int64_t input_bytes, int64_t peak_bytes, int64_t cpu_us)
{
    char size[24];
    (void)snprintf(size, sizeof size, "%lld", (long long)input_bytes);
    struct msg_str_entry hint = {str_of("input_bytes"), str_of(size)};
    struct msg_series_point point = {.time_us = T0 + 2 * cpu_us,
                                     .counters = {.memory_bytes = peak_bytes, .cpu_usage_us = cpu_us}};
    const struct profile_position nowhere = {.offset = -1};
    struct msg_execution_record record = run_of(1, MSG_OUTCOME_FINISHED, peak_bytes);
    record.request.hints = (struct msg_str_map){&hint, 1};
    record.totals.cpu_usage_us = cpu_us;
    record.series.items = &point;
    record.series.count = 1;
    assert_int_equal(profile_count(profile, &record, &nowhere, T0), 1);
}

static struct profile_summary summary_at(const struct profile *profile, int64_t input_bytes)
{
    struct profile_summary summary;
    struct request_identity what = *what_of(1);
    what.input_bytes = input_bytes;
    profile_summarise(profile, &what, &summary);
    return summary;
}

static void summarise__another_size__what_they_would_have_needed_with_it(void **state)
{
    (void)state;
    struct profile profile;
    profile_init(&profile, str_of("sort"));
    count_sized(&profile, 1000000, 50000000, 1000000);
    struct profile_summary one = summary_at(&profile, 4000000), same = summary_at(&profile, 1000000);
    assert_true(one.likeness == PROFILE_LIKE_COMMAND && same.likeness == PROFILE_LIKE_INPUT);
    assert_true(within(one.memory_p50, 5e7 * pow(4, 0.9), 1e-3)); /* as most programs */
    assert_true(within(one.cpu_time_p50_s, 4, 1e-3) && within(rise_when(one.rise.s, 1), 8, 1e-3));
    assert_true(one.input_p50 == 1e6 && same.memory_p50 == 5e7 && same.cpu_time_p50_s == 1);
    assert_true(summary_at(&profile, 1000).memory_p50 == 5e7); /* small: no input, a program */
    assert_true(summary_at(&profile, 0).memory_p50 == 5e7);
    assert_true(summary_at(&profile, INT64_C(1000000000000)).memory_p50 < 1e9); /* not believed that far */
}

static void summarise__sizes_that_were_seen__their_own_law(void **state)
{
    (void)state;
    struct profile window, square;
    profile_init(&window, str_of("xz"));
    profile_init(&square, str_of("join"));
    for (int64_t size = 1000000; size <= 16000000; size *= 2) {
        count_sized(&window, size, 50000000, size);
        count_sized(&square, size, (int64_t)(1e3 * pow((double)size, 1.2)), 2 * size);
    }
    struct profile_summary flat = summary_at(&window, 64000000), steep = summary_at(&square, 64000000);
    assert_true(within(flat.memory_p50, 5e7, 0.05) && within(flat.memory_max, 5e7, 0.05));
    assert_true(within(flat.cpu_time_p50_s, 64, 0.02));
    assert_true(within(steep.memory_p50, 1e3 * pow(6.4e7, 1.2), 0.05));
    assert_true(flat.runs == 5 && flat.input_p50 == 4e6);
    struct request_identity other = {.command = what_of(2)->command, .input_bytes = 64000000};
    struct profile_summary code;
    profile_summarise(&square, &other, &code); /* another command: the code's runs, by size as well */
    assert_true(code.likeness == PROFILE_LIKE_CODE && within(code.memory_p50, 1e3 * pow(6.4e7, 1.2), 0.05));
    assert_false(rise_known(&code.rise));
    other.input_bytes = 0;
    profile_summarise(&square, &other, &code);
    assert_true(code.likeness == PROFILE_LIKE_CODE && code.input_p50 == 0 && code.memory_p50 < 2e11);
}

/* A killed run is a lower bound: it counts (1.2 times) where none is known to need more. */
static void summarise__killed_runs__count_above_finished_ones_only(void **state)
{
    (void)state;
    struct profile profile;
    struct profile_summary summary;
    profile_init(&profile, str_of("xz"));
    count_run(&profile, 1, MSG_OUTCOME_OOM_KILLED, 50000000);
    profile_summarise(&profile, what_of(1), &summary);
    assert_true(within(summary.memory_p50, 6e7, 1e-6) && within(summary.memory_max, 6e7, 1e-6));
    assert_true(summary.runs == 1 && summary.finished == 0 && summary.duration_p50_s == 0);
    count_run(&profile, 1, MSG_OUTCOME_FINISHED, 100000000);
    count_run(&profile, 1, MSG_OUTCOME_FINISHED, 100000000);
    profile_summarise(&profile, what_of(1), &summary);
    assert_true(summary.memory_p50 == 1e8 && summary.memory_max == 1e8);
    count_run(&profile, 1, MSG_OUTCOME_TIMED_OUT, 130000000);
    count_run(&profile, 1, MSG_OUTCOME_CRASHED, 900000000); /* of its own fault: tells nothing */
    profile_summarise(&profile, what_of(1), &summary);
    assert_true(summary.memory_p50 == 1e8 && summary.memory_max == 1.3e8);
    assert_int_equal(summary.runs, 4);
}

static void count__many_runs__bounded_and_the_oldest_go(void **state)
{
    (void)state;
    struct profile profile;
    struct profile_summary summary;
    profile_init(&profile, str_of("xz"));
    for (int i = 0; i < 40; i++)
        count_run(&profile, 0, MSG_OUTCOME_FINISHED, (i + 1) * (int64_t)1000000);
    profile_summarise(&profile, what_of(0), &summary);
    assert_int_equal(summary.runs, PROFILE_RECENT_SAME);
    assert_true(summary.memory_p50 == 32000000 && summary.memory_max == 40000000); /* of 25 to 40 */
    for (int i = 0; i < 200; i++)
        count_run(&profile, 1 + i % 7, MSG_OUTCOME_FINISHED, 1000000);
    assert_int_equal(profile.recent_count, PROFILE_RECENT_MAX);
    profile_summarise(&profile, what_of(0), &summary);
    assert_true(summary.likeness == PROFILE_LIKE_CODE); /* long ago */
    profile_summarise(&profile, what_of(7), &summary);
    assert_true(summary.likeness == PROFILE_LIKE_INPUT);
}

/* A record whose clock ran backwards must not make the profile one that nobody can read. */
static void count__absurd_run__left_out_of_the_latest(void **state)
{
    (void)state;
    struct profile profile, loaded;
    struct msg_code_profile message;
    const struct profile_position nowhere = {.offset = -1};
    struct arena *arena = arena_create(65536, 1 << 22);
    struct msg_execution_record record = run_of(1, MSG_OUTCOME_FINISHED, 70000000);
    profile_init(&profile, str_of("xz"));
    record.ended_us = record.started_us - 1000000;
    assert_int_equal(profile_count(&profile, &record, &nowhere, T0), 1);
    assert_int_equal(profile.recent_count, 0);
    assert_int_equal(profile_store(&profile, arena, &message), 0);
    assert_int_equal(profile_load(&loaded, &message), 0);
    arena_destroy(arena);
}

static void load__recent_runs__as_stored_or_refused(void **state)
{
    (void)state;
    struct profile profile, loaded;
    struct msg_code_profile message;
    struct profile_summary a, b;
    struct arena *arena = arena_create(65536, 1 << 22);
    profile_init(&profile, str_of("xz"));
    count_run(&profile, 1, MSG_OUTCOME_OOM_KILLED, 50000000);
    count_run(&profile, 1, MSG_OUTCOME_FINISHED, 70000000);
    count_run(&profile, 2, MSG_OUTCOME_FINISHED, 10000000);
    assert_int_equal(profile_store(&profile, arena, &message), 0);
    assert_int_equal(message.recent.count, 3);
    assert_int_equal(profile_load(&loaded, &message), 0);
    profile_summarise(&profile, what_of(1), &a);
    profile_summarise(&loaded, what_of(1), &b);
    assert_true(a.likeness == PROFILE_LIKE_INPUT);
    assert_memory_equal(&a, &b, sizeof a);
    message.recent.items[1].memory_peak = NAN;
    assert_int_equal(profile_load(&loaded, &message), -EBADMSG);
    arena_destroy(arena);
}

/* A run of program 1 whose memory rises within so many seconds; 0: its record came without a series. */
static void count_rising(struct profile *profile, int64_t peak_bytes, int seconds)
{
    static struct msg_series_point points[2];
    const struct profile_position nowhere = {.offset = -1};
    struct msg_execution_record record = run_of(1, MSG_OUTCOME_FINISHED, peak_bytes);
    points[0] = (struct msg_series_point){.time_us = T0 + seconds * INT64_C(1000000),
                                          .counters = {.memory_bytes = peak_bytes, .cpu_usage_us = 500000}};
    record.series.items = points;
    record.series.count = seconds > 0;
    assert_int_equal(profile_count(profile, &record, &nowhere, T0), 1);
}

static void summarise__how_memory_rose__median_of_those_that_tell(void **state)
{
    (void)state;
    struct profile profile, loaded;
    struct profile_summary summary, again;
    struct msg_code_profile message;
    struct arena *arena = arena_create(65536, 1 << 22);
    profile_init(&profile, str_of("xz"));
    count_rising(&profile, 70000000, 0);
    profile_summarise(&profile, what_of(1), &summary);
    assert_false(rise_known(&summary.rise));
    count_rising(&profile, 70000000, 2);
    count_rising(&profile, 70000000, 4);
    count_rising(&profile, 70000000, 9);
    profile_summarise(&profile, what_of(1), &summary);
    assert_true(within(rise_when(summary.rise.s, 1), 4, 1e-6));
    assert_true(within(rise_when(summary.rise.s, 0.5), 2, 1e-6));
    assert_true(within(rise_when(summary.rise.cpu_s, 1), 0.5, 1e-6));
    assert_int_equal(profile_store(&profile, arena, &message), 0);
    assert_int_equal(profile_load(&loaded, &message), 0);
    profile_summarise(&loaded, what_of(1), &again);
    assert_memory_equal(&summary, &again, sizeof again);
    profile_summarise(&profile, what_of(2), &summary);
    assert_false(rise_known(&summary.rise)); /* of another command it would tell nothing */
    message.recent.items[1].rise_s.items[2] = -1;
    assert_int_equal(profile_load(&loaded, &message), -EBADMSG);
    arena_destroy(arena);
}

/* Most records of runs that went well have no series: the last one that told goes when another tells. */
static void count__runs_without_series__the_last_rise_stays(void **state)
{
    (void)state;
    struct profile profile;
    struct profile_summary summary;
    profile_init(&profile, str_of("xz"));
    count_rising(&profile, 70000000, 2);
    count_rising(&profile, 70000000, 3);
    for (int i = 0; i < 5 * PROFILE_RECENT_SAME; i++)
        count_rising(&profile, 70000000, 0);
    profile_summarise(&profile, what_of(1), &summary);
    assert_int_equal(summary.runs, PROFILE_RECENT_SAME);
    assert_true(within(rise_when(summary.rise.s, 1), 3, 1e-6));
    count_rising(&profile, 70000000, 5);
    profile_summarise(&profile, what_of(1), &summary);
    assert_true(within(rise_when(summary.rise.s, 1), 5, 1e-6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(count__finished_run__feeds_every_histogram),
        cmocka_unit_test(count__killed_run__is_a_lower_bound_and_no_duration),
        cmocka_unit_test(count__same_offset_again__is_skipped),
        cmocka_unit_test(load__what_store_wrote__is_the_same),
        cmocka_unit_test(summarise__command_run_before__its_own_runs_only),
        cmocka_unit_test(summarise__inputs__those_of_its_size_first),
        cmocka_unit_test(summarise__another_size__what_they_would_have_needed_with_it),
        cmocka_unit_test(summarise__sizes_that_were_seen__their_own_law),
        cmocka_unit_test(summarise__killed_runs__count_above_finished_ones_only),
        cmocka_unit_test(count__many_runs__bounded_and_the_oldest_go),
        cmocka_unit_test(count__absurd_run__left_out_of_the_latest),
        cmocka_unit_test(load__recent_runs__as_stored_or_refused),
        cmocka_unit_test(summarise__how_memory_rose__median_of_those_that_tell),
        cmocka_unit_test(count__runs_without_series__the_last_rise_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
