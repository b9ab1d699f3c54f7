/* See launch.h. The child tells over a close-on-exec pipe which step it is at, and which one failed. Its
 * callers have one thread; the user's groups are looked up before the fork. */
#include "agent/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define REPORT_CHILD_FD 3 /* of the child: the only one past its own three */

enum step {
    STEP_CGROUP,
    STEP_SESSION,
    STEP_STDIN,
    STEP_USER,
    STEP_CWD,
    STEP_STDOUT,
    STEP_STDERR,
    STEP_EXEC,
    STEP_COUNT
};

static const char *const step_words[STEP_COUNT] = {
    "cannot join the cgroup",
    "cannot start a session",
    "cannot open /dev/null",
    "cannot become the user",
    "cannot enter the directory",
    "cannot open the file for standard output",
    "cannot open the file for standard error",
    "cannot execute",
};

/* error 0: the step begins. A few bytes, written at once: the pipe always has room. */
struct report {
    int32_t step, error;
};

struct identity {
    bool change;
    uid_t uid;
    gid_t gid;
    gid_t groups[256];
    int group_count;
};

static int find_identity(const char *user, struct identity *out)
{
    char text[4096];
    struct passwd entry, *found;
    *out = (struct identity){.change = false};
    if (!user || !*user)
        return 0;
    int error = getpwnam_r(user, &entry, text, sizeof text, &found);
    if (error || !found)
        return error ? -error : -ENOENT;
    out->change = entry.pw_uid != geteuid();
    out->uid = entry.pw_uid;
    out->gid = entry.pw_gid;
    out->group_count = FS_COUNT(out->groups);
    return getgrouplist(user, entry.pw_gid, out->groups, &out->group_count) < 0 ? -E2BIG : 0;
}

static int become(const struct identity *identity)
{
    if (!identity->change)
        return 0;
    if (setgroups((size_t)identity->group_count, identity->groups) < 0 || setgid(identity->gid) < 0 ||
        setuid(identity->uid) < 0)
        return -errno;
    return 0;
}

static int redirect(const char *path, int flags, int target)
{
    int fd = open(path, flags | O_CLOEXEC | O_NOCTTY, 0644);
    if (fd < 0)
        return -errno;
    int result = dup2(fd, target) < 0 ? -errno : 0;
    if (fd != target)
        (void)close(fd);
    return result;
}

/* Not blocking: a FIFO that nobody reads would hold the start for ever, and who waits for it. The program
 * gets it as it would be without that. */
static int redirect_output(const char *path, int target)
{
    int result = path ? redirect(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK, target) : 0;
    if (!path || result < 0)
        return result;
    int flags = fcntl(target, F_GETFL);
    return flags < 0 || fcntl(target, F_SETFL, flags & ~O_NONBLOCK) < 0 ? -errno : 0;
}

/* A service ignores SIGPIPE and may block signals: the program must not inherit that. */
static void reset_signals(void)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_DFL); /* fails for SIGKILL and SIGSTOP alone */
}

/* Not before the steps, which open files beside those of the caller. */
static void limit_files(const struct launch *launch)
{
    struct rlimit limit;
    if (launch->open_files == 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = FS_MIN((rlim_t)launch->open_files, limit.rlim_max);
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* within the hard limit: not refused */
}

/* 0 never: negative errno. execvpe searches the caller's PATH; the program's own is what its submitter meant.
 */
static int execute(const struct launch *launch)
{
    const char *path = NULL;
    limit_files(launch);
    for (char *const *entry = launch->env; *entry; entry++)
        if (strncmp(*entry, "PATH=", 5) == 0)
            path = *entry + 5;
    if ((path ? setenv("PATH", path, 1) : unsetenv("PATH")) == 0)
        (void)execvpe(launch->argv[0], launch->argv, launch->env);
    return -errno;
}

static bool tell(int report_fd, enum step step, int error)
{
    struct report report = {(int32_t)step, error};
    return write(report_fd, &report, sizeof report) == (ssize_t)sizeof report;
}

/* One step, once it is told. */
static int run_step(const struct launch *launch, const struct cgroup *cgroup, const struct identity *identity,
                    enum step step)
{
    switch (step) {
    case STEP_CGROUP:
        return cgroup_attach_pid(cgroup, 0);
    case STEP_SESSION:
        return launch->own_session && setsid() < 0 ? -errno : 0;
    case STEP_STDIN:
        return launch->inherit_stdin ? 0 : redirect("/dev/null", O_RDONLY, STDIN_FILENO);
    case STEP_USER:
        return become(identity);
    case STEP_CWD:
        return launch->cwd && chdir(launch->cwd) < 0 ? -errno : 0;
    case STEP_STDOUT:
        return redirect_output(launch->stdout_path, STDOUT_FILENO);
    case STEP_STDERR:
        return redirect_output(launch->stderr_path, STDERR_FILENO);
    default:
        return execute(launch);
    }
}

/* Nothing else of the caller's stays open: a step that hangs would hold its locks. */
static int keep_only(int *report_fd)
{
    if (*report_fd != REPORT_CHILD_FD && dup3(*report_fd, REPORT_CHILD_FD, O_CLOEXEC) < 0)
        return -errno;
    *report_fd = REPORT_CHILD_FD;
    return close_range(REPORT_CHILD_FD + 1, ~0u, 0) < 0 ? -errno : 0;
}

_Noreturn static void child(const struct launch *launch, const struct cgroup *cgroup,
                            const struct identity *identity, int report_fd)
{
    int step = STEP_CGROUP, result = 0;
    reset_signals();
    for (; step < STEP_COUNT; step++) {
        if (!tell(report_fd, (enum step)step, 0))
            _exit(126);
        result = run_step(launch, cgroup, identity, (enum step)step);
        if (result == 0 && step == STEP_CGROUP)
            result = keep_only(&report_fd);
        if (result < 0)
            break;
    }
    _exit(tell(report_fd, (enum step)step, -result) ? 127 : 126);
}

static const char *step_object(const struct launch *launch, enum step step)
{
    const char *objects[STEP_COUNT] = {[STEP_USER] = launch->user,
                                       [STEP_CWD] = launch->cwd,
                                       [STEP_STDOUT] = launch->stdout_path,
                                       [STEP_STDERR] = launch->stderr_path,
                                       [STEP_EXEC] = launch->argv[0]};
    return objects[step] ? objects[step] : "";
}

static void say(const struct launch *launch, int32_t step, const char *why, char *error, size_t error_size)
{
    const char *object = step_object(launch, (enum step)step);
    (void)snprintf(error, error_size, "%s%s%.120s: %s", step_words[step], *object ? " " : "", object, why);
}

int launch_begin(const struct launch *launch, const struct cgroup *cgroup, char *error, size_t error_size,
                 struct launching *out)
{
    int report[2];
    struct identity identity;
    int result = find_identity(launch->user, &identity);
    if (result < 0) {
        (void)snprintf(error, error_size, "cannot find the user %.64s: %s", launch->user,
                       result == -ENOENT ? "no such user" : strerror(-result));
        return result == -ENOENT ? -EINVAL : result;
    }
    if (pipe2(report, O_CLOEXEC | O_NONBLOCK) < 0) {
        (void)snprintf(error, error_size, "cannot make a pipe: %s", strerror(errno));
        return -errno;
    }
    pid_t pid = fork();
    if (pid == 0)
        child(launch, cgroup, &identity, report[1]);
    result = pid < 0 ? -errno : 0;
    (void)close(report[1]);
    if (result < 0) {
        (void)snprintf(error, error_size, "cannot fork: %s", strerror(-result));
        (void)close(report[0]);
        return result;
    }
    *out = (struct launching){.pid = pid, .report_fd = report[0], .step = STEP_CGROUP};
    return 0;
}

void launch_end(struct launching *launching)
{
    if (launching->report_fd >= 0)
        (void)close(launching->report_fd);
    launching->report_fd = -1;
}

/* 1 a report, 0 none yet; -EPIPE: the child has closed its end. */
static int next_report(int fd, struct report *out)
{
    ssize_t got;
    do {
        got = read(fd, out, sizeof *out);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN ? 0 : -errno;
    bool whole = got == (ssize_t)sizeof *out && out->step >= 0 && out->step < STEP_COUNT && out->error >= 0;
    return whole ? 1 : -EPIPE;
}

int launch_look(const struct launch *launch, struct launching *launching, char *error, size_t error_size)
{
    struct report report = {0, 0};
    int result;
    while ((result = next_report(launching->report_fd, &report)) > 0 && report.error == 0)
        launching->step = report.step;
    if (result == 0)
        return 0;
    launch_end(launching);
    if (result > 0) {
        say(launch, report.step, strerror(report.error), error, error_size);
        return -report.error;
    }
    if (launching->step == STEP_EXEC)
        return 1; /* closed by execve */
    (void)snprintf(error, error_size, "the program's process was lost while starting");
    return -EIO;
}

void launch_say_late(const struct launch *launch, const struct launching *launching, int64_t waited_ms,
                     char *error, size_t error_size)
{
    char why[64];
    (void)snprintf(why, sizeof why, "no answer within %.1f s", (double)waited_ms / 1e3);
    say(launch, launching->step, why, error, error_size);
}

int launch_start(const struct launch *launch, const struct cgroup *cgroup, char *error, size_t error_size,
                 pid_t *out)
{
    struct launching launching = {.report_fd = -1};
    int result = launch_begin(launch, cgroup, error, error_size, &launching);
    if (result < 0)
        return result;
    while ((result = launch_look(launch, &launching, error, error_size)) == 0) {
        struct pollfd report = {.fd = launching.report_fd, .events = POLLIN};
        (void)poll(&report, 1, -1); /* interrupted: looked at again */
    }
    if (result < 0)
        while (waitpid(launching.pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    else
        *out = launching.pid;
    return FS_MIN(result, 0);
}
