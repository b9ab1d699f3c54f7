/* See settle.h. */
#include "allocate/settle.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "allocate/amounts.h"
#include "common/base.h"
#include "schemas/hints.h"
#include "schemas/limits.h"

#define MIB 1048576.0
#define RERUN_PART 0.5  /* of rerun_seconds: the try after it is counted by its own slack */
#define UNSAVED_FEW 0.5 /* of the executions that outgrow their start; the others are raised in time */
#define STALL_MOST 0.98 /* share of an attempt's time; beyond it the quotient says nothing */

const struct settle_config settle_defaults = {
    .margin =
        0.05, /* run-to-run spread of peaks of the same command: a few percent (docs/design/allocation.md) */
    .margin_first = 0.10, /* one run says little about the spread */
    .failure_step = 1.5,
    .failure_most = 4,
    .slow_step = 0.9,
    .mark_runs = 20, /* design: a mark ends after 20 good executions */
    .sized_runs = 3, /* of fewer nobody knows how far they lie apart */
    .sized_runs_saved = 2,
    .more_step = 1.05,
};

static void mark(struct settle_storage *storage, size_t *count, enum msg_cause cause)
{
    if (cause_is_resource(cause) && !causes_hold(storage->raised, *count, cause) &&
        *count < FS_COUNT(storage->raised))
        storage->raised[(*count)++] = cause;
}

bool settle_failed(const struct msg_execution_record *record)
{
    return record->outcome == MSG_OUTCOME_OOM_KILLED || record->outcome == MSG_OUTCOME_TIMED_OUT ||
           record->outcome == MSG_OUTCOME_CRASHED;
}

/* Also by its agent alone, of which nobody here knew before. */
static bool mark_raised_while_running(const struct msg_execution_record *record,
                                      struct settle_storage *storage, size_t *marks)
{
    bool raised = false;
    for (size_t i = 0; i < record->adjustments.count; i++) {
        const struct msg_applied_adjustment *applied = &record->adjustments.items[i];
        if (applied->adjustment.direction != MSG_DIRECTION_RAISE ||
            (applied->result != MSG_ADJUSTMENT_RESULT_APPLIED &&
             applied->result != MSG_ADJUSTMENT_RESULT_PARTLY))
            continue;
        raised = true;
        mark(storage, marks, applied->adjustment.cause);
    }
    return raised;
}

bool settle_acts(const struct settle_input *input)
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

static struct sizing_config sizing_of(const struct settle_input *input, const struct recent *recent)
{
    struct sizing_config config = sizing_defaults;
    config.rerun_s = input->policy->rerun_s * RERUN_PART;
    config.unsaved = recent->unsaved;
    return config;
}

static int64_t limit_for(const struct settle_input *input, double usable)
{
    return (int64_t)(ceil(fmin(policy_memory_limit(input->policy, usable) / MIB, 8e12)) * MIB);
}

static bool is_sized(const struct settle_input *input, const struct recent *recent)
{
    const struct settle_config *config = input->config;
    return recent->code.count >=
           (size_t)(recent->unsaved <= UNSAVED_FEW ? config->sized_runs_saved : config->sized_runs);
}

/* The memory of the next start by the newest runs, this one among them. */
static int64_t memory_sized(const struct settle_input *input, const struct recent *recent)
{
    struct sizing_config config = sizing_of(input, recent);
    enum sizing_method method = sizing_pick(&recent->code, recent->costs, false);
    return limit_for(input, sizing_start(&config, &recent->code, method, NAN));
}

/* The curve over input sizes, when who told them would have been served best by one. */
static void draw_curve(const struct settle_input *input, const struct recent *recent,
                       struct settle_storage *storage, struct msg_allocation *next)
{
    struct sizing_config config = sizing_of(input, recent);
    struct knot knots[SIZING_KNOTS_MAX];
    next->by_input.count = 0;
    if (sizing_pick(&recent->code, recent->costs, true) != SIZING_INPUT)
        return;
    size_t count = sizing_curve(&config, &recent->code, knots);
    for (size_t i = 0; i < count; i++) {
        struct msg_limits limits = {.memory_bytes = limit_for(input, knots[i].value)};
        limits = policy_bound(limits, input->fixed);
        storage->recent.knots[i] = (struct msg_input_knot){knots[i].at, (double)limits.memory_bytes};
    }
    next->by_input = (struct msg_input_knot_array){storage->recent.knots, count};
}

int64_t settle_start_bytes(const struct msg_allocation *allocation, double input_bytes)
{
    struct knot knots[SIZING_KNOTS_MAX];
    size_t count = FS_MIN(allocation->by_input.count, (size_t)SIZING_KNOTS_MAX);
    for (size_t i = 0; i < count; i++)
        knots[i] = (struct knot){allocation->by_input.items[i].input_bytes,
                                 allocation->by_input.items[i].memory_bytes};
    double bytes = allocation->pinned ? 0 : knots_value(knots, count, input_bytes);
    return bytes > 0 ? (int64_t)fmin(ceil(bytes / MIB - 1e-6) * MIB, 9e18) : allocation->limits.memory_bytes;
}

static void settle_finished(const struct settle_input *input, const struct msg_execution_record *record,
                            const struct recent *recent, int64_t runs, struct msg_limits *limits)
{
    if (record->highest_limits.memory_bytes > 0 && record->totals.memory_peak_bytes > 0) {
        int64_t wanted = is_sized(input, recent)
                             ? memory_sized(input, recent)
                             : memory_wanted(input, fmax(memory_base(input, record),
                                                         (double)record->totals.memory_peak_bytes));
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

/* What runs that need more than this one had needed; or the code has become another one. */
static int64_t memory_again(const struct settle_input *input, const struct msg_execution_record *record,
                            const struct recent *recent)
{
    struct sizing_config config = sizing_of(input, recent);
    double told = hints_input_bytes(&record->request.hints),
           had = (double)record->highest_limits.memory_bytes;
    enum sizing_method method = sizing_pick(&recent->code, recent->costs, told > 0);
    double failed = fmax(policy_memory_usable(input->policy, had), (double)record->totals.memory_peak_bytes);
    int64_t wanted = limit_for(input, sizing_retry(&config, &recent->code, method, told, failed));
    return FS_MAX(wanted, (int64_t)(had * input->config->more_step) + 1);
}

/* From what the failed attempt had, not from the allocation: of ten that failed at once, nine must not raise
 * it again. */
static void settle_failure(const struct settle_input *input, const struct msg_execution_record *record,
                           const struct recent *recent, struct msg_limits *limits)
{
    double step = failure_step(input->config, record);
    for (enum amount amount = 0; amount < AMOUNT_COUNT; amount++) {
        int64_t had = amount_get(&record->highest_limits, amount), now = amount_get(limits, amount);
        if (amount_cause(amount) != record->cause || had == 0 || now == 0)
            continue;
        int64_t wanted = (int64_t)ceil(fmin((double)had * step, 9e18) - 1e-6);
        if (amount == AMOUNT_MEMORY) {
            wanted = (int64_t)(ceil((double)wanted / MIB) * MIB);
            if (recent->code.count > 0)
                wanted = memory_again(input, record, recent);
            else if (input->history && input->history->runs > 0)
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

static size_t copy(void *to, const void *from, size_t count, size_t most, size_t size)
{
    size_t kept = FS_MIN(count, most);
    if (kept > 0)
        memmove(to, (const char *)from + (count - kept) * size, kept * size); /* the newest, when too many */
    return kept;
}

/* What previous borrows elsewhere moves into the storage of the next one. */
static void keep_sizing(const struct msg_allocation *previous, struct settle_storage *storage,
                        struct msg_allocation *next)
{
    struct recent_storage *to = &storage->recent;
    next->recent.count =
        copy(to->runs, previous->recent.items, previous->recent.count, SIZING_RUNS_MAX, sizeof to->runs[0]);
    next->method_costs.count = copy(to->costs, previous->method_costs.items, previous->method_costs.count,
                                    SIZING_METHOD_COUNT, sizeof to->costs[0]);
    next->by_input.count = copy(to->knots, previous->by_input.items, previous->by_input.count,
                                SIZING_KNOTS_MAX, sizeof to->knots[0]);
    next->recent.items = to->runs;
    next->method_costs.items = to->costs;
    next->by_input.items = to->knots;
}

/* It only carries what people fixed: nothing has run yet. */
static bool is_blank(const struct msg_allocation *allocation)
{
    const struct msg_limits none = {0};
    return allocation->runs == 0 && limits_equal(&allocation->limits, &none);
}

/* Starts *next from *previous, or from what the execution started with when there is no allocation yet. Then
 * revisions begin at the time in milliseconds, so that none of before the code was deleted is higher: a Redis
 * that was away then, or a late reader, would keep the old one. No code changes a thousand times a second for
 * all of its life. */
static size_t begin(const struct settle_input *input, const struct msg_allocation *previous,
                    const struct msg_limits *started_with, struct settle_storage *storage,
                    struct msg_allocation *next)
{
    size_t marks = 0;
    storage->reason[0] = '\0';
    if (previous) {
        *next = *previous;
        keep_sizing(previous, storage, next);
        for (size_t i = 0; i < previous->raised.count; i++)
            mark(storage, &marks, previous->raised.items[i]);
        if (is_blank(previous))
            next->limits = next->before = *started_with;
    } else {
        *next = (struct msg_allocation){
            .limits = *started_with, .before = *started_with, .revision = FS_MAX(input->now_us / 1000, 0)};
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
    next->memory_most_bytes = policy_memory_most(fixed);
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

static void explain_finish(const struct settle_input *input, const struct msg_execution_record *record,
                           const struct recent *recent, const struct msg_limits *limits, char *out)
{
    char below[80] = "";
    if (limits->memory_bytes > 0 && limits->memory_bytes < record->totals.memory_peak_bytes)
        (void)snprintf(below, sizeof below, " (what outgrows it is raised; %.0f %% should be saved so)",
                       100 * (1 - recent->unsaved));
    (void)snprintf(out, SETTLE_REASON_MAX,
                   "finished with a peak of %.1f MiB, %" PRId64
                   " runs known: memory %.0f MiB%s, cpu %d millicores",
                   (double)record->totals.memory_peak_bytes / MIB, input->history ? input->history->runs : 0,
                   (double)limits->memory_bytes / MIB, below, limits->cpu_millicores);
}

static size_t settle_good(const struct settle_input *input, const struct msg_execution_record *record,
                          size_t marks, struct settle_storage *storage, struct msg_allocation *next)
{
    struct recent recent;
    recent_read(next, input->history, input->saved, &recent);
    if (record->highest_limits.memory_bytes > 0 && record->totals.memory_peak_bytes > 0) {
        struct sizing_config config = sizing_of(input, &recent);
        const struct sizing_run run = {(double)record->totals.memory_peak_bytes,
                                       (double)(record->ended_us - record->started_us) / 1e6,
                                       hints_input_bytes(&record->request.hints)};
        recent_add(&recent, &config, &run);
        recent_write(&recent, &storage->recent, next);
        draw_curve(input, &recent, storage, next);
    }
    settle_finished(input, record, &recent, next->runs, &next->limits);
    bool raised = mark_raised_while_running(record, storage, &marks);
    next->good_since_raise = raised ? 0 : FS_MIN(next->good_since_raise, INT32_MAX - 1) + 1;
    next->probability = start_probability(input, &next->limits);
    if (next->good_since_raise >= input->config->mark_runs || back_at(&next->limits, &next->before))
        marks = 0;
    explain_finish(input, record, &recent, &next->limits, storage->reason);
    return marks;
}

/* False when people do not want more for it than it had: that it failed says nothing of raises. */
static bool may_be_raised(const struct msg_code_policy *fixed, const struct msg_execution_record *record)
{
    int64_t most = policy_memory_most(fixed);
    return most > 0 && record->highest_limits.memory_bytes < most;
}

bool settle_record(const struct settle_input *input, const struct msg_allocation *previous,
                   const struct msg_execution_record *record, struct settle_storage *storage,
                   struct msg_allocation *next)
{
    bool failed = settle_failed(record);
    if (!settle_acts(input) ||
        (record->outcome != MSG_OUTCOME_FINISHED && !(failed && cause_is_resource(record->cause))))
        return false;
    size_t marks = begin(input, previous, &record->first_limits, storage, next);
    next->runs++;
    if (may_be_raised(input->fixed, record))
        recent_outgrown(record, next);
    if (failed) {
        struct recent recent;
        recent_read(next, input->history, input->saved, &recent);
        settle_failure(input, record, &recent, &next->limits);
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
    if (!settle_acts(input) || decision->direction != MSG_DIRECTION_RAISE ||
        decision->cause == MSG_CAUSE_NONE)
        return false;
    size_t marks = begin(input, previous, started_with, storage, next);
    struct msg_limits limits = amounts_highest(&next->limits, &decision->limits);
    limits = policy_bound(limits, input->fixed);
    if (previous && limits_equal(&limits, &next->limits) &&
        causes_hold(storage->raised, marks, decision->cause))
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
    bool pinned = fixed && fixed->has_pin, blank = !pinned && (!previous || is_blank(previous));
    int64_t most = policy_memory_most(fixed);
    if (!previous && !pinned && most == INT64_MAX)
        return false; /* floor and ceiling bound what is asked for; there is nothing to bound yet */
    size_t marks = begin(input, previous, &none, storage, next);
    struct msg_limits limits = blank ? none : policy_bound(next->limits, fixed);
    int32_t held_out = fixed ? fixed->held_out_permille : 0;
    if (previous && limits_equal(&limits, &previous->limits) && pinned == previous->pinned &&
        held_out == previous->held_out_permille && most == previous->memory_most_bytes)
        return false;
    if (fixed)
        (void)snprintf(storage->reason, sizeof storage->reason, "%s by %.*s",
                       pinned ? "pinned" : "bounds set", (int)FS_MIN(fixed->author.size, 64u),
                       fixed->author.data);
    else
        (void)snprintf(storage->reason, sizeof storage->reason, "nothing fixed any more");
    finish(input, marks, storage, next);
    if (blank)
        next->limits = next->before = none;
    return true;
}
