/* What acting on alarms has done, from records: the estimate, its interval, and the tallies. */
#include "tests/cli/cmocka_all.h"

#include <math.h>

#include "cli/effect.h"
#include "common/base.h"

#define MIB ((int64_t)1 << 20)
#define SECOND ((int64_t)1000000)

static struct msg_execution_record record_of(uint8_t number, enum msg_arm arm, float propensity, bool failed)
{
    struct msg_execution_record out = {.attempt = 1,
                                       .code = str_of("xz"),
                                       .arm = arm,
                                       .propensity = propensity,
                                       .started_us = SECOND,
                                       .ended_us = 11 * SECOND,
                                       .outcome = failed ? MSG_OUTCOME_OOM_KILLED : MSG_OUTCOME_FINISHED,
                                       .cause = failed ? MSG_CAUSE_MEMORY : MSG_CAUSE_NONE,
                                       .series_inclusion = 1};
    out.execution[0] = number;
    out.execution[1] = (uint8_t)arm;
    out.first_limits.memory_bytes = 64 * MIB;
    out.totals.memory_peak_bytes = 60 * MIB;
    return out;
}

static struct effect *new_effect(void)
{
    struct effect *effect = effect_create();
    assert_non_null(effect);
    return effect;
}

static void take(struct effect *effect, const struct msg_execution_record *record)
{
    assert_int_equal(effect_take_record(effect, record), 0);
}

/* failed of attempts in each arm, held out and acted on. */
static void take_arms(struct effect *effect, int held, int held_failed, int acted, int acted_failed)
{
    for (int i = 0; i < held; i++) {
        struct msg_execution_record record = record_of((uint8_t)i, MSG_ARM_HELD_OUT, 0.5f, i < held_failed);
        take(effect, &record);
    }
    for (int i = 0; i < acted; i++) {
        struct msg_execution_record record = record_of((uint8_t)i, MSG_ARM_TREATED, 0.5f, i < acted_failed);
        take(effect, &record);
    }
}

static void assert_near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%.6f is not %.6f", value, expected);
}

/* Newcombe 1998, Statistics in Medicine 17: table II, method 10. */
static void averted__published_examples__newcombes_interval(void **state)
{
    static const struct {
        int held, held_failed, acted, acted_failed;
        double share, low, high;
    } examples[] = {
        {70, 56, 80, 48, 0.2000, 0.0524, 0.3339},
        {10, 9, 10, 3, 0.6000, 0.1705, 0.8090},
        {10, 10, 20, 0, 1.0000, 0.6791, 1.0000},
        {56, 5, 29, 0, 0.0893, -0.0381, 0.1926},
    };
    (void)state;
    for (size_t i = 0; i < FS_COUNT(examples); i++) {
        struct effect *effect = new_effect();
        struct effect_averted averted;
        take_arms(effect, examples[i].held, examples[i].held_failed, examples[i].acted,
                  examples[i].acted_failed);
        assert_true(effect_averted(effect_all(effect), &averted));
        assert_near(averted.share, examples[i].share, 5e-5);
        assert_near(averted.low, examples[i].low, 6e-5);
        assert_near(averted.high, examples[i].high, 6e-5);
        assert_near(averted.count, examples[i].acted, 0);
        effect_destroy(effect);
    }
}

/* Two times with other shares: 2 % of hard executions held out, then half of easy ones. Without the weights
 * the easy ones would count most in the held-out arm only. */
static void averted__other_propensities__weighed(void **state)
{
    (void)state;
    struct effect *effect = new_effect();
    struct effect_averted averted;
    for (int i = 0; i < 200; i++) {
        bool hard = i < 100, held = hard ? i < 2 : i < 150;
        float share = hard ? 0.02f : 0.5f;
        struct msg_execution_record record = record_of((uint8_t)i, held ? MSG_ARM_HELD_OUT : MSG_ARM_TREATED,
                                                       held ? share : 1 - share, hard && held);
        take(effect, &record);
    }
    assert_true(effect_averted(effect_all(effect), &averted));
    assert_near(averted.share, 0.5, 1e-6);                  /* all the hard half */
    assert_true(averted.low < 0.25 && averted.high > 0.75); /* two of them tell half of it */
    effect_destroy(effect);
}

static void averted__one_arm_or_certain_arms__not_known(void **state)
{
    (void)state;
    struct effect *effect = new_effect();
    struct effect_averted averted;
    take_arms(effect, 0, 0, 5, 1);
    struct msg_execution_record certain = record_of(9, MSG_ARM_HELD_OUT, 1, true),
                                retry = record_of(9, MSG_ARM_HELD_OUT, 0.5f, true);
    retry.attempt = 2;
    take(effect, &certain);
    take(effect, &retry);
    assert_false(effect_averted(effect_all(effect), &averted));
    assert_int_equal(effect_all(effect)->failed, 3);
    assert_int_equal(effect_all(effect)->executions, 6);
    assert_int_equal(effect_all(effect)->attempts, 7);
    effect_destroy(effect);
}

static struct msg_applied_adjustment raise_to(int64_t bytes, int64_t from, int64_t at_us)
{
    struct msg_applied_adjustment out = {.result = MSG_ADJUSTMENT_RESULT_APPLIED, .applied_us = at_us};
    out.adjustment.direction = MSG_DIRECTION_RAISE;
    out.before.memory_bytes = from;
    out.after.memory_bytes = bytes;
    return out;
}

static void record__twice__counts_once(void **state)
{
    (void)state;
    struct effect *effect = new_effect();
    struct msg_execution_record record = record_of(1, MSG_ARM_TREATED, 1, true);
    take(effect, &record);
    take(effect, &record);
    assert_int_equal(effect_all(effect)->attempts, 1);
    effect_destroy(effect);
}

static void raises__needed_or_not__told_apart(void **state)
{
    (void)state;
    struct effect *effect = new_effect();
    struct msg_applied_adjustment adjustment = raise_to(128 * MIB, 64 * MIB, 6 * SECOND);
    struct msg_execution_record needed = record_of(1, MSG_ARM_TREATED, 1, false),
                                needless = record_of(2, MSG_ARM_TREATED, 1, false),
                                close = record_of(3, MSG_ARM_TREATED, 1, false);
    struct msg_brake_period brake = {.start_us = 5 * SECOND, .end_us = 6 * SECOND, .by_raise = true};
    needed.adjustments = needless.adjustments = close.adjustments =
        (struct msg_applied_adjustment_array){&adjustment, 1};
    needed.totals.memory_peak_bytes = 100 * MIB;
    needless.totals.memory_peak_bytes = close.totals.memory_peak_bytes = 30 * MIB;
    close.brakes = (struct msg_brake_period_array){&brake, 1}; /* it met its limit between two samples */
    take(effect, &needed);
    take(effect, &needless);
    take(effect, &close);
    assert_int_equal(effect_all(effect)->raised, 3);
    assert_int_equal(effect_all(effect)->outgrew, 1);
    assert_int_equal(effect_all(effect)->false_alarms, 1);
    effect_destroy(effect);
}

/* 64 MiB for 5 s, then 128 MiB for 5 s, nothing of it for use: 0.9375 GiB*s. */
static void failed__raised_on_the_way__all_it_was_given(void **state)
{
    (void)state;
    struct effect *effect = new_effect();
    struct msg_applied_adjustment adjustment = raise_to(128 * MIB, 64 * MIB, 6 * SECOND);
    struct msg_execution_record record = record_of(1, MSG_ARM_TREATED, 1, true);
    record.adjustments = (struct msg_applied_adjustment_array){&adjustment, 1};
    take(effect, &record);
    assert_near(effect_all(effect)->failed_gib_h, 0.9375 / 3600, 1e-12);
    assert_near(effect_all(effect)->slack_gib_h, 0, 0);
    effect_destroy(effect);
}

/* A series included with 5 % stands for twenty. */
static void slack__series_of_a_sample__weighed_by_its_inclusion(void **state)
{
    (void)state;
    struct effect *effect = new_effect();
    struct msg_series_point points[3];
    for (int i = 0; i < 3; i++) {
        points[i] = (struct msg_series_point){.time_us = SECOND * (1 + 4 * i)};
        points[i].limits.memory_bytes = 1024 * MIB;
        points[i].counters.memory_bytes = 256 * MIB;
    }
    struct msg_execution_record record = record_of(1, MSG_ARM_TREATED, 1, false);
    record.series = (struct msg_series_point_array){points, 3};
    record.series_inclusion = 0.05f;
    take(effect, &record);
    assert_near(effect_all(effect)->slack_gib_h, 20 * 0.75 * 8 / 3600, 1e-8);
    assert_near(effect_all(effect)->slack_share_s / effect_all(effect)->seconds, 0.75, 1e-9);
    effect_destroy(effect);
}

static void alarms__held_out__false_when_nothing_failed(void **state)
{
    (void)state;
    struct effect *effect = new_effect();
    for (uint8_t i = 0; i < 3; i++) {
        struct msg_execution_record record = record_of(i, MSG_ARM_HELD_OUT, 0.02f, i == 0);
        struct msg_risk risk = {.attempt = 1, .arm = MSG_ARM_HELD_OUT, .above = i < 2};
        memcpy(risk.execution, record.execution, sizeof risk.execution);
        assert_int_equal(effect_take_risk(effect, &risk), 0);
        assert_int_equal(effect_take_risk(effect, &risk), 0);
        take(effect, &record);
    }
    assert_int_equal(effect_all(effect)->held_out_alarms, 2);
    assert_int_equal(effect_all(effect)->held_out_false, 1);
    effect_destroy(effect);
}

static void codes__several__by_name_and_still_found(void **state)
{
    (void)state;
    static const char *const names[] = {"tar", "awk", "xz"};
    struct effect *effect = new_effect();
    const struct effect_tally *codes;
    size_t count;
    for (uint8_t round = 0; round < 2; round++) {
        for (uint8_t i = 0; i < 3; i++) {
            struct msg_execution_record record =
                record_of((uint8_t)(10 * round + i), MSG_ARM_TREATED, 1, false);
            record.code = str_of(names[i]);
            take(effect, &record);
        }
        codes = effect_codes(effect, &count);
        assert_int_equal(count, 3);
        assert_string_equal(codes[0].code, "awk");
        assert_string_equal(codes[2].code, "xz");
    }
    assert_int_equal(codes[0].attempts, 2);
    assert_int_equal(codes[1].attempts, 2);
    assert_int_equal(effect_dropped(effect), 0);
    effect_destroy(effect);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(averted__published_examples__newcombes_interval),
        cmocka_unit_test(averted__other_propensities__weighed),
        cmocka_unit_test(averted__one_arm_or_certain_arms__not_known),
        cmocka_unit_test(record__twice__counts_once),
        cmocka_unit_test(raises__needed_or_not__told_apart),
        cmocka_unit_test(failed__raised_on_the_way__all_it_was_given),
        cmocka_unit_test(slack__series_of_a_sample__weighed_by_its_inclusion),
        cmocka_unit_test(alarms__held_out__false_when_nothing_failed),
        cmocka_unit_test(codes__several__by_name_and_still_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
