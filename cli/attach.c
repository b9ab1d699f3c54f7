/* See attach.h. */
#include "cli/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"

#define ENDING_MS 120000 /* an instance that is ending lets programs end first */
#define READY_MS 120000
#define POLL_MS 20
#define LOG_BYTES 8192

struct spawned {
    pid_t pid;
    char log[4200];
    off_t log_start;
};

_Noreturn static void run_local(const char *state_dir, int log)
{
    char *argv[] = {(char *)"forestall", (char *)"local",   (char *)"--while-used",
                    (char *)"--state",   (char *)state_dir, NULL};
    int input = open("/dev/null", O_RDONLY);
    (void)setsid(); /* Ctrl-C here is not meant for it */
    if (input >= 0 && dup2(input, STDIN_FILENO) >= 0 && dup2(log, STDOUT_FILENO) >= 0 &&
        dup2(log, STDERR_FILENO) >= 0)
        (void)execv("/proc/self/exe", argv);
    _exit(127);
}

static int cannot_write(const char *path, int number, char *error, size_t error_size)
{
    (void)snprintf(error, error_size,
                   "no instance runs and one cannot be started: %s: %s: run it as root, which programs in "
                   "cgroups need, or name another directory with --state",
                   path, strerror(number));
    return -number;
}

static int spawn(const char *state_dir, struct spawned *out, char *error, size_t error_size)
{
    char directory[4200];
    struct stat file;
    (void)snprintf(directory, sizeof directory, "%s/log", state_dir);
    (void)snprintf(out->log, sizeof out->log, "%s/log/local.log", state_dir);
    if (mkdir(directory, 0755) < 0 && errno != EEXIST)
        return cannot_write(directory, errno, error, error_size);
    int log = open(out->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log < 0)
        return cannot_write(out->log, errno, error, error_size);
    out->log_start = fstat(log, &file) == 0 ? file.st_size : 0;
    out->pid = fork();
    if (out->pid == 0)
        run_local(state_dir, log);
    int result = out->pid < 0 ? -errno : 0;
    (void)close(log);
    if (result < 0)
        (void)snprintf(error, error_size, "cannot start an instance: %s", strerror(-result));
    return result;
}

/* What it said on its way down. */
static void tell_failure(const struct spawned *spawned, char *error, size_t error_size)
{
    char text[LOG_BYTES + 1];
    ssize_t got = -1;
    int fd = open(spawned->log, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        got = pread(fd, text, LOG_BYTES, spawned->log_start);
        (void)close(fd);
    }
    text[got > 0 ? got : 0] = '\0';
    (void)snprintf(error, error_size, "no instance runs and one could not be started:\n%s", text);
}

/* 0 ready, -EAGAIN not yet, other: failed. */
static int look(const char *state_dir, struct spawned *spawned, struct attachment *out, char *error,
                size_t error_size)
{
    int result = instance_load(state_dir, &out->instance);
    if (result == 0 || (result != -ENOENT && result != -EBADMSG)) {
        if (result < 0)
            (void)snprintf(error, error_size, "%s: %s", state_dir, strerror(-result));
        return result;
    }
    if (spawned->pid > 0 && waitpid(spawned->pid, NULL, WNOHANG) != 0) {
        spawned->pid = 0;
        if (instance_running(state_dir) == 1)
            return -EAGAIN; /* another command was faster in starting one */
        tell_failure(spawned, error, error_size);
        return -ECHILD;
    }
    if (spawned->pid == 0 && instance_running(state_dir) != 1) {
        result = spawn(state_dir, spawned, error, error_size);
        return result < 0 ? result : -EAGAIN;
    }
    return -EAGAIN;
}

static int await(const char *state_dir, int stop_fd, struct attachment *out, char *error, size_t error_size)
{
    struct spawned spawned = {.pid = 0};
    int64_t deadline_ms = clock_monotonic_ms() + READY_MS;
    for (;;) {
        int result = look(state_dir, &spawned, out, error, error_size);
        struct pollfd stop = {.fd = stop_fd, .events = POLLIN};
        if (result == 0)
            out->pid = spawned.pid;
        if (result != -EAGAIN)
            return result;
        if (poll(&stop, 1, POLL_MS) > 0)
            return -EINTR;
        if (clock_monotonic_ms() >= deadline_ms) {
            (void)snprintf(error, error_size, "the instance in %s did not become ready: see %s/log",
                           state_dir, state_dir);
            return -ETIMEDOUT;
        }
    }
}

int attach_open(const char *state_dir, int stop_fd, struct attachment *out, char *error, size_t error_size)
{
    *out = (struct attachment){.users_fd = -1};
    int result = instance_make_dir(state_dir);
    if (result == 0)
        result = out->users_fd = instance_use(state_dir, ENDING_MS);
    if (result < 0) {
        if (result == -ETIMEDOUT)
            (void)snprintf(error, error_size,
                           "the instance in %s is ending and does not come to its end: see %s/log", state_dir,
                           state_dir);
        else
            (void)snprintf(error, error_size, "%s: %s%s", state_dir, strerror(-result),
                           result == -EACCES ? ": starting an instance needs root; or start `forestall "
                                               "local` as root and give --state DIR"
                                             : "");
        return result;
    }
    result = await(state_dir, stop_fd, out, error, error_size);
    if (result < 0)
        attach_close(out);
    return result;
}

/* Somebody else holds it shared (or it is claimed for the end, then the instance is looked at). */
static bool used_by_others(const char *state_dir)
{
    int fd = instance_open_users(state_dir);
    if (fd < 0)
        return false;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    bool used = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_RDLCK;
    (void)close(fd);
    return used;
}

void attach_close(struct attachment *attachment)
{
    int64_t deadline_ms = clock_monotonic_ms() + ENDING_MS;
    const struct instance *instance = &attachment->instance;
    if (attachment->users_fd >= 0)
        (void)close(attachment->users_fd);
    attachment->users_fd = -1;
    while (instance->while_used && instance_running(instance->state_dir) == 1 &&
           !used_by_others(instance->state_dir) && clock_monotonic_ms() < deadline_ms)
        (void)poll(NULL, 0, POLL_MS);
    if (attachment->pid > 0)
        (void)waitpid(attachment->pid, NULL, WNOHANG); /* others may use it on: it is init's then */
}
