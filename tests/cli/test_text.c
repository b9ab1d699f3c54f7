/* Values as people read them, and the story of an execution. */
#include "tests/cli/cmocka_all.h"

#include "cli/explain_text.h"
#include "cli/text.h"

static void bytes_and_durations__sizes__short_and_right(void **state)
{
    char out[32];
    (void)state;
    assert_string_equal(text_bytes(0, true, out), "-");
    assert_string_equal(text_bytes(0, false, out), "0");
    assert_string_equal(text_bytes(1023, false, out), "1023");
    assert_string_equal(text_bytes(64 << 20, false, out), "64M");
    assert_string_equal(text_bytes(INT64_C(1536) << 20, false, out), "1.5G");
    assert_string_equal(text_bytes(INT64_C(2) << 30, false, out), "2G");
    assert_string_equal(text_duration(350, out), "350ms");
    assert_string_equal(text_duration(12340, out), "12.3s");
    assert_string_equal(text_duration(250000, out), "4m10s");
    assert_string_equal(text_duration(3 * 3600000 + 120000, out), "3h02m");
}

static void change__limits__only_what_differs(void **state)
{
    struct msg_limits before = {.memory_bytes = 64 << 20, .cpu_millicores = 500},
                      after = {.memory_bytes = 96 << 20, .cpu_millicores = 500, .io_read_bps = 10 << 20};
    char out[256];
    (void)state;
    assert_string_equal(text_change(&before, &after, out, sizeof out),
                        "memory 64M -> 96M, reads none -> 10M/s");
    assert_string_equal(text_change(&before, &before, out, sizeof out), "nothing");
    assert_string_equal(text_limits(&before, out, sizeof out), "memory 64M, cpu 500m");
    assert_string_equal(text_limits(&(struct msg_limits){0}, out, sizeof out), "none");
}

static void sparkline__values__scaled_to_columns(void **state)
{
    static const double values[] = {0, 1, 2, 4, 8, -1};
    char out[64];
    (void)state;
    assert_string_equal(text_sparkline(values, 6, 8, 6, out, sizeof out), "▁▂▃▅█ ");
    assert_string_equal(text_sparkline(values, 6, 0, 3, out, sizeof out), "▂▅█");
    assert_string_equal(text_sparkline(values, 1, 0, 2, out, sizeof out), "▁▁");
    assert_string_equal(text_sparkline(values, 0, 0, 2, out, sizeof out), "  ");
}

static void explain__raised_execution__tells_all_that_matters(void **state)
{
    static const uint8_t id[16] = {7};
    struct str argv[] = {str_of("xz"), str_of("-9")};
    struct msg_execution_state end = {
        .phase = MSG_EXECUTION_PHASE_DONE, .attempt = 1, .outcome = MSG_OUTCOME_FINISHED};
    struct msg_applied_adjustment applied = {.result = MSG_ADJUSTMENT_RESULT_APPLIED,
                                             .applied_us = 1700000,
                                             .before = {.memory_bytes = 64 << 20},
                                             .after = {.memory_bytes = 128 << 20}};
    struct msg_series_point points[4] = {
        {.time_us = 1000000}, {.time_us = 1500000}, {.time_us = 2000000}, {.time_us = 3000000}};
    struct msg_execution_record record = {.attempt = 1,
                                          .started_us = 1000000,
                                          .ended_us = 3000000,
                                          .outcome = MSG_OUTCOME_FINISHED,
                                          .detail = str_of("exit status 0"),
                                          .first_limits = {.memory_bytes = 64 << 20},
                                          .adjustments = {&applied, 1},
                                          .series = {points, 4}};
    struct msg_allocation allocation = {
        .limits = {.memory_bytes = 130 << 20}, .revision = 4, .reason = str_of("peaks of 3 runs")};
    struct buffer out;
    (void)state;
    for (size_t i = 0; i < 4; i++)
        points[i].counters.memory_bytes = (int64_t)(i + 1) * (25 << 20);
    memcpy(end.execution, id, sizeof id);
    memcpy(record.execution, id, sizeof id);
    memcpy(applied.adjustment.execution, id, sizeof id);
    applied.adjustment.attempt = 1;
    applied.adjustment.direction = MSG_DIRECTION_RAISE;
    applied.adjustment.cause = MSG_CAUSE_MEMORY;
    applied.adjustment.probability = 0.93f;
    applied.adjustment.reason = str_of("100M in 2 s");
    end.request.code = str_of("xz");
    end.request.argv = (struct msg_str_array){argv, 2};
    struct execution *execution = execution_create(id, true);
    assert_int_equal(execution_take(execution, &msg_execution_state_type, &end), 1);
    assert_int_equal(execution_take_record(execution, &record, 0, 0), 1);
    buffer_init(&out, 0);
    explain_text(execution, &allocation, &out);
    buffer_append(&out, "", 1);
    const char *text = (const char *)out.data;
    assert_non_null(strstr(text, "command    xz -9\n"));
    assert_non_null(strstr(text, "outcome    finished, exit status 0"));
    assert_non_null(strstr(text, "began with memory 64M"));
    assert_non_null(strstr(text, "+700ms   raise memory, probability 0.93: memory 64M -> 128M"));
    assert_non_null(strstr(text, "100M in 2 s"));
    assert_non_null(strstr(text, "begins with memory 130M (revision 4)"));
    assert_non_null(strstr(text, "█"));
    buffer_fini(&out);
    json_t *root = explain_json(execution, &allocation);
    assert_int_equal(json_array_size(json_object_get(root, "samples")), 4);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(root, "allocation"), "revision")), 4);
    json_decref(root);
    execution_destroy(execution);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_and_durations__sizes__short_and_right),
        cmocka_unit_test(change__limits__only_what_differs),
        cmocka_unit_test(sparkline__values__scaled_to_columns),
        cmocka_unit_test(explain__raised_execution__tells_all_that_matters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
