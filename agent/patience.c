/* Who waits for room. The brake's deadline ends the stay of a program that nobody raises. One whose raise was
 * refused for want of memory waits on past it, up to agent.brake_patience, while a neighbour runs that is not
 * held itself: when that one ends, or is lowered, there is room. Where all are held nobody will give any: the
 * deadlines stand, and the first to go makes room for the others. */
#include <time.h>

#include "agent/agent.h"
#include "common/clock.h"

#define EXTENDED_US 2000000 /* by so much with each tick: an agent that died extends nothing */

static bool is_running(const struct attempt *attempt)
{
    return attempt->state == ATTEMPT_RUNNING && attempt->track;
}

static bool somebody_goes_on(const struct agent *agent)
{
    for (size_t i = 0; i < agent->attempt_count; i++)
        if (is_running(agent->attempts[i]) && !agent->attempts[i]->track->shared.brake_engaged)
            return true;
    return false;
}

static bool waits_for_room(const struct agent *agent, const struct attempt *attempt, int64_t now_us)
{
    const struct short_of *want = &attempt->wants[MSG_CAUSE_MEMORY];
    return is_running(attempt) && attempt->track->shared.brake_engaged && want->wanted != 0 &&
           want->until_ms > now_us / 1000 &&
           now_us - attempt->track->shared.brake_begun_us + EXTENDED_US <
               agent->options->brake_patience_ms * 1000;
}

void agent_be_patient(const struct agent *agent)
{
    struct timespec now;
    int64_t now_us = clock_monotonic_us();
    (void)clock_gettime(CLOCK_BOOTTIME, &now); /* cannot fail for this clock */
    int64_t until_us = (int64_t)now.tv_sec * 1000000 + EXTENDED_US;
    if (!somebody_goes_on(agent))
        return;
    for (size_t i = 0; i < agent->attempt_count; i++)
        if (waits_for_room(agent, agent->attempts[i], now_us))
            track_extend_brake(&agent->attempts[i]->track->shared, until_us);
}
