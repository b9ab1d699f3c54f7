/* Gathering what the topics say about one execution. */
#include "tests/cli/cmocka_all.h"

#include <errno.h>

#include "cli/execution.h"

static const uint8_t id[16] = {1, 2, 3}, other[16] = {9};

static struct msg_execution_state state_of(enum msg_execution_phase phase, int32_t attempt,
                                           int64_t changed_us)
{
    struct msg_execution_state out = {.phase = phase, .attempt = attempt, .changed_us = changed_us};
    memcpy(out.execution, id, sizeof id);
    memcpy(out.request.execution, id, sizeof id);
    out.request.code = str_of("xz");
    return out;
}

static struct msg_applied_adjustment answer_of(int32_t attempt, int64_t decision,
                                               enum msg_adjustment_result result)
{
    struct msg_applied_adjustment out = {.result = result, .applied_us = 1000 + decision};
    memcpy(out.adjustment.execution, id, sizeof id);
    out.adjustment.attempt = attempt;
    out.adjustment.decision = decision;
    out.adjustment.probability = 0.5f;
    out.adjustment.reason = str_of("because");
    return out;
}

static void take_state__out_of_order__last_change_counts(void **state)
{
    struct execution *execution = execution_create(id, false);
    struct msg_execution_state done = state_of(MSG_EXECUTION_PHASE_DONE, 2, 20);
    struct msg_execution_state running = state_of(MSG_EXECUTION_PHASE_RUNNING, 1, 10);
    (void)state;
    assert_non_null(execution);
    assert_null(execution_state(execution));
    assert_int_equal(execution_take(execution, &msg_execution_state_type, &done), 1);
    assert_int_equal(execution_take(execution, &msg_execution_state_type, &running), 1);
    assert_true(execution_done(execution));
    assert_int_equal(execution_attempts(execution), 2);
    assert_int_equal(execution_started(execution), 0);
    memcpy(running.execution, other, sizeof other);
    assert_int_equal(execution_take(execution, &msg_execution_state_type, &running), 0);
    execution_destroy(execution);
}

static void take_adjustments__topic_event_and_record__one_entry_each_in_order(void **state)
{
    struct execution *execution = execution_create(id, false);
    struct msg_applied_adjustment second = answer_of(1, 2, MSG_ADJUSTMENT_RESULT_APPLIED);
    struct msg_applied_adjustment items[] = {answer_of(1, 1, MSG_ADJUSTMENT_RESULT_PARTLY), second};
    struct msg_execution_event event = {.kind = MSG_EVENT_KIND_ADJUSTED, .attempt = 1, .has_adjusted = true};
    struct msg_execution_record record = {.attempt = 1, .adjustments = {items, 2}};
    size_t count;
    (void)state;
    memcpy(event.execution, id, sizeof id);
    memcpy(record.execution, id, sizeof id);
    assert_int_equal(execution_take(execution, &msg_adjustment_type, &second.adjustment), 1);
    const struct execution_adjustment *adjustments = execution_adjustments(execution, &count);
    assert_int_equal(count, 1);
    assert_false(adjustments[0].answered);
    event.adjusted = second;
    assert_int_equal(execution_take(execution, &msg_execution_event_type, &event), 1);
    assert_int_equal(execution_take_record(execution, &record, 3, 77), 1);
    event.adjusted.result = MSG_ADJUSTMENT_RESULT_IGNORED_OLD; /* a repetition: the first answer acted */
    assert_int_equal(execution_take(execution, &msg_execution_event_type, &event), 1);
    adjustments = execution_adjustments(execution, &count);
    assert_int_equal(count, 2);
    assert_int_equal(adjustments[0].adjustment.decision, 1);
    assert_int_equal(adjustments[0].result, MSG_ADJUSTMENT_RESULT_PARTLY);
    assert_int_equal(adjustments[1].adjustment.decision, 2);
    assert_int_equal(adjustments[1].result, MSG_ADJUSTMENT_RESULT_APPLIED);
    assert_true(str_equal(adjustments[1].adjustment.reason, str_of("because")));
    assert_int_equal(execution_attempt(execution, 1)->offset, 77);
    execution_destroy(execution);
}

static void take_record__series__first_crossing_and_samples(void **state)
{
    struct execution *execution = execution_create(id, true);
    struct msg_series_point points[3] = {{.time_us = 100}, {.time_us = 200}, {.time_us = 300}};
    struct msg_execution_record record = {
        .attempt = 1, .started_us = 50, .first_limits = {.memory_bytes = 1000}, .series = {points, 3}};
    size_t count;
    (void)state;
    memcpy(record.execution, id, sizeof id);
    points[0].counters.memory_bytes = 900;
    points[1].counters.memory_bytes = 1001;
    points[2].counters.memory_bytes = 2000;
    assert_int_equal(execution_take_record(execution, &record, 0, 0), 1);
    assert_int_equal(execution_take_record(execution, &record, 0, 1), 1); /* comes twice, counts once */
    assert_int_equal(execution_attempt(execution, 1)->crossed_us, 200);
    assert_int_equal(execution_attempt(execution, 1)->offset, 0);
    assert_int_equal(execution_start_us(execution), 50);
    assert_int_equal(execution_samples(execution, &count)[1].memory_bytes, 1001);
    assert_int_equal(count, 3);
    execution_destroy(execution);
}

static void take_tick__many_samples__ours_only(void **state)
{
    struct execution *execution = execution_create(id, true);
    struct msg_sample samples[2] = {{.attempt = 1, .started_us = 5}, {.attempt = 1, .started_us = 7}};
    struct msg_tick tick = {.time_us = 10, .samples = {samples, 2}};
    size_t count;
    (void)state;
    memcpy(samples[0].execution, other, sizeof other);
    memcpy(samples[1].execution, id, sizeof id);
    assert_int_equal(execution_take(execution, &msg_tick_type, &tick), 1);
    (void)execution_samples(execution, &count);
    assert_int_equal(count, 1);
    assert_int_equal(execution_start_us(execution), 7);
    memcpy(samples[1].execution, other, sizeof other);
    assert_int_equal(execution_take(execution, &msg_tick_type, &tick), 0);
    execution_destroy(execution);
}

static void take_risk__more_than_fit__counted_and_highest_kept(void **state)
{
    struct execution *execution = execution_create(id, false);
    struct msg_risk risk = {.attempt = 1};
    size_t count;
    (void)state;
    memcpy(risk.execution, id, sizeof id);
    for (int i = 0; i < EXECUTION_RISKS_MAX + 5; i++) {
        risk.probability = i == EXECUTION_RISKS_MAX + 3 ? 0.75f : 0.25f;
        assert_int_equal(execution_take(execution, &msg_risk_type, &risk), 1);
    }
    (void)execution_risks(execution, &count);
    assert_int_equal(count, EXECUTION_RISKS_MAX);
    assert_int_equal(execution_dropped(execution), 5);
    assert_float_equal(execution_max_probability(execution), 0.75, 1e-6);
    execution_destroy(execution);
}

static void take__absurd_attempts__harmless(void **state)
{
    struct execution *execution = execution_create(id, false);
    struct msg_execution_record record = {.attempt = INT32_MAX};
    struct msg_risk risk = {.attempt = INT32_MAX};
    (void)state;
    memcpy(record.execution, id, sizeof id);
    memcpy(risk.execution, id, sizeof id);
    assert_int_equal(execution_take_record(execution, &record, 0, 0), 1);
    record.attempt = -5;
    assert_int_equal(execution_take_record(execution, &record, 0, 0), 1);
    assert_int_equal(execution_take(execution, &msg_risk_type, &risk), 1);
    assert_int_equal(execution_attempts(execution), 0);
    assert_null(execution_attempt(execution, INT32_MAX));
    assert_null(execution_attempt(execution, 0));
    execution_destroy(execution);
}

static void take_dead__decisions_and_reason__kept(void **state)
{
    struct execution *execution = execution_create(id, false);
    struct msg_decision decision = {.adjustment = answer_of(1, 4, 0).adjustment};
    struct msg_dead_execution dead = {.decisions = {&decision, 1}, .reason = str_of("raised and failed")};
    size_t count;
    (void)state;
    memcpy(dead.record.execution, id, sizeof id);
    dead.record.attempt = 1;
    assert_int_equal(execution_take(execution, &msg_dead_execution_type, &dead), 1);
    assert_true(str_equal(execution_dead(execution)->reason, str_of("raised and failed")));
    assert_int_equal(execution_adjustments(execution, &count)[0].adjustment.decision, 4);
    assert_int_equal(count, 1);
    execution_destroy(execution);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(take_state__out_of_order__last_change_counts),
        cmocka_unit_test(take_adjustments__topic_event_and_record__one_entry_each_in_order),
        cmocka_unit_test(take_record__series__first_crossing_and_samples),
        cmocka_unit_test(take_tick__many_samples__ours_only),
        cmocka_unit_test(take_risk__more_than_fit__counted_and_highest_kept),
        cmocka_unit_test(take__absurd_attempts__harmless),
        cmocka_unit_test(take_dead__decisions_and_reason__kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
