/* What comes in as an Adjustment: judged (adjust.h), put in force, reported. See agent.h. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>

#include "agent/agent.h"
#include "agent/disk.h"
#include "agent/limits.h"
#include "agent/limits_file.h"
#include "common/clock.h"
#include "common/uuid.h"

#define ADJUSTMENTS_MAX 256 /* in a record, schemas/execution_record.avsc */
#define SHORT_KEEP_MS 10000 /* a refused raise that nobody asks for again is no longer wanted */

/* Keeps the adjustment for the record: the ADJUSTED event's own bytes, which carry it. Not synced: the event
 * in the spool is. */
static void keep(struct agent *agent, struct attempt *attempt, const struct msg_execution_event *event)
{
    if (attempt->track->adjustments >= ADJUSTMENTS_MAX) {
        attempt->track->adjustments_dropped++;
        return;
    }
    buffer_reset(&agent->body);
    buffer_reset(&agent->scratch);
    int result = codec_encode(&msg_execution_event_type, event, &agent->body);
    buffer_append_u32be(&agent->scratch, (uint32_t)agent->body.size);
    buffer_append_str(&agent->scratch, buffer_str(&agent->body));
    if (result == 0)
        result = buffer_error(&agent->scratch);
    if (result == 0)
        result = attempt_open_adjustments(attempt);
    if (result == 0)
        result = disk_write_all(attempt->adjustments_fd, agent->scratch.data, agent->scratch.size);
    if (result == 0)
        attempt->track->adjustments++;
    else
        attempt->track->adjustments_dropped++;
}

static void report(struct agent *agent, struct attempt *attempt, const struct msg_applied_adjustment *applied)
{
    struct msg_execution_event event = agent_event(agent, attempt, MSG_EVENT_KIND_ADJUSTED);
    if (!attempt) {
        memcpy(event.execution, applied->adjustment.execution, sizeof event.execution);
        event.attempt = applied->adjustment.attempt;
        event.code = applied->adjustment.code;
    }
    event.reason = applied->detail;
    event.has_adjusted = true;
    event.adjusted = *applied;
    if (attempt && attempt->track)
        keep(agent, attempt, &event);
    int result = agent_spool_event(agent, &event);
    if (result < 0)
        log_error("event_not_spooled", "kind=adjusted error=\"%s\"",
                  strerror(-result)); /* the record carries it too */
}

static void log_adjustment(struct agent *agent, const struct msg_applied_adjustment *applied)
{
    char id[UUID_TEXT_SIZE], detail[300];
    if (log_limited(&agent->limiter, clock_monotonic_ms()))
        return;
    uuid_format(applied->adjustment.execution, id);
    log_info("adjustment",
             "execution=%s attempt=%d decision=%" PRId64
             " direction=%s cause=%s result=%s memory_before=%" PRId64 " memory_after=%" PRId64 " detail=%s",
             id, applied->adjustment.attempt, applied->adjustment.decision,
             msg_direction_name(applied->adjustment.direction), msg_cause_name(applied->adjustment.cause),
             msg_adjustment_result_name(applied->result), applied->before.memory_bytes,
             applied->after.memory_bytes, log_quote(detail, sizeof detail, applied->detail));
}

static void note_short(struct attempt *attempt, enum msg_cause cause, const struct msg_limits *wanted)
{
    attempt->wants[cause] =
        (struct short_of){limits_amount(wanted, cause), clock_monotonic_ms() + SHORT_KEEP_MS};
}

static void clear_short(struct attempt *attempt)
{
    for (enum msg_cause cause = 0; cause < MSG_CAUSE_COUNT; cause++) {
        int64_t now = limits_amount(&attempt->limits, cause);
        if (now == 0 || now >= attempt->wants[cause].wanted)
            attempt->wants[cause] = (struct short_of){0, 0};
    }
}

/* Into the kernel first: that is what the program waits for. */
static void write_limits(struct agent *agent, struct attempt *attempt, struct msg_applied_adjustment *applied,
                         char detail[ADJUST_DETAIL_MAX])
{
    struct cgroup_limits limits = limits_to_kernel(&applied->adjustment.limits);
    struct cgroup_apply_result result = {0};
    int error = cgroup_apply(attempt->cgroup, &limits, &result);
    applied->applied_us = clock_realtime_us();
    applied->after = limits_from_kernel(cgroup_limits(attempt->cgroup));
    applied->result = error == 0 ? MSG_ADJUSTMENT_RESULT_APPLIED
                                 : adjust_result(&result, &applied->before, &applied->after, detail);
    if (limits_raised(&applied->before, &applied->after) & 1u << MSG_CAUSE_MEMORY)
        attempt->let_go_us = clock_monotonic_us();
    /* The supervisor reads the limits again and arms the brake anew; one that just starts does it anyway. */
    (void)attempt_signal(attempt, SIGUSR1);
    agent_commit(agent, attempt, &applied->after);
    track_limits(attempt->track, &applied->before, &applied->after);
    attempt->track->last_decision = applied->adjustment.decision;
    attempt->track->last_epoch = applied->adjustment.epoch;
    attempt->track->last_sequence = applied->adjustment.sequence;
    clear_short(attempt);
    agent_want_limits_file(agent, attempt);
}

void agent_put_in_force(struct agent *agent, struct attempt *attempt, struct msg_applied_adjustment *applied)
{
    char detail[ADJUST_DETAIL_MAX] = "";
    write_limits(agent, attempt, applied, detail);
    applied->detail = str_of(detail);
    attempt->near.next_us = attempt->near.tenths = 0;
    agent_want_sample(agent, attempt); /* the sample that shows the new limits closes the risk */
    report(agent, attempt, applied);
    log_adjustment(agent, applied);
    applied->detail = str_of("");
}

/* --- the limits file --- */

/* Making a file and putting it in the place of another takes a disk over a millisecond: the raises that came
 * with this one do not wait for it. */
void agent_want_limits_file(struct agent *agent, struct attempt *attempt)
{
    attempt->limits_file_due = agent->limits_file_due = true;
}

static struct attempt *next_due(const struct agent *agent)
{
    for (size_t i = 0; i < agent->attempt_count; i++)
        if (agent->attempts[i]->limits_file_due)
            return agent->attempts[i];
    return NULL;
}

void agent_write_limits_file(struct agent *agent)
{
    struct attempt *attempt = agent->limits_file_due ? next_due(agent) : NULL;
    if (attempt) {
        attempt->limits_file_due = false;
        int error =
            limits_file_write(attempt->directory_fd, ATTEMPT_LIMITS, &attempt->limits, clock_realtime_us());
        if (error < 0)
            log_warn("limits_file_not_written", "attempt=%s error=\"%s\"", attempt->name, strerror(-error));
    }
    agent->limits_file_due = attempt && next_due(agent);
}

/* --- one adjustment --- */

static void take(struct agent *agent, const struct msg_adjustment *adjustment)
{
    struct attempt *attempt = agent_find(agent, adjustment->execution, adjustment->attempt);
    bool running = attempt && attempt->state == ATTEMPT_RUNNING && attempt->cgroup && attempt->track;
    struct adjust_view view = {
        .running = running,
        .incarnation =
            memcmp(adjustment->incarnation, agent->node.incarnation, sizeof adjustment->incarnation) == 0,
        .committed = agent->committed,
        .capacity = &agent->capacity,
    };
    struct msg_applied_adjustment applied = {.adjustment = *adjustment, .applied_us = clock_realtime_us()};
    if (running) {
        view.arm = attempt->admission.arm;
        view.last_decision = attempt->track->last_decision;
        view.last_epoch = attempt->track->last_epoch;
        view.last_sequence = attempt->track->last_sequence;
        view.limits = attempt->limits;
        applied.before = applied.after = attempt->limits;
        applied.memory_bytes = attempt->track->last.counters.memory_bytes;
    }
    struct adjust_verdict verdict = adjust_judge(adjustment, &view, applied.applied_us);
    metric_add(verdict.apply ? agent->metrics.adjusted : agent->metrics.ignored, 1);
    if (running && verdict.apply) {
        agent_put_in_force(agent, attempt, &applied);
        attempt->decided_bytes = attempt->limits.memory_bytes;
        return;
    }
    if (running && verdict.short_of != MSG_CAUSE_NONE) {
        note_short(attempt, verdict.short_of, &adjustment->limits);
        agent->status_ms = 0; /* tell at once: every allocate with executions here may offer slack */
    }
    applied.result = verdict.result;
    applied.detail = str_of(verdict.detail);
    report(agent, running ? attempt : NULL, &applied);
    log_adjustment(agent, &applied);
}

void agent_take_adjustment(void *context, struct str framed)
{
    struct agent *agent = context;
    struct msg_adjustment adjustment;
    arena_reset(agent->arena);
    int result = codec_decode(agent->codec, &msg_adjustment_type, framed, agent->arena, &adjustment);
    if (result < 0) {
        metric_add(agent->metrics.undecodable, 1);
        log_error("adjustment_not_read", "error=\"%s\" bytes=%zu", strerror(-result), framed.size);
        return;
    }
    take(agent, &adjustment);
}
