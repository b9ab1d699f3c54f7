/* See recent.h. */
#include "allocate/recent.h"

#include <math.h>

#define OUTGROWN_MOST 34.0f  /* all that fades so can come to */
#define OUTGROWN_FADES 0.97f /* per execution that outgrew its start: half after 23 */
#define OTHERS 2.0           /* executions of a code that nothing is known of */
#define ABOVE 1.1            /* a peak of before counts when it lies so far above all newest ones */

static bool is_run(const struct msg_recent_run *run)
{
    return run->peak_bytes > 0 && isfinite(run->peak_bytes) && run->seconds >= 0 && isfinite(run->seconds);
}

static void read_runs(const struct msg_allocation *allocation, struct recent *out)
{
    size_t count = allocation->recent.count, first = count > SIZING_RUNS_MAX ? count - SIZING_RUNS_MAX : 0;
    for (size_t i = first; i < count; i++) {
        const struct msg_recent_run *run = &allocation->recent.items[i];
        if (!is_run(run))
            continue;
        double input = run->input_bytes >= 0 && isfinite(run->input_bytes) ? run->input_bytes : NAN;
        out->runs[out->code.count++] = (struct sizing_run){run->peak_bytes, run->seconds, input};
    }
    for (size_t i = 0; i < SIZING_METHOD_COUNT && i < allocation->method_costs.count; i++)
        out->costs[i] = isfinite(allocation->method_costs.items[i]) ? allocation->method_costs.items[i] : 0;
}

bool recent_can_be(const struct msg_allocation *allocation)
{
    return allocation->outgrown_failed >= 0 && allocation->outgrown_failed <= allocation->outgrown &&
           allocation->outgrown <= OUTGROWN_MOST;
}

double recent_saved(double outgrown, double outgrown_failed)
{
    return fmin(fmax((outgrown - outgrown_failed) / (1 + fmax(outgrown, 0)), 0), 1);
}

/* What all codes say weighs as much as OTHERS of the code's own. */
static double unsaved_of(const struct msg_allocation *allocation, double saved)
{
    double failed = OTHERS * (1 - saved), outgrown = OTHERS;
    if (allocation && recent_can_be(allocation)) {
        failed += (double)allocation->outgrown_failed;
        outgrown += (double)allocation->outgrown;
    }
    return failed / outgrown;
}

void recent_outgrown(const struct msg_execution_record *record, struct msg_allocation *next)
{
    bool saved = record->outcome == MSG_OUTCOME_FINISHED && record->first_limits.memory_bytes > 0 &&
                 record->totals.memory_peak_bytes > record->first_limits.memory_bytes;
    bool failed = record->outcome == MSG_OUTCOME_OOM_KILLED && record->cause == MSG_CAUSE_MEMORY;
    if (record->arm == MSG_ARM_HELD_OUT || !(saved || failed))
        return; /* nothing was to save what was held out */
    if (!recent_can_be(next))
        next->outgrown = next->outgrown_failed = 0;
    next->outgrown = next->outgrown * OUTGROWN_FADES + 1;
    next->outgrown_failed = next->outgrown_failed * OUTGROWN_FADES + (failed ? 1.0f : 0.0f);
}

/* Large peaks that the history remembers and the newest runs do not show: together as likely as what was not
 * seen in so many runs. */
static void read_older(const struct policy_history *history, struct recent *out)
{
    double highest = 0, total = 0, most = 1 / (double)(out->code.count + 1);
    for (size_t i = 0; i < out->code.count; i++)
        highest = fmax(highest, out->runs[i].peak);
    for (size_t i = 0; i < history->memory_count && i < POLICY_PEAKS_MAX; i++) {
        if (history->memory[i].value <= ABOVE * highest || out->code.older_count == SIZING_OLDER_MAX)
            continue;
        out->older[out->code.older_count++] =
            (struct sizing_older){history->memory[i].value, history->memory[i].weight};
        total += history->memory[i].weight;
    }
    for (size_t i = 0; i < out->code.older_count && total > most; i++)
        out->older[i].share *= most / total;
}

void recent_read(const struct msg_allocation *allocation, const struct policy_history *history, double saved,
                 struct recent *out)
{
    *out = (struct recent){.code = {.runs = out->runs, .older = out->older},
                           .unsaved = unsaved_of(allocation, saved)};
    if (allocation)
        read_runs(allocation, out);
    if (history && history->runs > (int64_t)out->code.count)
        read_older(history, out);
}

void recent_add(struct recent *recent, const struct sizing_config *config, const struct sizing_run *run)
{
    struct sizing_code *code = &recent->code;
    sizing_judge(config, code, run, recent->costs);
    if (code->count == SIZING_RUNS_MAX) {
        code->count--;
        memmove(recent->runs, recent->runs + 1, code->count * sizeof *recent->runs);
    }
    recent->runs[code->count++] = *run;
}

void recent_write(const struct recent *recent, struct recent_storage *storage, struct msg_allocation *next)
{
    for (size_t i = 0; i < recent->code.count; i++) {
        const struct sizing_run *run = &recent->runs[i];
        storage->runs[i] =
            (struct msg_recent_run){run->peak, run->seconds, isfinite(run->input) ? run->input : -1};
    }
    next->recent = (struct msg_recent_run_array){storage->runs, recent->code.count};
    memcpy(storage->costs, recent->costs, sizeof storage->costs);
    next->method_costs = (struct msg_float_array){storage->costs, SIZING_METHOD_COUNT};
}
