/* The report and the exit status of an execution. */
#include "tests/cli/cmocka_all.h"

#include "cli/message_json.h"
#include "cli/report.h"

static const uint8_t id[16] = {1, 2, 3};

static struct msg_execution_state done(enum msg_outcome outcome, int exit_status, int signal)
{
    struct msg_execution_state out = {.phase = MSG_EXECUTION_PHASE_DONE,
                                      .attempt = 1,
                                      .changed_us = 9000000,
                                      .outcome = outcome,
                                      .exit_status = exit_status,
                                      .signal = signal};
    memcpy(out.execution, id, sizeof id);
    out.request.code = str_of("xz");
    out.node = str_of("n1");
    return out;
}

static void outcome_and_status__every_end__as_documented(void **state)
{
    static const struct {
        enum msg_outcome outcome;
        int exit_status, signal;
        bool cancel, dead;
        const char *name;
        int status;
    } cases[] = {
        {MSG_OUTCOME_FINISHED, 0, 0, false, false, "finished", 0},
        {MSG_OUTCOME_CRASHED, 3, 0, false, false, "crashed", 3},
        {MSG_OUTCOME_CRASHED, -1, 11, false, false, "crashed", 139},
        {MSG_OUTCOME_CRASHED, 127, 0, false, false, "crashed", 127},
        {MSG_OUTCOME_OOM_KILLED, -1, 9, false, false, "oom_killed", 137},
        {MSG_OUTCOME_OOM_KILLED, 1, 0, false, false, "oom_killed",
         137}, /* gcc's driver: its cc1 was killed */
        {MSG_OUTCOME_OOM_KILLED, -1, 9, false, true, "dead_lettered", 137},
        {MSG_OUTCOME_FINISHED, 0, 0, false, true, "finished", 0}, /* in an attempt after the dead letter */
        {MSG_OUTCOME_TIMED_OUT, -1, 9, false, false, "deadline_missed", 124},
        {MSG_OUTCOME_KILLED, -1, 9, true, false, "cancelled", 130},
        {MSG_OUTCOME_NONE, 0, 0, true, false, "cancelled", 130},
        {MSG_OUTCOME_NONE, 0, 0, false, false, "lost", 125},
        {MSG_OUTCOME_LOST, -1, 0, false, false, "lost", 125},
    };
    (void)state;
    for (size_t i = 0; i < FS_COUNT(cases); i++) {
        struct msg_execution_state end = done(cases[i].outcome, cases[i].exit_status, cases[i].signal);
        end.cancel_asked = cases[i].cancel;
        end.dead_lettered = cases[i].dead;
        assert_string_equal(report_outcome(&end), cases[i].name);
        assert_int_equal(report_exit_status(&end), cases[i].status);
    }
    struct msg_execution_state running = {.phase = MSG_EXECUTION_PHASE_RUNNING};
    assert_string_equal(report_outcome(&running), "running");
}

/* Two attempts: killed at 64 MiB, then raised from 96 to 160 MiB and finished. */
static struct execution *two_attempts(void)
{
    struct execution *execution = execution_create(id, false);
    struct msg_execution_state end = done(MSG_OUTCOME_FINISHED, 0, 0);
    struct msg_execution_record first = {.attempt = 1,
                                         .started_us = 1000000,
                                         .ended_us = 2000000,
                                         .outcome = MSG_OUTCOME_OOM_KILLED,
                                         .first_limits = {.memory_bytes = 64 << 20},
                                         .highest_limits = {.memory_bytes = 64 << 20}};
    struct msg_applied_adjustment applied = {.result = MSG_ADJUSTMENT_RESULT_APPLIED,
                                             .applied_us = 3500000,
                                             .before = {.memory_bytes = 96 << 20},
                                             .after = {.memory_bytes = 160 << 20},
                                             .memory_bytes = 90 << 20};
    applied.adjustment = (struct msg_adjustment){.attempt = 2,
                                                 .decision = 1,
                                                 .direction = MSG_DIRECTION_RAISE,
                                                 .cause = MSG_CAUSE_MEMORY,
                                                 .probability = 0.875f,
                                                 .reason = str_of("it grows"),
                                                 .sampled_us = 3480000,
                                                 .decided_us = 3490000};
    memcpy(applied.adjustment.execution, id, sizeof id);
    struct msg_series_point points[] = {{.time_us = 3400000}, {.time_us = 4000000}};
    points[0].counters.memory_bytes = 90 << 20;
    points[1].counters.memory_bytes = 100 << 20;
    struct msg_execution_record second = {.attempt = 2,
                                          .started_us = 3000000,
                                          .ended_us = 8000000,
                                          .outcome = MSG_OUTCOME_FINISHED,
                                          .first_limits = {.memory_bytes = 96 << 20},
                                          .highest_limits = {.memory_bytes = 160 << 20},
                                          .adjustments = {&applied, 1},
                                          .series = {points, 2}};
    second.totals.memory_peak_bytes = 140 << 20;
    memcpy(first.execution, id, sizeof id);
    memcpy(second.execution, id, sizeof id);
    end.attempt = 2;
    assert_int_equal(execution_take_record(execution, &second, 0, 2), 1);
    assert_int_equal(execution_take_record(execution, &first, 0, 1), 1);
    assert_int_equal(execution_take(execution, &msg_execution_state_type, &end), 1);
    return execution;
}

static json_int_t integer(const json_t *report, const char *key)
{
    const json_t *value = json_object_get(report, key);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static void report__retry_and_raise__figures(void **state)
{
    struct execution *execution = two_attempts();
    json_t *report = report_json(execution);
    (void)state;
    assert_non_null(report);
    assert_string_equal(json_string_value(json_object_get(report, "execution")),
                        "01020300-0000-0000-0000-000000000000");
    assert_string_equal(json_string_value(json_object_get(report, "outcome")), "finished");
    assert_int_equal(integer(report, "attempts"), 2);
    assert_int_equal(integer(report, "peak_bytes"), 140 << 20);
    assert_int_equal(integer(report, "first_limit_bytes"), 64 << 20);
    assert_int_equal(integer(report, "final_limit_bytes"), 160 << 20);
    assert_int_equal(integer(report, "first_raise_ms"), 2500);
    assert_int_equal(integer(report, "first_raise_lead_ms"), 500);
    assert_int_equal(integer(report, "duration_ms"), 7000);
    assert_int_equal(integer(report, "records_missing"), 0);
    assert_float_equal(json_real_value(json_object_get(report, "max_probability")), 0.875, 1e-6);
    const json_t *adjustment = json_array_get(json_object_get(report, "adjustments"), 0);
    assert_string_equal(json_string_value(json_object_get(adjustment, "direction")), "raise");
    assert_string_equal(json_string_value(json_object_get(adjustment, "reason")), "it grows");
    assert_float_equal(json_real_value(json_object_get(adjustment, "time_ms")), 2500, 0.01);
    assert_float_equal(json_real_value(json_object_get(adjustment, "applied_after_ms")), 20, 0.01);
    const json_t *change = json_object_get(json_object_get(adjustment, "changes"), "memory_bytes");
    assert_int_equal(json_integer_value(json_array_get(change, 0)), 96 << 20);
    assert_int_equal(json_integer_value(json_array_get(change, 1)), 160 << 20);
    json_decref(report);
    execution_destroy(execution);
}

static void report__never_started__nothing_invented(void **state)
{
    struct execution *execution = execution_create(id, false);
    struct msg_execution_state end = done(MSG_OUTCOME_NONE, 0, 0);
    (void)state;
    assert_null(report_json(execution));
    end.cancel_asked = true;
    assert_int_equal(execution_take(execution, &msg_execution_state_type, &end), 1);
    json_t *report = report_json(execution);
    assert_string_equal(json_string_value(json_object_get(report, "outcome")), "cancelled");
    assert_true(json_is_null(json_object_get(report, "first_limit_bytes")));
    assert_true(json_is_null(json_object_get(report, "final_limit_bytes")));
    assert_true(json_is_null(json_object_get(report, "first_raise_ms")));
    assert_true(json_is_null(json_object_get(report, "duration_ms")));
    assert_int_equal(report_records_missing(execution), 0);
    json_decref(report);
    execution_destroy(execution);
}

static void records_missing__by_end__what_must_still_come(void **state)
{
    struct execution *execution = execution_create(id, false);
    struct msg_execution_state end = done(MSG_OUTCOME_OOM_KILLED, -1, 9);
    struct msg_execution_event started = {.kind = MSG_EVENT_KIND_STARTED, .attempt = 1, .time_us = 5};
    (void)state;
    memcpy(started.execution, id, sizeof id);
    assert_int_equal(execution_take(execution, &msg_execution_event_type, &started), 1);
    assert_int_equal(execution_take(execution, &msg_execution_state_type, &end), 1);
    assert_int_equal(report_records_missing(execution), 1);
    end.outcome = MSG_OUTCOME_LOST; /* nobody can write one */
    end.changed_us++;
    assert_int_equal(execution_take(execution, &msg_execution_state_type, &end), 1);
    assert_int_equal(report_records_missing(execution), 0);
    execution_destroy(execution);
}

static void message_json__nested_and_odd_values__whole_and_valid(void **state)
{
    struct msg_str_entry hints[] = {{{"input", 5}, {"\xff\xfe", 2}}};
    struct str argv[] = {{"xz", 2}};
    struct msg_execution_request request = {
        .action = MSG_ACTION_CANCEL, .argv = {argv, 1}, .hints = {hints, 1}};
    struct msg_risk risk = {.probability = (float)__builtin_nan("")};
    (void)state;
    json_t *root = message_json(&msg_execution_request_type, &request);
    assert_string_equal(json_string_value(json_object_get(root, "action")), "cancel");
    assert_string_equal(json_string_value(json_array_get(json_object_get(root, "argv"), 0)), "xz");
    assert_string_equal(json_string_value(json_object_get(json_object_get(root, "hints"), "input")), "??");
    assert_true(json_is_object(json_object_get(root, "limits")));
    json_decref(root);
    root = message_json(&msg_risk_type, &risk);
    assert_true(json_is_null(json_object_get(root, "probability")));
    json_decref(root);
    for (size_t i = 0; i < MSG_TYPE_COUNT; i++) { /* every type, all zero */
        uint8_t zero[8192] = {0};
        assert_true(msg_types[i]->size <= sizeof zero);
        root = message_json(msg_types[i], zero);
        assert_non_null(root);
        assert_int_equal(json_object_size(root), msg_types[i]->field_count);
        json_decref(root);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outcome_and_status__every_end__as_documented),
        cmocka_unit_test(report__retry_and_raise__figures),
        cmocka_unit_test(report__never_started__nothing_invented),
        cmocka_unit_test(records_missing__by_end__what_must_still_come),
        cmocka_unit_test(message_json__nested_and_odd_values__whole_and_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
