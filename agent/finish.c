/* The end of an attempt: what happened, its record and event. See agent.h.
 *
 * Exactly one record: before it is spooled, the number it will get is written into the attempt's directory (a
 * claim), and the event takes the next one. Only an agent that starts again judges claims, against what the
 * spool held before it appended anything: a number given meanwhile may be another attempt's. So a claim that
 * was not honoured is taken back, by the agent whose append failed or by the next one; within one agent flags
 * tell. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/disk.h"
#include "agent/limits.h"
#include "agent/record.h"
#include "common/clock.h"
#include "common/uuid.h"

#define CLAIM "reporting"      /* the next number of the spool when it was written, in decimal */
#define RECORD_DONE "recorded" /* the record is spooled, or can never be: the claim is the event's */
#define RETRY_MS 1000          /* full disk */
#define PASS_US 3000 /* an ending costs four syncs of the disk: others' limits do not wait for many */
#define OUTPUT_PRUNE_EVERY 64
#define ADJUSTMENTS_FILE_MAX (4u << 20)

struct ending {
    struct status_file status;
    struct outcome outcome;
    bool known; /* the supervisor left a status */
};

/* --- what happened --- */

static struct outcome judge(const struct attempt *attempt, const struct ending *ending,
                            const struct msg_counters *counters)
{
    const struct status_file *status = &ending->status;
    struct outcome_facts facts = {
        .wait_status = (int)status->wait_status,
        .status_known = ending->known,
        .start_failed = ending->known && !status->started,
        .timed_out = status->timed_out != 0,
        .ended_on_purpose = status->on_purpose != 0,
        .purpose = status->purpose[0] ? status->purpose : NULL,
        .duration_us = status->duration_us,
        .counters = counters,
        .cpu_limited = attempt->limits.cpu_millicores != 0,
        .net_limited = attempt->limits.net_egress_bps != 0,
        .net_egress_bps = attempt->limits.net_egress_bps,
    };
    return outcome_judge(&facts);
}

/* Without a status: the supervisor was killed, or never came up. What the kernel still knows is read here. */
static void read_leftover(struct attempt *attempt, struct ending *ending)
{
    struct status_file *status = &ending->status;
    struct stat file;
    bool started = fstatat(attempt->directory_fd, ATTEMPT_STARTED, &file, AT_SYMLINK_NOFOLLOW) == 0;
    *status = (struct status_file){
        .started = started, .started_us = attempt->track ? attempt->track->started_us : clock_realtime_us()};
    status->ended_us = clock_realtime_us();
    status->duration_us = FS_MAX(status->ended_us - status->started_us, 0);
    (void)snprintf(status->purpose, sizeof status->purpose, "%s",
                   started ? "its supervisor was killed"
                           : "its supervisor ended before the program was started");
    if (attempt->cgroup)
        fs_drop(cgroup_read(attempt->cgroup,
                            &status->counters)); /* gone with a reboot: zeros, and the record says lost */
}

static void look(struct attempt *attempt, struct ending *ending)
{
    int result = status_file_read(attempt->directory_fd, &ending->status);
    ending->known = result == 0;
    if (result < 0) {
        if (result != -ENOENT)
            log_error("status_not_read", "attempt=%s error=\"%s\"", attempt->name, strerror(-result));
        read_leftover(attempt, ending);
    }
    if (!attempt->track)
        return;
    if (ending->status.started_us > 0)
        attempt->track->started_us = ending->status.started_us;
    if (!attempt->last_taken && (ending->known || attempt->cgroup)) {
        attempt->last_taken = true; /* a full disk brings us here again */
        ending->status.counters.limits = limits_to_kernel(&attempt->limits);
        track_add(attempt->track, ending->status.ended_us, clock_monotonic_us(), &ending->status.counters,
                  true, true);
    }
}

/* --- the record --- */

/* The adjustments met, decoded from the attempt's file into the arena. */
static void load_adjustments(struct agent *agent, const struct attempt *attempt,
                             struct msg_execution_record *record)
{
    char *bytes = malloc(ADJUSTMENTS_FILE_MAX);
    int64_t size =
        bytes ? disk_read(attempt->directory_fd, ATTEMPT_ADJUSTMENTS, bytes, ADJUSTMENTS_FILE_MAX) : -ENOMEM;
    char *kept = size > 0 ? arena_alloc(agent->arena, 1, (size_t)size) : NULL;
    record->adjustments_dropped = (int32_t)attempt->track->adjustments_dropped;
    record->adjustments.items =
        arena_alloc(agent->arena, attempt->track->adjustments, sizeof *record->adjustments.items);
    if (kept && record->adjustments.items) {
        memcpy(kept, bytes, (size_t)size);
        for (int64_t at = 0; at + 4 <= size && record->adjustments.count < attempt->track->adjustments;) {
            const uint8_t *length = (const uint8_t *)kept + at;
            int64_t entry = (int64_t)length[0] << 24 | length[1] << 16 | length[2] << 8 | length[3];
            struct msg_execution_event event;
            if (entry > size - at - 4 ||
                codec_decode(agent->codec, &msg_execution_event_type,
                             (struct str){kept + at + 4, (size_t)entry}, agent->arena, &event) < 0)
                break;
            if (event.has_adjusted)
                record->adjustments.items[record->adjustments.count++] = event.adjusted;
            at += 4 + entry;
        }
    }
    record->adjustments_dropped += (int32_t)(attempt->track->adjustments - record->adjustments.count);
    free(bytes);
}

static void fill_raised(const struct attempt *attempt, struct msg_execution_record *record,
                        enum msg_cause raised[MSG_CAUSE_COUNT])
{
    unsigned set = attempt->track ? attempt->track->raised : 0;
    for (size_t i = 0; i < attempt->admission.raised.count; i++)
        set |= 1u << attempt->admission.raised.items[i];
    record->raised.items = raised;
    for (enum msg_cause cause = MSG_CAUSE_MEMORY; cause < MSG_CAUSE_COUNT; cause++)
        if (set & 1u << cause)
            raised[record->raised.count++] = cause;
}

/* Executions of this code that ended here before; counts this one. */
static uint64_t count_code(struct agent *agent, struct str code)
{
    uintptr_t seen = (uintptr_t)map_get(agent->codes_seen, code.data, code.size);
    if (map_put(agent->codes_seen, code.data, code.size, (void *)(seen + 1)) < 0) {
        metric_add(agent->metrics.codes_unseen, 1);
        return 0; /* too many codes for the table: their series are kept, as of a new one */
    }
    return seen;
}

static void fill_record(struct agent *agent, struct attempt *attempt, const struct ending *ending,
                        struct msg_execution_record *record, enum msg_cause raised[MSG_CAUSE_COUNT])
{
    const struct msg_admission *admission = &attempt->admission;
    memcpy(record->execution, admission->request.execution, sizeof record->execution);
    memcpy(record->incarnation, agent->node.incarnation, sizeof record->incarnation);
    record->attempt = admission->attempt;
    record->placement = admission->placement;
    record->code = admission->request.code;
    record->pool = admission->request.pool.size > 0 ? admission->request.pool : str_of(agent->node.pool);
    record->node = str_of(agent->node.id);
    record->request = admission->request;
    record->ended_us = ending->status.ended_us;
    record->outcome = ending->outcome.outcome;
    record->cause = ending->outcome.cause;
    record->exit_status = ending->outcome.exit_status;
    record->signal = ending->outcome.signal;
    record->detail = str_of(ending->outcome.detail);
    record->last_limits = attempt->limits;
    record->allocation_revision = admission->allocation_revision;
    record->arm = admission->arm;
    record->propensity = admission->propensity;
    fill_raised(attempt, record, raised);
}

/* Encodes into agent->body. */
static int make_record(struct agent *agent, struct attempt *attempt, const struct ending *ending)
{
    struct msg_execution_record record = {.started_us = ending->status.started_us, .series_inclusion = 1.0f};
    struct msg_custom_metric custom[SERIES_CUSTOM_MAX];
    enum msg_cause raised[MSG_CAUSE_COUNT];
    bool include = false;
    if (attempt->track) {
        record_fill(&record, attempt->track, custom);
        load_adjustments(agent, attempt, &record);
    }
    fill_record(agent, attempt, ending, &record, raised);
    uint64_t seen = count_code(agent, record.code);
    record.series_inclusion =
        record_inclusion(record.outcome, record.raised.count > 0, seen, agent->options->series_share);
    include = record_draw(record.execution, record.attempt, record.series_inclusion);
    buffer_reset(&agent->body);
    return record_encode(&record, include ? attempt->track : NULL, RECORD_MAX_BYTES, &agent->body);
}

static struct msg_execution_event make_event(struct agent *agent, const struct attempt *attempt,
                                             const struct ending *ending)
{
    bool lost = ending->outcome.outcome == MSG_OUTCOME_LOST;
    struct msg_execution_event event =
        agent_event(agent, attempt, lost ? MSG_EVENT_KIND_LOST : MSG_EVENT_KIND_FINISHED);
    event.time_us = ending->status.ended_us;
    event.reason = str_of(ending->outcome.detail);
    event.outcome = ending->outcome.outcome;
    event.cause = ending->outcome.cause;
    event.exit_status = ending->outcome.exit_status;
    event.signal = ending->outcome.signal;
    return event;
}

/* --- spooling it once --- */

static uint64_t read_claim(const struct attempt *attempt)
{
    char text[32];
    return disk_read(attempt->directory_fd, CLAIM, text, sizeof text) > 0 ? strtoull(text, NULL, 10) : 0;
}

static int claim(const struct agent *agent, const struct attempt *attempt)
{
    char text[32];
    int size = snprintf(text, sizeof text, "%" PRIu64 "\n", spool_last(agent->spool) + 1);
    return disk_replace(attempt->directory_fd, CLAIM, text, (size_t)size, 0600, true);
}

/* Needs no room on the disk. A failure is left: the worst of it needs another crash before the next try. */
static void take_claim_back(const struct attempt *attempt)
{
    (void)unlinkat(attempt->directory_fd, CLAIM, 0);
    (void)fsync(attempt->directory_fd);
}

/* Without room for the mark a crash repeats the record; without its event the execution would be lost. */
static void mark_recorded(const struct attempt *attempt)
{
    int result = disk_replace(attempt->directory_fd, RECORD_DONE, "", 0, 0600, true);
    if (result < 0)
        log_warn("record_not_marked", "attempt=%s error=\"%s\" effect=\"a crash now would repeat it\"",
                 attempt->name, strerror(-result));
}

void agent_judge_claim(struct attempt *attempt, uint64_t last)
{
    struct stat status;
    uint64_t number = read_claim(attempt);
    attempt->record_spooled = fstatat(attempt->directory_fd, RECORD_DONE, &status, AT_SYMLINK_NOFOLLOW) == 0;
    if (number == 0)
        return;
    bool honoured = last >= number;
    attempt->event_spooled = attempt->record_spooled ? honoured : last > number;
    if (attempt->event_spooled) {
        attempt->record_spooled = true;
        return;
    }
    if (honoured && !attempt->record_spooled) {
        attempt->record_spooled = true;
        mark_recorded(attempt);
    }
    take_claim_back(attempt);
}

/* Claims and appends; a claim that is not honoured does not stay. */
static int spool_record(struct agent *agent, const struct attempt *attempt)
{
    uint64_t number;
    int result = claim(agent, attempt);
    if (result < 0)
        return result;
    result = spool_append(agent->spool, FRAME_RECORD, buffer_str(&agent->body), &number);
    if (result < 0)
        take_claim_back(attempt);
    return result;
}

/* claimed: by the record just before it. */
static int spool_finished(struct agent *agent, const struct attempt *attempt, const struct ending *ending,
                          bool claimed)
{
    int result = claimed ? 0 : claim(agent, attempt);
    if (result < 0)
        return result;
    struct msg_execution_event event = make_event(agent, attempt, ending);
    result = agent_spool_event(agent, &event);
    if (result < 0) {
        if (claimed)
            mark_recorded(attempt);
        take_claim_back(attempt);
    }
    return result;
}

static int spool_ending(struct agent *agent, struct attempt *attempt, const struct ending *ending)
{
    bool claimed = false;
    if (!attempt->record_spooled) {
        int result = make_record(agent, attempt, ending);
        if (result == 0) {
            result = spool_record(agent, attempt);
            claimed = result == 0;
        } else if (result ==
                   -EMSGSIZE) { /* nothing of it can be made small enough: the event tells the outcome */
            log_error("record_too_large", "attempt=%s", attempt->name);
            mark_recorded(attempt);
            result = 0;
        }
        if (result < 0)
            return result;
        attempt->record_spooled = true;
    }
    if (!attempt->event_spooled) {
        int result = spool_finished(agent, attempt, ending, claimed);
        if (result < 0)
            return result;
        attempt->event_spooled = true;
    }
    return spool_sync(agent->spool); /* before the attempt's directory goes */
}

static void log_ending(const struct attempt *attempt, const struct ending *ending)
{
    char id[UUID_TEXT_SIZE], detail[400];
    uuid_format(attempt->admission.request.execution, id);
    log_info("finished",
             "execution=%s attempt=%d outcome=%s cause=%s exit_status=%d signal=%d duration_ms=%" PRId64
             " peak_bytes=%" PRId64 " detail=%s",
             id, attempt->admission.attempt, msg_outcome_name(ending->outcome.outcome),
             msg_cause_name(ending->outcome.cause), ending->outcome.exit_status, ending->outcome.signal,
             ending->status.duration_us / 1000, attempt->track ? attempt->track->memory_peak_bytes : 0,
             log_quote(detail, sizeof detail, str_of(ending->outcome.detail)));
}

static void count_ending(struct agent *agent, const struct ending *ending)
{
    bool failed =
        ending->outcome.outcome != MSG_OUTCOME_FINISHED && ending->outcome.outcome != MSG_OUTCOME_KILLED;
    metric_add(failed ? agent->metrics.failed : agent->metrics.finished, 1);
    metric_add(agent->metrics.oom_kills, (double)ending->status.counters.oom_kills);
}

/* --- steps --- */

/* Our own child is a zombie until then; an adopted one is not ours. */
static void reap(const struct attempt *attempt)
{
    siginfo_t info;
    if (attempt->pid_fd >= 0)
        (void)waitid(P_PIDFD, (id_t)attempt->pid_fd, &info, WEXITED | WNOHANG); /* -ECHILD: adopted */
}

/* Processes of a lost supervisor's program must be gone before their counters are the last. One that left a
 * status has waited, and taken them. */
static bool emptied(const struct attempt *attempt, int64_t now_ms)
{
    struct stat status;
    if (!attempt->cgroup || cgroup_population(attempt->cgroup) <= 0)
        return true;
    fs_drop(cgroup_brake_release_to_kernel(
        attempt->cgroup));                 /* a killed task must not wait in it; without one: not supported */
    fs_drop(cgroup_kill(attempt->cgroup)); /* tried again until the population is 0 */
    return fstatat(attempt->directory_fd, ATTEMPT_STATUS, &status, AT_SYMLINK_NOFOLLOW) == 0 ||
           attempt_left_behind(attempt, now_ms);
}

static void report(struct agent *agent, struct attempt *attempt, int64_t now_ms)
{
    static const struct msg_counters none;
    struct ending ending = {.known = false};
    arena_reset(agent->arena);
    if (!emptied(attempt, now_ms)) {
        attempt->retry_ms = now_ms + 10;
        return;
    }
    look(attempt, &ending);
    struct msg_counters counters = attempt->track ? attempt->track->last.counters : none;
    ending.outcome = judge(attempt, &ending, &counters);
    if (ending.known && ending.status.started)
        agent_report_started(agent, attempt);
    int result = spool_ending(agent, attempt, &ending);
    if (result < 0) {
        log_error("ending_not_spooled", "attempt=%s error=\"%s\" retry_ms=%d", attempt->name,
                  strerror(-result), RETRY_MS);
        attempt->retry_ms = now_ms + RETRY_MS;
        return;
    }
    log_ending(attempt, &ending);
    count_ending(agent, &ending);
    attempt->state = ATTEMPT_REPORTED;
    if (++agent->finished % OUTPUT_PRUNE_EVERY == 0)
        output_prune(agent);
}

static bool supervisor_gone(struct attempt *attempt)
{
    if (attempt->pid_fd >= 0)
        return attempt->supervisor_ended;
    int lock_fd = attempt_lock(attempt->directory_fd);
    if (lock_fd >= 0) {
        (void)close(lock_fd);
        return true;
    }
    int fd = supervisor_file_open(attempt->directory_fd); /* just starting when the last agent was killed */
    if (fd >= 0)
        attempt_found(attempt, fd);
    return false;
}

/* One attempt: as far as it gets now. */
static void finish_one(struct agent *agent, size_t index, int64_t now_ms)
{
    struct attempt *attempt = agent->attempts[index];
    if (attempt->state == ATTEMPT_RUNNING && supervisor_gone(attempt)) {
        reap(attempt);
        attempt->state = ATTEMPT_ENDED;
        attempt->ended_ms = now_ms;
    }
    if (attempt->state == ATTEMPT_ENDED && now_ms >= attempt->retry_ms)
        report(agent, attempt, now_ms);
    if (attempt->state == ATTEMPT_REPORTED && now_ms >= attempt->retry_ms &&
        agent_removed(agent, attempt, now_ms))
        agent_remove(agent, index);
}

void agent_finish(struct agent *agent, int64_t now_ms)
{
    int64_t until_us = clock_monotonic_us() + PASS_US;
    agent->finish_due = false;
    for (size_t left = agent->attempt_count; left > 0 && agent->attempt_count > 0; left--) {
        if (clock_monotonic_us() >= until_us) {
            agent->finish_due = true;
            return;
        }
        if (agent->finish_next == 0 || agent->finish_next > agent->attempt_count)
            agent->finish_next = agent->attempt_count;
        finish_one(agent, --agent->finish_next, now_ms);
    }
}

bool agent_finishing(const struct agent *agent)
{
    for (size_t i = 0; i < agent->attempt_count; i++)
        if (agent->attempts[i]->state != ATTEMPT_RUNNING || agent->attempts[i]->pid_fd < 0)
            return true;
    return false;
}
