/* Record files as forestall-record and retrain's reservoir write them, dead letters included. What a row
 * needs is what its series shows; a program that was killed for memory never showed it and is left out. */
#include <errno.h>
#include <stdlib.h>

#include "replay/trace.h"
#include "schemas/hints.h"

static double peak_of(const struct msg_execution_record *record)
{
    int64_t peak = record->totals.memory_peak_bytes;
    for (size_t i = 0; i < record->series.count; i++)
        peak = FS_MAX(peak, record->series.items[i].counters.memory_bytes);
    return (double)peak;
}

static int add_dead(struct trace *trace, const struct msg_execution_record *record)
{
    const struct msg_execution_record **dead =
        realloc(trace->dead, (trace->dead_count + 1) * sizeof(const struct msg_execution_record *));
    if (!dead)
        return -ENOMEM;
    trace->dead = dead;
    trace->dead[trace->dead_count++] = record;
    return 0;
}

static int add(struct trace *trace, const struct msg_execution_record *record, bool dead)
{
    if (dead)
        return add_dead(trace, record);
    if (record->series.count < 2 || record->ended_us <= record->started_us) {
        trace->seriesless++;
        return 0;
    }
    if (record->outcome == MSG_OUTCOME_OOM_KILLED || record->totals.oom_kills > 0) {
        trace->censored++;
        return 0;
    }
    const struct trace_row row = {
        .code = record->code,
        .start_s = (double)record->started_us / 1e6,
        .runtime_s = (double)(record->ended_us - record->started_us) / 1e6,
        .peak_bytes = peak_of(record),
        .requested_bytes = (double)record->request.limits.memory_bytes,
        .input_bytes = hints_input_bytes(&record->request.hints),
        .evaluate = true,
        .record = record,
    };
    return trace_add(trace, &row);
}

/* Records move while files are added, so rows are made of all of them at the end: see trace_use_records. */
int trace_add_records(struct trace *trace, const char *path, char *error, size_t error_size)
{
    return records_add(&trace->records, path, error, error_size);
}

int trace_use_records(struct trace *trace)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < trace->records.count; i++)
        result = add(trace, &trace->records.items[i], trace->records.dead[i]);
    return result;
}
