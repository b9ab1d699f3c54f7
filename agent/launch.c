/* See launch.h. The child tells which step failed over a close-on-exec pipe. Its callers have one thread;
 * what may block on other programs (the user's groups) is looked up before the fork. */
#include "agent/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

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

struct failure {
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

static int run_steps(const struct launch *launch, const struct cgroup *cgroup,
                     const struct identity *identity, enum step *step)
{
    int result = cgroup_attach_pid(cgroup, 0);
    if (result == 0) {
        *step = STEP_SESSION;
        result = launch->own_session && setsid() < 0 ? -errno : 0;
    }
    if (result == 0) {
        *step = STEP_STDIN;
        result = launch->inherit_stdin ? 0 : redirect("/dev/null", O_RDONLY, STDIN_FILENO);
    }
    if (result == 0) {
        *step = STEP_USER;
        result = become(identity);
    }
    if (result == 0) {
        *step = STEP_CWD;
        result = launch->cwd && chdir(launch->cwd) < 0 ? -errno : 0;
    }
    if (result == 0) {
        *step = STEP_STDOUT;
        result = redirect_output(launch->stdout_path, STDOUT_FILENO);
    }
    if (result == 0) {
        *step = STEP_STDERR;
        result = redirect_output(launch->stderr_path, STDERR_FILENO);
    }
    return result;
}

_Noreturn static void child(const struct launch *launch, const struct cgroup *cgroup,
                            const struct identity *identity, int report)
{
    enum step step = STEP_CGROUP;
    reset_signals();
    (void)close_range(3, ~0u, CLOSE_RANGE_CLOEXEC); /* all are opened so; against a library that forgot */
    int result = run_steps(launch, cgroup, identity, &step);
    if (result == 0) {
        step = STEP_EXEC;
        limit_files(launch);
        const char *path = NULL;
        for (char *const *entry = launch->env; *entry; entry++)
            if (strncmp(*entry, "PATH=", 5) == 0)
                path = *entry + 5;
        /* execvpe searches the caller's PATH; the program's own is what its submitter meant. */
        if (path ? setenv("PATH", path, 1) < 0 : unsetenv("PATH") < 0)
            result = -errno;
        else
            (void)execvpe(launch->argv[0], launch->argv, launch->env);
        result = result ? result : -errno;
    }
    struct failure failure = {(int32_t)step, -result};
    ssize_t written = write(report, &failure, sizeof failure);
    _exit(written == (ssize_t)sizeof failure ? 127 : 126);
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

static int await_exec(const struct launch *launch, int report, pid_t pid, char *error, size_t error_size)
{
    struct failure failure;
    ssize_t got;
    do {
        got = read(report, &failure, sizeof failure);
    } while (got < 0 && errno == EINTR);
    if (got == 0)
        return 0; /* closed by execve */
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (got != (ssize_t)sizeof failure || failure.step < 0 || failure.step >= STEP_COUNT ||
        failure.error <= 0) {
        (void)snprintf(error, error_size, "the program's process was lost while starting");
        return -EIO;
    }
    const char *object = step_object(launch, (enum step)failure.step);
    (void)snprintf(error, error_size, "%s%s%.120s: %s", step_words[failure.step], *object ? " " : "", object,
                   strerror(failure.error));
    return -failure.error;
}

int launch_start(const struct launch *launch, const struct cgroup *cgroup, char *error, size_t error_size,
                 pid_t *out)
{
    int report[2];
    struct identity identity;
    int result = find_identity(launch->user, &identity);
    if (result < 0) {
        (void)snprintf(error, error_size, "cannot find the user %.64s: %s", launch->user,
                       result == -ENOENT ? "no such user" : strerror(-result));
        return result == -ENOENT ? -EINVAL : result;
    }
    if (pipe2(report, O_CLOEXEC) < 0) {
        (void)snprintf(error, error_size, "cannot make a pipe: %s", strerror(errno));
        return -errno;
    }
    pid_t pid = fork();
    if (pid == 0)
        child(launch, cgroup, &identity, report[1]);
    result = pid < 0 ? -errno : 0;
    (void)close(report[1]);
    if (result < 0)
        (void)snprintf(error, error_size, "cannot fork: %s", strerror(-result));
    else
        result = await_exec(launch, report[0], pid, error, error_size);
    (void)close(report[0]);
    if (result == 0)
        *out = pid;
    return result;
}
