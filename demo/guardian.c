/* See guardian.h. */
#include "demo/guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"

#define STOP_TIMEOUT_MS 30000
#define POLL_MS 50

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    (void)remove(path); /* what cannot be removed is left */
    return 0;
}

/* The instance holds this lock until its last service is gone. */
static bool instance_lives(const char *state)
{
    char path[PATH_MAX + 16];
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    (void)snprintf(path, sizeof path, "%s/local.lock", state);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    bool lives = fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    if (fd >= 0)
        (void)close(fd);
    return lives;
}

/* Waits for the end of the demo, then for that of its instance, and removes the directory. */
static void guard(int demo_lives, const char *work, const char *state)
{
    char byte;
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    while (read(demo_lives, &byte, 1) < 0 && errno == EINTR)
        ;
    for (int64_t end_ms = clock_monotonic_ms() + STOP_TIMEOUT_MS;
         instance_lives(state) && clock_monotonic_ms() < end_ms;)
        (void)usleep(POLL_MS * 1000);
    if (!getenv("FORESTALL_KEEP"))
        (void)nftw(work, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    _exit(0);
}

int guardian_start(struct guardian *guardian, const char *work, const char *state)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    guardian->pid = fork();
    if (guardian->pid == 0) {
        (void)close(ends[1]);
        guard(ends[0], work, state);
    }
    (void)close(ends[0]);
    guardian->lives = ends[1];
    return guardian->pid < 0 ? -errno : 0;
}

void guardian_finish(struct guardian *guardian)
{
    (void)close(guardian->lives);
    (void)waitpid(guardian->pid, NULL, 0);
}
