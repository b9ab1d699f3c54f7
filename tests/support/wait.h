/* Waiting for a condition with a deadline: what tests in C do instead of sleeping. */
#ifndef FORESTALL_TESTS_SUPPORT_WAIT_H
#define FORESTALL_TESTS_SUPPORT_WAIT_H

#include <poll.h>

#include "common/clock.h"

#define WAIT_LOOK_MS 2 /* how often it looks: short beside every deadline, long beside a look */

/* True as soon as condition(context) is; false when it was not within timeout_ms. */
static inline bool wait_until(bool (*condition)(void *context), void *context, int timeout_ms)
{
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    while (!condition(context)) {
        if (clock_monotonic_ms() >= deadline_ms)
            return false;
        (void)poll(NULL, 0, WAIT_LOOK_MS);
    }
    return true;
}

#endif
