/* Pure readers of the kernel's text files: cgroup statistics, limits, PSI, mountinfo, /proc/devices.
 *
 * All take text of any content and length: unknown lines are skipped, a last line cut off before its newline
 * is ignored where it could mislead, numbers that do not fit are taken as the largest. Nothing here opens a
 * file. */
#ifndef FORESTALL_AGENT_CGROUP_PARSE_H
#define FORESTALL_AGENT_CGROUP_PARSE_H

#include "common/base.h"

#define CGROUP_UNLIMITED INT64_MAX

/* "123\n" or "max\n" (CGROUP_UNLIMITED); negative values are kept (cfs_quota_us -1). -EINVAL when there is no
 * number. */
FS_MUST_CHECK int cgroup_parse_number(struct str text, int64_t *out);

struct cgroup_parse_key {
    const char *name;
    int64_t *value;
};
/* Lines "name value"; the keys' values are written when met, the others are left. Returns how many were met.
 */
size_t cgroup_parse_keyed(struct str text, const struct cgroup_parse_key *keys, size_t count);

/* A PSI file's totals, microseconds. -EINVAL when it has no "some" line; full is 0 when that line is missing.
 */
FS_MUST_CHECK int cgroup_parse_psi(struct str text, int64_t *some_us, int64_t *full_us);

/* Block majors that are stacked on others (loop, md, device-mapper, zram): their I/O is counted at the disk
 * below. */
struct cgroup_parse_majors {
    uint64_t bits[8]; /* majors 0..511; dynamic ones are below that */
};
void cgroup_parse_stacked_majors(struct str proc_devices, struct cgroup_parse_majors *out);
bool cgroup_parse_is_stacked(const struct cgroup_parse_majors *majors, uint32_t major);

struct cgroup_parse_io {
    int64_t read_bytes, write_bytes, read_ops, write_ops;
};
/* v1 blkio.throttle.io_*: lines "MAJ:MIN Read N" / "MAJ:MIN Write N", summed over disks. */
void cgroup_parse_blkio(struct str text, const struct cgroup_parse_majors *stacked, int64_t *reads,
                        int64_t *writes);
/* v2 io.stat, summed over disks. */
void cgroup_parse_io_stat(struct str text, const struct cgroup_parse_majors *stacked,
                          struct cgroup_parse_io *out);

/* v1 blkio.throttle.*_bps_device: the value of this disk; 0 when it has no line. */
int64_t cgroup_parse_device_value(struct str text, uint32_t major, uint32_t minor);
/* v2 io.max: rbps and wbps of this disk; 0 = max or no line. */
void cgroup_parse_io_max(struct str text, uint32_t major, uint32_t minor, int64_t *read_bps,
                         int64_t *write_bps);
/* v2 cpu.max "QUOTA PERIOD"; quota CGROUP_UNLIMITED for "max". */
FS_MUST_CHECK int cgroup_parse_cpu_max(struct str text, int64_t *quota_us, int64_t *period_us);
/* A word in a blank-separated list (cgroup.controllers); also "[bfq]" as in a queue's scheduler file when
 * bracketed. */
bool cgroup_parse_has_word(struct str text, const char *word);

/* The hierarchies that matter. */
enum cgroup_hierarchy {
    CGROUP_MEMORY,
    CGROUP_CPU,
    CGROUP_CPUACCT,
    CGROUP_BLKIO,
    CGROUP_PIDS,
    CGROUP_FREEZER,
    CGROUP_UNIFIED,
    CGROUP_HIERARCHY_COUNT
};
extern const char *const cgroup_hierarchy_names[CGROUP_HIERARCHY_COUNT];

#define CGROUP_PATH_MAX 512
struct cgroup_mount {
    bool present;
    bool writable;
    bool whole; /* the mount shows the hierarchy's root: mountinfo's root field is "/" */
    char path[CGROUP_PATH_MAX];
};
/* Of several mounts of one hierarchy a writable one wins, then a whole one, then the later. A mount covered
 * by a later one at the same path does not count. Paths with the kernel's octal escapes are decoded; longer
 * ones than fit are skipped. */
void cgroup_parse_mountinfo(struct str text, struct cgroup_mount out[CGROUP_HIERARCHY_COUNT]);

#endif
