/* forestall-record: runs one command in a cgroup of its own, samples it every 100 ms with the agent's own
 * code and appends its ExecutionRecord (u32 big-endian length, codec-framed bytes) to a file: the training
 * data of `make collect`. No queue, no agent, no brake: what happens is what the kernel does under the limits
 * given. Exit status: the command's, 128 + signal, or 125 when the command could not be recorded. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/launch.h"
#include "agent/limits.h"
#include "agent/outcome.h"
#include "agent/process_gauges.h"
#include "agent/record.h"
#include "agent/statsd.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/input_size.h"
#include "common/uuid.h"
#include "schemas/hints.h"
#include "schemas/limits.h"

#define EXIT_NOT_RECORDED 125 /* as timeout(1) and env(1) */

extern char **environ;

struct record_options {
    const char *code, *pool, *node, *out, *subtree, *stdout_path, *stderr_path, *cwd, *metrics, *net_device,
        *net_namespace;
    int64_t memory_bytes, cpu_millicores, cpu_weight, io_read_bps, io_write_bps, io_weight, net_egress_bps;
    int64_t timeout_ms, tick_ms;
};

#define FIELD(field) offsetof(struct record_options, field)

static const struct config_option table[] = {
    {"record", "code", CONFIG_STRING, FIELD(code), "", 0, 0, "code_id; default: base name of the program"},
    {"record", "pool", CONFIG_STRING, FIELD(pool), "record", 0, 0, "pool written into the record"},
    {"record", "node", CONFIG_STRING, FIELD(node), "", 0, 0,
     "node written into the record; default: host name"},
    {"record", "out", CONFIG_STRING, FIELD(out), "", 0, 0, "file the record is appended to"},
    {"record", "subtree", CONFIG_STRING, FIELD(subtree), "forestall-record", 0, 0, "cgroup subtree to use"},
    {"record", "stdout", CONFIG_STRING, FIELD(stdout_path), "", 0, 0,
     "file for standard output; default: passed through"},
    {"record", "stderr", CONFIG_STRING, FIELD(stderr_path), "", 0, 0,
     "file for standard error; default: passed through"},
    {"record", "cwd", CONFIG_STRING, FIELD(cwd), "", 0, 0, "working directory; default: this one"},
    {"record", "metrics", CONFIG_STRING, FIELD(metrics), "", 0, 0,
     "path of the socket for the program's own gauges, told to it as FORESTALL_METRICS; default: none"},
    {"record", "memory", CONFIG_BYTES, FIELD(memory_bytes), "0", 0, 1e15, "memory limit; 0 = none"},
    {"record", "cpu", CONFIG_INT, FIELD(cpu_millicores), "0", 0, 1e6, "CPU quota in millicores; 0 = none"},
    {"record", "cpu_weight", CONFIG_INT, FIELD(cpu_weight), "0", 0, 10000, "CPU weight; 0 = default"},
    {"record", "io_read", CONFIG_BYTES, FIELD(io_read_bps), "0", 0, 1e15,
     "block reads, bytes per second; 0 = no limit"},
    {"record", "io_write", CONFIG_BYTES, FIELD(io_write_bps), "0", 0, 1e15,
     "block writes, bytes per second; 0 = no limit"},
    {"record", "io_weight", CONFIG_INT, FIELD(io_weight), "0", 0, 10000, "I/O weight; 0 = default"},
    {"record", "net_egress", CONFIG_BYTES, FIELD(net_egress_bps), "0", 0, 1e15,
     "egress, bytes per second; 0 = no limit"},
    {"record", "net_device", CONFIG_STRING, FIELD(net_device), "", 0, 0, "device the egress limit acts on"},
    {"record", "net_namespace", CONFIG_STRING, FIELD(net_namespace), "", 0, 0,
     "path of that device's network namespace"},
    {"record", "timeout", CONFIG_DURATION_MS, FIELD(timeout_ms), "0", 0, 1e10, "time allowed; 0 = none"},
    {"record", "tick", CONFIG_DURATION_MS, FIELD(tick_ms), "100ms", 10, 10000, "time between two samples"},
};

struct run {
    const struct record_options *options;
    char *const *argv;
    struct msg_limits limits;
    struct track *track;
    struct cgroup *cgroup;
    pid_t pid;
    int pid_fd, timer_fd, metrics_fd;
    struct statsd_counts gauges;
    int64_t started_us, started_monotonic_us, ended_us;
    int64_t input_bytes; /* as `forestall run` would have measured it, and standard input; 0 = not known */
    int wait_status;
    bool timed_out;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    interrupted = number;
}

static int fail(const char *what, const char *why)
{
    (void)fprintf(stderr, "forestall-record: %s: %s\n", what, why);
    return -1;
}

static struct msg_limits wanted_limits(const struct record_options *options)
{
    return (struct msg_limits){
        .memory_bytes = options->memory_bytes,
        .cpu_millicores = (int32_t)options->cpu_millicores,
        .cpu_weight = (int32_t)options->cpu_weight,
        .io_read_bps = options->io_read_bps,
        .io_write_bps = options->io_write_bps,
        .io_weight = (int32_t)options->io_weight,
        .net_egress_bps = options->net_egress_bps,
    };
}

static const char *given(const char *text)
{
    return text && *text ? text : NULL;
}

static void take_sample(struct run *run)
{
    struct cgroup_sample sample;
    if (run->metrics_fd >= 0)
        statsd_drain(run->metrics_fd, run->track, &run->gauges);
    fs_drop(process_gauges_note(run->cgroup, run->input_bytes, run->track)); /* then samples do not tell */
    if (cgroup_read(run->cgroup, &sample) == 0)
        track_add(run->track, clock_realtime_us(), clock_monotonic_us(), &sample, false, true);
}

static int open_timer(int64_t period_ms)
{
    struct timespec period = {period_ms / 1000, period_ms % 1000 * 1000000}, now;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    struct itimerspec spec = {.it_interval = period, .it_value = now};
    return timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL) < 0 ? -errno : fd;
}

static bool past_timeout(const struct run *run)
{
    return run->options->timeout_ms > 0 &&
           clock_monotonic_us() - run->started_monotonic_us >= run->options->timeout_ms * 1000;
}

/* Samples until the program ends. Its children that live on are ended with it: an execution is its whole
 * cgroup. */
static int watch(struct run *run)
{
    struct pollfd polled[2] = {{.fd = run->timer_fd, .events = POLLIN},
                               {.fd = run->pid_fd, .events = POLLIN}};
    bool killed = false;
    for (;;) {
        if (poll(polled, 2, -1) < 0 && errno != EINTR)
            return -errno;
        if (polled[1].revents & POLLIN)
            break;
        uint64_t ticks;
        if (read(run->timer_fd, &ticks, sizeof ticks) == (ssize_t)sizeof ticks)
            take_sample(run);
        if (!killed && (interrupted || past_timeout(run))) {
            run->timed_out = !interrupted;
            killed = true;
            take_sample(run);
            int result = cgroup_kill(run->cgroup);
            if (result < 0)
                return result;
        }
    }
    while (waitpid(run->pid, &run->wait_status, 0) < 0 && errno == EINTR)
        ;
    take_sample(run);
    run->ended_us = clock_realtime_us();
    int result = cgroup_kill(run->cgroup);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        ; /* what it left behind came to us, its subreaper */
    return result;
}

static int open_metrics(struct run *run)
{
    const char *path = given(run->options->metrics);
    if (!path)
        return unsetenv("FORESTALL_METRICS") < 0 ? -errno
                                                 : 0; /* an agent's that runs us is not the program's */
    run->metrics_fd = statsd_open(path);
    if (run->metrics_fd < 0)
        return fail(path, strerror(-run->metrics_fd));
    return setenv("FORESTALL_METRICS", path, 1) < 0 ? -errno : 0;
}

static void close_metrics(const struct run *run)
{
    if (run->metrics_fd < 0)
        return;
    (void)close(run->metrics_fd); /* datagrams still in it are of nobody */
    (void)unlink(run->options->metrics);
}

static int start(struct run *run)
{
    char error[LAUNCH_ERROR_MAX];
    const struct record_options *options = run->options;
    struct launch launch = {.argv = run->argv,
                            .env = environ,
                            .cwd = given(options->cwd),
                            .stdout_path = given(options->stdout_path),
                            .stderr_path = given(options->stderr_path),
                            .inherit_stdin = true};
    run->input_bytes = input_size(launch.cwd, run->argv, STDIN_FILENO);
    run->started_us = clock_realtime_us();
    run->started_monotonic_us = clock_monotonic_us();
    track_reset(run->track, run->started_us, run->started_monotonic_us, &run->limits);
    int result = launch_start(&launch, run->cgroup, error, sizeof error, &run->pid);
    if (result < 0)
        return fail("cannot start", error);
    run->pid_fd = pidfd_open(run->pid, 0);
    run->timer_fd = open_timer(options->tick_ms);
    if (run->pid_fd < 0 || run->timer_fd < 0) {
        fs_drop(cgroup_kill(run->cgroup)); /* the error that brought us here is the one to tell */
        return fail("cannot watch the program", strerror(errno));
    }
    return 0;
}

static struct outcome judge(const struct run *run, const struct msg_execution_record *record)
{
    struct outcome_facts facts = {
        .wait_status = run->wait_status,
        .status_known = true,
        .timed_out = run->timed_out,
        .ended_on_purpose = interrupted != 0,
        .purpose = "interrupted",
        .duration_us = record->ended_us - record->started_us,
        .counters = &record->totals,
        .cpu_limited = run->limits.cpu_millicores != 0,
        .net_limited = run->limits.net_egress_bps != 0,
        .net_egress_bps = run->limits.net_egress_bps,
    };
    return outcome_judge(&facts);
}

static const char *code_of(const struct run *run)
{
    const char *slash = strrchr(run->argv[0], '/');
    return given(run->options->code) ? run->options->code : slash ? slash + 1 : run->argv[0];
}

/* The record and its length go out in one write(2) under a lock: several recorders may share the file. */
static int append(const char *path, const struct buffer *bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0)
        return fail(path, strerror(errno));
    off_t before = flock(fd, LOCK_EX) < 0 ? -1 : lseek(fd, 0, SEEK_END);
    ssize_t written = before < 0 ? -1 : write(fd, bytes->data, bytes->size);
    int result = 0;
    if (written != (ssize_t)bytes->size) {
        result = fail(path, written < 0 ? strerror(errno) : "no space for the whole record");
        if (before >= 0 && ftruncate(fd, before) < 0)
            (void)fail(path, "a part of a record is left at its end");
    }
    return close(fd) < 0 && result == 0 ? fail(path, strerror(errno)) : result;
}

static int write_record(const struct run *run)
{
    struct msg_custom_metric custom[SERIES_CUSTOM_MAX];
    struct msg_execution_record record = {
        .attempt = 1, .code = str_of(code_of(run)), .pool = str_of(run->options->pool)};
    struct str argv[64];
    size_t argc = 0;
    char host[65] = "";
    (void)gethostname(host, sizeof host - 1); /* an empty node name is as good */
    for (; run->argv[argc] && argc < FS_COUNT(argv); argc++)
        argv[argc] = str_of(run->argv[argc]);
    uuid_v7(record.execution, run->started_us / 1000);
    record.node = str_of(given(run->options->node) ? run->options->node : host);
    memcpy(record.request.execution, record.execution, UUID_SIZE);
    record.request.code = record.code;
    record.request.pool = record.pool;
    record.request.argv.items = argv;
    record.request.argv.count = argc;
    record.request.limits = run->limits;
    record.request.timeout_ms = run->options->timeout_ms;
    record.request.max_attempts = 1;
    record.request.submitted_us = run->started_us;
    char input[32];
    (void)snprintf(input, sizeof input, "%" PRId64, run->input_bytes);
    struct msg_str_entry hint = {str_of(HINT_INPUT_BYTES), str_of(input)};
    if (run->input_bytes > 0)
        record.request.hints = (struct msg_str_map){&hint, 1};
    record_fill(&record, run->track, custom);
    record.ended_us = run->ended_us;
    struct outcome outcome = judge(run, &record);
    record.outcome = outcome.outcome;
    record.cause = outcome.cause;
    record.exit_status = outcome.exit_status;
    record.signal = outcome.signal;
    record.detail = str_of(outcome.detail);
    record.arm = MSG_ARM_HELD_OUT; /* nothing acted on it */
    record.propensity = 1.0f;
    record.series_inclusion = 1.0f;

    struct buffer framed, bytes;
    buffer_init(&framed, 0);
    buffer_init(&bytes, 0);
    int result = record_encode(&record, run->track, RECORD_MAX_BYTES, &framed);
    buffer_append_u32be(&bytes, (uint32_t)framed.size);
    buffer_append_str(&bytes, buffer_str(&framed));
    if (result == 0)
        result = buffer_error(&bytes);
    result =
        result < 0 ? fail("cannot encode the record", strerror(-result)) : append(run->options->out, &bytes);
    buffer_fini(&framed);
    buffer_fini(&bytes);
    (void)fprintf(stderr,
                  "forestall-record: code=%s outcome=%s cause=%s duration_ms=%" PRId64 " peak_bytes=%" PRId64
                  " points=%zu\n",
                  code_of(run), msg_outcome_name(record.outcome), msg_cause_name(record.cause),
                  (record.ended_us - record.started_us) / 1000, record.totals.memory_peak_bytes,
                  series_count(&run->track->series));
    return result;
}

static int record_in(struct cgroup_host *host, struct run *run)
{
    char name[64];
    struct cgroup_limits limits = limits_to_kernel(&run->limits);
    struct cgroup_apply_result applied;
    (void)snprintf(name, sizeof name, "r%d-%" PRId64, (int)getpid(), clock_realtime_us());
    int result = cgroup_create(host, name, &limits, &applied, &run->cgroup);
    if (result < 0)
        return fail("cannot make a cgroup", strerror(-result));
    if (applied.memory < 0 || applied.cpu < 0 || applied.io_read < 0 || applied.io_write < 0 ||
        applied.net < 0)
        result = fail("cannot put a limit in force",
                      "this machine lacks what it needs; see forestall-agent --check");
    if (result == 0)
        result = open_metrics(run);
    if (result == 0)
        result = start(run);
    if (result == 0)
        result = watch(run);
    if (result == 0)
        result = write_record(run);
    close_metrics(run);
    int left = cgroup_destroy(run->cgroup, 5000);
    if (left < 0) {
        cgroup_close(run->cgroup);
        return fail("cannot remove the cgroup", strerror(-left));
    }
    return result;
}

static int record_command(const struct record_options *options, char *const *argv)
{
    char error[256];
    struct cgroup_host *host;
    struct cgroup_host_options host_options = {.subtree = options->subtree,
                                               .net_device = given(options->net_device),
                                               .net_namespace = given(options->net_namespace)};
    struct run run = {.options = options,
                      .argv = argv,
                      .limits = wanted_limits(options),
                      .pid_fd = -1,
                      .timer_fd = -1,
                      .metrics_fd = -1};
    const char *wrong = limits_fault(&run.limits);
    if (wrong)
        return fail("bad limits", wrong), EXIT_NOT_RECORDED;
    run.track = malloc(sizeof *run.track);
    if (!run.track)
        return fail("cannot start", "out of memory"), EXIT_NOT_RECORDED;
    int result = cgroup_host_open(&host_options, error, sizeof error, &host);
    if (result < 0) {
        (void)fail("cannot use cgroups", error);
    } else {
        result = record_in(host, &run);
        fs_drop(cgroup_host_remove(host)); /* -EBUSY: another recorder is in it, the last one removes it */
        cgroup_host_close(host);
    }
    free(run.track);
    if (result < 0)
        return EXIT_NOT_RECORDED;
    return WIFEXITED(run.wait_status) ? WEXITSTATUS(run.wait_status) : 128 + WTERMSIG(run.wait_status);
}

int main(int argc, char **argv)
{
    struct record_options options = {0};
    char error[512] = "out of memory";
    int count = 0, status = EXIT_NOT_RECORDED;
    struct config *config =
        config_create("forestall-record", "Runs one command in a cgroup and appends its record to a file: "
                                          "forestall-record --out FILE [options] -- COMMAND...");
    int result = config ? config_add(config, table, FS_COUNT(table), &options) : -ENOMEM;
    if (result == 0)
        result = config_load(config, argc, argv, error, sizeof error);
    if (result == 1) {
        status = 0;
    } else if (result < 0) {
        (void)fail("bad options", error);
    } else {
        char *const *command = config_arguments(config, &count);
        struct sigaction action = {.sa_handler = on_interrupt};
        if (count == 0 || !given(options.out))
            (void)fail("nothing to do", "say --out FILE and, after --, the command");
        else if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || sigaction(SIGINT, &action, NULL) < 0 ||
                 sigaction(SIGTERM, &action, NULL) < 0)
            (void)fail("cannot start", strerror(errno));
        else
            status = record_command(&options, command);
    }
    config_destroy(config);
    return status;
}
