/* What the policy sees of a code's past: from its profile, which is on its way in a message. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "allocate/history.h"
#include "common/topics.h"
#include "model/profile.h"
#include "tests/allocate/tools.h"

#define MIB ((int64_t)1 << 20)

static void history__profile__its_peaks_and_weights(void **state)
{
    struct tools *tools = *state;
    static struct profile profile;
    struct msg_code_profile message;
    struct policy_history history;
    profile_init(&profile, str_of("c"));
    for (int i = 0; i < 10; i++) {
        struct msg_execution_record record = {.outcome = MSG_OUTCOME_FINISHED, .ended_us = 10000000};
        record.totals.memory_peak_bytes = (i == 0 ? 600 : 100) * MIB;
        struct profile_position position = {.offset = i};
        (void)snprintf(position.topic, sizeof position.topic, "%s", TOPIC_EXECUTIONS_FINISHED);
        assert_int_equal(profile_count(&profile, &record, &position, 10000000), 1);
    }
    assert_int_equal(profile_store(&profile, tools->arena, &message), 0);
    assert_int_equal(history_read(&message, &history), 0);
    assert_int_equal(history.runs, 10);
    assert_int_equal(history.memory_count, 2);
    assert_true(fabs(history.memory[0].value / (100.0 * (double)MIB) - 1) < 0.05 &&
                fabs(history.memory[0].weight - 0.9) < 0.01);
    assert_true(fabs(history.memory[1].value / (600.0 * (double)MIB) - 1) < 0.05 &&
                fabs(history.memory[1].weight - 0.1) < 0.01);
    assert_true(history.memory_max >= 600.0 * (double)MIB && history.duration_p50_s > 9);
    message.memory_peak.first = 5; /* of another layout */
    assert_true(history_read(&message, &history) < 0);
}

static void history__many_buckets__merged_upwards_and_highest_stays(void **state)
{
    (void)state;
    struct histogram histogram;
    struct policy_history history;
    histogram_init(&histogram, 1048576, 1e12, 1.05, 86400);
    double total = 0;
    for (int i = 1; i <= 100; i++)
        assert_true(histogram_add(&histogram, (double)(i * MIB * 10), 1, 1));
    history_peaks(&histogram, &history);
    assert_int_equal(history.memory_count, POLICY_PEAKS_MAX);
    for (uint32_t i = 0; i < history.memory_count; i++) {
        assert_true(i == 0 || history.memory[i].value > history.memory[i - 1].value);
        total += history.memory[i].weight;
    }
    assert_true(fabs(total - 1) < 1e-9);
    assert_true(fabs(history.memory[POLICY_PEAKS_MAX - 1].value / (1000.0 * (double)MIB) - 1) < 0.05);
    histogram_init(&histogram, 1048576, 1e12, 1.05, 86400);
    history_peaks(&histogram, &history);
    assert_int_equal(history.memory_count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, tools_set_up, tools_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(history__profile__its_peaks_and_weights),
        TEST(history__many_buckets__merged_upwards_and_highest_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
