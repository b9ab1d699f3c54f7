/* forestall-agent: on each node, runs admitted executions in cgroups, samples them every 100 ms, applies
 * limits, reports. This file is the loop; what it does is in agent.h. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/check_command.h"
#include "common/clock.h"
#include "common/service.h"

#define STATUS_MS 1000
#define END_TIMEOUT_MS                                                                                       \
    60000 /* on SIGTERM with end_attempts: killed processes that do not go are left to the next agent */

enum { POLL_STOP, POLL_TIMER, POLL_NOTICE, POLL_LINK, POLL_SYNCED, POLL_FIXED };

struct loop {
    struct agent *agent;
    struct service *service;
    int timer_fd;
    struct pollfd *polled; /* POLL_FIXED and one per attempt: has its supervisor ended */
    int64_t lease_ms;      /* contact the leases were last extended for */
    int64_t stop_ms;       /* when SIGTERM came; 0 = not yet */
    int64_t quiet_ms;      /* when the last attempt was gone after that */
};

static int open_timer(int64_t period_ms)
{
    struct timespec now;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    struct itimerspec spec = {.it_interval = {period_ms / 1000, period_ms % 1000 * 1000000}, .it_value = now};
    if (timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0)
        return fd;
    int error = -errno;
    (void)close(fd);
    return error;
}

/* What each attempt's descriptors said; their order is still that of the poll. */
static void note_attempts(struct loop *loop, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct attempt *attempt = loop->agent->attempts[i];
        if (loop->polled[POLL_FIXED + i].revents)
            attempt->supervisor_ended = true;
    }
}

static void wait_for_something(struct loop *loop, int64_t now_ms, int64_t extra_wait_ms)
{
    struct agent *agent = loop->agent;
    short link_events = 0;
    int link = link_fd(agent->link, &link_events);
    loop->polled[POLL_STOP] = (struct pollfd){.fd = loop->stop_ms ? -1 : service_stop_fd(), .events = POLLIN};
    loop->polled[POLL_TIMER] = (struct pollfd){.fd = loop->timer_fd, .events = POLLIN};
    loop->polled[POLL_NOTICE] = (struct pollfd){.fd = agent->notice_fd, .events = POLLIN};
    loop->polled[POLL_LINK] = (struct pollfd){.fd = link, .events = link_events};
    loop->polled[POLL_SYNCED] = (struct pollfd){.fd = syncer_fd(agent->syncer), .events = POLLIN};
    int64_t wait = FS_MIN(FS_MIN(link_wait_ms(agent->link, now_ms), STATUS_MS), extra_wait_ms);
    wait = FS_MIN(wait, agent_look_near(agent));
    for (size_t i = 0; i < agent->attempt_count; i++) {
        const struct attempt *attempt = agent->attempts[i];
        int running_fd = attempt->state == ATTEMPT_RUNNING ? attempt->pid_fd : -1;
        loop->polled[POLL_FIXED + i] = (struct pollfd){.fd = running_fd, .events = POLLIN};
    }
    if (agent_finishing(agent))
        wait = FS_MIN(wait, 10);
    if (agent->limits_file_due || agent->finish_due)
        wait = 0;
    if (poll(loop->polled, POLL_FIXED + agent->attempt_count, (int)wait) > 0)
        note_attempts(loop, agent->attempt_count);
}

static void sample(struct loop *loop)
{
    uint64_t expirations = 0;
    if (read(loop->timer_fd, &expirations, sizeof expirations) != (ssize_t)sizeof expirations)
        return;
    if (expirations > 1)
        metric_add(loop->agent->metrics.late_ticks, (double)(expirations - 1));
    agent_tick(loop->agent);
}

/* Contact with ingest lets every attempt go on; the supervisors watch the lease, so that it holds without an
 * agent too. */
static void extend_leases(struct loop *loop)
{
    struct agent *agent = loop->agent;
    int64_t contact_ms = link_contact_ms(agent->link);
    if (contact_ms < loop->lease_ms + STATUS_MS)
        return;
    loop->lease_ms = contact_ms;
    for (size_t i = 0; i < agent->attempt_count; i++)
        attempt_set_lease(agent, agent->attempts[i]);
}

static void show_metrics(struct loop *loop)
{
    const struct agent *agent = loop->agent;
    metric_set(agent->metrics.running, (double)agent->attempt_count);
    metric_set(agent->metrics.spool_waiting, (double)spool_waiting(agent->spool));
    metric_set(agent->metrics.spool_bytes, (double)spool_bytes(agent->spool));
    metric_set(agent->metrics.spool_damaged, (double)spool_damaged(agent->spool));
    metric_set(agent->metrics.ticks_dropped, (double)link_ticks_dropped(agent->link));
    metric_set(agent->metrics.removals, (double)remover_waiting(agent->remover));
    metric_set(agent->metrics.link_up, link_up(agent->link) ? 1 : 0);
    service_ready(loop->service, link_up(agent->link),
                  link_up(agent->link) ? "connected to ingest" : "not connected to ingest");
}

static void tell_status(struct loop *loop, int64_t now_ms)
{
    struct agent *agent = loop->agent;
    if (agent->status_ms != 0 && now_ms - agent->status_ms < STATUS_MS)
        return;
    agent->status_ms = now_ms;
    agent_status(agent);
    show_metrics(loop);
}

static void begin_stop(struct loop *loop, int64_t now_ms)
{
    struct agent *agent = loop->agent;
    loop->stop_ms = now_ms;
    agent->draining = true;
    agent->status_ms = 0;
    log_info("stopping", "attempts=%zu end_attempts=%d", agent->attempt_count, agent->options->end_attempts);
    for (size_t i = 0; agent->options->end_attempts && i < agent->attempt_count; i++)
        attempt_end(agent->attempts[i], "the node's agent was stopped with agent.end_attempts");
}

/* All that is to be waited for is done, or waiting has become pointless. */
static bool stopped(struct loop *loop, int64_t now_ms)
{
    const struct agent *agent = loop->agent;
    if (agent->options->end_attempts && agent->attempt_count > 0)
        return now_ms - loop->stop_ms >= END_TIMEOUT_MS;
    if (loop->quiet_ms == 0)
        loop->quiet_ms = now_ms;
    return spool_waiting(agent->spool) == 0 || now_ms - loop->quiet_ms >= agent->options->stop_timeout_ms;
}

/* What was synced goes out, what is new since is next. */
static void sync_spool(struct agent *agent)
{
    int result = 0;
    if (syncer_take(agent->syncer, &result) && result == 0)
        spool_synced(agent->spool, agent->syncing);
    uint64_t through;
    int fd = spool_sync_begin(agent->spool, &through);
    if (result == 0 && fd >= 0) {
        result = syncer_begin(agent->syncer, fd);
        if (result == 0)
            agent->syncing = through;
        else if (result == -EBUSY)
            result = 0;
    }
    if (result < 0 && !log_limited(&agent->limiter, clock_monotonic_ms()))
        log_error("spool_not_synced", "error=\"%s\"", strerror(-result)); /* held back until it is */
}

static void run(struct loop *loop)
{
    struct agent *agent = loop->agent;
    for (;;) {
        int64_t now_ms = clock_monotonic_ms();
        if (service_stopping() && loop->stop_ms == 0)
            begin_stop(loop, now_ms);
        if (loop->stop_ms != 0 && stopped(loop, now_ms))
            return;
        wait_for_something(loop, now_ms, agent_extra_tick(agent));
        now_ms = clock_monotonic_ms();
        (void)agent_look_near(agent);   /* asked again before the next wait */
        link_step(agent->link, now_ms); /* adjustments first: programs wait for them */
        agent_take_notices(agent);
        (void)agent_extra_tick(agent); /* asked again before the next wait */
        sample(loop);
        agent_finish(agent, now_ms);
        extend_leases(loop);
        tell_status(loop, now_ms);
        sync_spool(agent);
        link_step(agent->link, now_ms);
        agent_write_limits_file(agent);
    }
}

static int serve(struct service *service, struct agent_options *options)
{
    struct agent agent;
    char error[512];
    struct loop loop = {.agent = &agent, .service = service, .timer_fd = -1};
    int result =
        agent_open(&agent, options, service->options.state_dir, service->metrics, error, sizeof error);
    if (result < 0) {
        (void)fprintf(stderr, "forestall-agent: %s\n", error);
    } else {
        loop.polled = calloc(POLL_FIXED + agent.attempt_max, sizeof *loop.polled);
        result = loop.timer_fd = loop.polled ? open_timer(options->tick_ms) : -ENOMEM;
        if (result < 0)
            log_error("not_started", "error=\"%s\"", strerror(-result));
    }
    if (result >= 0) {
        log_info("ready", "node=%s pool=%s epoch=%" PRId64 " attempts=%zu spooled=%zu ingest=%s",
                 agent.node.id, agent.node.pool, agent.node.epoch, agent.attempt_count,
                 spool_waiting(agent.spool), options->ingest);
        if (!(cgroup_host_features(agent.host) & CGROUP_HAS_ROOT))
            log_warn("cgroup_namespace",
                     "hint=\"not the machine's own cgroup tree is seen: in a container use "
                     "`cgroup: host` and bind /sys/fs/cgroup\"");
        run(&loop);
        log_info("stopped", "attempts_left=%zu spooled=%zu", agent.attempt_count, spool_waiting(agent.spool));
    }
    if (loop.timer_fd >= 0)
        (void)close(loop.timer_fd);
    free(loop.polled);
    agent_close(&agent);
    return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct service service;
    struct agent_options options = {0};
    bool json, check = check_command_take(&argc, argv, &json);
    int result =
        service_open(&service, "forestall-agent",
                     "Runs executions on this node in cgroups, samples and adjusts them, reports to ingest.\n"
                     "With --check [--json] it only says what this machine allows.",
                     "forestall_agent_", agent_option_table, agent_option_count, &options, argc, argv);
    if (result != 0)
        return result > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    int status = check ? check_command_run(&options, json) : serve(&service, &options);
    service_close(&service);
    return status;
}
