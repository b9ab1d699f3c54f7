/* Giving back what is not needed: slowly and only without pressure; at once when a neighbour on the node is
 * short. See policy.h. */
#include <math.h>

#include "allocate/policy_internal.h"
#include "schemas/limits.h"

#define CPU_LEAST 50           /* millicores: below it a program cannot even show that it wants more */
#define RATE_LEAST (64 * 1024) /* bytes a second, the same; and 0 would be no limit */

/* A limit lowered by one step, but not below what is kept; equal when there is no slack to give. */
static int64_t lowered(const struct policy_case *now, int64_t limit, double keep)
{
    if (limit <= 0 || (double)limit <= keep)
        return limit;
    return now->input->node_short ? (int64_t)keep
                                  : (int64_t)fmax((double)limit * now->config->shrink_step, keep);
}

static int64_t shrunk_memory(const struct policy_case *now, double slack)
{
    const struct msg_risk *risk = now->risk;
    const struct policy_history *history = now->input->history;
    double most = fmax(risk->memory.p99, (double)risk->memory_peak_bytes);
    if (history && history->runs > 0)
        most = fmax(most, history->memory_max);
    int64_t limit = lowered(now, risk->limits.memory_bytes, policy_memory_limit(now->config, most * slack));
    return limit < risk->limits.memory_bytes
               ? FS_MIN(policy_whole_mib((double)limit), risk->limits.memory_bytes)
               : limit;
}

/* With a deadline, or when it began with this limit, a rate is lowered only for somebody who is short. */
static int64_t shrunk_rate(const struct policy_case *now, int64_t limit, int64_t first, double p99,
                           double slack)
{
    bool given = first > 0 && limit > first;
    if (!now->input->node_short && (!given || now->risk->timeout_ms > 0))
        return limit;
    int64_t lower = lowered(now, limit, p99 * slack);
    return given && !now->input->node_short ? FS_MAX(lower, first) : lower;
}

static bool is_due(const struct policy_case *now)
{
    const struct policy_attempt *attempt = now->attempt;
    int64_t now_us = now->input->now_us;
    /* When a neighbour is short the slack goes after one horizon without pressure instead of the full wait.
     */
    int64_t wait_us = now->input->node_short
                          ? FS_MIN((int64_t)now->risk->horizon_ms * 1000, now->config->shrink_after_us)
                          : now->config->shrink_after_us;
    return attempt->quiet_since_us != 0 && now_us - attempt->quiet_since_us >= wait_us && !attempt->braked &&
           (attempt->shrunk_us == 0 || now_us - attempt->shrunk_us >= wait_us);
}

void policy_shrink_decide(struct policy_case *now)
{
    const struct msg_risk *risk = now->risk;
    const struct policy_input *input = now->input;
    const struct msg_limits none = {0}, *first = input->first_limits ? input->first_limits : &none;
    if (!is_due(now))
        return;
    double slack = input->node_short ? now->config->shrink_slack_short : now->config->shrink_slack;
    struct msg_limits limits = risk->limits;
    limits.memory_bytes = shrunk_memory(now, slack);
    limits.cpu_millicores = (int32_t)shrunk_rate(now, limits.cpu_millicores, first->cpu_millicores,
                                                 fmax(risk->cpu.p99, CPU_LEAST), slack);
    double io = fmax(risk->io.p99, RATE_LEAST), net = fmax(risk->net.p99, RATE_LEAST);
    limits.io_read_bps = shrunk_rate(now, limits.io_read_bps, first->io_read_bps, io, slack);
    limits.io_write_bps = shrunk_rate(now, limits.io_write_bps, first->io_write_bps, io, slack);
    limits.net_egress_bps = shrunk_rate(now, limits.net_egress_bps, first->net_egress_bps, net, slack);
    limits = policy_bound(limits, input->fixed);
    if (limits_equal(&limits, &risk->limits))
        return;
    now->decision->direction = MSG_DIRECTION_SHRINK;
    now->decision->limits = limits;
    policy_explain(now->decision,
                   "%s: memory %.0f -> %.0f MiB (peak %.0f, p99 %.0f, history %.0f), cpu %d -> %d millicores",
                   input->node_short ? "a neighbour is short" : "quiet",
                   (double)risk->limits.memory_bytes / POLICY_MIB, (double)limits.memory_bytes / POLICY_MIB,
                   (double)risk->memory_peak_bytes / POLICY_MIB, risk->memory.p99 / POLICY_MIB,
                   input->history ? input->history->memory_max / POLICY_MIB : 0.0,
                   risk->limits.cpu_millicores, limits.cpu_millicores);
}
