/* See node.h. */
#include "agent/node.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "agent/disk.h"
#include "common/clock.h"
#include "common/uuid.h"

static int take_incarnation(int state_fd, uint8_t out[16])
{
    char text[64];
    int64_t size = disk_read(state_fd, "incarnation", text, sizeof text);
    if (size >= 0) {
        text[strcspn(text, "\n")] = '\0';
        return uuid_parse(str_of(text), out) < 0 ? -EBADMSG : 0;
    }
    if (size != -ENOENT)
        return (int)size;
    uuid_v7(out, clock_realtime_us() / 1000);
    uuid_format(out, text);
    return disk_replace(state_fd, "incarnation", text, strlen(text), 0600, true);
}

static int raise_epoch(int state_fd, int64_t *out)
{
    char text[32], *end = text;
    int64_t size = disk_read(state_fd, "epoch", text, sizeof text), epoch = 0;
    if (size < 0 && size != -ENOENT)
        return (int)size;
    if (size >= 0)
        epoch = strtoll(text, &end, 10);
    if (size >= 0 && (end == text || epoch < 1))
        return -EBADMSG;
    int length = snprintf(text, sizeof text, "%" PRId64 "\n", epoch + 1);
    int result = disk_replace(state_fd, "epoch", text, (size_t)length, 0600, true);
    if (result == 0)
        *out = epoch + 1;
    return result;
}

static int take_lock(int state_fd)
{
    int fd = openat(state_fd, "agent.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int error = errno == EWOULDBLOCK ? -EBUSY : -errno;
        (void)close(fd);
        return error;
    }
    return fd;
}

int node_open(int state_fd, const char *id, const char *pool, struct node *out)
{
    struct node node = {.lock_fd = take_lock(state_fd)};
    if (node.lock_fd < 0)
        return node.lock_fd;
    if (id && *id)
        (void)snprintf(node.id, sizeof node.id, "%s", id);
    else if (gethostname(node.id, sizeof node.id - 1) < 0)
        (void)snprintf(node.id, sizeof node.id, "localhost");
    (void)snprintf(node.pool, sizeof node.pool, "%s", pool);
    if (disk_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", node.boot_id, sizeof node.boot_id) < 0)
        (void)snprintf(node.boot_id, sizeof node.boot_id, "unknown");
    node.boot_id[strcspn(node.boot_id, "\n")] = '\0';
    int result = take_incarnation(state_fd, node.incarnation);
    if (result == 0)
        result = raise_epoch(state_fd, &node.epoch);
    if (result < 0) {
        (void)close(node.lock_fd);
        return result;
    }
    *out = node;
    return 0;
}

void node_close(struct node *node)
{
    (void)close(node->lock_fd);
}
