/* See policy.h. Order of a decision: facts first (brake), then memory by cost, then the rate resources, then shrinking;
 * bounds of people and node last, so that nothing can pass them. */
#include "allocate/policy.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "allocate/demand.h"
#include "common/base.h"

#define MIB 1048576.0
#define CANDIDATES 32

const struct policy_config policy_defaults = {
    .memory_headroom = 1.4,               /* keeps highest limit / peak below 1.5 whatever the model says */
    .memory_step = 1.05,                  /* below it the write costs more attention than it helps */
    .memory_overhead_bytes = 6 * 1048576, /* measured on xz, gcc, python3: 1..5 MiB beside anonymous memory */
    .rate_step = 2.0,                     /* reaches any quota in log2 steps */
    .cover_ms = 1500,                     /* 15 samples: the loop's p99 is 60 ms, the rest is for a slow broker */
    .rerun_s = 60,                        /* somebody looks at it and starts it again */
    .slack_s = 10,                        /* the model's horizon */
    .settle_us = 60000,                   /* p99 of the loop */
    .shrink_after_us = 30 * 1000000LL,
    .shrink_step = 0.9,
    .shrink_slack = 1.5,
};

static void explain(struct policy_decision *decision, const char *format, ...) FS_PRINTF(2, 3);

static void explain(struct policy_decision *decision, const char *format, ...)
{
    size_t used = strlen(decision->reason);
    va_list arguments;
    va_start(arguments, format);
    if (used > 0 && used + 2 < sizeof decision->reason) {
        memcpy(decision->reason + used, "; ", 3);
        used += 2;
    }
    (void)vsnprintf(decision->reason + used, sizeof decision->reason - used, format, arguments); /* cut is fine */
    va_end(arguments);
}

bool policy_limits_equal(const struct msg_limits *a, const struct msg_limits *b)
{
    return a->memory_bytes == b->memory_bytes && a->cpu_millicores == b->cpu_millicores &&
           a->cpu_weight == b->cpu_weight && a->io_read_bps == b->io_read_bps && a->io_write_bps == b->io_write_bps &&
           a->io_weight == b->io_weight && a->net_egress_bps == b->net_egress_bps && a->net_priority == b->net_priority;
}

static int64_t bound(int64_t value, int64_t floor, int64_t ceiling)
{
    if (value == 0) /* no limit stays none unless a ceiling stands */
        return ceiling;
    value = FS_MAX(value, floor);
    return ceiling > 0 ? FS_MIN(value, ceiling) : value;
}

struct msg_limits policy_bound(struct msg_limits limits, const struct msg_code_policy *fixed)
{
    if (!fixed)
        return limits;
    if (fixed->has_pin)
        return fixed->pin;
    const struct msg_limits *floor = &fixed->floor, *ceiling = &fixed->ceiling;
    limits.memory_bytes = bound(limits.memory_bytes, floor->memory_bytes, ceiling->memory_bytes);
    limits.cpu_millicores =
        (int32_t)bound(limits.cpu_millicores, floor->cpu_millicores, ceiling->cpu_millicores);
    limits.io_read_bps = bound(limits.io_read_bps, floor->io_read_bps, ceiling->io_read_bps);
    limits.io_write_bps = bound(limits.io_write_bps, floor->io_write_bps, ceiling->io_write_bps);
    limits.net_egress_bps = bound(limits.net_egress_bps, floor->net_egress_bps, ceiling->net_egress_bps);
    return limits;
}

/* A raise may take what the node has free beside the limit in force; never less than what is in force. */
static int64_t fit_node(int64_t wanted, int64_t in_force, bool known, int64_t capacity, int64_t free)
{
    if (!known || capacity <= 0 || wanted <= in_force)
        return wanted;
    return FS_MAX(in_force, FS_MIN(wanted, in_force + FS_MAX(free, 0)));
}

static struct msg_limits bound_raise(struct msg_limits wanted, const struct policy_input *input)
{
    const struct msg_limits *now = &input->risk->limits;
    const struct policy_node *node = input->node;
    bool known = node && node->known;
    wanted = policy_bound(wanted, input->fixed);
    if (!known)
        return wanted;
    wanted.memory_bytes = fit_node(wanted.memory_bytes, now->memory_bytes, known, node->capacity.memory_bytes,
                                   node->free.memory_bytes);
    wanted.cpu_millicores = (int32_t)fit_node(wanted.cpu_millicores, now->cpu_millicores, known,
                                              node->capacity.cpu_millicores, node->free.cpu_millicores);
    wanted.io_read_bps = fit_node(wanted.io_read_bps, now->io_read_bps, known, node->capacity.io_read_bps,
                                  node->free.io_read_bps);
    wanted.io_write_bps = fit_node(wanted.io_write_bps, now->io_write_bps, known, node->capacity.io_write_bps,
                                   node->free.io_write_bps);
    wanted.net_egress_bps = fit_node(wanted.net_egress_bps, now->net_egress_bps, known,
                                     node->capacity.net_egress_bps, node->free.net_egress_bps);
    return wanted;
}

/* History covers the demand while this execution stays within what earlier ones used. */
static bool history_covers(const struct policy_history *history, double used)
{
    return history && history->runs > 0 && used <= history->memory_max * 1.02;
}

/* Demand of memory until the next decision: the model's, cut to what earlier executions of the code reached. */
static struct demand memory_demand(const struct policy_config *config, const struct policy_input *input, double used)
{
    const struct msg_risk *risk = input->risk;
    struct demand demand = {risk->memory.p50, risk->memory.p90, risk->memory.p99};
    demand = demand_within(&demand, used, config->cover_ms, risk->horizon_ms);
    if (history_covers(input->history, used)) {
        double most = input->history->memory_max * 1.02;
        demand.p50 = fmin(demand.p50, fmax(used, input->history->memory_p95));
        demand.p90 = fmin(demand.p90, most);
        demand.p99 = fmin(demand.p99, most * 1.02);
    }
    return demand;
}

static double memory_cost(const struct policy_config *config, const struct msg_risk *risk, const struct demand *demand,
                          double limit, double overhead)
{
    double elapsed_s = fmax((double)(risk->sampled_us - risk->started_us) / 1e6, 0);
    double usable = fmax(limit - overhead, 1);
    double slack = fmax(usable - demand->p50, 0) * config->slack_s;
    return (slack + demand_exceeds(demand, usable) * usable * (config->rerun_s + elapsed_s)) / (1024 * MIB);
}

/* The cheapest limit between what is used now and the headroom; *kept is the cost of the limit in force. */
static double cheapest_memory(const struct policy_config *config, const struct policy_input *input, double used,
                              double *cost, double *kept)
{
    const struct msg_risk *risk = input->risk;
    struct demand demand = memory_demand(config, input, used);
    double overhead = (double)config->memory_overhead_bytes;
    double lowest = used * 1.02 + overhead, highest = used * config->memory_headroom + overhead;
    if (history_covers(input->history, used))
        highest = fmax(highest, input->history->memory_max * 1.1 + overhead);
    double best = lowest, ratio = pow(highest / lowest, 1.0 / (CANDIDATES - 1));
    *cost = INFINITY;
    double limit = lowest;
    for (int i = 0; i < CANDIDATES; i++, limit *= ratio) {
        double candidate = memory_cost(config, risk, &demand, limit, overhead);
        if (candidate < *cost) {
            *cost = candidate;
            best = limit;
        }
    }
    *kept = memory_cost(config, risk, &demand, (double)risk->limits.memory_bytes, overhead);
    return best;
}

/* memory_bytes rounded up to whole MiB: limits that people can read, and fewer of them. */
static int64_t whole_mib(double bytes)
{
    return (int64_t)(ceil(bytes / MIB) * MIB);
}

static void decide_memory(const struct policy_config *config, const struct policy_input *input,
                          struct msg_limits *wanted, struct policy_decision *decision)
{
    const struct msg_risk *risk = input->risk;
    double limit = (double)risk->limits.memory_bytes;
    if (limit <= 0)
        return;
    /* In the brake the program has met its limit, whatever the last sample of its usage says. */
    double used = (double)risk->memory_bytes;
    if (risk->brake_engaged)
        used = fmax(used, limit - (double)config->memory_overhead_bytes);
    bool alarmed = risk->above && risk->probabilities.memory >= risk->threshold;
    if (!risk->brake_engaged && !alarmed)
        return;
    double cost, kept;
    double best = cheapest_memory(config, input, used, &cost, &kept);
    if (risk->brake_engaged)
        best = fmax(best, limit * 1.15);
    if (best < limit * config->memory_step || (cost >= kept && !risk->brake_engaged))
        return;
    wanted->memory_bytes = whole_mib(best);
    decision->expected_cost = cost;
    decision->kept_cost = kept;
    explain(decision, "memory %.0f of %.0f MiB used, p=%.2f, p90 in %.0f s %.0f MiB%s: %.0f MiB costs %.3f, keeping %.3f GiB*s",
            (double)risk->memory_bytes / MIB, limit / MIB, (double)risk->probabilities.memory,
            risk->horizon_ms / 1000.0, risk->memory.p90 / MIB, risk->brake_engaged ? ", in the brake" : "",
            (double)wanted->memory_bytes / MIB, cost, kept);
}

static int64_t multiply(int64_t limit, double step, double demand)
{
    return limit > 0 ? (int64_t)fmax((double)limit * step, fmin(demand, (double)limit * step * step)) : 0;
}

static void decide_cpu(const struct policy_config *config, const struct policy_input *input, struct msg_limits *wanted,
                       struct policy_decision *decision)
{
    const struct msg_risk *risk = input->risk;
    if (risk->probabilities.cpu < risk->threshold)
        return;
    if (risk->limits.cpu_millicores == 0) { /* no quota: only preference among neighbours is left to give */
        wanted->cpu_weight = FS_MIN(FS_MAX(risk->limits.cpu_weight, 100) * 4, 10000);
        if (wanted->cpu_weight != risk->limits.cpu_weight)
            explain(decision, "cpu p=%.2f without a quota: weight %d", (double)risk->probabilities.cpu, wanted->cpu_weight);
        return;
    }
    /* More quota than runnable tasks could use would only be taken from others. */
    int64_t useful = 1000 * (int64_t)FS_MAX(risk->tasks, 1);
    int64_t target = FS_MIN(multiply(risk->limits.cpu_millicores, config->rate_step, risk->cpu.p90), useful);
    if (target <= risk->limits.cpu_millicores)
        return;
    wanted->cpu_millicores = (int32_t)FS_MIN(target, INT32_MAX);
    explain(decision, "cpu throttled %.0f %% of the last second, p=%.2f: %d -> %d millicores",
            risk->throttled_permille / 10.0, (double)risk->probabilities.cpu, risk->limits.cpu_millicores,
            wanted->cpu_millicores);
}

static void decide_io(const struct policy_config *config, const struct policy_input *input, struct msg_limits *wanted,
                      struct policy_decision *decision)
{
    const struct msg_risk *risk = input->risk;
    const struct msg_limits *now = &risk->limits;
    if (risk->probabilities.io < risk->threshold || (now->io_read_bps == 0 && now->io_write_bps == 0))
        return;
    wanted->io_read_bps = multiply(now->io_read_bps, config->rate_step, risk->io.p90);
    wanted->io_write_bps = multiply(now->io_write_bps, config->rate_step, risk->io.p90);
    explain(decision, "io stalled %.0f %% of the last second, p=%.2f: read %" PRId64 " -> %" PRId64 ", write %" PRId64
            " -> %" PRId64 " B/s", risk->io_stall_permille / 10.0, (double)risk->probabilities.io, now->io_read_bps,
            wanted->io_read_bps, now->io_write_bps, wanted->io_write_bps);
}

static void decide_net(const struct policy_config *config, const struct policy_input *input, struct msg_limits *wanted,
                       struct policy_decision *decision)
{
    const struct msg_risk *risk = input->risk;
    if (risk->probabilities.net < risk->threshold || risk->limits.net_egress_bps == 0)
        return;
    wanted->net_egress_bps = multiply(risk->limits.net_egress_bps, config->rate_step, risk->net.p90);
    explain(decision, "net sends %" PRId64 " of %" PRId64 " B/s, p=%.2f: %" PRId64 " B/s", risk->net_bps,
            risk->limits.net_egress_bps, (double)risk->probabilities.net, wanted->net_egress_bps);
}

static bool is_quiet(const struct msg_risk *risk)
{
    return !risk->above && !risk->brake_engaged && risk->probability < risk->threshold / 2;
}

/* A limit lowered by one step, but not below what demand and history ask for; equal when there is no slack to give. */
static int64_t shrunk(const struct policy_config *config, int64_t limit, double demand, double overhead, bool at_once)
{
    double keep = demand * config->shrink_slack + overhead;
    if (limit <= 0 || (double)limit <= keep)
        return limit;
    return at_once ? (int64_t)keep : (int64_t)fmax((double)limit * config->shrink_step, keep);
}

static void decide_shrink(const struct policy_config *config, const struct policy_input *input,
                          struct policy_attempt *attempt, struct policy_decision *decision)
{
    const struct msg_risk *risk = input->risk;
    /* When a neighbour is short the slack goes at once, after one horizon without pressure instead of the full wait. */
    int64_t wait_us = input->node_short ? (int64_t)risk->horizon_ms * 1000 : config->shrink_after_us;
    if (attempt->quiet_since_us == 0 || input->now_us - attempt->quiet_since_us < wait_us ||
        (attempt->shrunk_us && input->now_us - attempt->shrunk_us < wait_us) || attempt->braked)
        return;
    double memory = fmax(risk->memory.p99, (double)risk->memory_peak_bytes);
    if (input->history && input->history->runs > 0)
        memory = fmax(memory, input->history->memory_max);
    struct msg_limits limits = risk->limits;
    limits.memory_bytes = shrunk(config, limits.memory_bytes, memory, (double)config->memory_overhead_bytes,
                                 input->node_short);
    limits.cpu_millicores = (int32_t)shrunk(config, limits.cpu_millicores, fmax(risk->cpu.p99, 50), 0, input->node_short);
    limits = policy_bound(limits, input->fixed);
    if (policy_limits_equal(&limits, &risk->limits))
        return;
    decision->direction = MSG_DIRECTION_SHRINK;
    decision->limits = limits;
    attempt->shrunk_us = input->now_us;
    explain(decision, "%s: memory %.0f -> %.0f MiB (p99 %.0f, history %.0f), cpu %d -> %d millicores",
            input->node_short ? "a neighbour is short" : "quiet", (double)risk->limits.memory_bytes / MIB,
            (double)limits.memory_bytes / MIB, risk->memory.p99 / MIB,
            input->history ? input->history->memory_max / MIB : 0.0, risk->limits.cpu_millicores, limits.cpu_millicores);
}

static float cause_probability(const struct msg_risk *risk, enum msg_cause cause)
{
    switch (cause) {
    case MSG_CAUSE_MEMORY:
        return risk->probabilities.memory;
    case MSG_CAUSE_CPU:
        return risk->probabilities.cpu;
    case MSG_CAUSE_IO:
        return risk->probabilities.io;
    case MSG_CAUSE_NET:
        return risk->probabilities.net;
    case MSG_CAUSE_OTHER:
        return risk->probabilities.other;
    case MSG_CAUSE_NONE:
        break;
    }
    return risk->probability;
}

/* The resource that was raised; of several the one whose failure is most probable. */
static enum msg_cause raised_cause(const struct msg_limits *from, const struct msg_limits *to, const struct msg_risk *risk)
{
    const struct {
        enum msg_cause cause;
        bool raised;
    } all[] = {
        {MSG_CAUSE_MEMORY, to->memory_bytes > from->memory_bytes},
        {MSG_CAUSE_CPU, to->cpu_millicores > from->cpu_millicores || to->cpu_weight > from->cpu_weight},
        {MSG_CAUSE_IO, to->io_read_bps > from->io_read_bps || to->io_write_bps > from->io_write_bps},
        {MSG_CAUSE_NET, to->net_egress_bps > from->net_egress_bps},
    };
    enum msg_cause best = MSG_CAUSE_NONE;
    for (size_t i = 0; i < FS_COUNT(all); i++)
        if (all[i].raised && (best == MSG_CAUSE_NONE || cause_probability(risk, all[i].cause) > cause_probability(risk, best)))
            best = all[i].cause;
    return best;
}

static void decide_raise(const struct policy_config *config, const struct policy_input *input,
                         struct policy_decision *decision)
{
    const struct msg_risk *risk = input->risk;
    struct msg_limits wanted = risk->limits;
    decide_memory(config, input, &wanted, decision);
    if (risk->above) {
        decide_cpu(config, input, &wanted, decision);
        decide_io(config, input, &wanted, decision);
        decide_net(config, input, &wanted, decision);
    }
    struct msg_limits fitting = bound_raise(wanted, input);
    enum msg_cause cause = raised_cause(&risk->limits, &fitting, risk);
    if (cause == MSG_CAUSE_NONE) {
        if (!policy_limits_equal(&wanted, &risk->limits))
            explain(decision, "but the ceiling or the node leaves no room");
        return;
    }
    if (!policy_limits_equal(&fitting, &wanted))
        explain(decision, "cut to what ceiling and node allow");
    decision->direction = MSG_DIRECTION_RAISE;
    decision->limits = fitting;
    decision->cause = cause;
}

/* An answer to the last decision is still on its way: deciding on the old limits again would only repeat it. */
static bool awaits_sample(const struct policy_config *config, const struct policy_input *input,
                          const struct policy_attempt *attempt)
{
    return attempt->wanted_us && !policy_limits_equal(&attempt->wanted, &input->risk->limits) &&
           input->risk->sampled_us <= attempt->wanted_us && input->now_us - attempt->wanted_us < config->settle_us;
}

void policy_decide(const struct policy_config *config, const struct policy_input *input, struct policy_attempt *attempt,
                   struct policy_decision *decision)
{
    const struct msg_risk *risk = input->risk;
    *decision = (struct policy_decision){.direction = MSG_DIRECTION_KEEP, .cause = MSG_CAUSE_NONE, .limits = risk->limits};
    attempt->braked |= risk->brake_engaged;
    if (!is_quiet(risk))
        attempt->quiet_since_us = 0;
    else if (attempt->quiet_since_us == 0)
        attempt->quiet_since_us = input->now_us;
    if ((input->fixed && input->fixed->mode != MSG_MODE_ACT) || risk->arm == MSG_ARM_HELD_OUT ||
        awaits_sample(config, input, attempt))
        return;
    if (input->fixed && input->fixed->has_pin) {
        if (!policy_limits_equal(&risk->limits, &input->fixed->pin)) {
            decision->direction = MSG_DIRECTION_RAISE;
            decision->limits = input->fixed->pin;
            explain(decision, "pinned by %.*s", (int)FS_MIN(input->fixed->author.size, 64u), input->fixed->author.data);
        }
    } else {
        decide_raise(config, input, decision);
        if (decision->direction == MSG_DIRECTION_KEEP)
            decide_shrink(config, input, attempt, decision);
    }
    decision->probability = cause_probability(risk, decision->cause);
    if (decision->direction == MSG_DIRECTION_KEEP)
        return;
    attempt->wanted = decision->limits;
    attempt->wanted_us = input->now_us;
}
