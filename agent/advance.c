/* More memory at once for what comes near its limit: a decision takes tens of milliseconds, in which a fast
 * program grows by more than a raise; with a brake it would wait for them, without one it would die. Its
 * reasons: docs/design/closed-loop.md.
 *
 * The limit becomes what limit_advanced() says for what the program holds; at most what the admission lets it
 * have (a person's ceiling), what the node can raise one attempt to, and `agent.advance` times what was
 * decided last, so that somebody has to agree in between. It counts as a decision: one that was made on an
 * older sample is ignored from then on, and made again on the newer one. */
#include <stdio.h>

#include "agent/agent.h"
#include "common/clock.h"

#define MIB (INT64_C(1) << 20)

static int64_t most_of(const struct agent *agent, const struct attempt *attempt)
{
    double decided = (double)attempt->decided_bytes * agent->options->advance;
    int64_t most = decided < 9e18 ? (int64_t)decided : INT64_MAX;
    return FS_MIN(most, attempt->admission.memory_most_bytes);
}

/* What the node has room for; 0 = no more than there is. */
static int64_t fitting(const struct agent *agent, const struct attempt *attempt, int64_t wanted)
{
    struct msg_limits limits = attempt->limits, left = capacity_free(&agent->capacity, &agent->committed);
    if (agent->capacity.total.memory_bytes != 0)
        wanted = FS_MIN(wanted, limits.memory_bytes + left.memory_bytes);
    if (agent->capacity.raise_ceiling_bytes > 0)
        wanted = FS_MIN(wanted, agent->capacity.raise_ceiling_bytes);
    limits.memory_bytes = wanted;
    return capacity_raises(&agent->capacity, &agent->committed, &attempt->limits, &limits) == MSG_CAUSE_NONE
               ? wanted
               : 0;
}

static struct msg_applied_adjustment advance_to(const struct agent *agent, const struct attempt *attempt,
                                                int64_t bytes, int64_t held, char *reason, size_t reason_size)
{
    int64_t now_us = clock_realtime_us();
    struct msg_applied_adjustment applied = {
        .adjustment = {.node = str_of(agent->node.id),
                       .attempt = attempt->admission.attempt,
                       .code = attempt->admission.request.code,
                       .epoch = agent->node.epoch,
                       .sequence = agent->sequence,
                       /* as allocate counts: microseconds of the attempt, so that its next one is above it */
                       .decision =
                           FS_MAX(attempt->track->last_decision + 1, now_us - attempt->track->started_us),
                       .expires_us = now_us,
                       .limits = attempt->limits,
                       .direction = MSG_DIRECTION_RAISE,
                       .cause = MSG_CAUSE_MEMORY,
                       .model_version = str_of("agent"),
                       .sampled_us = now_us,
                       .risk_us = now_us,
                       .decided_us = now_us},
        .before = attempt->limits,
        .after = attempt->limits,
        .memory_bytes = held,
    };
    applied.adjustment.limits.memory_bytes = bytes;
    memcpy(applied.adjustment.execution, attempt->admission.request.execution,
           sizeof applied.adjustment.execution);
    memcpy(applied.adjustment.incarnation, agent->node.incarnation, sizeof applied.adjustment.incarnation);
    (void)snprintf(
        reason, reason_size,
        "advance of the agent: memory %.0f of %.0f MiB held, nobody could decide in time: %.0f MiB",
        (double)held / (double)MIB, (double)attempt->limits.memory_bytes / (double)MIB,
        (double)bytes / (double)MIB);
    applied.adjustment.reason = str_of(reason);
    return applied;
}

bool agent_advance(struct agent *agent, struct attempt *attempt, int64_t held)
{
    char reason[160];
    int64_t limit = attempt->limits.memory_bytes;
    double wanted = limit_advanced((double)held, agent_brake(agent));
    int64_t most = FS_MIN(most_of(agent, attempt), wanted < 9e18 ? (int64_t)wanted : INT64_MAX);
    int64_t bytes = fitting(agent, attempt, most) / MIB * MIB;
    if (bytes <= limit) {
        metric_add(agent->metrics.advances_refused, 1);
        return false;
    }
    struct msg_applied_adjustment applied = advance_to(agent, attempt, bytes, held, reason, sizeof reason);
    metric_add(agent->metrics.advances, 1);
    agent_put_in_force(agent, attempt, &applied);
    return attempt->limits.memory_bytes > limit;
}
