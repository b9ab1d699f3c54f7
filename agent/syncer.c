/* See syncer.h. Begin and result each pass through an eventfd, whose read and write order the rest. */
#include "agent/syncer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/side_thread.h"

struct syncer {
    pthread_t thread;
    int begun_fd, done_fd;
    int file_fd; /* a copy; -1 = end. Of the thread between begin and done, of the loop otherwise */
    int result;
    bool busy; /* the loop's */
};

static void tell(int fd)
{
    const uint64_t one = 1;
    while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

static void wait_for(int fd)
{
    uint64_t count;
    while (read(fd, &count, sizeof count) < 0 && errno == EINTR)
        continue;
}

static void *run(void *context)
{
    struct syncer *syncer = context;
    for (;;) {
        wait_for(syncer->begun_fd);
        if (syncer->file_fd < 0)
            return NULL;
        syncer->result = fdatasync(syncer->file_fd) < 0 ? -errno : 0;
        (void)close(syncer->file_fd);
        tell(syncer->done_fd);
    }
}

int syncer_open(struct syncer **out)
{
    struct syncer *syncer = calloc(1, sizeof *syncer);
    if (!syncer)
        return -ENOMEM;
    syncer->begun_fd = eventfd(0, EFD_CLOEXEC);
    syncer->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int result = syncer->begun_fd < 0 || syncer->done_fd < 0
                     ? -errno
                     : side_thread_start(&syncer->thread, run, syncer);
    if (result == 0) {
        *out = syncer;
        return 0;
    }
    if (syncer->begun_fd >= 0)
        (void)close(syncer->begun_fd);
    if (syncer->done_fd >= 0)
        (void)close(syncer->done_fd);
    free(syncer);
    return result;
}

void syncer_close(struct syncer *syncer)
{
    if (!syncer)
        return;
    if (syncer->busy) {
        struct pollfd done = {.fd = syncer->done_fd, .events = POLLIN};
        while (poll(&done, 1, -1) < 0 && errno == EINTR)
            continue;
    }
    syncer->file_fd = -1;
    tell(syncer->begun_fd);
    (void)pthread_join(syncer->thread, NULL); /* cannot fail: joined once, not detached */
    (void)close(syncer->begun_fd);
    (void)close(syncer->done_fd);
    free(syncer);
}

int syncer_begin(struct syncer *syncer, int fd)
{
    if (syncer->busy)
        return -EBUSY;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return -errno;
    syncer->file_fd = copy;
    syncer->busy = true;
    tell(syncer->begun_fd);
    return 0;
}

bool syncer_take(struct syncer *syncer, int *result)
{
    uint64_t count;
    if (!syncer->busy || read(syncer->done_fd, &count, sizeof count) != (ssize_t)sizeof count)
        return false;
    syncer->busy = false;
    *result = syncer->result;
    return true;
}

int syncer_fd(const struct syncer *syncer)
{
    return syncer->done_fd;
}
