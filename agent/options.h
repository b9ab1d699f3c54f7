/* What an agent can be told: section [agent]. */
#ifndef FORESTALL_AGENT_OPTIONS_H
#define FORESTALL_AGENT_OPTIONS_H

#include "common/config.h"

struct agent_options {
    const char *node, *pool, *ingest, *cgroup, *supervisor, *net_device, *net_namespace;
    int64_t tick_ms, lease_ms, start_timeout_ms, brake_deadline_ms, brake_patience_ms, stop_timeout_ms;
    bool brake, draining, end_attempts;
    int64_t max_attempts;
    int64_t capacity_memory_bytes, capacity_cpu_millicores, capacity_io_read_bps, capacity_io_write_bps,
        capacity_net_bps;
    int64_t node_reserve_bytes;
    double raise_reserve, raise_ceiling, series_share, advance;
    int64_t spool_bytes, queue_bytes, output_keep;
};

extern const struct config_option agent_option_table[];
extern const size_t agent_option_count;

#endif
