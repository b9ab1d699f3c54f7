/* See remover.h. Names pass through a pipe, whose size is the bound on how many wait; its end stops the
 * thread. */
#include "agent/remover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/disk.h"
#include "agent/side_thread.h"

struct remover {
    pthread_t thread;
    int directory_fd, names_fd, taken_fd; /* names_fd is the loop's end of the pipe */
    remover_failed_fn *failed;
    atomic_bool stop;
    atomic_size_t waiting;
};

static void remove_one(struct remover *remover, const char *name)
{
    int result = disk_remove_tree(remover->directory_fd, name, &remover->stop);
    if (result < 0 && result != -ECANCELED)
        remover->failed(name, result);
}

/* What was there when the agent started. */
static void remove_left(struct remover *remover)
{
    int fd = openat(remover->directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    if (!directory) {
        remover->failed(".", -errno);
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    while (!atomic_load(&remover->stop) && (entry = readdir(directory)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            remove_one(remover, entry->d_name);
    (void)closedir(directory);
}

static void *run(void *context)
{
    struct remover *remover = context;
    char name[REMOVER_NAME_SIZE];
    remove_left(remover);
    for (;;) {
        ssize_t got = read(remover->taken_fd, name, sizeof name);
        if (got < 0 && errno == EINTR)
            continue;
        if (got != (ssize_t)sizeof name || atomic_load(&remover->stop))
            return NULL;
        remove_one(remover, name);
        atomic_fetch_sub(&remover->waiting, 1);
    }
}

static void close_files(struct remover *remover)
{
    int fds[] = {remover->directory_fd, remover->names_fd, remover->taken_fd};
    for (size_t i = 0; i < FS_COUNT(fds); i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
}

int remover_open(int state_fd, remover_failed_fn *failed, struct remover **out)
{
    int names[2] = {-1, -1};
    struct remover *remover = calloc(1, sizeof *remover);
    if (!remover)
        return -ENOMEM;
    int result = remover->directory_fd = disk_open_directory(state_fd, REMOVER_DIRECTORY, 0700);
    if (result >= 0)
        result = pipe2(names, O_CLOEXEC) < 0 ? -errno : 0;
    remover->taken_fd = names[0];
    remover->names_fd = names[1];
    remover->failed = failed;
    if (result == 0)
        result = side_thread_start(&remover->thread, run, remover);
    if (result < 0) {
        close_files(remover);
        free(remover);
        return result;
    }
    *out = remover;
    return 0;
}

void remover_close(struct remover *remover)
{
    if (!remover)
        return;
    atomic_store(&remover->stop, true);
    (void)close(remover->names_fd);
    remover->names_fd = -1;
    (void)pthread_join(remover->thread, NULL); /* cannot fail: joined once, not detached */
    close_files(remover);
    free(remover);
}

/* Moved first, so that the thread finds it; the pipe has room for it then, as nobody else writes to it. */
int remover_take(struct remover *remover, int directory_fd, const char *name)
{
    char taken[REMOVER_NAME_SIZE] = "";
    struct pollfd room = {.fd = remover->names_fd, .events = POLLOUT};
    if (!str_copy(taken, sizeof taken, str_of(name)))
        return -ENAMETOOLONG;
    if (poll(&room, 1, 0) != 1)
        return -EAGAIN;
    if (renameat(directory_fd, name, remover->directory_fd, name) < 0)
        return errno == ENOENT ? 0 : -errno;
    atomic_fetch_add(&remover->waiting, 1);
    while (write(remover->names_fd, taken, sizeof taken) < 0 && errno == EINTR)
        continue;
    return 0;
}

size_t remover_waiting(const struct remover *remover)
{
    return atomic_load(&remover->waiting);
}
