/* The tick: every attempt's counters, ten times a second, and one attempt's at once when something happens to
 * it. See agent.h. */
#include <errno.h>
#include <sys/socket.h>

#include "agent/agent.h"
#include "agent/process_gauges.h"
#include "common/clock.h"

/* Reading one attempt takes 40 to 70 us here: the first of so many samples waits 2 ms for the last one. */
#define TICK_SAMPLES 32
/* Samples of one attempt out of the cycle are at least so far apart: a program that flaps in its brake cannot
 * flood. */
#define EXTRA_LEAST_US 5000
#define LET_GO_US 3000 /* after a raise: what it let go has run */

/* The supervisor ends a stay some milliseconds after the raise that ended it (cgroup v1 lets it wait for the
 * new threshold), and a task that slept in front of the limit is counted until it runs; a sample that says
 * "in the brake" under the new limit would be answered by another raise. */
static bool is_held(const struct attempt *attempt, int64_t monotonic_us)
{
    return attempt->track->shared.brake_engaged && monotonic_us - attempt->let_go_us >= LET_GO_US &&
           cgroup_brake_engaged(attempt->cgroup) != 0;
}

static bool read_attempt(struct agent *agent, struct attempt *attempt, int64_t time_us, int64_t monotonic_us,
                         bool in_cycle)
{
    struct cgroup_sample sample;
    if (attempt->state != ATTEMPT_RUNNING || !attempt->cgroup || !attempt->track)
        return false;
    if (attempt->metrics_fd >= 0) {
        struct statsd_counts before = attempt->statsd;
        statsd_drain(attempt->metrics_fd, attempt->track, &attempt->statsd);
        metric_add(agent->metrics.statsd, (double)(attempt->statsd.taken - before.taken));
        metric_add(agent->metrics.statsd_malformed,
                   (double)(attempt->statsd.malformed + attempt->statsd.too_many_names - before.malformed -
                            before.too_many_names));
    }
    if (process_gauges_note(attempt->cgroup, attempt->identity.input_bytes, attempt->track) < 0)
        metric_add(agent->metrics.processes_not_asked, 1);
    if (cgroup_read(attempt->cgroup, &sample) < 0)
        return false; /* just ended: its last counters are in the status file */
    track_add(attempt->track, time_us, monotonic_us, &sample, is_held(attempt, monotonic_us), in_cycle);
    return true;
}

static bool fill_sample(struct agent *agent, const struct attempt *attempt, struct msg_sample *out)
{
    const struct msg_execution_request *request = &attempt->admission.request;
    struct msg_custom_metric *custom =
        arena_alloc(agent->arena, attempt->track->custom_count, sizeof *custom);
    if (!custom)
        return false;
    memcpy(out->execution, request->execution, sizeof out->execution);
    out->attempt = attempt->admission.attempt;
    out->code = request->code;
    out->started_us = attempt->track->started_us;
    out->timeout_ms = request->timeout_ms;
    out->limits = attempt->track->last.limits;
    out->adjusted_sequence = attempt->track->last_decision;
    out->arm = attempt->admission.arm;
    out->counters = track_counters(attempt->track, &attempt->track->last, custom);
    out->command = attempt->identity.command;
    out->input_bytes = attempt->identity.input_bytes;
    return true;
}

static void send_tick(struct agent *agent, const struct msg_tick *tick)
{
    buffer_reset(&agent->scratch);
    int result = codec_encode(&msg_tick_type, tick, &agent->scratch);
    if (result < 0)
        log_error("tick_not_made", "error=\"%s\"", strerror(-result));
    else
        link_push_tick(agent->link, buffer_str(&agent->scratch));
    metric_add(agent->metrics.ticks, 1);
}

static void begin_tick(const struct agent *agent, bool extra, struct msg_tick *tick)
{
    *tick = (struct msg_tick){.node = str_of(agent->node.id),
                              .pool = str_of(agent->node.pool),
                              .epoch = agent->node.epoch,
                              .time_us = clock_realtime_us(),
                              .monotonic_us = clock_monotonic_us(),
                              .dropped = (int64_t)link_ticks_dropped(agent->link),
                              .extra = extra};
    memcpy(tick->incarnation, agent->node.incarnation, sizeof tick->incarnation);
}

static bool is_due(const struct attempt *attempt, int64_t monotonic_us)
{
    return attempt->sample_now && monotonic_us - attempt->extra_us >= EXTRA_LEAST_US;
}

/* One tick of the attempts from `next` on, all or those that are due; returns where to go on. */
static size_t tick_some(struct agent *agent, size_t next, bool extra)
{
    struct msg_sample samples[TICK_SAMPLES] = {0};
    struct msg_tick tick;
    arena_reset(agent->arena);
    begin_tick(agent, extra, &tick);
    tick.samples.items = samples;
    for (; next < agent->attempt_count && tick.samples.count < TICK_SAMPLES; next++) {
        struct attempt *attempt = agent->attempts[next];
        if (extra && !is_due(attempt, tick.monotonic_us))
            continue;
        attempt->sample_now = false;
        if (extra)
            attempt->extra_us = tick.monotonic_us;
        if (read_attempt(agent, attempt, tick.time_us, tick.monotonic_us, !extra) &&
            fill_sample(agent, attempt, &samples[tick.samples.count]))
            tick.samples.count++;
    }
    if (tick.samples.count > 0) {
        tick.sequence = ++agent->sequence;
        send_tick(agent, &tick);
    }
    return next;
}

/* Sends each tick before the next one is read; what comes in meanwhile, adjustments above all, is taken too.
 */
static void tick_all(struct agent *agent, bool extra)
{
    size_t next = 0;
    while (next < agent->attempt_count) {
        next = tick_some(agent, next, extra);
        link_step(agent->link, clock_monotonic_ms());
    }
}

void agent_tick(struct agent *agent)
{
    int64_t begun_us = clock_monotonic_us();
    tick_all(agent, false);
    agent_be_patient(agent);
    if (agent->attempt_count > 0)
        metric_observe(agent->metrics.tick_seconds, (double)(clock_monotonic_us() - begun_us) / 1e6);
}

void agent_want_sample(struct agent *agent, struct attempt *attempt)
{
    attempt->sample_now = true;
    agent->tick_now = true;
}

int64_t agent_extra_tick(struct agent *agent)
{
    if (!agent->tick_now)
        return INT64_MAX;
    agent->tick_now = false;
    tick_all(agent, true);
    int64_t now_us = clock_monotonic_us(), wait_us = INT64_MAX;
    for (size_t i = 0; i < agent->attempt_count; i++) {
        const struct attempt *attempt = agent->attempts[i];
        if (attempt->sample_now)
            wait_us = FS_MIN(wait_us, FS_MAX(attempt->extra_us + EXTRA_LEAST_US - now_us, 0));
    }
    agent->tick_now = wait_us != INT64_MAX;
    return agent->tick_now ? (wait_us + 999) / 1000 : INT64_MAX;
}

void agent_take_notices(struct agent *agent)
{
    struct notice notice;
    while (recv(agent->notice_fd, &notice, sizeof notice, MSG_DONTWAIT) == (ssize_t)sizeof notice) {
        struct attempt *attempt =
            notice.magic == NOTICE_MAGIC ? agent_find(agent, notice.execution, notice.attempt) : NULL;
        if (!attempt)
            continue; /* ended meanwhile */
        if (notice.kind == NOTICE_STARTED)
            agent_report_started(agent, attempt);
        if (notice.kind == NOTICE_BRAKE_ENGAGED)
            metric_add(agent->metrics.brakes, 1);
        agent_want_sample(agent, attempt);
    }
}
