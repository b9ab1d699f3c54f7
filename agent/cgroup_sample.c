/* The moving part of a cgroup: reading its counters, and its limits in both directions; see cgroup.h. */
#include "agent/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int read_slot(const struct cgroup *cgroup, enum cgroup_slot slot, char *buffer, size_t capacity,
                     struct str *text)
{
    const struct cgroup_file *file = &cgroup->host->layout->slots[slot];
    if (!file->name)
        return -EOPNOTSUPP;
    if (cgroup->slots[slot] >= 0)
        return cgroup_file_pread(cgroup->slots[slot], buffer, capacity, text);
    return cgroup_get(cgroup, file->hierarchy, file->name, buffer, capacity, text);
}

static void take_pressure(enum cgroup_slot slot, struct str text, struct cgroup_sample *out)
{
    int64_t some, full;
    if (cgroup_parse_psi(text, &some, &full) < 0)
        return;
    switch (slot) {
    case CGROUP_SLOT_CPU_PRESSURE:
        out->cpu_some_us = some;
        break;
    case CGROUP_SLOT_MEMORY_PRESSURE:
        out->memory_some_us = some;
        out->memory_full_us = full;
        break;
    case CGROUP_SLOT_IO_PRESSURE:
        out->io_some_us = some;
        out->io_full_us = full;
        out->io_stall_us = full;
        break;
    default:
        break;
    }
}

/* Removed cgroups say ENODEV through a kept descriptor and ENOENT by path. */
static bool is_gone(int error)
{
    return error == -ENODEV || error == -ENOENT;
}

int cgroup_read(struct cgroup *cgroup, struct cgroup_sample *out)
{
    char buffer[CGROUP_TEXT_MAX];
    struct cgroup_sample sample = {0};
    size_t read_count = 0, gone = 0;
    int error = 0;
    for (unsigned i = 0; i < CGROUP_SLOT_COUNT; i++) {
        enum cgroup_slot slot = (enum cgroup_slot)i;
        struct str text;
        int result = read_slot(cgroup, slot, buffer, sizeof buffer, &text);
        if (result == -EOPNOTSUPP)
            continue; /* this machine has no such counter, or PSI is switched off */
        if (result < 0) {
            gone += is_gone(result);
            error = is_gone(result) ? error : result;
            continue;
        }
        read_count++;
        take_pressure(slot, text, &sample);
        cgroup->host->layout->take(cgroup->host, slot, text, &sample);
    }
    if (read_count == 0)
        return gone > 0 ? -ENOENT : error < 0 ? error : -EOPNOTSUPP;
    netcount_read(&cgroup->net, &sample.net_rx_bytes, &sample.net_tx_bytes);
    sample.limits = cgroup->limits;
    *out = sample;
    return 0;
}

static int read_number(struct cgroup *cgroup, enum cgroup_slot slot, int64_t *out)
{
    char buffer[CGROUP_TEXT_MAX];
    struct str text;
    int result = read_slot(cgroup, slot, buffer, sizeof buffer, &text);
    return result < 0 ? result : cgroup_parse_number(text, out);
}

int cgroup_memory_usage(struct cgroup *cgroup, int64_t *bytes)
{
    return read_number(cgroup, CGROUP_SLOT_MEMORY_USAGE, bytes);
}

int cgroup_memory_held(struct cgroup *cgroup, int64_t *bytes)
{
    char buffer[CGROUP_TEXT_MAX];
    struct str text = {0};
    int64_t usage, active = 0, inactive = 0;
    int result = read_number(cgroup, CGROUP_SLOT_MEMORY_USAGE, &usage);
    if (result == 0)
        result = read_slot(cgroup, CGROUP_SLOT_MEMORY_STAT, buffer, sizeof buffer, &text);
    if (result < 0)
        return result;
    bool v2 = cgroup->host->features & CGROUP_HAS_V2; /* v1 counts the attempt's own cgroups below apart */
    const struct cgroup_parse_key keys[] = {{v2 ? "active_file" : "total_active_file", &active},
                                            {v2 ? "inactive_file" : "total_inactive_file", &inactive}};
    cgroup_parse_keyed(text, keys, FS_COUNT(keys));
    *bytes = FS_MAX(usage - active - inactive, 0);
    return 0;
}

static void read_network(struct cgroup *cgroup, struct cgroup_limits *limits)
{
    int64_t bps = 0;
    int32_t priority = 0;
    if (cgroup->net_class == 0)
        return;
    int result = netshape_get(cgroup->host->shape, cgroup->net_class, &bps, &priority);
    if (result < 0 && !cgroup_is_absent(result))
        return;
    limits->net_egress_bps = bps;
    limits->net_priority = priority;
}

/* The kernel keeps whole pages; who asked for 100,000,000 bytes shall read 100,000,000 as in force, not
 * 99,999,744. */
static int64_t same_pages(int64_t asked, int64_t in_force)
{
    int64_t page = sysconf(_SC_PAGESIZE);
    return asked - asked % page == in_force ? asked : in_force;
}

static void read_back(struct cgroup *cgroup, const struct cgroup_limits *asked)
{
    struct cgroup_limits limits = cgroup->limits;
    cgroup->host->layout->read_limits(cgroup, &limits);
    read_network(cgroup, &limits);
    limits.memory_bytes = same_pages(asked->memory_bytes, limits.memory_bytes);
    cgroup->limits = limits;
}

int cgroup_reload(struct cgroup *cgroup)
{
    int fd = cgroup_open_file(cgroup, CGROUP_MEMORY, "cgroup.procs", O_RDONLY);
    if (fd < 0)
        return fd;
    (void)close(fd); /* only to see that it is there */
    struct cgroup_limits asked = cgroup->limits;
    read_back(cgroup, &asked);
    return 0;
}

static int apply_network(struct cgroup *cgroup, const struct cgroup_limits *limits)
{
    if (cgroup->net_class == 0)
        return -EOPNOTSUPP;
    return netshape_set(cgroup->host->shape, cgroup->net_class, limits->net_egress_bps, limits->net_priority);
}

static int first_error(const struct cgroup_apply_result *result)
{
    const int errors[] = {result->memory,   result->cpu,       result->cpu_weight, result->io_read,
                          result->io_write, result->io_weight, result->net};
    for (size_t i = 0; i < FS_COUNT(errors); i++) {
        if (errors[i] < 0)
            return errors[i];
    }
    return 0;
}

/* What was set without an error counts as in force where it cannot be read back. */
static void note_set(struct cgroup_limits *in_force, const struct cgroup_limits *asked,
                     const struct cgroup_apply_result *done)
{
    in_force->memory_bytes = done->memory < 0 ? in_force->memory_bytes : asked->memory_bytes;
    in_force->cpu_millicores = done->cpu < 0 ? in_force->cpu_millicores : asked->cpu_millicores;
    in_force->cpu_weight = done->cpu_weight < 0 ? in_force->cpu_weight : asked->cpu_weight;
    in_force->io_read_bps = done->io_read < 0 ? in_force->io_read_bps : asked->io_read_bps;
    in_force->io_write_bps = done->io_write < 0 ? in_force->io_write_bps : asked->io_write_bps;
    in_force->io_weight = done->io_weight < 0 ? in_force->io_weight : asked->io_weight;
    in_force->net_egress_bps = done->net < 0 ? in_force->net_egress_bps : asked->net_egress_bps;
    in_force->net_priority = done->net < 0 ? in_force->net_priority : asked->net_priority;
}

static bool valid(const struct cgroup_limits *limits)
{
    return limits->memory_bytes >= 0 && limits->cpu_millicores >= 0 && limits->cpu_weight >= 0 &&
           limits->cpu_weight <= 10000 && limits->io_read_bps >= 0 && limits->io_write_bps >= 0 &&
           limits->io_weight >= 0 && limits->io_weight <= 10000 && limits->net_egress_bps >= 0 &&
           limits->net_priority >= 0 && limits->net_priority <= 7;
}

int cgroup_apply(struct cgroup *cgroup, const struct cgroup_limits *limits,
                 struct cgroup_apply_result *result)
{
    const struct cgroup_layout *layout = cgroup->host->layout;
    const struct cgroup_limits *before = &cgroup->limits;
    struct cgroup_apply_result done = {0};
    if (!valid(limits))
        return -EINVAL;
    if (limits->memory_bytes != before->memory_bytes)
        done.memory = layout->set_memory(cgroup, limits->memory_bytes);
    if (limits->cpu_millicores != before->cpu_millicores)
        done.cpu = layout->set_cpu(cgroup, limits->cpu_millicores);
    if (limits->cpu_weight != before->cpu_weight)
        done.cpu_weight = layout->set_cpu_weight(cgroup, limits->cpu_weight);
    if (limits->io_read_bps != before->io_read_bps)
        done.io_read = layout->set_io(cgroup, false, limits->io_read_bps);
    if (limits->io_write_bps != before->io_write_bps)
        done.io_write = layout->set_io(cgroup, true, limits->io_write_bps);
    if (limits->io_weight != before->io_weight)
        done.io_weight = layout->set_io_weight(cgroup, limits->io_weight);
    if (limits->net_egress_bps != before->net_egress_bps || limits->net_priority != before->net_priority)
        done.net = apply_network(cgroup, limits);
    note_set(&cgroup->limits, limits, &done);
    read_back(cgroup, limits);
    *result = done;
    return first_error(&done);
}
