/* One attempt's cgroup: limits, raw counters, kill, brake; cgroup v2 and v1/hybrid behind one interface.
 *
 * A host is the machine's layout, found in mountinfo; all that is created lives in one subtree of its
 * hierarchies (default `forestall`), nothing outside of it is touched. A cgroup is one attempt: one directory
 * on v2, one in each hierarchy on v1/hybrid. Everything about an attempt can be found again in the kernel
 * (cgroup_open_existing), so a restarted agent and the attempt's supervisor may each hold a `struct cgroup`
 * of the same attempt.
 *
 * Not for sharing between threads. Functions that cannot do a thing on this machine say -EOPNOTSUPP. */
#ifndef FORESTALL_AGENT_CGROUP_H
#define FORESTALL_AGENT_CGROUP_H

#include <sys/types.h>

#include "common/base.h"

#define CGROUP_NAME_MAX 128

struct cgroup_host;
struct cgroup;

/* What an execution may use; 0 = unlimited (weights and priority: the kernel's default). Bandwidths in bytes
 * per second, weights on cgroup v2's scale 1..10000 with default 100, net_priority 0 (first) .. 7. */
struct cgroup_limits {
    int64_t memory_bytes;
    int32_t cpu_millicores, cpu_weight;
    int64_t io_read_bps, io_write_bps;
    int32_t io_weight;
    int64_t net_egress_bps;
    int32_t net_priority;
};

/* Per resource 0 = in force, or a negative errno and the limit is as it was: -EBUSY memory in use is above
 * the new limit, -EOPNOTSUPP this kernel has no such knob. Fields that did not change are 0 without a system
 * call. */
struct cgroup_apply_result {
    int memory, cpu, cpu_weight, io_read, io_write, io_weight, net;
};

/* Raw counters. Cumulative unless marked (gauge). A source that this machine lacks stays 0. */
struct cgroup_sample {
    int64_t cpu_usage_us, cpu_throttled_us, cpu_throttled_periods, cpu_periods;
    int64_t memory_bytes;       /* gauge: not reclaimable; v1 total_rss + total_shmem, v2 anon + shmem */
    int64_t memory_usage_bytes; /* gauge: everything charged, page cache included */
    int64_t cpu_some_us, memory_some_us, memory_full_us, io_some_us,
        io_full_us;      /* PSI; v1: of the `unified` cgroup */
    int64_t io_stall_us; /* io pressure "full": every task that was not idle waited for block I/O */
    int64_t io_read_bytes, io_write_bytes, io_read_ops,
        io_write_ops; /* disks only, not what is stacked on them */
    int64_t net_rx_bytes,
        net_tx_bytes; /* IP packets of its sockets, loopback left out (no limit applies there) */
    int64_t page_faults, major_faults;
    int64_t oom_kills; /* v2: anywhere below; v1: of processes that are in the attempt's own memory cgroup */
    int32_t tasks;     /* gauge */
    struct cgroup_limits
        limits; /* in force; read back from the kernel after each apply, not at each sample */
};

struct cgroup_host_options {
    const char *subtree;         /* NULL = "forestall"; may have several components */
    const char *const *io_paths; /* bandwidth limits go to the disks under these paths and "/" and the cwd */
    size_t io_path_count;
    size_t max_kept_fds; /* open files kept for sampling, all attempts together; 0 = half of RLIMIT_NOFILE */
    int64_t
        brake_step_bytes; /* the brake takes hold this far below the limit; 0 = 1/16 of it, at least 4 MiB */
    const char *net_device;    /* NULL = no egress limits */
    const char *net_namespace; /* path of the network namespace net_device is in; NULL = the agent's own */
};

enum cgroup_feature {
    CGROUP_HAS_V2 = 1 << 0,      /* v2 layout; else v1/hybrid */
    CGROUP_HAS_UNIFIED = 1 << 1, /* a cgroup2 mount is there (always on v2) */
    CGROUP_HAS_MEMORY = 1 << 2,
    CGROUP_HAS_MEMSW = 1 << 3, /* limits cover swap too */
    CGROUP_HAS_CPU = 1 << 4,
    CGROUP_HAS_IO_THROTTLE = 1 << 5, /* and at least one disk takes it */
    CGROUP_HAS_IO_WEIGHT = 1 << 6,   /* and a scheduler heeds it */
    CGROUP_HAS_PSI = 1 << 7,
    CGROUP_HAS_KILL = 1 << 8, /* cgroup.kill */
    CGROUP_HAS_BRAKE = 1 << 9,
    CGROUP_HAS_NETCOUNT = 1 << 10,
    CGROUP_HAS_NETSHAPE = 1 << 11,
    CGROUP_HAS_TASKS = 1 << 12,
    CGROUP_HAS_ROOT = 1 << 13, /* the mounted tree is the machine's own, not a container's part of it */
};

/* Finds the hierarchies, creates the subtree, tries what works. 0, or negative with the reason in error (a
 * sentence for people): -ENODEV no usable hierarchy, -EPERM/-EACCES/-EROFS not allowed to create, others as
 * the kernel said. A missing net device is an error; everything else that is missing only clears its feature.
 */
FS_MUST_CHECK int cgroup_host_open(const struct cgroup_host_options *options, char *error, size_t error_size,
                                   struct cgroup_host **out);
/* Frees; leaves the kernel's state. All its cgroups must have been closed or destroyed. */
void cgroup_host_close(struct cgroup_host *host);
/* Removes the subtree's directories and the net device's shaping. -EBUSY when attempts are left in it
 * (nothing removed). */
FS_MUST_CHECK int cgroup_host_remove(struct cgroup_host *host);
unsigned cgroup_host_features(const struct cgroup_host *host);
/* The v2 (unified) directory of the subtree, or the memory hierarchy's where there is none. */
const char *cgroup_host_path(const struct cgroup_host *host);

/* Makes the attempt's cgroup with these limits, empty. 0; -EEXIST; -EINVAL a bad name (1..127 bytes of
 * [A-Za-z0-9._:@+-], no leading dot); others as the kernel said, with nothing left behind. Limits the machine
 * has no knob for do not fail it: look at result (may be NULL). */
FS_MUST_CHECK int cgroup_create(struct cgroup_host *host, const char *name,
                                const struct cgroup_limits *limits, struct cgroup_apply_result *result,
                                struct cgroup **out);
/* Finds an attempt's cgroup again, its limits and network counters included. -ENOENT when no hierarchy has
 * it. One that is there only in part (a crash while creating or destroying) is opened too: good for kill and
 * destroy. */
FS_MUST_CHECK int cgroup_open_existing(struct cgroup_host *host, const char *name, struct cgroup **out);
/* Frees; leaves the kernel's cgroup as it is. NULL is fine. */
void cgroup_close(struct cgroup *cgroup);
/* Removes it and frees it. Waits for the last process to go until timeout_ms (0 = one try); children the
 * program made are removed too. -EBUSY: processes are left, cgroup is still valid. Kill first. */
FS_MUST_CHECK int cgroup_destroy(struct cgroup *cgroup, int timeout_ms);
const struct cgroup_limits *cgroup_limits(const struct cgroup *cgroup); /* in force */

/* Calls visit for every attempt's cgroup in the subtree, also half-made ones, each once; stops at a non-zero
 * result and returns it. visit may destroy what it is shown. */
typedef int cgroup_visit_fn(void *context, const char *name);
FS_MUST_CHECK int cgroup_list(struct cgroup_host *host, cgroup_visit_fn *visit, void *context);

/* Moves a process (0 = the caller) into every hierarchy. For the child between fork and exec: it allocates
 * nothing. */
FS_MUST_CHECK int cgroup_attach_pid(const struct cgroup *cgroup, pid_t pid);
/* All counters at this instant, 15..25 us with kept files; no malloc. -ENOENT when the cgroup is gone. */
FS_MUST_CHECK int cgroup_read(struct cgroup *cgroup, struct cgroup_sample *out);
/* All memory charged, page cache too: a few microseconds, for who looks often. 0 or negative errno. */
FS_MUST_CHECK int cgroup_memory_usage(struct cgroup *cgroup, int64_t *bytes);
/* The part of it that page cache is not: what has to fit under the limit. */
FS_MUST_CHECK int cgroup_memory_held(struct cgroup *cgroup, int64_t *bytes);
/* What the kernel counts of processes only, 5 us for each and each sum, so no more than CGROUP_PROCESSES_MAX
 * are asked. Processes in cgroups below are not seen. */
#define CGROUP_PROCESSES_MAX 64
struct cgroup_processes {
    /* What they have read by read(2) and the like so far, and the children that they waited for: files (page
     * cache or not), pipes and sockets, but no mapped files. Falls when one ends that nobody in the cgroup
     * waits for. -1: the kernel does not tell (it asks for the right to trace them). */
    int64_t read_bytes;
    /* Private writable memory that they may use without asking for more (VmData), used yet or not. What
     * forked processes share counts for each. */
    int64_t data_bytes;
};
/* reads: whether read_bytes are asked for; else they are 0. 0; -E2BIG too many processes; negative errno. */
FS_MUST_CHECK int cgroup_processes(const struct cgroup *cgroup, bool reads, struct cgroup_processes *out);
/* Puts all limits in force, those that changed are written. 0 when all are, else the first error of result. A
 * v2 brake's memory.high moves along. Never kills: a memory limit below use is -EBUSY on both layouts. */
FS_MUST_CHECK int cgroup_apply(struct cgroup *cgroup, const struct cgroup_limits *limits,
                               struct cgroup_apply_result *result);
/* Reads the limits again from the kernel: for who shares the attempt with another process that applies. */
FS_MUST_CHECK int cgroup_reload(struct cgroup *cgroup);
/* SIGKILL to every process in it and below, also those being forked. Returns without waiting for them to end.
 */
FS_MUST_CHECK int cgroup_kill(struct cgroup *cgroup);
/* Number of processes in it and below at this instant, or negative. */
FS_MUST_CHECK int cgroup_population(struct cgroup *cgroup);

/* --- The brake: near the limit the program waits instead of dying.
 * v1: a threshold a step below the limit freezes it, and memory.oom_control 1 puts to sleep what is faster;
 * the freezing is done in cgroup_brake_engaged, so whoever arms must poll. v2: memory.high a step below
 * memory.max; the kernel slows every task above it down to almost nothing. A raise of the limit lets it go
 * on. Whoever arms it owns its deadline. v1 only: a system call that itself needs memory above the limit, in
 * the millisecond before the freezing, fails with ENOMEM.
 *
 * Arms it (again: fine, e.g. after a raise). */
FS_MUST_CHECK int cgroup_brake_arm(struct cgroup *cgroup);
/* Descriptor and poll(2) events that tell of a possible engagement; -EINVAL when this process has not armed
 * it. It stays the cgroup's. It may tell without cause: ask cgroup_brake_engaged, which also takes the
 * notification. */
FS_MUST_CHECK int cgroup_brake_fd(const struct cgroup *cgroup, short *events);
/* 1 the brake holds the program now, 0 it does not, or negative. Works without having armed it here. */
FS_MUST_CHECK int cgroup_brake_engaged(struct cgroup *cgroup);
/* Gives the kernel its killer back (v1 oom_control 0, v2 memory.high max); what waits goes on or is killed by
 * the kernel. */
FS_MUST_CHECK int cgroup_brake_release_to_kernel(struct cgroup *cgroup);

#endif
