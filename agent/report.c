/* What goes out: events into the spool, the node's status, the greeting. See agent.h. */
#include <errno.h>
#include <inttypes.h>

#include "agent/agent.h"
#include "agent/limits.h"
#include "common/clock.h"

struct msg_execution_event agent_event(const struct agent *agent, const struct attempt *attempt,
                                       enum msg_event_kind kind)
{
    struct msg_execution_event event = {.kind = kind,
                                        .pool = str_of(agent->node.pool),
                                        .node = str_of(agent->node.id),
                                        .epoch = agent->node.epoch,
                                        .time_us = clock_realtime_us()};
    memcpy(event.incarnation, agent->node.incarnation, sizeof event.incarnation);
    if (attempt) {
        const struct msg_admission *admission = &attempt->admission;
        memcpy(event.execution, admission->request.execution, sizeof event.execution);
        event.attempt = admission->attempt;
        event.placement = admission->placement;
        event.code = admission->request.code;
        event.limits = attempt->limits;
        if (admission->request.pool.size > 0)
            event.pool = admission->request.pool;
        if (attempt->track)
            event.memory_peak_bytes = attempt->track->memory_peak_bytes;
    }
    return event;
}

int agent_spool_event(struct agent *agent, const struct msg_execution_event *event)
{
    uint64_t number;
    buffer_reset(&agent->scratch);
    int result = codec_encode(&msg_execution_event_type, event, &agent->scratch);
    if (result == 0)
        result = spool_append(agent->spool, FRAME_EVENT, buffer_str(&agent->scratch), &number);
    return result;
}

void agent_report_started(struct agent *agent, struct attempt *attempt)
{
    if (!attempt->track || attempt->track->reported_started)
        return;
    struct msg_execution_event event = agent_event(agent, attempt, MSG_EVENT_KIND_STARTED);
    int result = agent_spool_event(agent, &event);
    if (result < 0)
        log_error("event_not_spooled", "kind=started error=\"%s\"",
                  strerror(-result)); /* FINISHED says it as well */
    else
        attempt->track->reported_started = true;
}

/* --- status --- */

static size_t list_capabilities(const struct agent *agent, struct str out[16])
{
    static const struct {
        unsigned bit;
        const char *name;
    } names[] = {{CGROUP_HAS_V2, "cgroup_v2"},
                 {CGROUP_HAS_UNIFIED, "unified"},
                 {CGROUP_HAS_MEMORY, "memory"},
                 {CGROUP_HAS_MEMSW, "memsw"},
                 {CGROUP_HAS_CPU, "cpu"},
                 {CGROUP_HAS_IO_THROTTLE, "io_throttle"},
                 {CGROUP_HAS_IO_WEIGHT, "io_weight"},
                 {CGROUP_HAS_PSI, "psi"},
                 {CGROUP_HAS_KILL, "kill"},
                 {CGROUP_HAS_BRAKE, "brake"},
                 {CGROUP_HAS_NETCOUNT, "netcount"},
                 {CGROUP_HAS_NETSHAPE, "netshape"},
                 {CGROUP_HAS_TASKS, "tasks"},
                 {CGROUP_HAS_ROOT, "root"}};
    unsigned features = cgroup_host_features(agent->host);
    size_t count = 0;
    if (agent_brake(agent) == LIMIT_BRAKE_NONE) /* the kernel may have it, but nobody arms it */
        features &= ~(unsigned)CGROUP_HAS_BRAKE;
    for (size_t i = 0; i < FS_COUNT(names); i++)
        if (features & names[i].bit)
            out[count++] = str_of(names[i].name);
    if (agent->options->advance > 1)
        out[count++] = str_of("advance"); /* near.c */
    return count;
}

static void fill_running(const struct attempt *attempt, struct msg_running_attempt *out)
{
    memcpy(out->execution, attempt->admission.request.execution, sizeof out->execution);
    out->attempt = attempt->admission.attempt;
    out->placement = attempt->admission.placement;
    out->code = attempt->admission.request.code;
    out->limits = attempt->limits;
    out->memory_bytes = attempt->track ? attempt->track->last.counters.memory_bytes : 0;
}

static size_t fill_short(struct attempt *attempt, int64_t now_ms, struct msg_short_of *out)
{
    size_t count = 0;
    for (enum msg_cause cause = 0; cause < MSG_CAUSE_COUNT; cause++) {
        struct short_of *want = &attempt->wants[cause];
        if (want->wanted == 0 || want->until_ms <= now_ms)
            continue;
        memcpy(out[count].execution, attempt->admission.request.execution, sizeof out[count].execution);
        out[count].attempt = attempt->admission.attempt;
        out[count].resource = cause;
        out[count++].wanted = want->wanted;
    }
    return count;
}

static int fill_lists(struct agent *agent, struct msg_node_status *status)
{
    int64_t now_ms = clock_monotonic_ms();
    status->running.items = arena_alloc(agent->arena, agent->attempt_count, sizeof *status->running.items);
    status->short_.items =
        arena_alloc(agent->arena, agent->attempt_count * MSG_CAUSE_COUNT, sizeof *status->short_.items);
    if (!status->running.items || !status->short_.items)
        return -ENOMEM;
    for (size_t i = 0; i < agent->attempt_count; i++) {
        struct attempt *attempt = agent->attempts[i];
        if (attempt->state == ATTEMPT_REPORTED)
            continue; /* FINISHED is out: only its cgroup is still going */
        fill_running(attempt, &status->running.items[status->running.count++]);
        status->short_.count += fill_short(attempt, now_ms, &status->short_.items[status->short_.count]);
    }
    return 0;
}

void agent_status(struct agent *agent)
{
    struct str capabilities[16];
    arena_reset(agent->arena);
    struct msg_node_status status = {.node = str_of(agent->node.id),
                                     .pool = str_of(agent->node.pool),
                                     .epoch = agent->node.epoch,
                                     .boot_id = str_of(agent->node.boot_id),
                                     .time_us = clock_realtime_us(),
                                     .version = str_of(FORESTALL_VERSION),
                                     .draining = agent->draining,
                                     .capacity = agent->capacity.total,
                                     .committed = agent->committed,
                                     .free = capacity_free(&agent->capacity, &agent->committed)};
    memcpy(status.incarnation, agent->node.incarnation, sizeof status.incarnation);
    status.capabilities.items = capabilities;
    status.capabilities.count = list_capabilities(agent, capabilities);
    int result = fill_lists(agent, &status);
    buffer_reset(&agent->scratch);
    if (result == 0)
        result = codec_encode(&msg_node_status_type, &status, &agent->scratch);
    if (result < 0)
        log_error("status_not_made", "error=\"%s\"", strerror(-result));
    else
        link_set_status(agent->link, buffer_str(&agent->scratch));
}

/* --- greeting --- */

void agent_greet(void *context, struct buffer *out)
{
    struct agent *agent = context;
    struct msg_hello hello = {.node = str_of(agent->node.id),
                              .pool = str_of(agent->node.pool),
                              .epoch = agent->node.epoch,
                              .boot_id = str_of(agent->node.boot_id),
                              .version = str_of(FORESTALL_VERSION),
                              .spooled_through = (int64_t)spool_last(agent->spool),
                              .time_us = clock_realtime_us()};
    memcpy(hello.incarnation, agent->node.incarnation, sizeof hello.incarnation);
    if (codec_encode(&msg_hello_type, &hello, out) < 0)
        log_error("hello_not_made", "error=memory"); /* ingest refuses the empty one, the link tries again */
}

/* The schemas this agent writes with, so that readers of another version can follow. */
void agent_welcomed(void *context, struct buffer *out)
{
    static const struct msg_type *const written[] = {&msg_tick_type, &msg_node_status_type,
                                                     &msg_execution_event_type, &msg_execution_record_type};
    struct agent *agent = context;
    for (size_t i = 0; i < FS_COUNT(written); i++)
        frame_append_numbered(out, FRAME_SCHEMA, written[i]->fingerprint, str_of(written[i]->json));
    agent->status_ms = 0; /* at once */
}

void agent_note(void *context, const char *event, const char *reason)
{
    struct agent *agent = context;
    char text[400];
    if (log_limited(&agent->limiter, clock_monotonic_ms()))
        return;
    log_event(strcmp(event, "link_up") == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, event, "reason=%s",
              log_quote(text, sizeof text, str_of(reason)));
}
