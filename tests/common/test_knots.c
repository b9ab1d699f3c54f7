/* A curve through points: between, before and behind them. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/knots.h"
#include "tests/support/close.h"

static const struct knot knots[] = {{10, 100}, {100, 1000}, {10000, 1000}};

static void between__straight_in_logarithms(void **state)
{
    (void)state;
    assert_close(knots_value(knots, 3, 10), 100);
    assert_close(knots_value(knots, 3, sqrt(1000)), sqrt(100000));
    assert_close(knots_value(knots, 3, 100), 1000);
    assert_close(knots_value(knots, 3, 555), 1000);
}

static void outside__first_value_and_on_in_its_direction(void **state)
{
    (void)state;
    static const struct knot steep[] = {{10, 100}, {100, 100000}}, falling[] = {{10, 100}, {100, 50}},
                             root[] = {{1, 1}, {100, 10}};
    assert_close(knots_value(knots, 3, 0.5), 100);
    assert_close(knots_value(knots, 3, 30000), 1000); /* flat at its end */
    assert_close(knots_value(root, 2, 10000), 100);
    assert_close(knots_value(steep, 2, 200), 200000); /* at most in proportion */
    assert_close(knots_value(falling, 2, 1000), 50);
    assert_close(knots_value(knots, 1, 20), 100);
}

static void nothing_to_say__0(void **state)
{
    (void)state;
    assert_true(knots_value(knots, 0, 5) == 0);
    assert_true(knots_value(knots, 3, 0) == 0);
    assert_true(knots_value(knots, 3, -1) == 0);
    assert_true(knots_value(knots, 3, NAN) == 0);
    assert_true(knots_value(knots, 3, INFINITY) == 0);
}

static void text__written_and_read__the_same(void **state)
{
    (void)state;
    char text[KNOTS_TEXT_MAX];
    struct knot read[KNOTS_MAX], many[KNOTS_MAX];
    knots_format(knots, 3, text);
    assert_string_equal(text, "10:100,100:1000,10000:1000");
    assert_int_equal(knots_parse(str_of(text), read), 3);
    assert_memory_equal(read, knots, sizeof knots);
    assert_int_equal(knots_parse(str_of(""), read), 0);
    for (size_t i = 0; i < KNOTS_MAX; i++)
        many[i] = (struct knot){1e14 + (double)i, 1e18};
    knots_format(many, KNOTS_MAX, text);
    assert_int_equal(knots_parse(str_of(text), read), KNOTS_MAX);
    assert_close(read[KNOTS_MAX - 1].at, many[KNOTS_MAX - 1].at);
}

static void text__of_another_form__refused(void **state)
{
    (void)state;
    static const char fourteen[] = "1:1,2:1,3:1,4:1,5:1,6:1,7:1,8:1,9:1,10:1,11:1,12:1,13:1,14:1";
    static const char *const wrong[] = {"10",    "10:",       "10:x", "x:1",   "10:1;20:2", "20:1,10:1",
                                        "10:-1", "10:1,10:2", "0:1",  "nan:1", "10:inf",    fourteen};
    struct knot read[KNOTS_MAX];
    for (size_t i = 0; i < FS_COUNT(wrong); i++)
        if (knots_parse(str_of(wrong[i]), read) != -EINVAL)
            fail_msg("%s was taken", wrong[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(between__straight_in_logarithms),
        cmocka_unit_test(outside__first_value_and_on_in_its_direction),
        cmocka_unit_test(nothing_to_say__0),
        cmocka_unit_test(text__written_and_read__the_same),
        cmocka_unit_test(text__of_another_form__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
