/* A cgroup directory and what the program may have made below it; see cgroup_internal.h. Depth is bounded, so
 * a program cannot exhaust the agent's stack or descriptors with nested cgroups: what is deeper is reported
 * as -EBUSY. */
#include "agent/cgroup_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define DEPTH_MAX 16

typedef int child_fn(int dir, const char *name, int depth, int argument);

/* Calls visit for each child cgroup of dir/name and sums up its results; the first error stops. */
static int for_each_child(int dir, const char *name, int depth, int argument, child_fn *visit)
{
    if (depth >= DEPTH_MAX)
        return -EBUSY;
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    DIR *stream = fdopendir(fd);
    if (!stream) {
        (void)close(fd); /* only read from */
        return -ENOMEM;
    }
    int sum = 0;
    const struct dirent *entry;
    while (sum >= 0 && (entry = readdir(stream))) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        int result = visit(dirfd(stream), entry->d_name, depth + 1, argument);
        sum = result < 0 ? result : sum + result;
    }
    (void)closedir(stream); /* only read from */
    return sum;
}

static int remove_one(int dir, const char *name, int depth, int argument)
{
    if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    if (errno != EBUSY && errno != ENOTEMPTY)
        return -errno;
    int result = for_each_child(dir, name, depth, argument, remove_one);
    if (result < 0 && result != -ENOENT)
        return result;
    if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    return -errno;
}

int cgroup_tree_remove(int dir, const char *name)
{
    int result = remove_one(dir, name, 0, 0);
    return result == -ENOTEMPTY ? -EBUSY : result;
}

/* Pids of one piece of cgroup.procs; keeps a number that the piece cut in two for the next one. */
static int signal_piece(const char *text, size_t size, int signal, int64_t *pending)
{
    int count = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] >= '0' && text[i] <= '9') {
            *pending = *pending * 10 + (text[i] - '0');
            continue;
        }
        if (*pending > 1) {
            if (signal != 0)
                (void)kill((pid_t)*pending, signal); /* ESRCH: it ended by itself */
            count++;
        }
        *pending = 0;
    }
    return count;
}

static int signal_one(int dir, const char *name, int depth, int signal)
{
    char path[NAME_MAX + 32], text[4096];
    int written = snprintf(path, sizeof path, "%s/cgroup.procs", name);
    if (written < 0 || (size_t)written >= sizeof path)
        return -ENAMETOOLONG;
    int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int count = 0;
    int64_t pending = 0;
    ssize_t size;
    while ((size = read(fd, text, sizeof text)) > 0)
        count += signal_piece(text, (size_t)size, signal, &pending);
    int result = size < 0 ? -errno : count;
    (void)close(fd); /* only read from */
    if (result < 0)
        return result;
    int below = for_each_child(dir, name, depth, signal, signal_one);
    return below < 0 && below != -ENOENT ? below : result + FS_MAX(below, 0);
}

int cgroup_tree_signal(int dir, const char *name, int signal)
{
    return signal_one(dir, name, 0, signal);
}
