/* See child.h. Between fork and exec only async-signal-safe calls: librdkafka has threads. */
#include "retrain/child.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NICENESS 10

int child_start(char *const *argv, pid_t *pid)
{
    pid_t parent = getpid(), made = fork();
    if (made < 0)
        return -errno;
    if (made == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* cannot fail with a valid signal */
        if (getppid() != parent)
            _exit(127);
        errno = 0;
        if (nice(NICENESS) == -1 && errno != 0)
            _exit(127);
        (void)signal(SIGPIPE, SIG_DFL);
        (void)execv("/proc/self/exe", argv);
        _exit(127);
    }
    *pid = made;
    return 0;
}

static int exit_status(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int child_poll(pid_t pid, int *status)
{
    int raw;
    pid_t ended = waitpid(pid, &raw, WNOHANG);
    if (ended < 0)
        return errno == EINTR ? 0 : -errno;
    if (ended == 0)
        return 0;
    *status = exit_status(raw);
    return 1;
}

void child_stop(pid_t pid)
{
    if (pid <= 0)
        return;
    (void)kill(pid, SIGKILL); /* -ESRCH: it ended by itself */
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}
