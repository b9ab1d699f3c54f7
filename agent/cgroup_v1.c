/* The v1/hybrid layout: one hierarchy per controller, pressure and kill from the `unified` one.
 * Kernel contract: Documentation/admin-guide/cgroup-v1/, kernel/cgroup, mm/memcontrol-v1.c. */
#include "agent/cgroup_internal.h"

#include <errno.h>

#define PERIOD_US 100000 /* the kernel's default CFS period */
#define PERIOD_LONG_US                                                                                       \
    1000000 /* quotas below 1 ms are refused, so less than 10 millicores needs a longer period */
#define SHARES_DEFAULT 1024
#define SHARES_MIN 2
#define SHARES_MAX 262144
#define WEIGHT_DEFAULT 100
#define BFQ_WEIGHT_MAX 1000
#define UNLIMITED_FROM (INT64_MAX / 2) /* memory: PAGE_COUNTER_MAX in bytes is just below INT64_MAX */

static void take_memory_stat(struct str text, struct cgroup_sample *out)
{
    int64_t rss = 0, shmem = 0;
    const struct cgroup_parse_key keys[] = {
        {"total_rss", &rss},
        {"total_shmem", &shmem},
        {"total_pgfault", &out->page_faults},
        {"total_pgmajfault", &out->major_faults},
    };
    cgroup_parse_keyed(text, keys, FS_COUNT(keys));
    out->memory_bytes = rss + shmem;
}

static void take_cpu_stat(struct str text, struct cgroup_sample *out)
{
    int64_t throttled_ns = 0;
    const struct cgroup_parse_key keys[] = {
        {"nr_periods", &out->cpu_periods},
        {"nr_throttled", &out->cpu_throttled_periods},
        {"throttled_time", &throttled_ns},
    };
    cgroup_parse_keyed(text, keys, FS_COUNT(keys));
    out->cpu_throttled_us = throttled_ns / 1000;
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
    case CGROUP_SLOT_CPU_USAGE:
        if (cgroup_parse_number(text, &value) == 0)
            out->cpu_usage_us = value / 1000;
        break;
    case CGROUP_SLOT_CPU_STAT:
        take_cpu_stat(text, out);
        break;
    case CGROUP_SLOT_IO_BYTES:
        cgroup_parse_blkio(text, &host->stacked, &out->io_read_bytes, &out->io_write_bytes);
        break;
    case CGROUP_SLOT_IO_OPS:
        cgroup_parse_blkio(text, &host->stacked, &out->io_read_ops, &out->io_write_ops);
        break;
    case CGROUP_SLOT_TASKS:
        if (cgroup_parse_number(text, &value) == 0)
            out->tasks = (int32_t)FS_MIN(value, INT32_MAX);
        break;
    default: /* pressure is the same on both layouts and read by the caller */
        break;
    }
}

static int put_memory(const struct cgroup *cgroup, const char *file, int64_t bytes)
{
    return cgroup_put(cgroup, CGROUP_MEMORY, file, "%lld", bytes > 0 ? (long long)bytes : -1LL);
}

/* The kernel wants memsw >= limit at every moment: memsw goes first upwards and last downwards. */
static int set_memory(struct cgroup *cgroup, int64_t bytes)
{
    static const char limit_file[] = "memory.limit_in_bytes", swap_file[] = "memory.memsw.limit_in_bytes";
    int64_t before;
    int result = cgroup_get_number(cgroup, CGROUP_MEMORY, limit_file, &before);
    if (result < 0)
        return result;
    bool swap = cgroup->host->features & CGROUP_HAS_MEMSW;
    bool raise = bytes == 0 || bytes > before;
    if (before >= UNLIMITED_FROM)
        before = 0;
    if (swap && raise) {
        result = put_memory(cgroup, swap_file, bytes);
        if (result < 0)
            return result;
    }
    result = put_memory(cgroup, limit_file, bytes);
    if (result == 0 && swap && !raise) {
        result = put_memory(cgroup, swap_file, bytes);
        if (result < 0)
            fs_drop(put_memory(cgroup, limit_file, before)); /* upwards: it was in force a moment ago */
    } else if (result < 0 && swap && raise) {
        fs_drop(put_memory(cgroup, swap_file, before)); /* the error that counts is the limit's */
    }
    if (result == 0 && raise)
        fs_drop(
            cgroup_v1_brake_thaw(cgroup)); /* what the brake held goes on; without a freezer none is frozen */
    return result;
}

/* Quota first to none, so that no moment has the old quota with the new period. */
static int set_cpu(struct cgroup *cgroup, int32_t millicores)
{
    if (millicores == 0)
        return cgroup_put(cgroup, CGROUP_CPU, "cpu.cfs_quota_us", "-1");
    int64_t period = millicores < 10 ? PERIOD_LONG_US : PERIOD_US;
    int64_t quota = period * millicores / 1000, period_before;
    int result = cgroup_get_number(cgroup, CGROUP_CPU, "cpu.cfs_period_us", &period_before);
    if (result < 0)
        return result;
    if (period_before != period) {
        result = cgroup_put(cgroup, CGROUP_CPU, "cpu.cfs_quota_us", "-1");
        if (result == 0)
            result = cgroup_put(cgroup, CGROUP_CPU, "cpu.cfs_period_us", "%lld", (long long)period);
        if (result < 0)
            return result;
    }
    return cgroup_put(cgroup, CGROUP_CPU, "cpu.cfs_quota_us", "%lld", (long long)quota);
}

/* Weight 100 is 1024 shares; nothing here is below what rounding brings back exactly. */
static int set_cpu_weight(struct cgroup *cgroup, int32_t weight)
{
    int64_t shares = weight == 0 ? SHARES_DEFAULT : ((int64_t)weight * SHARES_DEFAULT + 50) / WEIGHT_DEFAULT;
    shares = FS_MIN(FS_MAX(shares, SHARES_MIN), SHARES_MAX);
    return cgroup_put(cgroup, CGROUP_CPU, "cpu.shares", "%lld", (long long)shares);
}

static const char *io_file(bool write)
{
    return write ? "blkio.throttle.write_bps_device" : "blkio.throttle.read_bps_device";
}

static int set_io(struct cgroup *cgroup, bool write, int64_t bps)
{
    const struct cgroup_host *host = cgroup->host;
    int result = -EOPNOTSUPP;
    bool taken = false;
    for (size_t i = 0; i < host->disk_count; i++) {
        int one = cgroup_put(cgroup, CGROUP_BLKIO, io_file(write), "%u:%u %lld", host->disks[i].major,
                             host->disks[i].minor, (long long)bps);
        taken |= one == 0;
        result = one;
    }
    return taken ? 0 : result;
}

static const char *weight_file(const struct cgroup_host *host)
{
    return cgroup_host_has_file(host, CGROUP_BLKIO, "blkio.bfq.weight") ? "blkio.bfq.weight" : "blkio.weight";
}

static int set_io_weight(struct cgroup *cgroup, int32_t weight)
{
    int32_t value = weight == 0 ? WEIGHT_DEFAULT : FS_MIN(weight, BFQ_WEIGHT_MAX);
    int result = cgroup_put(cgroup, CGROUP_BLKIO, weight_file(cgroup->host), "%d", value);
    return result == -ENOENT ? -EOPNOTSUPP : result;
}

static void read_bps(const struct cgroup *cgroup, bool write, int64_t *out)
{
    char buffer[1024];
    struct str text;
    int64_t bps = 0;
    if (cgroup_get_if_there(cgroup, CGROUP_BLKIO, io_file(write), buffer, sizeof buffer, &text) < 0)
        return;
    for (size_t i = 0; i < cgroup->host->disk_count && bps == 0; i++) {
        const struct blockdev *disk = &cgroup->host->disks[i];
        bps = FS_MAX(cgroup_parse_device_value(text, disk->major, disk->minor), 0);
    }
    *out = bps;
}

static void read_cpu(const struct cgroup *cgroup, int32_t *millicores)
{
    int64_t quota, period;
    if (cgroup_get_number_or(cgroup, CGROUP_CPU, "cpu.cfs_quota_us", 0, &quota) < 0 ||
        cgroup_get_number_or(cgroup, CGROUP_CPU, "cpu.cfs_period_us", 0, &period) < 0)
        return;
    *millicores = quota > 0 && period > 0 ? (int32_t)FS_MIN(quota * 1000 / period, INT32_MAX) : 0;
}

static int32_t weight_of(int64_t shares)
{
    if (shares == SHARES_DEFAULT)
        return 0;
    return (int32_t)((FS_MIN(shares, SHARES_MAX) * WEIGHT_DEFAULT + SHARES_DEFAULT / 2) / SHARES_DEFAULT);
}

static void read_limits(const struct cgroup *cgroup, struct cgroup_limits *limits)
{
    int64_t value;
    if (cgroup_get_number_or(cgroup, CGROUP_MEMORY, "memory.limit_in_bytes", UNLIMITED_FROM, &value) == 0)
        limits->memory_bytes = value < UNLIMITED_FROM ? value : 0;
    read_cpu(cgroup, &limits->cpu_millicores);
    if (cgroup_get_number_or(cgroup, CGROUP_CPU, "cpu.shares", SHARES_DEFAULT, &value) == 0)
        limits->cpu_weight = weight_of(value);
    if (cgroup_get_number_or(cgroup, CGROUP_BLKIO, weight_file(cgroup->host), WEIGHT_DEFAULT, &value) == 0)
        limits->io_weight = value == WEIGHT_DEFAULT ? 0 : (int32_t)FS_MIN(value, BFQ_WEIGHT_MAX);
    read_bps(cgroup, false, &limits->io_read_bps);
    read_bps(cgroup, true, &limits->io_write_bps);
}

static unsigned features(const struct cgroup_host *host)
{
    unsigned bits = 0;
    if (cgroup_host_has_file(host, CGROUP_MEMORY, "memory.limit_in_bytes"))
        bits |= CGROUP_HAS_MEMORY;
    if (cgroup_host_has_file(host, CGROUP_MEMORY, "memory.memsw.limit_in_bytes"))
        bits |= CGROUP_HAS_MEMSW;
    if (cgroup_host_has_file(host, CGROUP_MEMORY, "memory.oom_control"))
        bits |= CGROUP_HAS_BRAKE;
    if (cgroup_host_has_file(host, CGROUP_CPU, "cpu.cfs_quota_us"))
        bits |= CGROUP_HAS_CPU;
    if (cgroup_host_has_file(host, CGROUP_BLKIO, io_file(false)) && host->disk_count > 0)
        bits |= CGROUP_HAS_IO_THROTTLE;
    if (cgroup_host_has_file(host, CGROUP_BLKIO, weight_file(host)))
        bits |= CGROUP_HAS_IO_WEIGHT; /* the caller takes it back without a scheduler that heeds it */
    if (cgroup_host_has_file(host, CGROUP_PIDS, "pids.current"))
        bits |= CGROUP_HAS_TASKS;
    return bits;
}

const struct cgroup_layout cgroup_layout_v1 = {
    .slots =
        {
            [CGROUP_SLOT_MEMORY_STAT] = {CGROUP_MEMORY, "memory.stat"},
            [CGROUP_SLOT_MEMORY_USAGE] = {CGROUP_MEMORY, "memory.usage_in_bytes"},
            [CGROUP_SLOT_MEMORY_EVENTS] = {CGROUP_MEMORY, "memory.oom_control"},
            [CGROUP_SLOT_CPU_USAGE] = {CGROUP_CPUACCT, "cpuacct.usage"},
            [CGROUP_SLOT_CPU_STAT] = {CGROUP_CPU, "cpu.stat"},
            [CGROUP_SLOT_CPU_PRESSURE] = {CGROUP_UNIFIED, "cpu.pressure"},
            [CGROUP_SLOT_MEMORY_PRESSURE] = {CGROUP_UNIFIED, "memory.pressure"},
            [CGROUP_SLOT_IO_PRESSURE] = {CGROUP_UNIFIED, "io.pressure"},
            [CGROUP_SLOT_IO_BYTES] = {CGROUP_BLKIO, "blkio.throttle.io_service_bytes_recursive"},
            [CGROUP_SLOT_IO_OPS] = {CGROUP_BLKIO, "blkio.throttle.io_serviced_recursive"},
            [CGROUP_SLOT_TASKS] = {CGROUP_PIDS, "pids.current"},
        },
    .take = take,
    .set_memory = set_memory,
    .set_cpu = set_cpu,
    .set_cpu_weight = set_cpu_weight,
    .set_io = set_io,
    .set_io_weight = set_io_weight,
    .read_limits = read_limits,
    .brake_arm = cgroup_v1_brake_arm,
    .brake_engaged = cgroup_v1_brake_engaged,
    .brake_release = cgroup_v1_brake_release,
    .features = features,
};
