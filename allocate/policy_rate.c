/* CPU, I/O and network: what the throttling says the program would use. Raised on the model's alarm, and
 * without one when a program with a deadline is stalled heavily: a quota nobody else needs is cheaper than a
 * missed deadline. See policy.h. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "allocate/policy_internal.h"
#include "schemas/limits.h"

#define STEP_LEAST 1.25 /* a smaller step is seldom seen in a program's progress */
#define ALARM_STEP 2.0  /* the alarm says it is short, the throttling does not say of how much */
#define STALL_MOST 0.98 /* share of the last second; beyond it the quotient says nothing */
#define NET_FULL 0.85   /* agent/outcome.c: senders wait only once the class is full */
#define FULL_SHARE 0.8
#define STALL_LEAST 0.05
#define BINDING_SHARE                                                                                        \
    0.3 /* of a limit used over a second; bursts and v1's late charging of writes included */
#define WEIGHT_DEFAULT 100
#define WEIGHT_MAX 10000
#define WEIGHT_STEP 4
#define HISTORY_ENOUGH 0.7 /* of the deadline: executions that need no more than that meet it */
#define EARLY_SHARE 0.1    /* of the deadline */

static double elapsed_share(const struct msg_risk *risk)
{
    double elapsed_us = fmax((double)(risk->sampled_us - risk->started_us), 0);
    return risk->timeout_ms > 0 ? elapsed_us / ((double)risk->timeout_ms * 1000) : 0;
}

/* Earlier executions finished well within the deadline, and this one is not late among them. */
static bool history_meets(const struct policy_case *now)
{
    const struct policy_history *history = now->input->history;
    double timeout_s = (double)now->risk->timeout_ms / 1000;
    return history && history->runs > 0 && history->duration_p95_s > 0 &&
           history->duration_p95_s < timeout_s * HISTORY_ENOUGH &&
           elapsed_share(now->risk) * timeout_s < history->duration_p95_s;
}

/* Right after the start a rate that is used in full says nothing yet of one whose forerunners were in time.
 */
static bool alarmed_by(const struct policy_case *now, enum msg_cause cause)
{
    bool early = elapsed_share(now->risk) < EARLY_SHARE && history_meets(now);
    return policy_alarmed(now->risk, cause) && !early;
}

/* Stalled for much of the last second while a deadline comes nearer. */
static bool deadline_threatens(const struct policy_case *now, double stalled)
{
    return now->risk->timeout_ms > 0 && stalled >= now->config->rate_stalled &&
           elapsed_share(now->risk) >= now->config->deadline_share && !history_meets(now);
}

/* How much more it would use: it ran for 1 - stalled of the time, and is taken to be able to run for all of
 * it. Bounded while there is time for a second step. */
static double step_of(const struct policy_case *now, double stalled, bool alarmed)
{
    const struct policy_config *config = now->config;
    double step = fmax(1 / (1 - fmin(fmax(stalled, 0), STALL_MOST)), alarmed ? ALARM_STEP : STEP_LEAST);
    double gone = elapsed_share(now->risk);
    if (gone >= config->deadline_late)
        return step;
    return fmin(step, gone >= config->deadline_late / 2 ? 2 * config->rate_step : config->rate_step);
}

/* Something speaks for the limit as the reason: an alarm alone would be answered for ever. */
static bool is_binding(double used, double stalled, int64_t limit)
{
    double share = used / (double)limit;
    return share >= FULL_SHARE || (share >= BINDING_SHARE && stalled >= STALL_LEAST);
}

static int64_t stepped(int64_t limit, double step, double demand)
{
    return limit > 0 ? (int64_t)fmin(fmax((double)limit * step, fmin(demand, (double)limit * step * 2)), 9e15)
                     : 0;
}

static const char *deadline_text(const struct policy_case *now, bool alarmed, char *out, size_t size)
{
    const struct msg_risk *risk = now->risk;
    if (risk->timeout_ms <= 0)
        (void)snprintf(out, size, "%s", "no deadline");
    else
        (void)snprintf(out, size, "%s%.0f of %.0f s gone", alarmed ? "" : "by its deadline: ",
                       elapsed_share(risk) * (double)risk->timeout_ms / 1000,
                       (double)risk->timeout_ms / 1000);
    return out;
}

/* No quota: only preference among neighbours is left to give. */
static void raise_weight(struct policy_case *now)
{
    const struct msg_risk *risk = now->risk;
    int32_t weight = risk->limits.cpu_weight > 0 ? risk->limits.cpu_weight : WEIGHT_DEFAULT;
    if (weight >= WEIGHT_MAX)
        return;
    now->wanted.cpu_weight = FS_MIN(weight * WEIGHT_STEP, WEIGHT_MAX);
    policy_explain(now->decision, "cpu p=%.2f without a quota: weight %d -> %d",
                   (double)policy_cause_level(risk, MSG_CAUSE_CPU), weight, now->wanted.cpu_weight);
}

void policy_cpu_decide(struct policy_case *now)
{
    const struct msg_risk *risk = now->risk;
    double stalled = risk->throttled_permille / 1000.0;
    bool alarmed = alarmed_by(now, MSG_CAUSE_CPU);
    char deadline[64];
    if (policy_just_raised(now, now->attempt->cpu_raised_us))
        return;
    if (risk->limits.cpu_millicores == 0) {
        if (alarmed)
            raise_weight(now);
        return;
    }
    if (!is_binding(risk->cpu_millicores, stalled, risk->limits.cpu_millicores) ||
        (!alarmed && !deadline_threatens(now, stalled)))
        return;
    /* More quota than its tasks could use would only be taken from others. */
    int64_t useful = 1000 * (int64_t)FS_MAX(risk->tasks, 1);
    int64_t target =
        FS_MIN(stepped(risk->limits.cpu_millicores, step_of(now, stalled, alarmed), risk->cpu.p90), useful);
    if (target <= risk->limits.cpu_millicores)
        return;
    now->wanted.cpu_millicores = (int32_t)FS_MIN(target, INT32_MAX);
    policy_explain(now->decision, "cpu throttled %.0f %% of the last second, p=%.2f, %s: %d -> %d millicores",
                   100 * stalled, (double)policy_cause_level(risk, MSG_CAUSE_CPU),
                   deadline_text(now, alarmed, deadline, sizeof deadline), risk->limits.cpu_millicores,
                   now->wanted.cpu_millicores);
}

static int64_t io_raised(const struct msg_risk *risk, int64_t limit, double step)
{
    double stalled = risk->io_stall_permille / 1000.0;
    return limit > 0 && is_binding((double)risk->io_bps, stalled, limit) ? stepped(limit, step, risk->io.p90)
                                                                         : limit;
}

void policy_io_decide(struct policy_case *now)
{
    const struct msg_risk *risk = now->risk;
    const struct msg_limits *limits = &risk->limits;
    double stalled = risk->io_stall_permille / 1000.0;
    bool alarmed = alarmed_by(now, MSG_CAUSE_IO);
    char deadline[64];
    if ((limits->io_read_bps == 0 && limits->io_write_bps == 0) ||
        policy_just_raised(now, now->attempt->io_raised_us) ||
        (!alarmed && !deadline_threatens(now, stalled)))
        return;
    const struct msg_limits before = now->wanted;
    double step = step_of(now, stalled, true);
    now->wanted.io_read_bps = io_raised(risk, limits->io_read_bps, step);
    now->wanted.io_write_bps = io_raised(risk, limits->io_write_bps, step);
    if (limits_equal(&now->wanted, &before))
        return; /* it waits for a device that is slow by itself */
    policy_explain(now->decision,
                   "io stalled %.0f %% of the last second, p=%.2f, %s: read %" PRId64 " -> %" PRId64
                   ", write %" PRId64 " -> %" PRId64 " B/s",
                   100 * stalled, (double)policy_cause_level(risk, MSG_CAUSE_IO),
                   deadline_text(now, alarmed, deadline, sizeof deadline), limits->io_read_bps,
                   now->wanted.io_read_bps, limits->io_write_bps, now->wanted.io_write_bps);
}

void policy_net_decide(struct policy_case *now)
{
    const struct msg_risk *risk = now->risk;
    int64_t limit = risk->limits.net_egress_bps;
    bool alarmed = alarmed_by(now, MSG_CAUSE_NET);
    char deadline[64];
    if (limit == 0 || policy_just_raised(now, now->attempt->net_raised_us))
        return;
    double used = (double)risk->net_bps / (double)limit;
    double stalled = used >= NET_FULL ? 0.75 : 0; /* a full class does not say how much waits behind it */
    if (!is_binding((double)risk->net_bps, stalled, limit) || (!alarmed && !deadline_threatens(now, stalled)))
        return;
    now->wanted.net_egress_bps = stepped(limit, step_of(now, stalled, true), risk->net.p90);
    policy_explain(now->decision, "net sends %.0f %% of its %" PRId64 " B/s, p=%.2f, %s: %" PRId64 " B/s",
                   100 * used, limit, (double)policy_cause_level(risk, MSG_CAUSE_NET),
                   deadline_text(now, alarmed, deadline, sizeof deadline), now->wanted.net_egress_bps);
}
