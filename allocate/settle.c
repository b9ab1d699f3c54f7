/* See settle.h. */
#include "allocate/settle.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "common/base.h"

#define MIB 1048576.0

const struct settle_config settle_defaults = {
    .margin = 0.10,                       /* run-to-run spread of peaks of the same command: within 5 % (docs/design/allocation.md) */
    .margin_first = 0.10,                 /* one run says little about the spread */
    .memory_overhead_bytes = 6 * 1048576, /* policy.c */
    .failure_step = 1.5,
    .slow_step = 0.95,
    .mark_runs = 20, /* design: a mark ends after 20 good executions */
};

static const enum msg_cause resources[] = {MSG_CAUSE_MEMORY, MSG_CAUSE_CPU, MSG_CAUSE_IO, MSG_CAUSE_NET};

static bool has_cause(const enum msg_cause *items, size_t count, enum msg_cause cause)
{
    for (size_t i = 0; i < count; i++)
        if (items[i] == cause)
            return true;
    return false;
}

static void mark(struct settle_storage *storage, size_t *count, enum msg_cause cause)
{
    if (!has_cause(storage->raised, *count, cause) && *count < FS_COUNT(storage->raised))
        storage->raised[(*count)++] = cause;
}

bool settle_failed(const struct msg_execution_record *record)
{
    return record->outcome == MSG_OUTCOME_OOM_KILLED || record->outcome == MSG_OUTCOME_TIMED_OUT ||
           record->outcome == MSG_OUTCOME_CRASHED;
}

static bool raised_while_running(const struct msg_execution_record *record)
{
    for (size_t i = 0; i < record->adjustments.count; i++) {
        const struct msg_applied_adjustment *applied = &record->adjustments.items[i];
        if (applied->adjustment.direction == MSG_DIRECTION_RAISE && (applied->result == MSG_ADJUSTMENT_RESULT_APPLIED ||
                                                                     applied->result == MSG_ADJUSTMENT_RESULT_PARTLY))
            return true;
    }
    return false;
}

static int64_t whole_mib(double bytes)
{
    return (int64_t)(ceil(bytes / MIB) * MIB);
}

static int64_t memory_wanted(const struct settle_config *config, const struct msg_execution_record *record,
                             const struct policy_history *history)
{
    double peak = (double)record->totals.memory_peak_bytes;
    double runs = 1;
    if (history && history->runs > 0) {
        peak = fmax(peak, history->memory_p95);
        runs = (double)history->runs;
    }
    return whole_mib(peak * (1 + config->margin + config->margin_first / sqrt(runs)) +
                     (double)config->memory_overhead_bytes);
}

/* A rate limit follows what was in force when it was enough, and comes down slowly towards what was used. */
static int64_t rate_wanted(const struct settle_config *config, int64_t previous, int64_t highest, int64_t used, bool raised)
{
    if (highest == 0)
        return 0;
    int64_t keep = FS_MAX(previous, raised ? highest : 0);
    if (keep == 0)
        return 0;
    int64_t enough = (int64_t)((double)used * (1 + 2 * config->margin));
    return raised ? keep : FS_MAX(enough, (int64_t)((double)keep * config->slow_step));
}

static int64_t stepped(const struct settle_config *config, int64_t previous, int64_t highest)
{
    int64_t base = FS_MAX(previous, highest);
    return base > 0 ? (int64_t)((double)base * config->failure_step) : 0;
}

static void settle_failure(const struct settle_config *config, const struct msg_execution_record *record,
                           struct msg_limits *limits)
{
    const struct msg_limits *highest = &record->highest_limits;
    switch (record->cause) {
    case MSG_CAUSE_MEMORY:
        limits->memory_bytes = stepped(config, limits->memory_bytes, highest->memory_bytes);
        break;
    case MSG_CAUSE_CPU:
        limits->cpu_millicores = (int32_t)FS_MIN(stepped(config, limits->cpu_millicores, highest->cpu_millicores), INT32_MAX);
        break;
    case MSG_CAUSE_IO:
        limits->io_read_bps = stepped(config, limits->io_read_bps, highest->io_read_bps);
        limits->io_write_bps = stepped(config, limits->io_write_bps, highest->io_write_bps);
        break;
    case MSG_CAUSE_NET:
        limits->net_egress_bps = stepped(config, limits->net_egress_bps, highest->net_egress_bps);
        break;
    case MSG_CAUSE_NONE:
    case MSG_CAUSE_OTHER:
        break;
    }
}

static void settle_finished(const struct settle_config *config, const struct msg_execution_record *record,
                            const struct policy_history *history, struct msg_limits *limits)
{
    const struct msg_limits *highest = &record->highest_limits;
    bool raised = raised_while_running(record);
    if (highest->memory_bytes > 0)
        limits->memory_bytes = memory_wanted(config, record, history);
    limits->cpu_millicores = (int32_t)rate_wanted(config, limits->cpu_millicores, highest->cpu_millicores,
                                                  record->peak_cpu_millicores,
                                                  raised && highest->cpu_millicores > record->first_limits.cpu_millicores);
    limits->io_read_bps = rate_wanted(config, limits->io_read_bps, highest->io_read_bps, record->peak_io_bps,
                                      raised && highest->io_read_bps > record->first_limits.io_read_bps);
    limits->io_write_bps = rate_wanted(config, limits->io_write_bps, highest->io_write_bps, record->peak_io_bps,
                                       raised && highest->io_write_bps > record->first_limits.io_write_bps);
    limits->net_egress_bps = rate_wanted(config, limits->net_egress_bps, highest->net_egress_bps, record->peak_net_bps,
                                         raised && highest->net_egress_bps > record->first_limits.net_egress_bps);
}

static bool back_at(const struct msg_limits *limits, const struct msg_limits *before)
{
    return limits->memory_bytes <= before->memory_bytes && limits->cpu_millicores <= before->cpu_millicores &&
           limits->io_read_bps <= before->io_read_bps && limits->io_write_bps <= before->io_write_bps &&
           limits->net_egress_bps <= before->net_egress_bps;
}

/* Starts *next from *previous, or from what the execution started with when there is no allocation yet. */
static size_t begin(const struct msg_allocation *previous, const struct msg_limits *started_with,
                    struct settle_storage *storage, struct msg_allocation *next)
{
    size_t marks = 0;
    storage->reason[0] = '\0';
    if (previous) {
        *next = *previous;
        for (size_t i = 0; i < previous->raised.count; i++)
            mark(storage, &marks, previous->raised.items[i]);
    } else {
        *next = (struct msg_allocation){.limits = *started_with, .before = *started_with};
    }
    return marks;
}

static void finish(const struct msg_code_policy *fixed, int64_t now_us, size_t marks, struct settle_storage *storage,
                   struct msg_allocation *next)
{
    next->limits = policy_bound(next->limits, fixed);
    next->pinned = fixed && fixed->has_pin;
    next->held_out_permille = fixed ? fixed->held_out_permille : 0;
    next->revision++;
    next->updated_us = now_us;
    next->raised.items = storage->raised;
    next->raised.count = marks;
    next->reason = str_of(storage->reason);
}

bool settle_record(const struct settle_config *config, const struct msg_allocation *previous,
                   const struct msg_execution_record *record, const struct policy_history *history,
                   const struct msg_code_policy *fixed, int64_t now_us, struct settle_storage *storage,
                   struct msg_allocation *next)
{
    bool failed = settle_failed(record), resource = has_cause(resources, FS_COUNT(resources), record->cause);
    if (record->outcome != MSG_OUTCOME_FINISHED && !(failed && resource))
        return false; /* a bug, a cancel or a lost node says nothing about what the code needs */
    size_t marks = begin(previous, &record->first_limits, storage, next);
    next->runs++;
    if (failed) {
        settle_failure(config, record, &next->limits);
        mark(storage, &marks, record->cause);
        next->good_since_raise = 0;
        (void)snprintf(storage->reason, sizeof storage->reason, "%s failure of attempt %d: %.0f -> %.0f MiB, cpu %d -> %d",
                       msg_cause_name(record->cause), record->attempt, (double)record->highest_limits.memory_bytes / MIB,
                       (double)next->limits.memory_bytes / MIB, record->highest_limits.cpu_millicores,
                       next->limits.cpu_millicores);
    } else {
        settle_finished(config, record, history, &next->limits);
        next->good_since_raise = raised_while_running(record) ? 0 : next->good_since_raise + 1;
        if (next->good_since_raise >= config->mark_runs || back_at(&next->limits, &next->before)) {
            marks = 0;
            next->before = next->limits;
        }
        (void)snprintf(storage->reason, sizeof storage->reason,
                       "finished with a peak of %.1f MiB, %" PRId64 " runs known: memory %.0f MiB, cpu %d millicores",
                       (double)record->totals.memory_peak_bytes / MIB, history ? history->runs : 0,
                       (double)next->limits.memory_bytes / MIB, next->limits.cpu_millicores);
    }
    finish(fixed, now_us, marks, storage, next);
    return true;
}

static int64_t higher(int64_t a, int64_t b)
{
    return FS_MAX(a, b);
}

bool settle_raise(const struct msg_allocation *previous, const struct msg_limits *started_with,
                  const struct policy_decision *decision, const struct msg_code_policy *fixed, int64_t now_us,
                  struct settle_storage *storage, struct msg_allocation *next)
{
    size_t marks = begin(previous, started_with, storage, next);
    const struct msg_limits *to = &decision->limits;
    struct msg_limits limits = next->limits;
    limits.memory_bytes = higher(limits.memory_bytes, to->memory_bytes);
    limits.cpu_millicores = (int32_t)higher(limits.cpu_millicores, to->cpu_millicores);
    limits.io_read_bps = higher(limits.io_read_bps, to->io_read_bps);
    limits.io_write_bps = higher(limits.io_write_bps, to->io_write_bps);
    limits.net_egress_bps = higher(limits.net_egress_bps, to->net_egress_bps);
    limits = policy_bound(limits, fixed);
    if (policy_limits_equal(&limits, &next->limits) && has_cause(storage->raised, marks, decision->cause))
        return false;
    next->limits = limits;
    next->probability = decision->probability;
    next->good_since_raise = 0;
    mark(storage, &marks, decision->cause);
    (void)snprintf(storage->reason, sizeof storage->reason, "raised while running: %.200s", decision->reason);
    finish(fixed, now_us, marks, storage, next);
    return true;
}

/* True when the next attempt would get more of the failed resource than the failed one ever had. */
static bool grows(const struct msg_limits *next, const struct msg_limits *had, enum msg_cause cause)
{
    switch (cause) {
    case MSG_CAUSE_MEMORY:
        return next->memory_bytes > had->memory_bytes;
    case MSG_CAUSE_CPU:
        return next->cpu_millicores > had->cpu_millicores;
    case MSG_CAUSE_IO:
        return next->io_read_bps > had->io_read_bps || next->io_write_bps > had->io_write_bps;
    case MSG_CAUSE_NET:
        return next->net_egress_bps > had->net_egress_bps;
    case MSG_CAUSE_NONE:
    case MSG_CAUSE_OTHER:
        break;
    }
    return false;
}

static int64_t within(int64_t wanted, int64_t capacity)
{
    return capacity > 0 ? FS_MIN(wanted, capacity) : wanted;
}

void settle_judge(const struct msg_execution_record *record, const struct msg_allocation *allocation,
                  const struct msg_code_policy *fixed, const struct msg_limits *capacity, struct settle_verdict *verdict)
{
    enum msg_cause cause = record->cause;
    bool resource = has_cause(resources, FS_COUNT(resources), cause);
    bool raised = has_cause(record->raised.items, record->raised.count, cause);
    bool attempts_left = record->attempt < record->request.max_attempts;
    *verdict = (struct settle_verdict){.limits = allocation ? allocation->limits : record->highest_limits};
    verdict->limits = policy_bound(verdict->limits, fixed);
    verdict->limits.memory_bytes = within(verdict->limits.memory_bytes, capacity ? capacity->memory_bytes : 0);
    verdict->limits.cpu_millicores =
        (int32_t)within(verdict->limits.cpu_millicores, capacity ? capacity->cpu_millicores : 0);
    verdict->dead_lettered = resource && raised && record->arm == MSG_ARM_TREATED;
    bool more = resource && grows(&verdict->limits, &record->highest_limits, cause);
    const char *why;
    if (!resource) {
        verdict->retry = record->request.retry_other && attempts_left;
        why = record->request.retry_other ? "no resource was short; the request asks for a retry"
                                          : "no resource was short, more would not help";
    } else if (!more) {
        why = "the ceiling or the largest node leaves nothing more to give";
    } else {
        verdict->retry = attempts_left;
        why = "with more of it";
    }
    (void)snprintf(verdict->reason, sizeof verdict->reason, "%s failure of attempt %d of %d%s: %s%s", msg_cause_name(cause),
                   record->attempt, record->request.max_attempts, raised ? " although raised" : "",
                   verdict->retry ? "again, " : "no further attempt: ",
                   !attempts_left && !verdict->retry && (more || !resource) ? "attempts used up" : why);
}
