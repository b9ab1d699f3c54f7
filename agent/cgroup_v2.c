/* The v2 layout: one directory has everything. Kernel contract: Documentation/admin-guide/cgroup-v2.rst. */
#include "agent/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#define PERIOD_US 100000
#define PERIOD_LONG_US                                                                                       \
    1000000 /* quotas below 1 ms are refused, so less than 10 millicores needs a longer period */
#define WEIGHT_DEFAULT 100
#define BFQ_WEIGHT_MAX 1000
#define USAGE_LAG (512LL << 10) /* 64 pages on two CPUs */

static void take_memory_stat(struct str text, struct cgroup_sample *out)
{
    int64_t anon = 0, shmem = 0;
    const struct cgroup_parse_key keys[] = {
        {"anon", &anon},
        {"shmem", &shmem},
        {"pgfault", &out->page_faults},
        {"pgmajfault", &out->major_faults},
    };
    cgroup_parse_keyed(text, keys, FS_COUNT(keys));
    out->memory_bytes = anon + shmem;
}

static void take_cpu_stat(struct str text, struct cgroup_sample *out)
{
    const struct cgroup_parse_key keys[] = {
        {"usage_usec", &out->cpu_usage_us},
        {"nr_periods", &out->cpu_periods},
        {"nr_throttled", &out->cpu_throttled_periods},
        {"throttled_usec", &out->cpu_throttled_us},
    };
    cgroup_parse_keyed(text, keys, FS_COUNT(keys));
}

static void take_io_stat(const struct cgroup_host *host, struct str text, struct cgroup_sample *out)
{
    struct cgroup_parse_io io;
    cgroup_parse_io_stat(text, &host->stacked, &io);
    out->io_read_bytes = io.read_bytes;
    out->io_write_bytes = io.write_bytes;
    out->io_read_ops = io.read_ops;
    out->io_write_ops = io.write_ops;
}

static void take(const struct cgroup_host *host, enum cgroup_slot slot, struct str text,
                 struct cgroup_sample *out)
{
    const struct cgroup_parse_key oom_keys[] = {{"oom_kill", &out->oom_kills}};
    int64_t value = 0;
    switch (slot) {
    case CGROUP_SLOT_MEMORY_STAT:
        take_memory_stat(text, out);
        break;
    case CGROUP_SLOT_MEMORY_USAGE:
        if (cgroup_parse_number(text, &value) == 0)
            out->memory_usage_bytes = value;
        break;
    case CGROUP_SLOT_MEMORY_EVENTS:
        cgroup_parse_keyed(text, oom_keys, FS_COUNT(oom_keys));
        break;
    case CGROUP_SLOT_CPU_STAT:
        take_cpu_stat(text, out);
        break;
    case CGROUP_SLOT_IO_BYTES:
        take_io_stat(host, text, out);
        break;
    case CGROUP_SLOT_TASKS:
        if (cgroup_parse_number(text, &value) == 0)
            out->tasks = (int32_t)FS_MIN(value, INT32_MAX);
        break;
    default: /* pressure is the same on both layouts and read by the caller */
        break;
    }
}

/* 0 or CGROUP_UNLIMITED is written as "max". */
static int put_memory(const struct cgroup *cgroup, const char *file, int64_t bytes)
{
    if (bytes <= 0 || bytes == CGROUP_UNLIMITED)
        return cgroup_put(cgroup, CGROUP_UNIFIED, file, "max");
    return cgroup_put(cgroup, CGROUP_UNIFIED, file, "%lld", (long long)bytes);
}

static int raise_memory(struct cgroup *cgroup, int64_t bytes, int64_t high_before)
{
    int result = put_memory(cgroup, "memory.max", bytes);
    if (result == 0 && high_before != CGROUP_UNLIMITED)
        result = put_memory(cgroup, "memory.high", cgroup_brake_level(cgroup->host, bytes));
    return result;
}

/* Writing memory.max below use kills. So memory.high goes down first, which reclaims and holds growth back;
 * only when use is then below the new limit does memory.max follow. */
static int lower_memory(struct cgroup *cgroup, int64_t bytes, int64_t high_before)
{
    int64_t level = cgroup_brake_level(cgroup->host, bytes), usage;
    int result = put_memory(cgroup, "memory.high", level);
    if (result < 0)
        return result;
    result = cgroup_get_number(cgroup, CGROUP_UNIFIED, "memory.current", &usage);
    if (result == 0 && usage > bytes)
        result = -EBUSY;
    if (result == 0)
        result = put_memory(cgroup, "memory.max", bytes);
    if (result < 0 || high_before == CGROUP_UNLIMITED)
        fs_drop(put_memory(cgroup, "memory.high", high_before)); /* upwards: cannot be refused */
    return result;
}

static int set_memory(struct cgroup *cgroup, int64_t bytes)
{
    int64_t before = 0, high_before = CGROUP_UNLIMITED;
    int result = cgroup_get_number(cgroup, CGROUP_UNIFIED, "memory.max", &before);
    if (result == 0)
        result = cgroup_get_number(cgroup, CGROUP_UNIFIED, "memory.high", &high_before);
    if (result < 0)
        return result;
    bool raise = bytes == 0 || (before != CGROUP_UNLIMITED && bytes >= before);
    result = raise ? raise_memory(cgroup, bytes, high_before) : lower_memory(cgroup, bytes, high_before);
    /* The limit covers swap: with swap beside it the program would slow down instead of being seen at its
     * limit. */
    if (result == 0 && cgroup->host->features & CGROUP_HAS_MEMSW)
        result = cgroup_put(cgroup, CGROUP_UNIFIED, "memory.swap.max", bytes == 0 ? "max" : "0");
    return result;
}

static int set_cpu(struct cgroup *cgroup, int32_t millicores)
{
    if (millicores == 0)
        return cgroup_put(cgroup, CGROUP_UNIFIED, "cpu.max", "max %d", PERIOD_US);
    int64_t period = millicores < 10 ? PERIOD_LONG_US : PERIOD_US;
    return cgroup_put(cgroup, CGROUP_UNIFIED, "cpu.max", "%lld %lld", (long long)(period * millicores / 1000),
                      (long long)period);
}

static int set_cpu_weight(struct cgroup *cgroup, int32_t weight)
{
    return cgroup_put(cgroup, CGROUP_UNIFIED, "cpu.weight", "%d", weight == 0 ? WEIGHT_DEFAULT : weight);
}

static int set_io(struct cgroup *cgroup, bool write, int64_t bps)
{
    const struct cgroup_host *host = cgroup->host;
    int result = -EOPNOTSUPP;
    bool taken = false;
    for (size_t i = 0; i < host->disk_count; i++) {
        const struct blockdev *disk = &host->disks[i];
        const char *key = write ? "wbps" : "rbps";
        int one = bps == 0 ? cgroup_put(cgroup, CGROUP_UNIFIED, "io.max", "%u:%u %s=max", disk->major,
                                        disk->minor, key)
                           : cgroup_put(cgroup, CGROUP_UNIFIED, "io.max", "%u:%u %s=%lld", disk->major,
                                        disk->minor, key, (long long)bps);
        taken |= one == 0;
        result = one;
    }
    return taken ? 0 : result;
}

static int set_io_weight(struct cgroup *cgroup, int32_t weight)
{
    int32_t value = weight == 0 ? WEIGHT_DEFAULT : weight;
    int result = cgroup_put(cgroup, CGROUP_UNIFIED, "io.weight", "default %d", value);
    if (result == -ENOENT)
        result =
            cgroup_put(cgroup, CGROUP_UNIFIED, "io.bfq.weight", "default %d", FS_MIN(value, BFQ_WEIGHT_MAX));
    return result == -ENOENT ? -EOPNOTSUPP : result;
}

static void read_cpu_max(const struct cgroup *cgroup, int32_t *millicores)
{
    char buffer[64];
    struct str text;
    int64_t quota = CGROUP_UNLIMITED, period = PERIOD_US;
    int result = cgroup_get_if_there(cgroup, CGROUP_UNIFIED, "cpu.max", buffer, sizeof buffer, &text);
    if (result == 0 && text.size > 0)
        result = cgroup_parse_cpu_max(text, &quota, &period);
    if (result == 0)
        *millicores =
            quota == CGROUP_UNLIMITED ? 0 : (int32_t)FS_MIN((__int128)quota * 1000 / period, INT32_MAX);
}

static void read_io_weight(const struct cgroup *cgroup, int32_t *weight)
{
    char buffer[1024];
    struct str text;
    int64_t value = WEIGHT_DEFAULT;
    const struct cgroup_parse_key keys[] = {{"default", &value}};
    int result = cgroup_get(cgroup, CGROUP_UNIFIED, "io.weight", buffer, sizeof buffer, &text);
    if (cgroup_is_absent(result))
        result = cgroup_get_if_there(cgroup, CGROUP_UNIFIED, "io.bfq.weight", buffer, sizeof buffer, &text);
    if (result < 0)
        return;
    cgroup_parse_keyed(text, keys, FS_COUNT(keys));
    *weight = value == WEIGHT_DEFAULT ? 0 : (int32_t)FS_MIN(value, INT32_MAX);
}

static void read_io_max(const struct cgroup *cgroup, struct cgroup_limits *limits)
{
    char buffer[2048];
    struct str text;
    if (cgroup_get_if_there(cgroup, CGROUP_UNIFIED, "io.max", buffer, sizeof buffer, &text) < 0)
        return;
    limits->io_read_bps = limits->io_write_bps = 0;
    for (size_t i = 0; i < cgroup->host->disk_count; i++) {
        int64_t reads, writes;
        cgroup_parse_io_max(text, cgroup->host->disks[i].major, cgroup->host->disks[i].minor, &reads,
                            &writes);
        limits->io_read_bps = limits->io_read_bps > 0 ? limits->io_read_bps : reads;
        limits->io_write_bps = limits->io_write_bps > 0 ? limits->io_write_bps : writes;
    }
}

static void read_limits(const struct cgroup *cgroup, struct cgroup_limits *limits)
{
    int64_t value;
    if (cgroup_get_number_or(cgroup, CGROUP_UNIFIED, "memory.max", CGROUP_UNLIMITED, &value) == 0)
        limits->memory_bytes = value == CGROUP_UNLIMITED ? 0 : value;
    read_cpu_max(cgroup, &limits->cpu_millicores);
    if (cgroup_get_number_or(cgroup, CGROUP_UNIFIED, "cpu.weight", WEIGHT_DEFAULT, &value) == 0)
        limits->cpu_weight = value == WEIGHT_DEFAULT ? 0 : (int32_t)FS_MIN(value, INT32_MAX);
    read_io_weight(cgroup, &limits->io_weight);
    read_io_max(cgroup, limits);
}

static int brake_arm(struct cgroup *cgroup)
{
    int64_t max;
    int result = cgroup_get_number(cgroup, CGROUP_UNIFIED, "memory.max", &max);
    if (result < 0)
        return result;
    if (cgroup->brake_fd < 0) {
        result = cgroup_open_file(cgroup, CGROUP_UNIFIED, "memory.events", O_RDONLY);
        if (result < 0)
            return result;
        cgroup->brake_fd = result;
        cgroup->brake_events = POLLPRI;
    }
    return put_memory(cgroup, "memory.high", cgroup_brake_level(cgroup->host, max));
}

/* What cannot be reclaimed has come to memory.high; page cache there is pressed out without harm and does not
 * count. memory.current is exact but for 64 pages that each CPU may hand back; memory.stat lags more, hence
 * 1/32 there. */
static int brake_engaged(struct cgroup *cgroup)
{
    char buffer[CGROUP_TEXT_MAX];
    struct str text;
    int64_t high, usage, active_file = 0, inactive_file = 0, slab = 0;
    if (cgroup->brake_fd >= 0)
        fs_drop(
            cgroup_file_pread(cgroup->brake_fd, buffer, sizeof buffer, &text)); /* takes the notification */
    int result = cgroup_get_number(cgroup, CGROUP_UNIFIED, "memory.high", &high);
    if (result < 0 || high == CGROUP_UNLIMITED)
        return result;
    result = cgroup_get_number(cgroup, CGROUP_UNIFIED, "memory.current", &usage);
    if (result < 0)
        return result;
    if (usage + USAGE_LAG < high)
        return 0;
    int64_t tolerance = FS_MAX(high / 32, 2 * USAGE_LAG);
    result = cgroup_get(cgroup, CGROUP_UNIFIED, "memory.stat", buffer, sizeof buffer, &text);
    if (result < 0)
        return result;
    const struct cgroup_parse_key keys[] = {
        {"active_file", &active_file}, {"inactive_file", &inactive_file}, {"slab_reclaimable", &slab}};
    cgroup_parse_keyed(text, keys, FS_COUNT(keys));
    return usage - active_file - inactive_file - slab + tolerance >= high;
}

static int brake_release(struct cgroup *cgroup)
{
    return put_memory(cgroup, "memory.high", CGROUP_UNLIMITED);
}

static unsigned features(const struct cgroup_host *host)
{
    unsigned bits = 0;
    if (cgroup_host_has_file(host, CGROUP_UNIFIED, "memory.max"))
        bits |= CGROUP_HAS_MEMORY | CGROUP_HAS_BRAKE;
    if (cgroup_host_has_file(host, CGROUP_UNIFIED, "memory.swap.max"))
        bits |= CGROUP_HAS_MEMSW;
    if (cgroup_host_has_file(host, CGROUP_UNIFIED, "cpu.max"))
        bits |= CGROUP_HAS_CPU;
    if (cgroup_host_has_file(host, CGROUP_UNIFIED, "io.max") && host->disk_count > 0)
        bits |= CGROUP_HAS_IO_THROTTLE;
    if (cgroup_host_has_file(host, CGROUP_UNIFIED, "io.weight") ||
        cgroup_host_has_file(host, CGROUP_UNIFIED, "io.bfq.weight"))
        bits |= CGROUP_HAS_IO_WEIGHT; /* the caller takes it back without a scheduler that heeds it */
    if (cgroup_host_has_file(host, CGROUP_UNIFIED, "pids.current"))
        bits |= CGROUP_HAS_TASKS;
    return bits;
}

const struct cgroup_layout cgroup_layout_v2 = {
    .slots =
        {
            [CGROUP_SLOT_MEMORY_STAT] = {CGROUP_UNIFIED, "memory.stat"},
            [CGROUP_SLOT_MEMORY_USAGE] = {CGROUP_UNIFIED, "memory.current"},
            [CGROUP_SLOT_MEMORY_EVENTS] = {CGROUP_UNIFIED, "memory.events"},
            [CGROUP_SLOT_CPU_STAT] = {CGROUP_UNIFIED, "cpu.stat"},
            [CGROUP_SLOT_CPU_PRESSURE] = {CGROUP_UNIFIED, "cpu.pressure"},
            [CGROUP_SLOT_MEMORY_PRESSURE] = {CGROUP_UNIFIED, "memory.pressure"},
            [CGROUP_SLOT_IO_PRESSURE] = {CGROUP_UNIFIED, "io.pressure"},
            [CGROUP_SLOT_IO_BYTES] = {CGROUP_UNIFIED, "io.stat"},
            [CGROUP_SLOT_TASKS] = {CGROUP_UNIFIED, "pids.current"},
        },
    .take = take,
    .set_memory = set_memory,
    .set_cpu = set_cpu,
    .set_cpu_weight = set_cpu_weight,
    .set_io = set_io,
    .set_io_weight = set_io_weight,
    .read_limits = read_limits,
    .brake_arm = brake_arm,
    .brake_engaged = brake_engaged,
    .brake_release = brake_release,
    .features = features,
};
