/* The tick: every attempt's counters at one instant, ten times a second and at once when something happens.
 * See agent.h. */
#include <errno.h>
#include <sys/socket.h>

#include "agent/agent.h"
#include "common/clock.h"

/* Ticks out of the cycle closer than this to the last one wait for the next: a program that flaps in its
 * brake cannot flood. */
#define TICK_LEAST_US 5000

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
    if (cgroup_read(attempt->cgroup, &sample) < 0)
        return false; /* just ended: its last counters are in the status file */
    track_add(attempt->track, time_us, monotonic_us, &sample, in_cycle);
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

void agent_tick(struct agent *agent, bool in_cycle)
{
    int64_t begun_us = clock_monotonic_us();
    if (!in_cycle && begun_us - agent->last_tick_us < TICK_LEAST_US)
        return; /* tick_now stays: the loop comes back */
    arena_reset(agent->arena);
    struct msg_tick tick = {.node = str_of(agent->node.id),
                            .pool = str_of(agent->node.pool),
                            .epoch = agent->node.epoch,
                            .time_us = clock_realtime_us(),
                            .monotonic_us = begun_us,
                            .dropped = (int64_t)link_ticks_dropped(agent->link)};
    memcpy(tick.incarnation, agent->node.incarnation, sizeof tick.incarnation);
    tick.samples.items = arena_alloc(agent->arena, agent->attempt_count, sizeof *tick.samples.items);
    for (size_t i = 0; tick.samples.items && i < agent->attempt_count; i++) {
        struct attempt *attempt = agent->attempts[i];
        if (read_attempt(agent, attempt, tick.time_us, begun_us, in_cycle) &&
            fill_sample(agent, attempt, &tick.samples.items[tick.samples.count]))
            tick.samples.count++;
    }
    agent->tick_now = false;
    agent->last_tick_us = begun_us;
    if (tick.samples.count == 0)
        return;
    tick.sequence = ++agent->sequence;
    send_tick(agent, &tick);
    metric_observe(agent->metrics.tick_seconds, (double)(clock_monotonic_us() - begun_us) / 1e6);
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
        agent->tick_now = true;
    }
}
