/* See children.h. */
#include "cli/children.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"

extern char **environ;

int64_t child_pause_ms(int64_t previous_ms, int64_t ran_ms)
{
    if (previous_ms == 0 || ran_ms >= CHILD_STEADY_MS)
        return CHILD_PAUSE_MIN_MS;
    return FS_MIN(previous_ms * 2, (int64_t)CHILD_PAUSE_MAX_MS);
}

void children_init(struct children *children)
{
    *children = (struct children){0};
}

static void release(struct child *child)
{
    for (size_t i = 0; i < child->argument_count; i++)
        free(child->arguments[i]);
    if (child->pid_fd >= 0)
        (void)close(child->pid_fd);
}

void children_fini(struct children *children)
{
    for (size_t i = 0; i < children->count; i++)
        child_stop(&children->items[i], SIGKILL);
    for (size_t i = 0; i < children->count; i++) {
        (void)child_stop_wait(&children->items[i], 0);
        release(&children->items[i]);
    }
    children->count = 0;
}

int child_argument(struct child *child, const char *format, ...)
{
    char *text;
    va_list arguments;
    if (child->argument_count == CHILD_ARGUMENTS_MAX)
        return -ENOSPC;
    va_start(arguments, format);
    int size = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (size < 0)
        return -ENOMEM;
    child->arguments[child->argument_count++] = text;
    return 0;
}

struct child *children_add(struct children *children, const char *name, const char *program,
                           const char *log_path)
{
    if (children->count == CHILDREN_MAX)
        return NULL;
    struct child *child = &children->items[children->count];
    *child = (struct child){.pid_fd = -1};
    if (!str_copy(child->name, sizeof child->name, str_of(name)) ||
        !str_copy(child->log_path, sizeof child->log_path, str_of(log_path)) ||
        child_argument(child, "%s", program) < 0)
        return NULL;
    children->count++;
    return child;
}

struct child *children_find(struct children *children, const char *name)
{
    for (size_t i = 0; i < children->count; i++)
        if (strcmp(children->items[i].name, name) == 0)
            return &children->items[i];
    return NULL;
}

/* --- starting --- */

static bool redirect(int fd, int target)
{
    return fd >= 0 && dup2(fd, target) == target;
}

static void drop_variables(void)
{
    size_t kept = 0;
    for (size_t i = 0; environ[i]; i++)
        if (strncmp(environ[i], "FORESTALL_", 10) != 0)
            environ[kept++] = environ[i];
    environ[kept] = NULL;
}

_Noreturn static void run_child(const struct child *child, pid_t parent)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_DFL); /* fails for SIGKILL and SIGSTOP alone */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
        _exit(125); /* the parent ended between fork and here */
    (void)setsid(); /* cannot fail: a fresh process leads no group */
    int log = open(child->log_path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    bool ready = redirect(open("/dev/null", O_RDONLY), STDIN_FILENO) && redirect(log, STDOUT_FILENO) &&
                 redirect(log, STDERR_FILENO);
    if (!ready)
        _exit(125);
    (void)close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
    drop_variables();
    (void)execv(child->arguments[0], child->arguments);
    (void)dprintf(STDERR_FILENO, "cannot execute %s: %s\n", child->arguments[0], strerror(errno));
    _exit(127);
}

int child_start(struct child *child, int64_t now_ms)
{
    pid_t parent = getpid();
    child->wanted = true;
    child->started_ms = now_ms;
    child->restart_ms = 0;
    pid_t pid = fork();
    if (pid == 0)
        run_child(child, parent);
    if (pid < 0)
        return -errno;
    child->pid = pid;
    child->pid_fd = pidfd_open(pid, 0);
    child->starts++;
    return child->pid_fd < 0 ? -errno : 0;
}

/* --- watching --- */

static bool reap(struct child *child, bool wait)
{
    int status;
    if (child->pid == 0)
        return false;
    pid_t got;
    while ((got = waitpid(child->pid, &status, wait ? 0 : WNOHANG)) < 0 && errno == EINTR)
        ;
    if (got == 0)
        return false;
    child->last_status = got > 0 ? status : 0;
    child->ended = true;
    child->pid = 0;
    if (child->pid_fd >= 0)
        (void)close(child->pid_fd);
    child->pid_fd = -1;
    return true;
}

static void bound_log(const struct child *child)
{
    struct stat file;
    if (stat(child->log_path, &file) == 0 && file.st_size > CHILD_LOG_MAX_BYTES &&
        truncate(child->log_path, 0) == 0) {
        int fd = open(child->log_path, O_WRONLY | O_APPEND | O_CLOEXEC);
        if (fd >= 0) {
            (void)dprintf(fd, "forestall local: %lld bytes of log were dropped here\n",
                          (long long)file.st_size);
            (void)close(fd);
        }
    }
}

int children_poll(struct children *children, int64_t now_ms, child_ended_fn *on_end, void *context)
{
    int changed = 0;
    for (size_t i = 0; i < children->count; i++) {
        struct child *child = &children->items[i];
        if (reap(child, false)) {
            changed++;
            if (on_end)
                on_end(context, child);
            child->pause_ms = child_pause_ms(child->pause_ms, now_ms - child->started_ms);
            child->restart_ms = now_ms + child->pause_ms;
        }
        if (child->wanted && child->pid == 0 && now_ms >= child->restart_ms) {
            bound_log(child);
            if (child_start(child, now_ms) < 0)
                child->restart_ms = now_ms + CHILD_PAUSE_MAX_MS; /* no process could be made: later */
            else
                changed++;
        } else if (child->pid != 0) {
            bound_log(child);
        }
    }
    return changed;
}

size_t children_poll_fds(const struct children *children, struct pollfd *out, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < children->count && count < max; i++)
        if (children->items[i].pid != 0)
            out[count++] = (struct pollfd){.fd = children->items[i].pid_fd, .events = POLLIN};
    return count;
}

int64_t children_wait_ms(const struct children *children, int64_t now_ms, int64_t limit_ms)
{
    for (size_t i = 0; i < children->count; i++) {
        const struct child *child = &children->items[i];
        if (child->wanted && child->pid == 0)
            limit_ms = FS_MIN(limit_ms, FS_MAX(child->restart_ms - now_ms, (int64_t)0));
    }
    return limit_ms;
}

/* --- stopping --- */

void child_stop(struct child *child, int signal_number)
{
    child->wanted = false;
    if (child->pid != 0)
        (void)kill(child->pid, signal_number); /* not reaped yet, so the pid is still its own */
}

bool child_running(const struct child *child)
{
    return child->pid != 0;
}

bool child_stop_wait(struct child *child, int64_t timeout_ms)
{
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    child_stop(child, SIGTERM);
    while (child->pid != 0 && !reap(child, false)) {
        int64_t left_ms = deadline_ms - clock_monotonic_ms();
        struct pollfd end = {.fd = child->pid_fd, .events = POLLIN};
        if (left_ms <= 0) {
            child_stop(child, SIGKILL);
            (void)reap(child, true);
            return false;
        }
        (void)poll(&end, 1, (int)FS_MIN(left_ms, (int64_t)1000));
    }
    return true;
}

void child_describe_end(const struct child *child, char *out, size_t size)
{
    if (child->pid != 0)
        (void)snprintf(out, size, "runs");
    else if (!child->ended)
        (void)snprintf(out, size, "never ran");
    else if (WIFSIGNALED(child->last_status))
        (void)snprintf(out, size, "was killed by signal %d", WTERMSIG(child->last_status));
    else
        (void)snprintf(out, size, "exited with status %d", WEXITSTATUS(child->last_status));
}
