/* One attempt as the agent sees it: memory, files, its supervisor. See agent.h. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/disk.h"

#define ADMISSION_ARENA_BYTES (4u << 20)
#define LOCK_CHILD_FD 3 /* where the supervisor inherits its lock */

struct attempt *attempt_create(const char *name)
{
    struct attempt *attempt = calloc(1, sizeof *attempt);
    if (!attempt)
        return NULL;
    (void)str_copy(attempt->name, sizeof attempt->name, str_of(name)); /* attempt_name made it: it fits */
    attempt->directory_fd = -1;
    attempt->pid_fd = -1;
    attempt->metrics_fd = -1;
    attempt->adjustments_fd = -1;
    buffer_init(&attempt->framed, 0);
    attempt->arena = arena_create(4096, ADMISSION_ARENA_BYTES);
    if (!attempt->arena) {
        free(attempt);
        return NULL;
    }
    return attempt;
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

void attempt_destroy(struct attempt *attempt)
{
    if (!attempt)
        return;
    close_if_open(attempt->pid_fd);
    close_if_open(attempt->metrics_fd);
    close_if_open(attempt->adjustments_fd);
    close_if_open(attempt->directory_fd);
    cgroup_close(attempt->cgroup);
    track_unmap(attempt->track);
    arena_destroy(attempt->arena);
    buffer_fini(&attempt->framed);
    free(attempt);
}

int attempt_decode(struct attempt *attempt, struct codec *codec, struct str framed)
{
    buffer_append_str(&attempt->framed, framed);
    int result = buffer_error(&attempt->framed);
    if (result == 0)
        result = codec_decode(codec, &msg_admission_type, buffer_str(&attempt->framed), attempt->arena,
                              &attempt->admission);
    if (result == 0)
        attempt->identity = request_identity(&attempt->admission.request);
    return result;
}

struct attempt *agent_find(const struct agent *agent, const uint8_t execution[16], int32_t attempt)
{
    for (size_t i = 0; i < agent->attempt_count; i++) {
        struct attempt *found = agent->attempts[i];
        if (memcmp(found->admission.request.execution, execution, 16) == 0 &&
            (attempt == 0 || found->admission.attempt == attempt))
            return found;
    }
    return NULL;
}

void agent_add(struct agent *agent, struct attempt *attempt)
{
    assert(agent->attempt_count < agent->attempt_max);
    agent->attempts[agent->attempt_count++] = attempt;
    capacity_commit(&agent->committed, &attempt->limits, 1);
}

void agent_remove(struct agent *agent, size_t index)
{
    struct attempt *attempt = agent->attempts[index];
    capacity_commit(&agent->committed, &attempt->limits, -1);
    attempt_destroy(attempt);
    agent->attempts[index] = agent->attempts[--agent->attempt_count];
}

void agent_commit(struct agent *agent, struct attempt *attempt, const struct msg_limits *limits)
{
    capacity_commit(&agent->committed, &attempt->limits, -1);
    attempt->limits = *limits;
    capacity_commit(&agent->committed, &attempt->limits, 1);
}

void attempt_open_metrics(const struct agent *agent, struct attempt *attempt)
{
    char path[4096 + ATTEMPT_NAME_SIZE + 8];
    (void)snprintf(path, sizeof path, "%s/" ATTEMPTS_DIRECTORY "/%s/" ATTEMPT_METRICS, agent->state_dir,
                   attempt->name);
    attempt->metrics_fd =
        statsd_open(path); /* negative: no gauges for this one, FORESTALL_METRICS is not set then */
}

int attempt_open_adjustments(struct attempt *attempt)
{
    if (attempt->adjustments_fd < 0)
        attempt->adjustments_fd = openat(attempt->directory_fd, ATTEMPT_ADJUSTMENTS,
                                         O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    return attempt->adjustments_fd < 0 ? -errno : 0;
}

int attempt_signal(const struct attempt *attempt, int number)
{
    if (attempt->pid_fd < 0)
        return -ESRCH;
    return pidfd_send_signal(attempt->pid_fd, number, NULL, 0) < 0 ? -errno : 0;
}

void attempt_end(struct attempt *attempt, const char *reason)
{
    if (attempt->killed)
        return;
    attempt->end_wanted = true;
    int result = disk_replace(attempt->directory_fd, ATTEMPT_KILL, reason, strlen(reason), 0600, false);
    if (result < 0)
        log_warn("kill_reason_not_written", "attempt=%s error=\"%s\"", attempt->name, strerror(-result));
    attempt->killed = attempt_signal(attempt, SIGTERM) == 0; /* else attempt_found() does, or it is gone */
}

void attempt_found(struct attempt *attempt, int pid_fd)
{
    attempt->pid_fd = pid_fd;
    if (attempt->end_wanted)
        attempt->killed = attempt_signal(attempt, SIGTERM) == 0;
}

void attempt_set_lease(const struct agent *agent, struct attempt *attempt)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_BOOTTIME, &now); /* cannot fail for this clock */
    if (attempt->track)
        track_extend_lease(&attempt->track->shared,
                           ((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + agent->options->lease_ms) *
                               1000);
}

int attempt_lock(int directory_fd)
{
    int fd = openat(directory_fd, ATTEMPT_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int error = -errno;
        (void)close(fd);
        return error;
    }
    return fd;
}

struct spawn {
    char directory[4200], stdout_path[4200], stderr_path[4200], subtree[300], cgroup[100], brake[64],
        start[64], files[64];
};

/* Into the option of that name: what was asked for, or a file of the agent's. */
static void describe_output(const struct agent *agent, const struct attempt *attempt, struct str asked,
                            const char *name, char out[4200])
{
    int size = snprintf(out, 4200, "--%s=", name);
    if (asked.size > 0 &&
        attempt_output_path(asked, attempt->admission.attempt, out + size, 4200 - (size_t)size))
        return;
    (void)snprintf(out + size, 4200 - (size_t)size, "%s/output/%s.%s", agent->state_dir, attempt->name, name);
}

static void describe(const struct agent *agent, const struct attempt *attempt, struct spawn *out)
{
    const struct msg_execution_request *request = &attempt->admission.request;
    bool brake = agent->options->brake && attempt->admission.arm == MSG_ARM_TREATED;
    (void)snprintf(out->directory, sizeof out->directory, "--directory=%s/" ATTEMPTS_DIRECTORY "/%s",
                   agent->state_dir, attempt->name);
    (void)snprintf(out->subtree, sizeof out->subtree, "--subtree=%s", agent->options->cgroup);
    (void)snprintf(out->cgroup, sizeof out->cgroup, "--cgroup=%s", attempt->name);
    (void)snprintf(out->brake, sizeof out->brake, "--brake_deadline=%" PRId64 "ms",
                   brake ? agent->options->brake_deadline_ms : 0);
    (void)snprintf(out->start, sizeof out->start, "--start_timeout=%" PRId64 "ms",
                   agent->options->start_timeout_ms);
    (void)snprintf(out->files, sizeof out->files, "--open_files=%" PRId64, agent->program_files);
    describe_output(agent, attempt, request->stdout_path, "stdout", out->stdout_path);
    describe_output(agent, attempt, request->stderr_path, "stderr", out->stderr_path);
}

/* TERM, USR1 and CHLD stay blocked until the supervisor reads them from its signalfd: none is lost or deadly
 * before. */
static int set_signals(posix_spawnattr_t *attributes)
{
    sigset_t blocked, defaults;
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGTERM);
    (void)sigaddset(&blocked, SIGUSR1);
    (void)sigaddset(&blocked, SIGCHLD);
    (void)sigfillset(&defaults);
    int error = posix_spawnattr_setsigmask(attributes, &blocked);
    if (error == 0)
        error = posix_spawnattr_setsigdefault(attributes, &defaults);
    if (error == 0)
        error = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return error;
}

static int set_files(posix_spawn_file_actions_t *actions, int log_fd, int lock_fd)
{
    int error = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(actions, log_fd, STDOUT_FILENO);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(actions, log_fd, STDERR_FILENO);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(actions, lock_fd, LOCK_CHILD_FD);
    return error;
}

static int spawn(const char *path, const struct spawn *what, int log_fd, int lock_fd, pid_t *pid)
{
    char *argv[] = {(char *)"forestall-supervisor",
                    (char *)what->directory,
                    (char *)what->subtree,
                    (char *)what->cgroup,
                    (char *)what->brake,
                    (char *)what->start,
                    (char *)what->files,
                    (char *)what->stdout_path,
                    (char *)what->stderr_path,
                    NULL};
    char *env[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                   NULL}; /* not the agent's: its configuration is its own */
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);
    if (error)
        return -error;
    error = posix_spawnattr_init(&attributes);
    if (error == 0) {
        error = set_signals(&attributes);
        if (error == 0)
            error = set_files(&actions, log_fd, lock_fd);
        if (error == 0)
            error = posix_spawn(pid, path, &actions, &attributes, argv, env);
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return -error;
}

int attempt_spawn(const struct agent *agent, struct attempt *attempt, int lock_fd)
{
    struct spawn *what = malloc(sizeof *what);
    if (!what)
        return -ENOMEM;
    describe(agent, attempt, what);
    pid_t pid = -1;
    int log_fd = openat(attempt->directory_fd, ATTEMPT_LOG,
                        O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    int result = log_fd < 0 ? -errno : spawn(agent->supervisor, what, log_fd, lock_fd, &pid);
    close_if_open(log_fd);
    free(what);
    if (result < 0)
        return result;
    attempt->pid_fd = pidfd_open(pid, 0); /* our child and not reaped: the pid is its own */
    return attempt->pid_fd < 0 ? -errno : 0;
}
