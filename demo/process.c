/* See process.h. */
#include "demo/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void become(const char *const *argv, const char *output_path, pid_t parent)
{
    int out = open(output_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent || out < 0 || in < 0 || dup2(in, 0) < 0 ||
        dup2(out, 1) < 0 || dup2(out, 2) < 0)
        _exit(127);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    (void)dprintf(2, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

pid_t process_start(const char *const *argv, const char *output_path)
{
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        become(argv, output_path, parent);
    return pid < 0 ? -errno : pid;
}

int process_wait(pid_t pid, int timeout_ms)
{
    int fd = pidfd_open(pid, 0), status;
    if (fd < 0)
        return -errno;
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    int ready;
    do
        ready = poll(&entry, 1, timeout_ms);
    while (ready < 0 && errno == EINTR);
    (void)close(fd);
    if (ready == 0)
        return -ETIMEDOUT;
    if (ready < 0 || waitpid(pid, &status, 0) != pid)
        return -errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void process_stop(pid_t pid, int timeout_ms)
{
    if (pid <= 0)
        return;
    (void)kill(pid, SIGTERM); /* gone already: the wait says so */
    if (process_wait(pid, timeout_ms) != -ETIMEDOUT)
        return;
    (void)kill(pid, SIGKILL);
    fs_drop(process_wait(pid, -1)); /* how it ended does not matter */
}

int process_run(const char *const *argv, const char *output_path, int timeout_ms)
{
    pid_t pid = process_start(argv, output_path);
    if (pid < 0)
        return pid;
    int status = process_wait(pid, timeout_ms);
    if (status == -ETIMEDOUT)
        process_stop(pid, 5000);
    return status;
}
