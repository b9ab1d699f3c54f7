/* See disk.h. */
#include "agent/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_SIZE 256
#define TREE_DEPTH_MAX                                                                                       \
    64 /* a program may nest directories in its scratch: bounded, so that descriptors are */

int disk_write_all(int fd, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        ssize_t written = write(fd, at, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? -errno : -EIO;
        at += written;
        size -= (size_t)written;
    }
    return 0;
}

static int write_file(int fd, const void *data, size_t size, unsigned mode, bool sync)
{
    int result = disk_write_all(fd, data, size);
    if (result == 0 && fchmod(fd, mode) < 0) /* whatever the umask says */
        result = -errno;
    if (result == 0 && sync && fsync(fd) < 0)
        result = -errno;
    return result;
}

/* AT_FDCWD is a directory to openat(2) but no descriptor to fsync(2). */
static int sync_directory(int directory_fd)
{
    int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int result = fsync(fd) < 0 ? -errno : 0;
    (void)close(fd); /* nothing was written through it */
    return result;
}

int disk_replace(int directory_fd, const char *name, const void *data, size_t size, unsigned mode, bool sync)
{
    char beside[NAME_SIZE];
    if ((size_t)snprintf(beside, sizeof beside, "%s.new", name) >= sizeof beside)
        return -ENAMETOOLONG;
    int fd = openat(directory_fd, beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return -errno;
    int result = write_file(fd, data, size, mode, sync);
    if (close(fd) < 0 && result == 0)
        result = -errno;
    if (result == 0 && renameat(directory_fd, beside, directory_fd, name) < 0)
        result = -errno;
    if (result < 0)
        (void)unlinkat(directory_fd, beside, 0);
    else if (sync)
        result = sync_directory(directory_fd);
    return result;
}

int64_t disk_read(int directory_fd, const char *name, char *out, size_t size)
{
    int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    size_t have = 0;
    ssize_t got = 0;
    while (have < size && (got = read(fd, out + have, size - have)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            break;
        have += (size_t)got;
    }
    int64_t result = got < 0 ? -errno : have == size ? -EFBIG : (int64_t)have;
    (void)close(fd);
    if (result >= 0)
        out[have] = '\0';
    return result;
}

int disk_open_directory(int directory_fd, const char *name, unsigned mode)
{
    if (mkdirat(directory_fd, name, mode) < 0 && errno != EEXIST)
        return -errno;
    int fd = openat(directory_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

struct removal {
    int top_fd; /* what lies too deeply is moved into it */
    unsigned moved;
    const atomic_bool *stop;
};

/* -ELOOP: there is something to remove for another pass; none needs more than TREE_DEPTH_MAX descriptors. */
static int move_up(struct removal *removal, int directory_fd, const char *name)
{
    char place[32];
    (void)snprintf(place, sizeof place, ".deep.%u", removal->moved);
    if (renameat2(directory_fd, name, removal->top_fd, place, RENAME_NOREPLACE) < 0)
        return -errno;
    removal->moved++;
    return -ELOOP;
}

static int remove_tree(struct removal *removal, int directory_fd, const char *name, int depth)
{
    if (removal->stop && atomic_load_explicit(removal->stop, memory_order_relaxed))
        return -ECANCELED;
    if (unlinkat(directory_fd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    if (depth == 0)
        return move_up(removal, directory_fd, name);
    int fd = openat(directory_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    int result = directory ? 0 : -errno;
    if (!directory && fd >= 0)
        (void)close(fd);
    struct dirent *entry;
    while (directory && result != -ECANCELED && (entry = readdir(directory))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        int one = remove_tree(removal, dirfd(directory), entry->d_name, depth - 1);
        result = result < 0 && one != -ECANCELED ? result : one;
    }
    if (directory)
        (void)closedir(directory);
    if (result == 0 && unlinkat(directory_fd, name, AT_REMOVEDIR) < 0)
        result = -errno;
    return result;
}

int disk_remove_tree(int directory_fd, const char *name, const atomic_bool *stop)
{
    struct removal removal = {.stop = stop};
    unsigned before;
    int result;
    removal.top_fd = openat(directory_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    do {
        before = removal.moved;
        result = remove_tree(&removal, directory_fd, name, TREE_DEPTH_MAX);
    } while (result == -ELOOP && removal.moved > before);
    if (removal.top_fd >= 0)
        (void)close(removal.top_fd);
    return result;
}
