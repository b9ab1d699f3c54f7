/* See settle.h. */
#include "allocate/settle.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "allocate/amounts.h"
#include "common/base.h"

#define MIB 1048576.0
#define STALL_MOST 0.98 /* share of an attempt's time; beyond it the quotient says nothing */

const struct settle_config settle_defaults = {
    .margin =
        0.05, /* run-to-run spread of peaks of the same command: a few percent (docs/design/allocation.md) */
    .margin_first = 0.10, /* one run says little about the spread */
    .failure_step = 1.5,
    .failure_most = 4,
    .slow_step = 0.9,
    .mark_runs = 20, /* design: a mark ends after 20 good executions */
    .more_step = 1.05,
};

static bool is_resource(enum msg_cause cause)
{
    return cause == MSG_CAUSE_MEMORY || cause == MSG_CAUSE_CPU || cause == MSG_CAUSE_IO ||
           cause == MSG_CAUSE_NET;
}

static bool has_cause(const enum msg_cause *items, size_t count, enum msg_cause cause)
{
    for (size_t i = 0; i < count; i++)
        if (items[i] == cause)
            return true;
    return false;
}

static void mark(struct settle_storage *storage, size_t *count, enum msg_cause cause)
{
    if (is_resource(cause) && !has_cause(storage->raised, *count, cause) &&
        *count < FS_COUNT(storage->raised))
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
        if (applied->adjustment.direction == MSG_DIRECTION_RAISE &&
            (applied->result == MSG_ADJUSTMENT_RESULT_APPLIED ||
             applied->result == MSG_ADJUSTMENT_RESULT_PARTLY))
            return true;
    }
    return false;
}

static bool is_acted_on(const struct settle_input *input)
{
    return !input->fixed || input->fixed->mode == MSG_MODE_ACT;
}

/* Expected cost of starting with room for `value` when the code's peaks are what its history says: memory
 * that lies idle over an execution, and for executions that need more the rerun that a failing raise would
 * cost. */
static double start_cost(const struct settle_input *input, const struct policy_peak *peaks, size_t count,
                         double value, double duration_s)
{
    double cost = 0;
    for (size_t i = 0; i < count; i++) {
        const struct policy_peak *peak = &peaks[i];
        cost += peak->weight * (peak->value <= value ? (value - peak->value) * duration_s
                                                     : peak->value * (input->policy->rerun_s + duration_s));
    }
    return cost;
}

/* The peak to start the next execution for: of those seen the one that costs least. */
static double memory_base(const struct settle_input *input, const struct msg_execution_record *record)
{
    const struct policy_history *history = input->history;
    struct policy_peak peaks[POLICY_PEAKS_MAX + 1];
    double latest = (double)record->totals.memory_peak_bytes;
    double duration_s = fmax((double)(record->ended_us - record->started_us) / 1e6, 0.001);
    if (!history || history->runs <= 0 || history->memory_count == 0)
        return latest;
    size_t count = FS_MIN(history->memory_count, POLICY_PEAKS_MAX);
    memcpy(peaks, history->memory, count * sizeof *peaks);
    peaks[count++] = (struct policy_peak){latest, 1.0 / (double)(history->runs + 1)};
    if (history->duration_p50_s > 0)
        duration_s = history->duration_p50_s;
    double best = latest, best_cost = INFINITY;
    for (size_t i = 0; i < count; i++) {
        double cost = start_cost(input, peaks, count, peaks[i].value, duration_s);
        if (cost < best_cost || (cost <= best_cost && peaks[i].value > best)) {
            best_cost = cost;
            best = peaks[i].value;
        }
    }
    return best;
}

static int64_t memory_wanted(const struct settle_input *input, double base)
{
    double runs = input->history && input->history->runs > 0 ? (double)input->history->runs : 1;
    double share = 1 + input->config->margin + input->config->margin_first / sqrt(runs);
    return (int64_t)(ceil(policy_memory_limit(input->policy, base * share) / MIB) * MIB);
}

static int64_t used_of(const struct msg_execution_record *record, enum amount amount)
{
    switch (amount) {
    case AMOUNT_CPU:
        return record->peak_cpu_millicores;
    case AMOUNT_IO_READ:
    case AMOUNT_IO_WRITE:
        return record->peak_io_bps;
    case AMOUNT_NET:
        return record->peak_net_bps;
    case AMOUNT_MEMORY:
    case AMOUNT_COUNT:
        break;
    }
    return 0;
}

/* A rate limit follows what was in force when it was enough, and comes down slowly towards what was used. */
static int64_t rate_wanted(const struct settle_config *config, int64_t previous,
                           const struct msg_execution_record *record, enum amount amount)
{
    int64_t highest = amount_get(&record->highest_limits, amount),
            first = amount_get(&record->first_limits, amount);
    if (highest == 0 || previous == 0)
        return previous;
    if (amount_more(first, highest))
        return FS_MAX(previous, highest);
    double enough = (double)used_of(record, amount) * (1 + 2 * config->margin);
    return (int64_t)fmin((double)previous, fmax(enough, (double)previous * config->slow_step));
}

static void settle_finished(const struct settle_input *input, const struct msg_execution_record *record,
                            int64_t runs, struct msg_limits *limits)
{
    if (record->highest_limits.memory_bytes > 0 && record->totals.memory_peak_bytes > 0) {
        int64_t wanted = memory_wanted(input, memory_base(input, record));
        /* With several executions behind it and no history at hand, one record alone lowers nothing at once.
         */
        bool alone = runs > 1 && (!input->history || input->history->runs == 0);
        int64_t least = (int64_t)((double)limits->memory_bytes * input->config->slow_step);
        limits->memory_bytes = alone ? FS_MAX(wanted, least) : wanted;
    }
    for (enum amount amount = AMOUNT_CPU; amount < AMOUNT_COUNT; amount++)
        amount_set(limits, amount, rate_wanted(input->config, amount_get(limits, amount), record, amount));
}

/* How much more of the failed resource: at least the step, up to what the stall over the whole attempt asks
 * for. */
static double failure_step(const struct settle_config *config, const struct msg_execution_record *record)
{
    double duration_us = fmax((double)(record->ended_us - record->started_us), 1), stalled = 0;
    if (record->cause == MSG_CAUSE_CPU)
        stalled = (double)record->totals.cpu_throttled_us / duration_us;
    else if (record->cause == MSG_CAUSE_IO)
        stalled = (double)record->totals.io_stall_us / duration_us;
    return fmin(fmax(config->failure_step, 1 / (1 - fmin(fmax(stalled, 0), STALL_MOST))),
                config->failure_most);
}

/* From what the failed attempt had, not from the allocation: of ten that failed at once, nine must not raise
 * it again. */
static void settle_failure(const struct settle_input *input, const struct msg_execution_record *record,
                           struct msg_limits *limits)
{
    double step = failure_step(input->config, record);
    for (enum amount amount = 0; amount < AMOUNT_COUNT; amount++) {
        int64_t had = amount_get(&record->highest_limits, amount), now = amount_get(limits, amount);
        if (amount_cause(amount) != record->cause || had == 0 || now == 0)
            continue;
        int64_t wanted = (int64_t)ceil(fmin((double)had * step, 9e18) - 1e-6);
        if (amount == AMOUNT_MEMORY) {
            wanted = (int64_t)(ceil((double)wanted / MIB) * MIB);
            if (input->history && input->history->runs > 0)
                wanted = FS_MAX(wanted, memory_wanted(input, memory_base(input, record)));
        }
        amount_set(limits, amount, FS_MAX(now, wanted));
    }
}

static bool back_at(const struct msg_limits *limits, const struct msg_limits *before)
{
    for (enum amount amount = 0; amount < AMOUNT_COUNT; amount++)
        if (amount_more(amount_get(before, amount), amount_get(limits, amount)))
            return false;
    return true;
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

static void finish(const struct settle_input *input, size_t marks, struct settle_storage *storage,
                   struct msg_allocation *next)
{
    const struct msg_code_policy *fixed = input->fixed;
    next->limits = policy_bound(next->limits, fixed);
    if (marks == 0)
        next->before = next->limits;
    next->pinned = fixed && fixed->has_pin;
    next->held_out_permille = fixed ? fixed->held_out_permille : 0;
    next->revision++;
    next->updated_us = input->now_us;
    next->raised.items = storage->raised;
    next->raised.count = marks;
    next->reason = str_of(storage->reason);
}

/* Share of earlier executions that would have needed more than this allocation gives. */
static float start_probability(const struct settle_input *input, const struct msg_limits *limits)
{
    const struct policy_history *history = input->history;
    double usable = policy_memory_usable(input->policy, (double)limits->memory_bytes), above = 0;
    if (!history || limits->memory_bytes <= 0)
        return 0;
    for (uint32_t i = 0; i < history->memory_count && i < POLICY_PEAKS_MAX; i++)
        if (history->memory[i].value > usable)
            above += history->memory[i].weight;
    return (float)fmin(above, 1);
}

static void explain_failure(const struct msg_execution_record *record, const struct msg_limits *limits,
                            char *out)
{
    const struct msg_limits *had = &record->highest_limits;
    (void)snprintf(out, SETTLE_REASON_MAX,
                   "%s failure of attempt %d: memory %.0f -> %.0f MiB, cpu %d -> %d millicores, io %" PRId64
                   " -> %" PRId64 " B/s, net %" PRId64 " -> %" PRId64 " B/s",
                   msg_cause_name(record->cause), record->attempt, (double)had->memory_bytes / MIB,
                   (double)limits->memory_bytes / MIB, had->cpu_millicores, limits->cpu_millicores,
                   FS_MAX(had->io_read_bps, had->io_write_bps),
                   FS_MAX(limits->io_read_bps, limits->io_write_bps), had->net_egress_bps,
                   limits->net_egress_bps);
}

static size_t settle_good(const struct settle_input *input, const struct msg_execution_record *record,
                          size_t marks, struct settle_storage *storage, struct msg_allocation *next)
{
    settle_finished(input, record, next->runs, &next->limits);
    next->good_since_raise =
        raised_while_running(record) ? 0 : FS_MIN(next->good_since_raise, INT32_MAX - 1) + 1;
    next->probability = start_probability(input, &next->limits);
    if (next->good_since_raise >= input->config->mark_runs || back_at(&next->limits, &next->before))
        marks = 0;
    (void)snprintf(storage->reason, sizeof storage->reason,
                   "finished with a peak of %.1f MiB, %" PRId64
                   " runs known: memory %.0f MiB, cpu %d millicores",
                   (double)record->totals.memory_peak_bytes / MIB, input->history ? input->history->runs : 0,
                   (double)next->limits.memory_bytes / MIB, next->limits.cpu_millicores);
    return marks;
}

bool settle_record(const struct settle_input *input, const struct msg_allocation *previous,
                   const struct msg_execution_record *record, struct settle_storage *storage,
                   struct msg_allocation *next)
{
    bool failed = settle_failed(record);
    if (!is_acted_on(input) ||
        (record->outcome != MSG_OUTCOME_FINISHED && !(failed && is_resource(record->cause))))
        return false;
    size_t marks = begin(previous, &record->first_limits, storage, next);
    next->runs++;
    if (failed) {
        settle_failure(input, record, &next->limits);
        mark(storage, &marks, record->cause);
        next->good_since_raise = 0;
        next->probability = start_probability(input, &next->limits);
        explain_failure(record, &next->limits, storage->reason);
    } else {
        marks = settle_good(input, record, marks, storage, next);
    }
    finish(input, marks, storage, next);
    return true;
}

bool settle_raise(const struct settle_input *input, const struct msg_allocation *previous,
                  const struct msg_limits *started_with, const struct policy_decision *decision,
                  struct settle_storage *storage, struct msg_allocation *next)
{
    if (!is_acted_on(input) || decision->direction != MSG_DIRECTION_RAISE ||
        decision->cause == MSG_CAUSE_NONE)
        return false;
    size_t marks = begin(previous, started_with, storage, next);
    struct msg_limits limits = amounts_highest(&next->limits, &decision->limits);
    limits = policy_bound(limits, input->fixed);
    if (previous && policy_limits_equal(&limits, &next->limits) &&
        has_cause(storage->raised, marks, decision->cause))
        return false;
    next->limits = limits;
    next->probability = decision->probability;
    next->good_since_raise = 0;
    mark(storage, &marks, decision->cause);
    (void)snprintf(storage->reason, sizeof storage->reason, "raised while running: %.220s", decision->reason);
    finish(input, marks, storage, next);
    return true;
}

bool settle_fixed(const struct settle_input *input, const struct msg_allocation *previous,
                  struct settle_storage *storage, struct msg_allocation *next)
{
    const struct msg_code_policy *fixed = input->fixed;
    const struct msg_limits none = {0};
    if (!previous && !(fixed && fixed->has_pin))
        return false; /* floor and ceiling bound what is asked for; there is nothing to bound yet */
    size_t marks = begin(previous, &none, storage, next);
    struct msg_limits limits = policy_bound(next->limits, fixed);
    bool pinned = fixed && fixed->has_pin;
    int32_t held_out = fixed ? fixed->held_out_permille : 0;
    if (previous && policy_limits_equal(&limits, &previous->limits) && pinned == previous->pinned &&
        held_out == previous->held_out_permille)
        return false;
    if (fixed)
        (void)snprintf(storage->reason, sizeof storage->reason, "%s by %.*s",
                       pinned ? "pinned" : "bounds set", (int)FS_MIN(fixed->author.size, 64u),
                       fixed->author.data);
    else
        (void)snprintf(storage->reason, sizeof storage->reason, "nothing fixed any more");
    finish(input, marks, storage, next);
    return true;
}

/* True when the next attempt would get enough more of the failed resource than the failed one ever had. */
static bool grows(const struct settle_config *config, const struct msg_limits *next,
                  const struct msg_limits *had, enum msg_cause cause)
{
    for (enum amount amount = 0; amount < AMOUNT_COUNT; amount++) {
        int64_t before = amount_get(had, amount), after = amount_get(next, amount);
        if (amount_cause(amount) == cause && before != 0 &&
            (after == 0 || (double)after >= (double)before * config->more_step))
            return true;
    }
    return false;
}

static struct msg_limits within(struct msg_limits limits, const struct msg_limits *capacity)
{
    for (enum amount amount = 0; capacity && amount < AMOUNT_COUNT; amount++) {
        int64_t most = amount_get(capacity, amount);
        if (most > 0)
            amount_set(&limits, amount, FS_MIN(amount_get(&limits, amount), most));
    }
    return limits;
}

static const char *judge_retry(const struct settle_input *input, const struct msg_execution_record *record,
                               struct settle_verdict *verdict)
{
    bool attempts_left = record->attempt < record->request.max_attempts;
    if (!is_resource(record->cause)) {
        if (!record->request.retry_other)
            return "no resource was short, more would not help";
        verdict->retry = attempts_left;
        return attempts_left ? "no resource was short; the request asks for it" : "attempts used up";
    }
    if (!is_acted_on(input))
        return "the code is only observed, it would get no more";
    if (!grows(input->config, &verdict->limits, &record->highest_limits, record->cause))
        return "the ceiling or the largest node leaves nothing more to give";
    verdict->retry = attempts_left;
    return attempts_left ? "with more of it" : "attempts used up";
}

void settle_judge(const struct settle_input *input, const struct msg_execution_record *record,
                  const struct msg_allocation *allocation, const struct msg_limits *capacity,
                  struct settle_verdict *verdict)
{
    bool raised = has_cause(record->raised.items, record->raised.count, record->cause);
    bool use = allocation && is_resource(record->cause) && is_acted_on(input);
    *verdict = (struct settle_verdict){.limits = use ? allocation->limits : record->highest_limits};
    verdict->limits = within(policy_bound(verdict->limits, input->fixed), capacity);
    verdict->dead_lettered = is_resource(record->cause) && raised && record->arm == MSG_ARM_TREATED;
    const char *why = judge_retry(input, record, verdict);
    (void)snprintf(verdict->reason, sizeof verdict->reason, "%s failure of attempt %d of %d%s: %s%s",
                   msg_cause_name(record->cause), record->attempt, record->request.max_attempts,
                   raised ? " although raised" : "",
                   verdict->retry ? "again, " : "no further attempt: ", why);
}
