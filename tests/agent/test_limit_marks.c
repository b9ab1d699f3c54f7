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
#define MIB_MOST 65536

/* The next one that is tried, in MiB: a hundredth more, or one. */
static int64_t next_mib(int64_t mib)
{
    return mib + mib / 100 + 1;
}

static void near__any_limit__an_advance_there_raises_it(void **state)
{
    (void)state;
    for (size_t b = 0; b < FS_COUNT(brakes); b++) {
        for (int64_t mib = 1; mib < MIB_MOST; mib = next_mib(mib)) {
            double limit = (double)mib * LIMIT_MIB, near = limit_near_level(limit, brakes[b]);
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
        for (int64_t mib = 8; mib < MIB_MOST; mib = next_mib(mib)) {
            double held = (double)mib * LIMIT_MIB;
            assert_true(limit_near_level(limit_advanced(held, brakes[b]), brakes[b]) >= held + LIMIT_MIB);
        }
}

/* v2 calls a program held a 32nd, at least a mebibyte, below its brake (agent/cgroup_v2.c), v1 half a
 * mebibyte. */
static void near__with_a_brake__before_it_holds(void **state)
{
    (void)state;
    for (int64_t mib = 16; mib < MIB_MOST; mib = next_mib(mib)) {
        double limit = (double)mib * LIMIT_MIB, brake = limit_brake_level(limit);
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
