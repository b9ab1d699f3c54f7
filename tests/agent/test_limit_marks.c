/* Marks below a limit: in the right order for every size, and no advance that leads to the next at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "agent/limit_marks.h"
#include "common/base.h"

static const enum limit_brake brakes[] = {LIMIT_BRAKE_NONE, LIMIT_BRAKE_EXACT, LIMIT_BRAKE_COARSE};

/* From 1 MiB to 64 GiB, 1 % apart. */
static double next_limit(double limit)
{
    return floor(limit * 1.01 / LIMIT_MIB + 1) * LIMIT_MIB;
}

static void near__any_limit__an_advance_there_raises_it(void **state)
{
    (void)state;
    for (size_t b = 0; b < FS_COUNT(brakes); b++) {
        for (double limit = LIMIT_MIB; limit < 65536 * LIMIT_MIB; limit = next_limit(limit)) {
            double near = limit_near_level(limit, brakes[b]);
            assert_true(near > 0 && near < limit);
            assert_true(limit_advanced(near, brakes[b]) >= limit + LIMIT_MIB);
        }
    }
}

/* Else a program that grows by a page would get one with every look. */
static void advanced__any_use__the_next_one_is_a_mebibyte_away(void **state)
{
    (void)state;
    for (size_t b = 0; b < FS_COUNT(brakes); b++)
        for (double held = 8 * LIMIT_MIB; held < 65536 * LIMIT_MIB; held = next_limit(held))
            assert_true(limit_near_level(limit_advanced(held, brakes[b]), brakes[b]) >= held + LIMIT_MIB);
}

/* v2 calls a program held a 32nd, at least a mebibyte, below its brake (agent/cgroup_v2.c), v1 half a
 * mebibyte. */
static void near__with_a_brake__before_it_holds(void **state)
{
    (void)state;
    for (double limit = 16 * LIMIT_MIB; limit < 65536 * LIMIT_MIB; limit = next_limit(limit)) {
        double brake = limit_brake_level(limit);
        assert_true(limit_near_level(limit, LIMIT_BRAKE_EXACT) < brake - LIMIT_MIB / 2);
        assert_true(limit_near_level(limit, LIMIT_BRAKE_COARSE) < brake - fmax(brake / 32, LIMIT_MIB));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(near__any_limit__an_advance_there_raises_it),
        cmocka_unit_test(advanced__any_use__the_next_one_is_a_mebibyte_away),
        cmocka_unit_test(near__with_a_brake__before_it_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
