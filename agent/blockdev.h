/* Disks: which whole device a path's data is on, and whether its scheduler heeds weights. Reads sysfs only.
 */
#ifndef FORESTALL_AGENT_BLOCKDEV_H
#define FORESTALL_AGENT_BLOCKDEV_H

#include "common/base.h"

struct blockdev {
    uint32_t major, minor;
};

/* The whole device (a partition's disk) below path. -ENODEV when its file system is on none (tmpfs, network,
 * overlay). */
FS_MUST_CHECK int blockdev_of_path(const char *path, struct blockdev *out);
/* Real disks of the machine: those with a device behind them. Returns how many, at most capacity. */
size_t blockdev_list(struct blockdev *out, size_t capacity);
/* Appends unless it is there or the array is full; returns the new count. */
size_t blockdev_add(struct blockdev *list, size_t count, size_t capacity, struct blockdev device);
/* The device's I/O scheduler is BFQ, the only one that heeds cgroup weights without io.cost. */
bool blockdev_heeds_weight(struct blockdev device);

#endif
