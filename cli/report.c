/* See report.h. */
#include "cli/report.h"

#include "cli/message_json.h"

#define STATUS_OWN_FAILURE 125 /* as env(1) and timeout(1) say that the failure is theirs */
#define STATUS_TIMED_OUT 124
#define STATUS_OOM_KILLED 137 /* 128 + SIGKILL */
#define STATUS_CANCELLED 130  /* 128 + SIGINT */

const char *report_outcome(const struct msg_execution_state *state)
{
    if (state->phase != MSG_EXECUTION_PHASE_DONE)
        return "running";
    if (state->dead_lettered &&
        state->outcome != MSG_OUTCOME_FINISHED) /* an attempt after it may have finished */
        return "dead_lettered";
    switch (state->outcome) {
    case MSG_OUTCOME_FINISHED:
        return "finished";
    case MSG_OUTCOME_OOM_KILLED:
        return "oom_killed";
    case MSG_OUTCOME_TIMED_OUT:
        return "deadline_missed";
    case MSG_OUTCOME_CRASHED:
        return "crashed";
    case MSG_OUTCOME_KILLED:
        return "cancelled";
    case MSG_OUTCOME_LOST:
        return "lost";
    case MSG_OUTCOME_NONE:
    default:
        return state->cancel_asked ? "cancelled" : "lost";
    }
}

int report_exit_status(const struct msg_execution_state *state)
{
    switch (state->outcome) {
    case MSG_OUTCOME_FINISHED:
        return state->exit_status;
    case MSG_OUTCOME_OOM_KILLED:
        return STATUS_OOM_KILLED;
    case MSG_OUTCOME_TIMED_OUT:
        return STATUS_TIMED_OUT;
    case MSG_OUTCOME_CRASHED:
        if (state->signal > 0)
            return 128 + state->signal;
        return state->exit_status > 0 ? state->exit_status : STATUS_OWN_FAILURE;
    case MSG_OUTCOME_KILLED:
        return STATUS_CANCELLED;
    case MSG_OUTCOME_LOST:
    case MSG_OUTCOME_NONE:
    default:
        return state->cancel_asked ? STATUS_CANCELLED : STATUS_OWN_FAILURE;
    }
}

bool report_is_raise(const struct execution_adjustment *adjustment)
{
    return adjustment->answered && adjustment->adjustment.direction == MSG_DIRECTION_RAISE &&
           adjustment->result <= MSG_ADJUSTMENT_RESULT_PARTLY;
}

/* {"memory_bytes": [before, after], ...} of the limits that differ. */
static json_t *changes_json(const struct msg_limits *before, const struct msg_limits *after)
{
    const struct {
        const char *name;
        int64_t before, after;
    } limits[] = {
        {"memory_bytes", before->memory_bytes, after->memory_bytes},
        {"cpu_millicores", before->cpu_millicores, after->cpu_millicores},
        {"cpu_weight", before->cpu_weight, after->cpu_weight},
        {"io_read_bps", before->io_read_bps, after->io_read_bps},
        {"io_write_bps", before->io_write_bps, after->io_write_bps},
        {"io_weight", before->io_weight, after->io_weight},
        {"net_egress_bps", before->net_egress_bps, after->net_egress_bps},
        {"net_priority", before->net_priority, after->net_priority},
    };
    json_t *out = json_object();
    for (size_t i = 0; out && i < FS_COUNT(limits); i++) {
        if (limits[i].before == limits[i].after)
            continue;
        json_t *pair = json_pack("[I,I]", (json_int_t)limits[i].before, (json_int_t)limits[i].after);
        if (json_object_set_new(out, limits[i].name, pair) < 0) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

static json_t *milliseconds(int64_t from_us, int64_t to_us)
{
    if (from_us <= 0 || to_us <= 0)
        return json_null();
    int64_t hundredths = (to_us - from_us) / 10;
    return json_real((double)hundredths / 100);
}

static json_t *adjustment_json(const struct execution_adjustment *entry, int64_t start_us)
{
    const struct msg_adjustment *adjustment = &entry->adjustment;
    int64_t when_us = entry->answered ? entry->applied_us : adjustment->decided_us;
    static const struct msg_limits nothing;
    return json_pack(
        "{s:i,s:I,s:o,s:s,s:s,s:o,s:o,s:s,s:o,s:o,s:o,s:o,s:o,s:o}", "attempt", (int)adjustment->attempt,
        "decision", (json_int_t)adjustment->decision, "time_ms", milliseconds(start_us, when_us), "direction",
        msg_direction_name(adjustment->direction), "cause", msg_cause_name(adjustment->cause), "probability",
        message_json_number((double)adjustment->probability), "reason", message_json_text(adjustment->reason),
        "result", entry->answered ? msg_adjustment_result_name(entry->result) : "unanswered", "detail",
        message_json_text(entry->detail), "changes",
        entry->answered ? changes_json(&entry->before, &entry->after) : changes_json(&nothing, &nothing),
        "memory_bytes", entry->answered ? json_integer(entry->memory_bytes) : json_null(), "decided_after_ms",
        milliseconds(adjustment->sampled_us, adjustment->decided_us), "applied_after_ms",
        entry->answered ? milliseconds(adjustment->sampled_us, entry->applied_us) : json_null(),
        "model_version", message_json_text(adjustment->model_version));
}

static json_t *adjustments_json(const struct execution *execution)
{
    size_t count;
    const struct execution_adjustment *adjustments = execution_adjustments(execution, &count);
    json_t *out = json_array();
    for (size_t i = 0; out && i < count; i++)
        if (json_array_append_new(out, adjustment_json(&adjustments[i], execution_start_us(execution))) < 0) {
            json_decref(out);
            return NULL;
        }
    return out;
}

/* Whole, for the figures that other programs compare. */
static json_t *whole_milliseconds(int64_t from_us, int64_t to_us)
{
    return from_us > 0 && to_us > 0 ? json_integer((to_us - from_us) / 1000) : json_null();
}

static const struct execution_adjustment *first_raise(const struct execution *execution)
{
    size_t count;
    const struct execution_adjustment *adjustments = execution_adjustments(execution, &count), *first = NULL;
    for (size_t i = 0; i < count; i++)
        if (report_is_raise(&adjustments[i]) && (!first || adjustments[i].applied_us < first->applied_us))
            first = &adjustments[i];
    return first;
}

struct figures {
    int64_t peak_bytes, first_limit_bytes, final_limit_bytes, ended_us, brake_us;
    size_t brakes;
};

/* A limit of 0 is none at all: the highest there is. */
static int64_t higher_limit(int64_t a, int64_t b)
{
    return a == 0 || b == 0 ? 0 : FS_MAX(a, b);
}

static struct figures gather(const struct execution *execution)
{
    const struct msg_execution_state *state = execution_state(execution);
    struct figures out = {
        .peak_bytes = state->memory_peak_bytes, .first_limit_bytes = -1, .final_limit_bytes = -1};
    for (int32_t number = 1; number <= execution_attempts(execution); number++) {
        const struct execution_attempt *attempt = execution_attempt(execution, number);
        if (!attempt)
            continue;
        const struct msg_execution_record *record = &attempt->record;
        out.peak_bytes = FS_MAX(out.peak_bytes, record->totals.memory_peak_bytes);
        if (out.first_limit_bytes < 0)
            out.first_limit_bytes = record->first_limits.memory_bytes;
        int64_t highest = record->highest_limits.memory_bytes;
        out.final_limit_bytes =
            out.final_limit_bytes < 0 ? highest : higher_limit(out.final_limit_bytes, highest);
        out.ended_us = FS_MAX(out.ended_us, record->ended_us);
        out.brake_us += record->totals.brake_us;
        out.brakes += record->brakes.count;
    }
    if (out.final_limit_bytes < 0 && execution_started(execution) > 0) /* no record came: the queue's view */
        out.first_limit_bytes = out.final_limit_bytes = state->limits.memory_bytes;
    return out;
}

/* When the attempt that was raised first used more than it was first given. */
static int64_t crossed_us(const struct execution *execution, const struct execution_adjustment *raise)
{
    const struct execution_attempt *attempt =
        raise ? execution_attempt(execution, raise->adjustment.attempt) : NULL;
    return attempt ? attempt->crossed_us : 0;
}

int32_t report_records_missing(const struct execution *execution)
{
    const struct msg_execution_state *state = execution_state(execution);
    int32_t missing = 0, last = execution_attempts(execution);
    for (int32_t number = 1; number <= last; number++)
        if (!execution_attempt(execution, number))
            missing++;
    bool last_has_none = state && (state->outcome == MSG_OUTCOME_LOST || execution_started(execution) < last);
    if (missing > 0 && last_has_none && !execution_attempt(execution, last))
        missing--;
    return missing;
}

static json_t *known(int64_t value)
{
    return value >= 0 ? json_integer(value) : json_null();
}

json_t *report_json(const struct execution *execution)
{
    const struct msg_execution_state *state = execution_state(execution);
    if (!state)
        return NULL;
    struct figures figures = gather(execution);
    const struct execution_adjustment *raise = first_raise(execution);
    int64_t start_us = execution_start_us(execution);
    int64_t crossed = crossed_us(execution, raise);
    json_t *out = json_pack(
        "{s:o,s:o,s:s,s:s,s:i,s:i,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "execution",
        message_json_uuid(state->execution), "code", message_json_text(state->request.code), "outcome",
        report_outcome(state), "cause", msg_cause_name(state->cause), "exit_status",
        report_exit_status(state), "attempts", (int)state->attempt, "peak_bytes", known(figures.peak_bytes),
        "first_limit_bytes", known(figures.first_limit_bytes), "final_limit_bytes",
        known(figures.final_limit_bytes), "adjustments", adjustments_json(execution), "max_probability",
        message_json_number(execution_max_probability(execution)), "first_raise_ms",
        raise ? whole_milliseconds(start_us, raise->applied_us) : json_null(), "duration_ms",
        whole_milliseconds(start_us, figures.ended_us ? figures.ended_us : state->changed_us));
    json_t *more =
        json_pack("{s:i,s:o,s:o,s:b,s:o,s:I,s:I,s:i}", "signal", (int)state->signal, "reason",
                  message_json_text(state->reason), "node", message_json_text(state->node), "held_out",
                  state->arm == MSG_ARM_HELD_OUT, "first_raise_lead_ms",
                  raise && crossed ? whole_milliseconds(raise->applied_us, crossed) : json_null(), "brakes",
                  (json_int_t)figures.brakes, "brake_ms", (json_int_t)(figures.brake_us / 1000),
                  "records_missing", (int)report_records_missing(execution));
    if (!out || !more || json_object_update(out, more) < 0) {
        json_decref(out);
        out = NULL;
    }
    json_decref(more);
    return out;
}
