/* What alarms: a level is the running average of log odds by time. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/alarm_level.h"

#define TICK_MS 100

static float settle(float level, float log_odds, int64_t step_ms, int64_t until_ms)
{
    for (int64_t t = 0; t < until_ms; t += step_ms)
        level = alarm_level_next(level, log_odds, alarm_level_keeps(step_ms));
    return level;
}

static void level__first_sample__as_it_is(void **state)
{
    (void)state;
    assert_true(alarm_level_next(5, -2, 0) == -2);
}

static void level__step__two_thirds_after_the_time_constant(void **state)
{
    (void)state;
    float level = settle(-4, 2, TICK_MS, ALARM_LEVEL_MS); /* five ticks */
    assert_true(level > -0.1f && level < 0.2f);
    assert_true(fabsf(settle(-4, 2, TICK_MS, 5000) - 2) < 0.01f);
}

static void level__other_cycle__the_same_by_time(void **state)
{
    (void)state;
    assert_true(fabsf(settle(-4, 2, 50, 400) - settle(-4, 2, 200, 400)) < 1e-4f);
}

/* One sample in four says yes: each would be an alarm of its own. */
static void level__flicker__never_crosses(void **state)
{
    (void)state;
    float level = -1;
    for (int i = 0; i < 400; i++) {
        level = alarm_level_next(level, i % 4 ? -1 : 1, alarm_level_keeps(TICK_MS));
        assert_true(level < 0);
    }
}

static void level__time__gaps_forget_and_clocks_that_go_back_begin_anew(void **state)
{
    (void)state;
    assert_true(fabsf(alarm_level_next(9, -3, alarm_level_keeps(60000)) + 3) < 1e-6f);
    assert_true(alarm_level_keeps(-1) == 0);
    assert_true(alarm_level_keeps(INT64_MIN) == 0 && alarm_level_keeps(INT64_MAX) == 0);
    assert_true(alarm_level_keeps(0) == 1);
}

/* A sample that was sure is outlived by two seconds that are not. */
static void level__certainty_and_nonsense__bounded(void **state)
{
    (void)state;
    assert_true(alarm_log_odds(1) == ALARM_LEVEL_MOST && alarm_log_odds(0) == -ALARM_LEVEL_MOST);
    assert_true(alarm_log_odds(NAN) == -ALARM_LEVEL_MOST);
    assert_true(fabsf(alarm_log_odds(0.75f) - logf(3)) < 1e-6f);
    assert_true(alarm_level_next(0, INFINITY, 0) == ALARM_LEVEL_MOST);
    assert_true(alarm_level_next(0, NAN, 0) == -ALARM_LEVEL_MOST);
    assert_true(settle(ALARM_LEVEL_MOST, -1, TICK_MS, 2000) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(level__first_sample__as_it_is),
        cmocka_unit_test(level__step__two_thirds_after_the_time_constant),
        cmocka_unit_test(level__other_cycle__the_same_by_time),
        cmocka_unit_test(level__flicker__never_crosses),
        cmocka_unit_test(level__time__gaps_forget_and_clocks_that_go_back_begin_anew),
        cmocka_unit_test(level__certainty_and_nonsense__bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
