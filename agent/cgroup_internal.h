/* What the files of the cgroup layer share: the host, one cgroup, and the layout interface that v1 and v2
 * fill in. For agent/cgroup*.c and their tests only. */
#ifndef FORESTALL_AGENT_CGROUP_INTERNAL_H
#define FORESTALL_AGENT_CGROUP_INTERNAL_H

#include "agent/blockdev.h"
#include "agent/cgroup.h"
#include "agent/cgroup_parse.h"
#include "agent/netcount.h"
#include "agent/netshape.h"

#define CGROUP_SUBTREE_MAX 128
#define CGROUP_DISKS_MAX 16
#define CGROUP_TEXT_MAX 8192 /* memory.stat is below 2 KiB; io.stat of about 80 disks */

/* The files a sample reads, each in its own hierarchy and under its own name. */
enum cgroup_slot {
    CGROUP_SLOT_MEMORY_STAT,
    CGROUP_SLOT_MEMORY_USAGE,
    CGROUP_SLOT_MEMORY_EVENTS,
    CGROUP_SLOT_CPU_USAGE,
    CGROUP_SLOT_CPU_STAT,
    CGROUP_SLOT_CPU_PRESSURE,
    CGROUP_SLOT_MEMORY_PRESSURE,
    CGROUP_SLOT_IO_PRESSURE,
    CGROUP_SLOT_IO_BYTES,
    CGROUP_SLOT_IO_OPS,
    CGROUP_SLOT_TASKS,
    CGROUP_SLOT_COUNT
};

struct cgroup_file {
    enum cgroup_hierarchy hierarchy;
    const char *name; /* NULL = this layout has no such file */
};

struct cgroup_layout {
    struct cgroup_file slots[CGROUP_SLOT_COUNT];
    /* Takes one slot's text into the sample. */
    void (*take)(const struct cgroup_host *host, enum cgroup_slot slot, struct str text,
                 struct cgroup_sample *out);
    /* 0 = unlimited / default, as in struct cgroup_limits. Negative errno: nothing changed. */
    int (*set_memory)(struct cgroup *cgroup, int64_t bytes);
    int (*set_cpu)(struct cgroup *cgroup, int32_t millicores);
    int (*set_cpu_weight)(struct cgroup *cgroup, int32_t weight);
    int (*set_io)(struct cgroup *cgroup, bool write, int64_t bps);
    int (*set_io_weight)(struct cgroup *cgroup, int32_t weight);
    /* What is in force; without its file a limit is none. One that cannot be read now keeps its value. */
    void (*read_limits)(const struct cgroup *cgroup, struct cgroup_limits *limits);
    int (*brake_arm)(struct cgroup *cgroup);
    int (*brake_engaged)(struct cgroup *cgroup);
    int (*brake_release)(struct cgroup *cgroup);
    unsigned (*features)(const struct cgroup_host *host);
};

/* Use at which the brake takes hold under this limit; CGROUP_UNLIMITED when there is none. */
int64_t cgroup_brake_level(const struct cgroup_host *host, int64_t limit);

/* --- cgroup_v1_brake.c */
FS_MUST_CHECK int cgroup_v1_brake_arm(struct cgroup *cgroup);
FS_MUST_CHECK int cgroup_v1_brake_engaged(struct cgroup *cgroup);
FS_MUST_CHECK int cgroup_v1_brake_release(struct cgroup *cgroup);
FS_MUST_CHECK int cgroup_v1_brake_thaw(struct cgroup *cgroup);

extern const struct cgroup_layout cgroup_layout_v1;
extern const struct cgroup_layout cgroup_layout_v2;

struct cgroup_dir {
    char path[CGROUP_PATH_MAX + CGROUP_SUBTREE_MAX]; /* the subtree in this hierarchy */
    int fd;
};

struct cgroup_host {
    const struct cgroup_layout *layout;
    unsigned features;
    struct cgroup_mount mounts[CGROUP_HIERARCHY_COUNT];
    struct cgroup_dir
        dirs[CGROUP_HIERARCHY_COUNT]; /* each directory once; unified, where there is one, is the last */
    size_t dir_count;
    int dir_of[CGROUP_HIERARCHY_COUNT]; /* index into dirs, -1 = not on this machine */
    char subtree[CGROUP_SUBTREE_MAX];
    struct cgroup_parse_majors stacked;
    struct blockdev disks[CGROUP_DISKS_MAX];
    size_t disk_count;
    size_t kept_left; /* files that may still be kept open */
    int64_t brake_step_bytes;
    struct netshape *shape; /* NULL = no egress limits */
};

struct cgroup {
    struct cgroup_host *host;
    char name[CGROUP_NAME_MAX];
    struct cgroup_limits limits;  /* in force */
    int slots[CGROUP_SLOT_COUNT]; /* kept files, -1 = opened at each sample */
    size_t kept;                  /* how many it holds of the host's budget */
    int brake_fd;                 /* -1 = not armed here */
    short brake_events;
    int64_t brake_limit; /* v1: the limit its threshold is for */
    struct netcount net;
    uint32_t net_class; /* HTB minor, 0 = none */
};

/* --- cgroup_file.c: small files below a subtree directory, without allocation. */

/* Reads a whole small file into buffer. 0 and the text (in buffer), or negative errno; longer files are cut.
 */
FS_MUST_CHECK int cgroup_file_read(int dir, const char *path, char *buffer, size_t capacity,
                                   struct str *text);
FS_MUST_CHECK int cgroup_file_pread(int fd, char *buffer, size_t capacity, struct str *text);
FS_MUST_CHECK int cgroup_file_write(int dir, const char *path, const char *text);
/* The same for a file of this cgroup; -EOPNOTSUPP when the hierarchy is not on this machine. */
FS_MUST_CHECK int cgroup_get(const struct cgroup *cgroup, enum cgroup_hierarchy hierarchy, const char *file,
                             char *buffer, size_t capacity, struct str *text);
FS_MUST_CHECK int cgroup_get_number(const struct cgroup *cgroup, enum cgroup_hierarchy hierarchy,
                                    const char *file, int64_t *out);
/* An error that says that the file or its hierarchy is not there, as opposed to not readable now. */
bool cgroup_is_absent(int error);
/* The same for a file that may be missing: empty text, the number `absent`. */
FS_MUST_CHECK int cgroup_get_if_there(const struct cgroup *cgroup, enum cgroup_hierarchy hierarchy,
                                      const char *file, char *buffer, size_t capacity, struct str *text);
FS_MUST_CHECK int cgroup_get_number_or(const struct cgroup *cgroup, enum cgroup_hierarchy hierarchy,
                                       const char *file, int64_t absent, int64_t *out);
FS_MUST_CHECK int cgroup_put(const struct cgroup *cgroup, enum cgroup_hierarchy hierarchy, const char *file,
                             const char *format, ...) FS_PRINTF(4, 5);
FS_MUST_CHECK int cgroup_open_file(const struct cgroup *cgroup, enum cgroup_hierarchy hierarchy,
                                   const char *file, int flags);
bool cgroup_host_has_file(const struct cgroup_host *host, enum cgroup_hierarchy hierarchy, const char *file);

/* --- cgroup_tree.c: a cgroup directory with whatever the program made below it. */

/* rmdir, children first. 0 also when it is not there; -EBUSY processes are left. */
FS_MUST_CHECK int cgroup_tree_remove(int dir, const char *name);
/* Sends signal to every process listed; returns how many were listed. signal 0 only counts. */
FS_MUST_CHECK int cgroup_tree_signal(int dir, const char *name, int signal);

/* --- cgroup_detect.c */

/* Makes the subtree's directories (again) and opens them. */
FS_MUST_CHECK int cgroup_host_make_subtree(struct cgroup_host *host);

#endif
