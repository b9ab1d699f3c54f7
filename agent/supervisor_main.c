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
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/attempt_files.h"
#include "agent/disk.h"
#include "agent/launch.h"
#include "agent/track.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/log.h"
#include "schemas/codec.h"

#define LEASE_CHECK_MS 1000
#define BRAKE_CHECK_MS 20 /* while engaged: a release by a raise is not told by the kernel on v1 */
#define END_CHECK_MS 10   /* while waiting for killed processes to go */
#define END_TIMEOUT_MS 10000
#define ARENA_BYTES (8u << 20) /* an admission has at most 1 MiB of strings */
#define ADMISSION_MAX ((size_t)1 << 20)

struct supervisor_options {
    const char *directory, *subtree, *cgroup, *stdout_path, *stderr_path;
    int64_t brake_deadline_ms; /* 0 = no brake */
    int64_t open_files;        /* 0 = as the supervisor */
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
    {"supervisor", "open_files", CONFIG_INT, FIELD(open_files), "0", 0, 1e15,
     "descriptors the program may have; 0 = as many as the supervisor"},
};

struct supervisor {
    const struct supervisor_options *options;
    struct msg_admission admission;
    struct cgroup_host *host;
    struct cgroup *cgroup;
    struct track *track;
    pid_t pid;
    int signal_fd, notice_fd;
    struct status_file status;
    int64_t begun_us, timeout_us; /* CLOCK_BOOTTIME; timeout 0 = none */
    int64_t brake_until_us;       /* of this stay */
    int64_t brake_limit;          /* memory limit when the stay began */
    bool brake_armed, exited, killing;
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
        if (pid != supervisor->pid)
            continue; /* an orphan of the program's */
        supervisor->status.wait_status = status;
        supervisor->exited = true;
    }
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

static void check_deadlines(struct supervisor *supervisor)
{
    int64_t now_us = boottime_us(), lease_us = track_lease(supervisor->track);
    if (supervisor->killing || supervisor->exited)
        return;
    if (supervisor->timeout_us != 0 && now_us >= supervisor->timeout_us) {
        supervisor->status.timed_out = 1;
        kill_all(supervisor, "timeout");
    } else if (lease_us != 0 && now_us >= lease_us) {
        say_purpose(supervisor, "lease: no contact with ingest");
        supervisor->status.on_purpose = 1;
        kill_all(supervisor, supervisor->status.purpose);
    }
}

static int wait_ms(const struct supervisor *supervisor)
{
    int64_t wait = supervisor->track->brake_engaged ? BRAKE_CHECK_MS : LEASE_CHECK_MS;
    if (supervisor->timeout_us != 0 && !supervisor->killing)
        wait = FS_MIN(wait, FS_MAX((supervisor->timeout_us - boottime_us() + 999) / 1000, 0));
    return (int)wait;
}

static void watch(struct supervisor *supervisor)
{
    while (!supervisor->exited) {
        struct pollfd polled[2] = {{.fd = supervisor->signal_fd, .events = POLLIN}, {.fd = -1}};
        polled[1].fd = supervisor->brake_armed ? cgroup_brake_fd(supervisor->cgroup, &polled[1].events) : -1;
        if (polled[1].fd >= 0 && supervisor->track->brake_engaged)
            polled[1].fd = -1; /* it is looked at every BRAKE_CHECK_MS then; v2's descriptor stays readable */
        (void)poll(polled, FS_COUNT(polled), wait_ms(supervisor)); /* interrupted: all is looked at anyway */
        take_signals(supervisor);
        brake_look(supervisor);
        check_deadlines(supervisor);
    }
}

/* Ends what the program left behind, waits until it is gone, so that the last counters are the last. */
static void finish_cgroup(struct supervisor *supervisor)
{
    int64_t until_us = boottime_us() + (int64_t)END_TIMEOUT_MS * 1000;
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

static char **make_argv(struct arena *arena, const struct msg_str_array *texts, size_t more)
{
    char **list = arena_alloc(arena, texts->count + more + 1, sizeof *list);
    for (size_t i = 0; list && i < texts->count; i++)
        if (!(list[i] = arena_strdup(arena, texts->items[i])))
            return NULL;
    return list;
}

static char *variable(struct arena *arena, const char *name, const char *directory, const char *file)
{
    char text[4200];
    (void)snprintf(text, sizeof text, "%s=%s%s%s", name, directory, file ? "/" : "", file ? file : "");
    return arena_strdup(arena, str_of(text));
}

static char **make_env(const struct supervisor *supervisor, struct arena *arena)
{
    const struct msg_execution_request *request = &supervisor->admission.request;
    const char *directory = supervisor->options->directory;
    char **env = make_argv(arena, &request->env, 4);
    char attempt[16], uuid[40], name[ATTEMPT_NAME_SIZE];
    size_t at = request->env.count;
    if (!env)
        return NULL;
    attempt_name(request->execution, supervisor->admission.attempt, name);
    (void)snprintf(uuid, sizeof uuid, "%.8s-%.4s-%.4s-%.4s-%.12s", name, name + 8, name + 12, name + 16,
                   name + 20);
    (void)snprintf(attempt, sizeof attempt, "%d", supervisor->admission.attempt);
    env[at++] = variable(arena, "FORESTALL_EXECUTION", uuid, NULL);
    env[at++] = variable(arena, "FORESTALL_ATTEMPT", attempt, NULL);
    env[at++] = variable(arena, "FORESTALL_LIMITS", directory, ATTEMPT_LIMITS);
    if (access(ATTEMPT_METRICS, F_OK) == 0) /* no socket: its path would have been too long */
        env[at++] = variable(arena, "FORESTALL_METRICS", directory, ATTEMPT_METRICS);
    return env[at - 1] && env[request->env.count] ? env : NULL;
}

/* Output the agent keeps lies where the user cannot make files: it is made for the user here. */
static int make_output(const char *path, uid_t uid, gid_t gid)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int result = fchown(fd, uid, gid) < 0 ? -errno : 0;
    (void)close(fd);
    return result;
}

/* The scratch directory and kept output belong to the user the program runs as. */
static int make_places(const struct supervisor *supervisor, const char *user)
{
    const struct msg_execution_request *request = &supervisor->admission.request;
    struct passwd entry, *found = NULL;
    char text[4096];
    uid_t uid = geteuid();
    gid_t gid = getegid();
    if (*user && getpwnam_r(user, &entry, text, sizeof text, &found) == 0 &&
        found) { /* an unknown one: launch_start says it */
        uid = entry.pw_uid;
        gid = entry.pw_gid;
    }
    if (mkdir(ATTEMPT_SCRATCH, 0700) < 0 && errno != EEXIST)
        return -errno;
    int result = chown(ATTEMPT_SCRATCH, uid, gid) < 0 ? -errno : 0;
    if (result == 0 && request->stdout_path.size == 0)
        result = make_output(supervisor->options->stdout_path, uid, gid);
    if (result == 0 && request->stderr_path.size == 0)
        result = make_output(supervisor->options->stderr_path, uid, gid);
    return result;
}

static int start(struct supervisor *supervisor, struct arena *arena)
{
    const struct msg_execution_request *request = &supervisor->admission.request;
    char error[LAUNCH_ERROR_MAX] = "out of memory";
    const char *user = arena_strdup(arena, request->user), *cwd = arena_strdup(arena, request->cwd);
    struct launch launch = {.argv = make_argv(arena, &request->argv, 0),
                            .env = make_env(supervisor, arena),
                            .cwd = cwd && *cwd ? cwd : ATTEMPT_SCRATCH,
                            .user = user && *user ? user : NULL,
                            .stdout_path = supervisor->options->stdout_path,
                            .stderr_path = supervisor->options->stderr_path,
                            .open_files = supervisor->options->open_files,
                            .own_session = true};
    int result = launch.argv && launch.env && user && cwd ? 0 : -ENOMEM;
    if (result == 0 && (result = make_places(supervisor, user)) < 0)
        (void)snprintf(error, sizeof error, "cannot make its scratch directory or output: %s",
                       strerror(-result));
    brake_arm(supervisor);
    supervisor->begun_us = boottime_us();
    supervisor->status.started_us = clock_realtime_us();
    if (result == 0)
        result = launch_start(&launch, supervisor->cgroup, error, sizeof error, &supervisor->pid);
    if (result < 0) {
        say_purpose(supervisor, error);
        supervisor->status.wait_status = (result == -ENOENT ? 127 : 126) << 8; /* as a shell says it */
        return result;
    }
    supervisor->status.started = 1;
    if (request->timeout_ms > 0)
        supervisor->timeout_us = supervisor->begun_us + request->timeout_ms * 1000;
    char text[32];
    int size = snprintf(text, sizeof text, "%" PRId64 "\n", supervisor->status.started_us);
    result = disk_replace(AT_FDCWD, ATTEMPT_STARTED, text, (size_t)size, 0600, false);
    if (result < 0)
        log_warn("started_not_written", "error=\"%s\"", strerror(-result)); /* the status file will say it */
    tell(supervisor, NOTICE_STARTED);
    return 0;
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
    int result = codec ? codec_decode(codec, &msg_admission_type, (struct str){bytes, (size_t)size}, arena,
                                      &supervisor->admission)
                       : -ENOMEM;
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
    result = track_map(AT_FDCWD, ATTEMPT_TRACK, false, &supervisor->track);
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
    track_unmap(supervisor->track);
    arena_destroy(arena);
    return result;
}

int main(int argc, char **argv)
{
    struct supervisor_options options = {0};
    struct supervisor supervisor = {.options = &options, .notice_fd = -1};
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
