/* How memory rose: dated from a series, asked both ways, and what a message may hold of it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>

#include "model/rise.h"

#define START INT64_C(1700000000000000)
#define POINTS 100

static struct msg_series_point points[POINTS];

/* One sample every 100 ms, half a core used. */
static struct msg_execution_record record_of(int64_t (*memory)(size_t))
{
    for (size_t i = 0; i < POINTS; i++) {
        int64_t after_us = ((int64_t)i + 1) * 100000;
        points[i] =
            (struct msg_series_point){.time_us = START + after_us,
                                      .counters = {.memory_bytes = memory(i), .cpu_usage_us = after_us / 2}};
    }
    return (struct msg_execution_record){.started_us = START, .series = {points, POINTS}};
}

static int64_t ramp(size_t i)
{
    return ((int64_t)i + 1) * 1000000;
}

static int64_t jump(size_t i)
{
    return i < 50 ? 30000000 : i < 60 ? 100000000 : 10000000;
}

static int64_t nothing(size_t i)
{
    (void)i;
    return 0;
}

static void near(double actual, double expected)
{
    if (!(fabs(actual - expected) <= 1e-5 * fmax(1, fabs(expected))))
        fail_msg("got %.9g, expected %.9g", actual, expected);
}

static void of_record__ramp__every_share_at_its_time(void **state)
{
    (void)state;
    struct msg_execution_record record = record_of(ramp);
    struct rise rise = rise_of_record(&record);
    assert_true(rise_known(&rise));
    for (int percent = 0; percent <= 100; percent++) {
        double share = percent / 100.0;
        near(rise_when(rise.s, share), 10 * share);
        near(rise_when(rise.cpu_s, share), 5 * share);
        near(rise_share(rise.s, 10 * share), share);
    }
    near(rise_when(rise.s, 1.5), 10);
    near(rise_share(rise.s, 1000), 1);
    near(rise_share(rise.s, 0), 0);
}

static void of_record__jump__dated_where_it_was(void **state)
{
    (void)state;
    struct msg_execution_record record = record_of(jump);
    struct rise rise = rise_of_record(&record);
    assert_true(rise_when(rise.s, 0.2) <= 0.1);
    assert_true(rise_when(rise.s, 0.55) > 5 &&
                rise_when(rise.s, 1) <= 5.1); /* and that it fell is not told */
    assert_true(rise_share(rise.s, 4) > 0.2 && rise_share(rise.s, 4) < 0.4);
    near(rise_share(rise.s, 5.2), 1);
}

static void of_record__no_series_or_no_memory__not_known(void **state)
{
    (void)state;
    struct msg_execution_record record = record_of(nothing);
    struct rise rise = rise_of_record(&record);
    assert_false(rise_known(&rise));
    record.series.count = 0;
    rise = rise_of_record(&record);
    assert_false(rise_known(&rise));
}

static void of_record__clock_steps_back__still_ascends(void **state)
{
    (void)state;
    struct rise loaded;
    struct msg_execution_record record = record_of(ramp);
    for (size_t i = 30; i < 60; i++)
        points[i].time_us =
            i == 40 ? INT64_MIN : START - 5000000; /* no record's word is good enough to overflow */
    struct rise rise = rise_of_record(&record);
    struct msg_float_array s = rise_store(rise.s, true), cpu_s = rise_store(rise.cpu_s, true);
    assert_int_equal(rise_load(&loaded, &s, &cpu_s), 0);
    assert_memory_equal(&loaded, &rise, sizeof rise);
}

static void load__what_no_run_shows__refused(void **state)
{
    (void)state;
    struct rise rise;
    float good[RISE_LEVELS] = {0, 1, 1, 2, 3, 4, 5, 6}, bad[RISE_LEVELS] = {0, 1, 1, 2, 3, 4, 5, 4};
    struct msg_float_array full = {good, RISE_LEVELS}, none = {0}, some = {good, 3},
                           falling = {bad, RISE_LEVELS};
    assert_int_equal(rise_load(&rise, &none, &none), 0);
    assert_false(rise_known(&rise));
    assert_int_equal(rise_load(&rise, &full, &full), 0);
    assert_true(rise_known(&rise));
    assert_int_equal(rise_load(&rise, &full, &none), -EBADMSG);
    assert_int_equal(rise_load(&rise, &some, &full), -EBADMSG);
    assert_int_equal(rise_load(&rise, &full, &falling), -EBADMSG);
    bad[RISE_LEVELS - 1] = (float)NAN;
    assert_int_equal(rise_load(&rise, &falling, &full), -EBADMSG);
    bad[0] = -1;
    assert_int_equal(rise_load(&rise, &falling, &full), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_record__ramp__every_share_at_its_time),
        cmocka_unit_test(of_record__jump__dated_where_it_was),
        cmocka_unit_test(of_record__no_series_or_no_memory__not_known),
        cmocka_unit_test(of_record__clock_steps_back__still_ascends),
        cmocka_unit_test(load__what_no_run_shows__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
