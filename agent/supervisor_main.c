/* forestall-supervisor: one per attempt, started by the agent, outlives it. The program's parent and
 * subreaper; it holds the timeout, the lease and the brake with its deadline, and writes how the attempt
 * ended.
 *
 * Guarantees: the program is executed at most once (by this process, after the agent journalled the
 * placement); the status file is whole or absent; the brake ends by giving the kernel its killer back, never
 * by SIGKILL; past the lease the attempt is ended even when no agent lives. Signals: SIGTERM = end the
 * attempt, the file `kill` says why; SIGUSR1 = the limits were changed. It never reports over a network and
 * opens nothing but its attempt's directory and cgroup. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/attempt_files.h"
#include "agent/disk.h"
#include "agent/launch.h"
#include "agent/program.h"
#include "agent/track.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/log.h"
#include "schemas/published.h"

#define LEASE_CHECK_MS 1000
#define BRAKE_CHECK_MS 20 /* while engaged: a release by a raise is not told by the kernel on v1 */
#define END_CHECK_MS 10   /* while waiting for killed processes to go */
#define END_TIMEOUT_MS 10000
#define ARENA_BYTES (8u << 20) /* an admission has at most 1 MiB of strings */
#define ADMISSION_MAX ((size_t)1 << 20)

struct supervisor_options {
    const char *directory, *subtree, *cgroup, *stdout_path, *stderr_path;
    int64_t brake_deadline_ms; /* 0 = no brake */
    int64_t start_timeout_ms;
    int64_t open_files; /* 0 = as the supervisor */
};

#define FIELD(field) offsetof(struct supervisor_options, field)

static const struct config_option table[] = {
    {"supervisor", "directory", CONFIG_STRING, FIELD(directory), "", 0, 0, "the attempt's state directory"},
    {"supervisor", "subtree", CONFIG_STRING, FIELD(subtree), "forestall", 0, 0, "cgroup subtree"},
    {"supervisor", "cgroup", CONFIG_STRING, FIELD(cgroup), "", 0, 0, "name of the attempt's cgroup"},
    {"supervisor", "stdout", CONFIG_STRING, FIELD(stdout_path), "", 0, 0, "file for standard output"},
    {"supervisor", "stderr", CONFIG_STRING, FIELD(stderr_path), "", 0, 0, "file for standard error"},
    {"supervisor", "brake_deadline", CONFIG_DURATION_MS, FIELD(brake_deadline_ms), "0", 0, 1e9,
     "longest stay in the brake; 0 = no brake"},
    {"supervisor", "start_timeout", CONFIG_DURATION_MS, FIELD(start_timeout_ms), "60s", 1, 1e9,
     "longest wait for its directory, output and program before it runs"},
    {"supervisor", "open_files", CONFIG_INT, FIELD(open_files), "0", 0, 1e15,
     "descriptors the program may have; 0 = as many as the supervisor"},
};

struct supervisor {
    const struct supervisor_options *options;
    struct msg_admission admission;
    struct cgroup_host *host;
    struct cgroup *cgroup;
    struct track_shared *track;
    struct launch launch;
    struct launching launching;
    int signal_fd, notice_fd;
    struct status_file status;
    int64_t begun_us, timeout_us; /* CLOCK_BOOTTIME; timeout 0 = none */
    int64_t kill_us;              /* the same, of the first kill */
    int64_t brake_until_us;       /* of this stay */
    int64_t brake_limit;          /* memory limit when the stay began */
    bool brake_armed, start_failed, exited, killing;
};

static int64_t boottime_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_BOOTTIME, &now); /* cannot fail for this clock */
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void tell(const struct supervisor *supervisor, enum notice_kind kind)
{
    struct notice notice = {.magic = NOTICE_MAGIC, .kind = kind, .attempt = supervisor->admission.attempt};
    memcpy(notice.execution, supervisor->admission.request.execution, sizeof notice.execution);
    notice_send(supervisor->notice_fd, "../../" AGENT_SOCKET, &notice);
}

static void say_purpose(struct supervisor *supervisor, const char *text)
{
    (void)str_copy(supervisor->status.purpose, sizeof supervisor->status.purpose,
                   str_of(text)); /* for people: cut is fine */
    for (char *c = supervisor->status.purpose; *c; c++)
        if (*c == '\n')
            *c = ' ';
}

static void kill_all(struct supervisor *supervisor, const char *why)
{
    int result = cgroup_kill(supervisor->cgroup);
    log_info("attempt_kill", "why=\"%s\" result=%d", why, result);
    supervisor->killing = true;
    supervisor->kill_us = boottime_us();
}

/* --- the brake --- */

static void brake_arm(struct supervisor *supervisor)
{
    if (supervisor->options->brake_deadline_ms == 0 || supervisor->killing)
        return;
    int result = cgroup_brake_arm(supervisor->cgroup);
    supervisor->brake_armed = result == 0;
    if (result < 0)
        log_warn("brake_not_armed", "error=\"%s\"", strerror(-result));
}

static void brake_ended(struct supervisor *supervisor, bool by_raise)
{
    track_brake(supervisor->track, false, by_raise, clock_realtime_us(), clock_monotonic_us());
    tell(supervisor, NOTICE_BRAKE_RELEASED);
}

static void brake_look(struct supervisor *supervisor)
{
    bool was = supervisor->track->brake_engaged;
    int engaged = supervisor->brake_armed ? cgroup_brake_engaged(supervisor->cgroup) : 0;
    if (engaged > 0 && !was) {
        fs_drop(cgroup_reload(
            supervisor->cgroup)); /* an older limit makes a raise look like one that came later, no more */
        supervisor->brake_limit = cgroup_limits(supervisor->cgroup)->memory_bytes;
        supervisor->brake_until_us = boottime_us() + supervisor->options->brake_deadline_ms * 1000;
        track_brake(supervisor->track, true, false, clock_realtime_us(), clock_monotonic_us());
        tell(supervisor, NOTICE_BRAKE_ENGAGED);
    } else if (engaged <= 0 && was) {
        fs_drop(cgroup_reload(supervisor->cgroup)); /* as above */
        int64_t limit = cgroup_limits(supervisor->cgroup)->memory_bytes;
        brake_ended(supervisor, limit == 0 || limit > supervisor->brake_limit);
    } else if (was &&
               boottime_us() >= FS_MAX(supervisor->brake_until_us, track_brake_wait(supervisor->track))) {
        int result = cgroup_brake_release_to_kernel(supervisor->cgroup);
        log_info("brake_deadline", "result=%d", result);
        supervisor->brake_armed = false; /* until limits change: it would only hold the program again */
        brake_ended(supervisor, false);
    }
}

static void limits_changed(struct supervisor *supervisor)
{
    int result = cgroup_reload(supervisor->cgroup);
    if (result < 0)
        log_warn("limits_not_read", "error=\"%s\"", strerror(-result));
    if (!supervisor->brake_armed || !supervisor->track->brake_engaged)
        brake_arm(supervisor);
    brake_look(supervisor);
}

/* --- the program --- */

static void reap(struct supervisor *supervisor)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid != supervisor->launching.pid)
            continue; /* an orphan of the program's */
        if (!supervisor->start_failed)
            supervisor->status.wait_status = status;
        supervisor->exited = true;
    }
}

static bool starting(const struct supervisor *supervisor)
{
    return supervisor->launching.report_fd >= 0;
}

static void executed(struct supervisor *supervisor)
{
    char text[32];
    supervisor->status.started = 1;
    int size = snprintf(text, sizeof text, "%" PRId64 "\n", supervisor->status.started_us);
    int result = disk_replace(AT_FDCWD, ATTEMPT_STARTED, text, (size_t)size, 0600, false);
    if (result < 0)
        log_warn("started_not_written", "error=\"%s\"", strerror(-result)); /* the status file will say it */
    tell(supervisor, NOTICE_STARTED);
}

static void not_started(struct supervisor *supervisor, int result, const char *why)
{
    say_purpose(supervisor, why);
    supervisor->start_failed = true;
    supervisor->status.wait_status = (result == -ENOENT ? 127 : 126) << 8; /* as a shell says it */
}

/* A start that was ended on purpose or by its timeout is told as that. */
static void look_at_start(struct supervisor *supervisor)
{
    char error[LAUNCH_ERROR_MAX];
    if (!starting(supervisor))
        return;
    int result = launch_look(&supervisor->launch, &supervisor->launching, error, sizeof error);
    if (result > 0)
        executed(supervisor);
    else if (result < 0 && !supervisor->killing)
        not_started(supervisor, result, error);
}

static void end_on_purpose(struct supervisor *supervisor)
{
    char why[STATUS_PURPOSE_MAX];
    int64_t size = disk_read(AT_FDCWD, ATTEMPT_KILL, why, sizeof why);
    if (supervisor->killing || supervisor->exited)
        return;
    say_purpose(supervisor, size > 0 ? why : "SIGTERM to its supervisor");
    supervisor->status.on_purpose = 1;
    kill_all(supervisor, supervisor->status.purpose);
}

static void take_signals(struct supervisor *supervisor)
{
    struct signalfd_siginfo info;
    while (read(supervisor->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGTERM)
            end_on_purpose(supervisor);
        else if (info.ssi_signo == SIGUSR1)
            limits_changed(supervisor);
    }
    reap(supervisor);
}

static int64_t start_deadline_us(const struct supervisor *supervisor)
{
    return supervisor->begun_us + supervisor->options->start_timeout_ms * 1000;
}

static void check_deadlines(struct supervisor *supervisor)
{
    int64_t now_us = boottime_us(), lease_us = track_lease(supervisor->track);
    if (supervisor->killing || supervisor->exited)
        return;
    if (supervisor->timeout_us != 0 && now_us >= supervisor->timeout_us) {
        supervisor->status.timed_out = 1;
        kill_all(supervisor, "timeout");
    } else if (starting(supervisor) && now_us >= start_deadline_us(supervisor)) {
        char error[LAUNCH_ERROR_MAX];
        launch_say_late(&supervisor->launch, &supervisor->launching, supervisor->options->start_timeout_ms,
                        error, sizeof error);
        not_started(supervisor, -ETIMEDOUT, error);
        kill_all(supervisor, error);
    } else if (lease_us != 0 && now_us >= lease_us) {
        say_purpose(supervisor, "lease: no contact with ingest");
        supervisor->status.on_purpose = 1;
        kill_all(supervisor, supervisor->status.purpose);
    }
}

static int wait_ms(const struct supervisor *supervisor)
{
    int64_t wait = supervisor->track->brake_engaged ? BRAKE_CHECK_MS : LEASE_CHECK_MS;
    int64_t next_us = supervisor->timeout_us != 0 ? supervisor->timeout_us : INT64_MAX;
    if (starting(supervisor))
        next_us = FS_MIN(next_us, start_deadline_us(supervisor));
    if (next_us != INT64_MAX && !supervisor->killing)
        wait = FS_MIN(wait, FS_MAX((next_us - boottime_us() + 999) / 1000, 0));
    return (int)wait;
}

/* Killed, and still there: it waits in the kernel for a disk or a server that does not answer. Nothing of the
 * program's runs any more; its cgroup is left to the agent. */
static bool unkillable(const struct supervisor *supervisor)
{
    return supervisor->killing && boottime_us() >= supervisor->kill_us + (int64_t)END_TIMEOUT_MS * 1000;
}

static void watch(struct supervisor *supervisor)
{
    while (!supervisor->exited && !unkillable(supervisor)) {
        struct pollfd polled[3] = {{.fd = supervisor->signal_fd, .events = POLLIN},
                                   {.fd = -1},
                                   {.fd = supervisor->launching.report_fd, .events = POLLIN}};
        polled[1].fd = supervisor->brake_armed ? cgroup_brake_fd(supervisor->cgroup, &polled[1].events) : -1;
        if (polled[1].fd >= 0 && supervisor->track->brake_engaged)
            polled[1].fd = -1; /* it is looked at every BRAKE_CHECK_MS then; v2's descriptor stays readable */
        (void)poll(polled, FS_COUNT(polled), wait_ms(supervisor)); /* interrupted: all is looked at anyway */
        take_signals(supervisor);
        look_at_start(supervisor);
        brake_look(supervisor);
        check_deadlines(supervisor);
    }
    if (supervisor->exited)
        return;
    log_warn("program_not_gone", "hint=\"it waits in the kernel for a disk or server that does not answer\"");
    if (!supervisor->start_failed)
        supervisor->status.wait_status = SIGKILL;
}

/* Ends what the program left behind, waits until it is gone, so that the last counters are the last. */
static void finish_cgroup(struct supervisor *supervisor)
{
    int64_t until_us = boottime_us() + (unkillable(supervisor) ? 0 : (int64_t)END_TIMEOUT_MS * 1000);
    struct pollfd polled = {.fd = supervisor->signal_fd, .events = POLLIN};
    while (cgroup_population(supervisor->cgroup) > 0 && boottime_us() < until_us) {
        fs_drop(cgroup_kill(supervisor->cgroup)); /* the loop's condition is the result that counts */
        (void)poll(&polled, 1, END_CHECK_MS);
        take_signals(supervisor);
    }
    int result = cgroup_read(supervisor->cgroup, &supervisor->status.counters);
    if (result < 0)
        log_warn("last_counters_not_read", "error=\"%s\"", strerror(-result));
}

/* --- start --- */

/* What it is to be; the arena keeps it for as long as the start takes. */
static int describe(struct supervisor *supervisor, struct arena *arena, char error[LAUNCH_ERROR_MAX])
{
    const struct msg_execution_request *request = &supervisor->admission.request;
    const struct supervisor_options *options = supervisor->options;
    const char *user = arena_strdup(arena, request->user), *cwd = arena_strdup(arena, request->cwd);
    supervisor->launch =
        (struct launch){.argv = program_argv(request, arena),
                        .env = program_env(&supervisor->admission, options->directory, arena),
                        .cwd = cwd && *cwd ? cwd : ATTEMPT_SCRATCH,
                        .user = user && *user ? user : NULL,
                        .stdout_path = options->stdout_path,
                        .stderr_path = options->stderr_path,
                        .open_files = options->open_files,
                        .own_session = true};
    if (!supervisor->launch.argv || !supervisor->launch.env || !user || !cwd)
        return -ENOMEM;
    int result = program_make_places(request, user, options->stdout_path, options->stderr_path);
    if (result < 0)
        (void)snprintf(error, LAUNCH_ERROR_MAX, "cannot make its scratch directory or output: %s",
                       strerror(-result));
    return result;
}

/* Begins: whether the program was executed shows later, in starting(). */
static int start(struct supervisor *supervisor, struct arena *arena)
{
    char error[LAUNCH_ERROR_MAX] = "out of memory";
    int64_t timeout_ms = supervisor->admission.request.timeout_ms;
    int result = describe(supervisor, arena, error);
    brake_arm(supervisor);
    supervisor->begun_us = boottime_us();
    supervisor->status.started_us = clock_realtime_us();
    if (timeout_ms > 0)
        supervisor->timeout_us = supervisor->begun_us + timeout_ms * 1000;
    if (result == 0)
        result = launch_begin(&supervisor->launch, supervisor->cgroup, error, sizeof error,
                              &supervisor->launching);
    if (result < 0)
        not_started(supervisor, result, error);
    return result;
}

static int take_signalfd(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGUSR1);
    (void)sigaddset(&set, SIGCHLD);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN); /* Ctrl-C on the agent's terminal is not meant for attempts */
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGCHLD, SIG_DFL);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

static int read_admission(struct supervisor *supervisor, struct arena *arena)
{
    char *bytes = arena_alloc(arena, 1, ADMISSION_MAX);
    int64_t size = bytes ? disk_read(AT_FDCWD, ATTEMPT_ADMISSION, bytes, ADMISSION_MAX) : -ENOMEM;
    if (size < 0)
        return (int)size;
    struct codec *codec = codec_create();
    int result = codec ? published_learn(codec) : -ENOMEM;
    if (result == 0)
        result = codec_decode(codec, &msg_admission_type, (struct str){bytes, (size_t)size}, arena,
                              &supervisor->admission);
    codec_destroy(codec);
    return result;
}

static int open_all(struct supervisor *supervisor, struct arena *arena)
{
    char error[256];
    struct cgroup_host_options host = {.subtree = supervisor->options->subtree, .max_kept_fds = 16};
    int result = read_admission(supervisor, arena);
    if (result < 0) {
        log_error("admission_not_read", "error=\"%s\"", strerror(-result));
        return result;
    }
    result = track_map_shared(AT_FDCWD, ATTEMPT_TRACK, &supervisor->track);
    if (result < 0) {
        log_error("track_not_mapped", "error=\"%s\"", strerror(-result));
        return result;
    }
    result = cgroup_host_open(&host, error, sizeof error, &supervisor->host);
    if (result < 0) {
        log_error("cgroups_not_usable", "error=\"%s\"", error);
        return result;
    }
    result = cgroup_open_existing(supervisor->host, supervisor->options->cgroup, &supervisor->cgroup);
    if (result < 0)
        log_error("cgroup_not_opened", "error=\"%s\"", strerror(-result));
    return result;
}

/* A directory that refuses the status (full disk) is tried again: without it the attempt would count as lost.
 */
static void write_status(const struct supervisor *supervisor)
{
    int result;
    while ((result = status_file_write(AT_FDCWD, &supervisor->status)) < 0) {
        log_error("status_not_written", "error=\"%s\"", strerror(-result));
        if (access(ATTEMPT_ADMISSION, F_OK) < 0)
            return; /* the attempt's directory was taken away: nobody will read it */
        (void)poll(NULL, 0, LEASE_CHECK_MS);
    }
}

static int supervise(struct supervisor *supervisor)
{
    struct arena *arena = arena_create(ADMISSION_MAX * 2, ARENA_BYTES);
    int result = arena ? open_all(supervisor, arena) : -ENOMEM;
    if (result == 0)
        result = supervisor_file_write(AT_FDCWD);
    if (result == 0) {
        if (start(supervisor, arena) == 0)
            watch(supervisor);
        finish_cgroup(supervisor);
        if (supervisor->track->brake_engaged)
            brake_ended(supervisor, false);
        supervisor->status.ended_us = clock_realtime_us();
        supervisor->status.duration_us = boottime_us() - supervisor->begun_us;
        write_status(supervisor);
    }
    if (supervisor->cgroup)
        cgroup_close(supervisor->cgroup);
    if (supervisor->host)
        cgroup_host_close(supervisor->host);
    track_unmap_shared(supervisor->track);
    arena_destroy(arena);
    return result;
}

int main(int argc, char **argv)
{
    struct supervisor_options options = {0};
    struct supervisor supervisor = {.options = &options, .launching.report_fd = -1, .notice_fd = -1};
    char error[512] = "out of memory";
    struct config *config =
        config_create("forestall-supervisor", "Runs and watches one attempt; started by forestall-agent.");
    int result = config ? config_add(config, table, FS_COUNT(table), &options) : -ENOMEM;
    if (result == 0)
        result = config_load(config, argc, argv, error, sizeof error);
    if (result < 0)
        (void)fprintf(stderr, "forestall-supervisor: %s\n", error);
    if (result != 0) {
        config_destroy(config);
        return result < 0;
    }
    log_open("forestall-supervisor", LOG_LEVEL_INFO, STDERR_FILENO);
    supervisor.signal_fd = take_signalfd();
    supervisor.notice_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)setsid(); /* -EPERM: it leads a session already */
    if (supervisor.signal_fd < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || chdir(options.directory) < 0) {
        result = supervisor.signal_fd < 0 ? supervisor.signal_fd : -errno;
        log_error("not_started", "directory=%s error=\"%s\"", options.directory, strerror(-result));
    } else {
        result = supervise(&supervisor);
    }
    config_destroy(config);
    return result < 0;
}
