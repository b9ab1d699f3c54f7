/* What comes in as an Admission: runs it, refuses it or ends an execution. See agent.h for the order of what
 * is written. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/admission.h"
#include "agent/agent.h"
#include "agent/disk.h"
#include "agent/limits.h"
#include "agent/limits_file.h"
#include "agent/record.h"
#include "common/clock.h"
#include "common/uuid.h"

/* What one attempt may still write to the spool: its record and its events. */
#define SPOOL_PER_ATTEMPT (RECORD_MAX_BYTES + (64 << 10))

static void log_attempt(const char *event, const struct msg_admission *admission, const char *reason)
{
    char id[UUID_TEXT_SIZE], code[200], why[400];
    uuid_format(admission->request.execution, id);
    log_info(event, "execution=%s attempt=%d placement=%" PRId64 " code=%s reason=%s", id, admission->attempt,
             admission->placement, log_quote(code, sizeof code, admission->request.code),
             log_quote(why, sizeof why, str_of(reason)));
}

static int answer(struct agent *agent, const struct msg_admission *admission, enum placement_answer how)
{
    struct placement placement = {.attempt = admission->attempt,
                                  .number = admission->placement,
                                  .answered_us = clock_realtime_us(),
                                  .answer = how};
    memcpy(placement.execution, admission->request.execution, sizeof placement.execution);
    return placements_answer(agent->placements, &placement);
}

static void report_refusal(struct agent *agent, const struct msg_admission *admission,
                           enum msg_cause short_of, const char *reason)
{
    struct msg_execution_event event = agent_event(agent, NULL, MSG_EVENT_KIND_REFUSED);
    memcpy(event.execution, admission->request.execution, sizeof event.execution);
    event.attempt = admission->attempt;
    event.placement = admission->placement;
    event.code = admission->request.code;
    event.reason = str_of(reason);
    event.limits = admission->limits;
    event.short_of = short_of;
    log_attempt("refused", admission, reason);
    metric_add(agent->metrics.refused, 1);
    int result = agent_spool_event(agent, &event);
    if (result < 0) /* not lost: the offer is repeated, and answered again from the journal */
        log_error("event_not_spooled", "kind=refused error=\"%s\"", strerror(-result));
}

/* For good: journal first, so that what was told as refused can never run later. */
static void refuse(struct agent *agent, const struct msg_admission *admission, enum placement_answer how,
                   enum msg_cause short_of, const char *reason)
{
    int result = answer(agent, admission, how);
    if (result < 0)
        log_error("journal_not_written", "error=\"%s\"",
                  strerror(-result)); /* unanswered: it is offered again */
    else
        report_refusal(agent, admission, short_of, reason);
}

/* --- accepting --- */

static int make_cgroup(struct agent *agent, struct attempt *attempt, char *reason, size_t reason_size)
{
    struct cgroup_limits limits = limits_to_kernel(&attempt->admission.limits);
    struct cgroup_apply_result applied;
    int result = cgroup_create(agent->host, attempt->name, &limits, &applied, &attempt->cgroup);
    if (result < 0) {
        (void)snprintf(reason, reason_size, "cannot make its cgroup: %s", strerror(-result));
        return result;
    }
    attempt->limits = limits_from_kernel(cgroup_limits(attempt->cgroup));
    attempt->decided_bytes = attempt->limits.memory_bytes;
    if (applied.memory < 0) { /* running it without the limit that was counted would endanger the others */
        (void)snprintf(reason, reason_size, "cannot limit its memory: %s", strerror(-applied.memory));
        return applied.memory;
    }
    return 0;
}

static int make_files(struct agent *agent, struct attempt *attempt, char *reason, size_t reason_size)
{
    attempt->directory_fd = disk_open_directory(agent->attempts_fd, attempt->name, 0711);
    int result = attempt->directory_fd < 0 ? attempt->directory_fd : 0;
    if (result == 0)
        result = track_map(attempt->directory_fd, ATTEMPT_TRACK, true, &attempt->track);
    if (result == 0) {
        track_reset(attempt->track, clock_realtime_us(), clock_monotonic_us(), &attempt->limits);
        attempt_set_lease(agent, attempt);
        attempt_open_metrics(agent, attempt);
        result = attempt_open_adjustments(attempt);
    }
    if (result == 0)
        result =
            limits_file_write(attempt->directory_fd, ATTEMPT_LIMITS, &attempt->limits, clock_realtime_us());
    if (result == 0)
        result = disk_replace(attempt->directory_fd, ATTEMPT_ADMISSION, attempt->framed.data,
                              attempt->framed.size, 0600, true);
    if (result == 0 && fsync(agent->attempts_fd) < 0)
        result = -errno;
    if (result < 0)
        (void)snprintf(reason, reason_size, "cannot write its state directory: %s", strerror(-result));
    return result;
}

/* Nothing runs in it yet and the journal says nothing of it: takes everything back. */
static void take_back(struct agent *agent, struct attempt *attempt)
{
    if (attempt->cgroup && cgroup_destroy(attempt->cgroup, 0) == 0)
        attempt->cgroup = NULL;
    int result = disk_remove_tree(agent->attempts_fd, attempt->name, NULL);
    if (result < 0)
        log_warn("directory_not_removed", "attempt=%s error=\"%s\"", attempt->name, strerror(-result));
    attempt_destroy(attempt);
}

/* From here on the attempt counts as run, whatever happens. */
static void launch(struct agent *agent, struct attempt *attempt, int lock_fd)
{
    struct msg_execution_event event = agent_event(agent, attempt, MSG_EVENT_KIND_ACCEPTED);
    agent_add(agent, attempt);
    int result = agent_spool_event(agent, &event);
    if (result < 0)
        log_error("event_not_spooled", "kind=accepted error=\"%s\"",
                  strerror(-result)); /* STARTED and FINISHED say it as well */
    result = attempt_spawn(agent, attempt, lock_fd);
    if (result < 0) {
        log_error("supervisor_not_started", "attempt=%s path=%s error=\"%s\"", attempt->name,
                  agent->supervisor, strerror(-result));
        if (attempt->pid_fd < 0) {
            attempt->state = ATTEMPT_ENDED; /* reported as never started */
            attempt->ended_ms = clock_monotonic_ms();
        }
    }
    metric_add(agent->metrics.accepted, 1);
    log_attempt("accepted", &attempt->admission, "");
    agent_want_sample(agent, attempt);
}

static void accept_offer(struct agent *agent, const struct msg_admission *admission, struct str framed)
{
    char name[ATTEMPT_NAME_SIZE], reason[ADMISSION_REASON_MAX] = "out of memory";
    attempt_name(admission->request.execution, admission->attempt, name);
    struct attempt *attempt = attempt_create(name);
    int lock_fd = -1, result = attempt ? attempt_decode(attempt, agent->codec, framed) : -ENOMEM;
    if (result == 0)
        result = make_cgroup(agent, attempt, reason, sizeof reason);
    if (result == 0)
        result = make_files(agent, attempt, reason, sizeof reason);
    if (result == 0 && (lock_fd = attempt_lock(attempt->directory_fd)) < 0) {
        result = lock_fd;
        (void)snprintf(reason, sizeof reason, "cannot lock its state directory: %s", strerror(-result));
    }
    if (result < 0) {
        if (attempt)
            take_back(agent, attempt);
        refuse(agent, admission, PLACEMENT_REFUSED, MSG_CAUSE_NONE, reason);
        return;
    }
    result = answer(agent, admission, PLACEMENT_RAN);
    if (result == 0) {
        launch(agent, attempt, lock_fd);
    } else {
        log_error("journal_not_written", "error=\"%s\"",
                  strerror(-result)); /* unanswered: it is offered again */
        take_back(agent, attempt);
    }
    (void)close(lock_fd); /* the supervisor has its own copy */
}

static void take_offer(struct agent *agent, const struct msg_admission *admission, struct str framed)
{
    const struct placement *known =
        placements_find(agent->placements, admission->request.execution, admission->attempt);
    enum placement_verdict repeated = placement_judge(known, admission->placement);
    if (repeated == PLACEMENT_REPEATED) {
        metric_add(agent->metrics.repeated, 1);
        if (known->answer == PLACEMENT_REFUSED && known->number == admission->placement)
            report_refusal(agent, admission, MSG_CAUSE_NONE,
                           "refused before"); /* its event may have been lost with the disk's last second */
        return;
    }
    if (repeated == PLACEMENT_RAN_BEFORE) {
        refuse(agent, admission, PLACEMENT_RAN, MSG_CAUSE_NONE, "this attempt ran here before");
        return;
    }
    int64_t promised = (int64_t)(agent->attempt_count + 1) * SPOOL_PER_ATTEMPT;
    struct admission_view view = {
        .node = str_of(agent->node.id),
        .incarnation = agent->node.incarnation,
        .draining = agent->draining,
        .spool_full = spool_room(agent->spool) < FS_MIN(promised, agent->options->spool_bytes / 2),
        .table_full = agent->attempt_count >= agent->attempt_max,
        .committed = agent->committed,
        .capacity = &agent->capacity,
    };
    struct admission_verdict verdict = admission_judge(admission, &view, clock_realtime_us());
    if (!verdict.accept)
        refuse(agent, admission, PLACEMENT_REFUSED, verdict.short_of, verdict.reason);
    else
        accept_offer(agent, admission, framed);
}

static void take_cancel(struct agent *agent, const struct msg_admission *admission)
{
    struct attempt *attempt = agent_find(agent, admission->request.execution, admission->attempt);
    if (memcmp(admission->incarnation, agent->node.incarnation, sizeof admission->incarnation) != 0)
        return; /* it cancels what another incarnation ran: that one's end is known by its absence */
    if (attempt) {
        log_attempt("cancel", admission, "");
        attempt_end(attempt, "cancelled");
        return;
    }
    const struct placement *known =
        placements_find(agent->placements, admission->request.execution, admission->attempt);
    if (!known || (known->answer != PLACEMENT_RAN && known->number < admission->placement))
        refuse(agent, admission, PLACEMENT_CANCELLED, MSG_CAUSE_NONE, "cancelled before it ran here");
    else
        metric_add(agent->metrics.repeated, 1);
}

void agent_take_admission(void *context, struct str framed)
{
    struct agent *agent = context;
    struct msg_admission admission;
    arena_reset(agent->arena);
    int result = codec_decode(agent->codec, &msg_admission_type, framed, agent->arena, &admission);
    if (result < 0) {
        metric_add(agent->metrics.undecodable, 1);
        log_error("admission_not_read", "error=\"%s\" bytes=%zu", strerror(-result), framed.size);
        return;
    }
    if (admission.action == MSG_ACTION_CANCEL)
        take_cancel(agent, &admission);
    else
        take_offer(agent, &admission, framed);
}
