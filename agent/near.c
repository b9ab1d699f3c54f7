/* How near programs are to their memory limit. The kernel's own notifications are too slow for that: cgroup
 * v1 waits 8 ms with each mark that is set anew, and v2 has none. So the agent looks, each time so soon that
 * the fastest program cannot have come near in between: a look takes 1 us, one whose page cache must be told
 * apart 9 us. What comes near is given an advance (advance.c). See agent.h. */
#include <math.h>

#include "agent/agent.h"
#include "common/clock.h"

#define SAMPLE_TENTHS 5         /* from half of the limit on each further tenth is worth a sample */
#define FASTEST_BYTES_US 4096.0 /* 4 GiB/s; convert was seen to make 164 MiB within 100 ms */
#define SOONEST_US 1000
#define LATEST_US 50000
#define REFUSED_US 20000 /* after an advance that it may not have */
#define CALM_MOST 2      /* who stands still is looked at a quarter as often at least */
#define CALM_BYTES (64 << 10)

static bool is_watched(const struct attempt *attempt)
{
    return attempt->state == ATTEMPT_RUNNING && attempt->cgroup && attempt->track &&
           attempt->admission.arm == MSG_ARM_TREATED && attempt->limits.memory_bytes > 0;
}

enum limit_brake agent_brake(const struct agent *agent)
{
    unsigned features = cgroup_host_features(agent->host);
    if (!agent->options->brake || !(features & CGROUP_HAS_BRAKE))
        return LIMIT_BRAKE_NONE;
    return features & CGROUP_HAS_V2 ? LIMIT_BRAKE_COARSE : LIMIT_BRAKE_EXACT;
}

/* The time in which the fastest program would come near from here. */
static int64_t soon_us(double distance, int32_t calm)
{
    double us = distance / FASTEST_BYTES_US * (1 << calm);
    return us > SOONEST_US ? us < LATEST_US ? (int64_t)us : LATEST_US : SOONEST_US;
}

/* Memory passed another tenth of the limit: the model should know. */
static void note_tenths(struct agent *agent, struct attempt *attempt, int64_t held)
{
    int32_t tenths = (int32_t)((double)held / (double)attempt->limits.memory_bytes * 10);
    if (tenths < SAMPLE_TENTHS || tenths <= attempt->near.tenths)
        return;
    attempt->near.tenths = tenths;
    metric_add(agent->metrics.near_limit, 1);
    agent_want_sample(agent, attempt);
}

/* Microseconds until the next look. Who stands still near its limit, after a tight raise for one, is given
 * nothing. */
static int64_t look(struct agent *agent, struct attempt *attempt)
{
    struct near *near = &attempt->near;
    double limit = (double)attempt->limits.memory_bytes, level = limit_near_level(limit, agent_brake(agent));
    int64_t usage, held;
    if (cgroup_memory_usage(attempt->cgroup, &usage) < 0)
        return LATEST_US; /* just ended */
    bool grown = usage > near->usage_bytes + CALM_BYTES;
    near->calm = grown ? 0 : FS_MIN(near->calm + 1, CALM_MOST);
    if (grown || usage < near->usage_bytes)
        near->usage_bytes = usage;
    double next_tenth = limit * FS_MAX(near->tenths + 1, SAMPLE_TENTHS) / 10;
    if ((double)usage < fmin(next_tenth, level))
        return soon_us(level - (double)usage, near->calm);
    if (cgroup_memory_held(attempt->cgroup, &held) < 0)
        return LATEST_US;
    note_tenths(agent, attempt, held);
    if ((double)held < level)
        return soon_us(level - (double)held, near->calm);
    return !grown || agent_advance(agent, attempt, held) ? SOONEST_US << near->calm : REFUSED_US;
}

int64_t agent_look_near(struct agent *agent)
{
    int64_t now_us = clock_monotonic_us(), next_us = INT64_MAX;
    for (size_t i = 0; i < agent->attempt_count; i++) {
        struct attempt *attempt = agent->attempts[i];
        if (!is_watched(attempt))
            continue;
        if (attempt->near.next_us <= now_us) {
            int64_t wait_us = look(agent, attempt);
            attempt->near.next_us = now_us + wait_us;
        }
        next_us = FS_MIN(next_us, attempt->near.next_us);
    }
    return next_us == INT64_MAX ? INT64_MAX : (FS_MAX(next_us - now_us, 0) + 999) / 1000;
}
