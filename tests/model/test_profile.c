/* What a code's profile takes from records, that each record counts once, and its way through the CodeProfile
 * message. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>

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
    profile_summarise(&profile, &summary);
    assert_int_equal(summary.runs, 0);
    assert_true(summary.memory_max == 0);
    assert_int_equal(profile_count(&profile, &record, &position, T0), 1);
    profile_summarise(&profile, &summary);
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
    profile_summarise(&profile, &summary);
    assert_true(within(summary.memory_max, 1e8 * PROFILE_OOM_BUMP, 0.06));
    assert_true(summary.duration_p50_s == 0 && summary.cpu_time_p50_s == 0);
    assert_int_equal(profile.failures[MSG_CAUSE_MEMORY], 1);
    record = record_of(MSG_OUTCOME_KILLED, MSG_CAUSE_NONE, 900000000);
    position = position_of(8);
    assert_int_equal(profile_count(&profile, &record, &position, T0), 1);
    profile_summarise(&profile, &summary);
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
    profile_summarise(&profile, &a);
    profile_summarise(&loaded, &b);
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(loaded.failures[MSG_CAUSE_MEMORY], 4);
    struct profile_position last = position_of(19), next = position_of(20);
    assert_true(profile_contains(&loaded, &last) && !profile_contains(&loaded, &next));
    assert_int_equal(profile_summarise_message(&message, &b), 0);
    assert_memory_equal(&a, &b, sizeof a);
    message.runs = -1;
    assert_int_equal(profile_load(&loaded, &message), -EBADMSG);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(count__finished_run__feeds_every_histogram),
        cmocka_unit_test(count__killed_run__is_a_lower_bound_and_no_duration),
        cmocka_unit_test(count__same_offset_again__is_skipped),
        cmocka_unit_test(load__what_store_wrote__is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
