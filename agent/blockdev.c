/* See blockdev.h. */
#include "agent/blockdev.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int read_text(const char *path, char *out, size_t capacity)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t size = read(fd, out, capacity - 1);
    int result = size < 0 ? -errno : 0;
    (void)close(fd); /* only read from */
    if (result == 0)
        out[size] = '\0';
    return result;
}

static int read_device(const char *path, struct blockdev *out)
{
    char text[64], *end;
    int result = read_text(path, text, sizeof text);
    if (result < 0)
        return result;
    unsigned long first = strtoul(text, &end, 10);
    if (end == text || *end != ':')
        return -ENODEV;
    *out = (struct blockdev){(uint32_t)first, (uint32_t)strtoul(end + 1, NULL, 10)};
    return 0;
}

int blockdev_of_path(const char *path, struct blockdev *out)
{
    struct stat status;
    char name[128];
    if (stat(path, &status) < 0)
        return -errno;
    struct blockdev device = {major(status.st_dev), minor(status.st_dev)};
    if (device.major == 0)
        return -ENODEV;
    (void)snprintf(name, sizeof name, "/sys/dev/block/%u:%u", device.major, device.minor); /* fits */
    if (access(name, F_OK) < 0)
        return -ENODEV;
    (void)snprintf(name, sizeof name, "/sys/dev/block/%u:%u/partition", device.major,
                   device.minor); /* fits */
    if (access(name, F_OK) == 0) {
        (void)snprintf(name, sizeof name, "/sys/dev/block/%u:%u/../dev", device.major,
                       device.minor); /* fits */
        return read_device(name, out);
    }
    *out = device;
    return 0;
}

size_t blockdev_add(struct blockdev *list, size_t count, size_t capacity, struct blockdev device)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i].major == device.major && list[i].minor == device.minor)
            return count;
    }
    if (count < capacity)
        list[count++] = device;
    return count;
}

size_t blockdev_list(struct blockdev *out, size_t capacity)
{
    size_t count = 0;
    DIR *stream = opendir("/sys/block");
    if (!stream)
        return 0;
    const struct dirent *entry;
    while ((entry = readdir(stream))) {
        char path[sizeof entry->d_name + 32];
        struct blockdev device;
        (void)snprintf(path, sizeof path, "/sys/block/%s/device", entry->d_name); /* fits */
        if (entry->d_name[0] == '.' || access(path, F_OK) < 0)
            continue;
        (void)snprintf(path, sizeof path, "/sys/block/%s/dev", entry->d_name); /* fits */
        if (read_device(path, &device) == 0)
            count = blockdev_add(out, count, capacity, device);
    }
    (void)closedir(stream); /* only read from */
    return count;
}

bool blockdev_heeds_weight(struct blockdev device)
{
    char path[128], text[256];
    (void)snprintf(path, sizeof path, "/sys/dev/block/%u:%u/queue/scheduler", device.major,
                   device.minor); /* fits */
    return read_text(path, text, sizeof text) == 0 && strstr(text, "[bfq]") != NULL;
}
