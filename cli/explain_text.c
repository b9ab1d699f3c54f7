/* See explain_text.h. */
#include "cli/explain_text.h"

#include <inttypes.h>
#include <stdlib.h>

#include "cli/message_json.h"
#include "cli/report.h"
#include "cli/text.h"
#include "common/uuid.h"

#define COLUMNS 60
#define LINE_BYTES (COLUMNS * 4 + 1)

static void append_head(const struct execution *execution, struct buffer *out)
{
    const struct msg_execution_state *state = execution_state(execution);
    char id[UUID_TEXT_SIZE], when[32];
    uuid_format(state->execution, id);
    buffer_printf(out, "execution  %s\ncode       %.*s\n", id, (int)state->request.code.size,
                  state->request.code.data);
    buffer_printf(out, "command   ");
    for (size_t i = 0; i < state->request.argv.count && i < 32; i++)
        buffer_printf(out, " %.*s", (int)FS_MIN(state->request.argv.items[i].size, (size_t)200),
                      state->request.argv.items[i].data);
    buffer_printf(out, "%s\n", state->request.argv.count > 32 ? " ..." : "");
    if (state->node.size > 0)
        buffer_printf(out, "node       %.*s (pool %.*s)\n", (int)state->node.size, state->node.data,
                      (int)state->request.pool.size, state->request.pool.data);
    buffer_printf(out, "submitted  %s\n", text_time(state->request.submitted_us, when));
    if (state->phase == MSG_EXECUTION_PHASE_DONE)
        buffer_printf(out, "outcome    %s, exit status %d", report_outcome(state), report_exit_status(state));
    else
        buffer_printf(out, "phase      %s, attempt %d", msg_execution_phase_name(state->phase),
                      (int)state->attempt);
    if (state->cause != MSG_CAUSE_NONE)
        buffer_printf(out, ", cause %s", msg_cause_name(state->cause));
    if (state->reason.size > 0)
        buffer_printf(out, ": %.*s", (int)state->reason.size, state->reason.data);
    buffer_printf(out, "\n");
}

/* The usage of one attempt, and the probability of failure, over the same time. */
static size_t attempt_span(const struct execution *execution, int32_t attempt, int64_t *from_us,
                           int64_t *to_us)
{
    size_t count, found = 0;
    const struct execution_sample *samples = execution_samples(execution, &count);
    for (size_t i = 0; i < count; i++) {
        if (samples[i].attempt != attempt)
            continue;
        *from_us = found == 0 ? samples[i].time_us : FS_MIN(*from_us, samples[i].time_us);
        *to_us = found == 0 ? samples[i].time_us : FS_MAX(*to_us, samples[i].time_us);
        found++;
    }
    return found;
}

static size_t column_of(int64_t time_us, int64_t from_us, int64_t to_us)
{
    if (to_us <= from_us || time_us <= from_us)
        return 0;
    return (size_t)FS_MIN((time_us - from_us) * COLUMNS / (to_us - from_us), (int64_t)COLUMNS - 1);
}

/* Columns without a value show the last one before. */
static void fill_gaps(double values[COLUMNS])
{
    for (size_t i = 1; i < COLUMNS; i++)
        if (values[i] < 0)
            values[i] = values[i - 1];
}

static void append_curves(const struct execution *execution, int32_t attempt, struct buffer *out)
{
    double usage[COLUMNS], limit[COLUMNS], probability[COLUMNS], highest = 0;
    char line[LINE_BYTES], a[32];
    size_t count;
    int64_t from_us = 0, to_us = 0;
    if (attempt_span(execution, attempt, &from_us, &to_us) < 2)
        return;
    for (size_t i = 0; i < COLUMNS; i++)
        usage[i] = limit[i] = probability[i] = -1;
    const struct execution_sample *samples = execution_samples(execution, &count);
    for (size_t i = 0; i < count; i++) {
        if (samples[i].attempt != attempt)
            continue;
        size_t column = column_of(samples[i].time_us, from_us, to_us);
        usage[column] = FS_MAX(usage[column], (double)samples[i].memory_bytes);
        limit[column] = FS_MAX(limit[column], (double)samples[i].memory_limit_bytes);
        highest = FS_MAX(highest, FS_MAX(usage[column], limit[column]));
    }
    const struct execution_risk *risks = execution_risks(execution, &count);
    for (size_t i = 0; i < count; i++) {
        size_t column = column_of(risks[i].sampled_us, from_us, to_us);
        if (risks[i].attempt == attempt)
            probability[column] = FS_MAX(probability[column], (double)risks[i].probability);
    }
    fill_gaps(usage);
    fill_gaps(limit);
    fill_gaps(probability);
    buffer_printf(out, "  memory   %s  up to %s\n",
                  text_sparkline(usage, COLUMNS, highest, COLUMNS, line, sizeof line),
                  text_bytes((int64_t)highest, false, a));
    buffer_printf(out, "  limit    %s\n",
                  text_sparkline(limit, COLUMNS, highest, COLUMNS, line, sizeof line));
    buffer_printf(out, "  risk     %s  0 to 1, over %s\n",
                  text_sparkline(probability, COLUMNS, 1, COLUMNS, line, sizeof line),
                  text_duration((to_us - from_us) / 1000, a));
}

static void append_record(const struct msg_execution_record *record, struct buffer *out)
{
    char limits[256], peak[32], cpu[32];
    buffer_printf(out, "  began with %s", text_limits(&record->first_limits, limits, sizeof limits));
    if (record->allocation_revision > 0)
        buffer_printf(out, " (allocation revision %" PRId64 ")", record->allocation_revision);
    buffer_printf(out, "\n  ended %s: %.*s\n  peak %s, CPU time %s", msg_outcome_name(record->outcome),
                  (int)record->detail.size, record->detail.data,
                  text_bytes(record->totals.memory_peak_bytes, false, peak),
                  text_duration(record->totals.cpu_usage_us / 1000, cpu));
    if (record->totals.cpu_throttled_us > 0)
        buffer_printf(out, ", throttled %s", text_duration(record->totals.cpu_throttled_us / 1000, cpu));
    if (record->brakes.count > 0)
        buffer_printf(out, ", %zu stays in the brake (%s)", record->brakes.count,
                      text_duration(record->totals.brake_us / 1000, cpu));
    if (record->arm == MSG_ARM_HELD_OUT)
        buffer_printf(out, "\n  held out: nothing was done for it, to measure what is averted");
    buffer_printf(out, "\n");
}

static void append_decisions(const struct execution *execution, int32_t attempt, int64_t start_us,
                             struct buffer *out)
{
    size_t count;
    const struct execution_adjustment *adjustments = execution_adjustments(execution, &count);
    char change[256], when[32];
    for (size_t i = 0; i < count; i++) {
        const struct execution_adjustment *entry = &adjustments[i];
        const struct msg_adjustment *adjustment = &entry->adjustment;
        if (adjustment->attempt != attempt)
            continue;
        int64_t at_us = entry->answered ? entry->applied_us : adjustment->decided_us;
        buffer_printf(
            out, "  +%-7s %s %s, probability %.2f: ", text_duration(FS_MAX(at_us - start_us, 0) / 1000, when),
            msg_direction_name(adjustment->direction), msg_cause_name(adjustment->cause),
            (double)adjustment->probability);
        if (!entry->answered)
            buffer_printf(out, "no answer of the agent\n");
        else if (entry->result <= MSG_ADJUSTMENT_RESULT_PARTLY)
            buffer_printf(out, "%s%s\n", text_change(&entry->before, &entry->after, change, sizeof change),
                          entry->result == MSG_ADJUSTMENT_RESULT_PARTLY ? " (in part)" : "");
        else
            buffer_printf(out, "%s %.*s\n", msg_adjustment_result_name(entry->result),
                          (int)entry->detail.size, entry->detail.data);
        buffer_printf(out, "           %.*s\n", (int)adjustment->reason.size, adjustment->reason.data);
    }
}

static int64_t attempt_start(const struct execution *execution, int32_t attempt)
{
    const struct execution_attempt *known = execution_attempt(execution, attempt);
    size_t count;
    const struct execution_event *events = execution_events(execution, &count);
    if (known)
        return known->record.started_us;
    for (size_t i = 0; i < count; i++)
        if (events[i].attempt == attempt && events[i].kind == MSG_EVENT_KIND_STARTED)
            return events[i].time_us;
    return execution_start_us(execution);
}

static void append_events(const struct execution *execution, int32_t attempt, int64_t start_us,
                          struct buffer *out)
{
    size_t count;
    const struct execution_event *events = execution_events(execution, &count);
    char when[32];
    for (size_t i = 0; i < count; i++) {
        bool telling = events[i].kind == MSG_EVENT_KIND_REFUSED || events[i].kind == MSG_EVENT_KIND_LOST;
        if (events[i].attempt == attempt && telling)
            buffer_printf(out, "  +%-7s %s by %.*s: %.*s\n",
                          text_duration(FS_MAX(events[i].time_us - start_us, 0) / 1000, when),
                          msg_event_kind_name(events[i].kind), (int)events[i].node.size, events[i].node.data,
                          (int)events[i].reason.size, events[i].reason.data);
    }
}

static void append_allocation(const struct msg_allocation *allocation, struct buffer *out)
{
    char limits[256];
    buffer_printf(out, "\nthe next execution of this code begins with %s (revision %" PRId64 "%s)\n  %.*s\n",
                  text_limits(&allocation->limits, limits, sizeof limits), allocation->revision,
                  allocation->pinned ? ", pinned" : "", (int)allocation->reason.size,
                  allocation->reason.data);
}

void explain_text(const struct execution *execution, const struct msg_allocation *allocation,
                  struct buffer *out)
{
    append_head(execution, out);
    for (int32_t attempt = 1; attempt <= execution_attempts(execution); attempt++) {
        const struct execution_attempt *known = execution_attempt(execution, attempt);
        int64_t start_us = attempt_start(execution, attempt);
        buffer_printf(out, "\nattempt %d\n", (int)attempt);
        if (known)
            append_record(&known->record, out);
        append_curves(execution, attempt, out);
        append_events(execution, attempt, start_us, out);
        append_decisions(execution, attempt, start_us, out);
    }
    const struct msg_dead_execution *dead = execution_dead(execution);
    if (dead)
        buffer_printf(out, "\ndead letter: %.*s\n", (int)dead->reason.size, dead->reason.data);
    if (allocation)
        append_allocation(allocation, out);
    if (execution_dropped(execution) > 0)
        buffer_printf(out, "\n(%" PRIu64 " samples, risks, events or decisions were too many to be shown)\n",
                      execution_dropped(execution));
}

/* --- JSON --- */

static json_t *samples_json(const struct execution *execution)
{
    size_t count;
    const struct execution_sample *samples = execution_samples(execution, &count);
    json_t *out = json_array();
    for (size_t i = 0; out && i < count; i++) {
        json_t *sample =
            json_pack("{s:i,s:I,s:I,s:I,s:I,s:b}", "attempt", (int)samples[i].attempt, "time_us",
                      (json_int_t)samples[i].time_us, "memory_bytes", (json_int_t)samples[i].memory_bytes,
                      "memory_limit_bytes", (json_int_t)samples[i].memory_limit_bytes, "cpu_usage_us",
                      (json_int_t)samples[i].cpu_usage_us, "brake_engaged", (int)samples[i].brake_engaged);
        if (json_array_append_new(out, sample) < 0) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

static json_t *risks_json(const struct execution *execution)
{
    size_t count;
    const struct execution_risk *risks = execution_risks(execution, &count);
    json_t *out = json_array();
    for (size_t i = 0; out && i < count; i++) {
        json_t *risk = json_pack(
            "{s:i,s:I,s:I,s:o,s:s,s:s,s:b,s:I,s:o,s:o}", "attempt", (int)risks[i].attempt, "sampled_us",
            (json_int_t)risks[i].sampled_us, "sequence", (json_int_t)risks[i].sequence, "probability",
            message_json_number((double)risks[i].probability), "cause", msg_cause_name(risks[i].cause),
            "kind", msg_risk_kind_name(risks[i].kind), "above", (int)risks[i].above, "memory_bytes",
            (json_int_t)risks[i].memory_bytes, "memory_p50", message_json_number(risks[i].memory_p50),
            "memory_p99", message_json_number(risks[i].memory_p99));
        if (json_array_append_new(out, risk) < 0) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

static json_t *events_json(const struct execution *execution)
{
    size_t count;
    const struct execution_event *events = execution_events(execution, &count);
    json_t *out = json_array();
    for (size_t i = 0; out && i < count; i++) {
        json_t *event =
            json_pack("{s:s,s:i,s:I,s:I,s:o,s:o}", "kind", msg_event_kind_name(events[i].kind), "attempt",
                      (int)events[i].attempt, "placement", (json_int_t)events[i].placement, "time_us",
                      (json_int_t)events[i].time_us, "node", message_json_text(events[i].node), "reason",
                      message_json_text(events[i].reason));
        if (json_array_append_new(out, event) < 0) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

static json_t *records_json(const struct execution *execution)
{
    json_t *out = json_array();
    for (int32_t attempt = 1; out && attempt <= execution_attempts(execution); attempt++) {
        const struct execution_attempt *known = execution_attempt(execution, attempt);
        if (known &&
            json_array_append_new(out, message_json(&msg_execution_record_type, &known->record)) < 0) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

json_t *explain_json(const struct execution *execution, const struct msg_allocation *allocation)
{
    const struct msg_dead_execution *dead = execution_dead(execution);
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "report", report_json(execution), "state",
                     message_json(&msg_execution_state_type, execution_state(execution)), "records",
                     records_json(execution), "samples", samples_json(execution), "risks",
                     risks_json(execution), "events", events_json(execution), "dead_letter",
                     dead ? message_json_text(dead->reason) : json_null(), "allocation",
                     allocation ? message_json(&msg_allocation_type, allocation) : json_null());
}
