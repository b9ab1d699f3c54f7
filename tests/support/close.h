/* Comparing doubles in tests. After cmocka.h. */
#ifndef FORESTALL_TESTS_SUPPORT_CLOSE_H
#define FORESTALL_TESTS_SUPPORT_CLOSE_H

#include <math.h>

static inline void assert_within(double got, double expected, double tolerance)
{
    if (!(fabs(got - expected) <= tolerance))
        fail_msg("%.12g is not %.12g within %g", got, expected, tolerance);
}

/* Equal but for rounding. */
static inline void assert_close(double got, double expected)
{
    assert_within(got, expected, 1e-9 * fmax(fabs(expected), 1));
}

#endif
