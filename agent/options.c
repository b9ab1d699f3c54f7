/* See options.h. */
#include "agent/options.h"

#define FIELD(field) offsetof(struct agent_options, field)
#define KEY(key) "agent", #key

const struct config_option agent_option_table[] = {
    {KEY(node), CONFIG_STRING, FIELD(node), "", 0, 0, "node id; empty = the host name"},
    {KEY(pool), CONFIG_STRING, FIELD(pool), "default", 0, 0,
     "pool this node belongs to; drain it before it gets another one: an attempt of the former pool that "
     "outlasts "
     "queue.lease may be taken for lost, and is run again"},
    {KEY(ingest), CONFIG_STRING, FIELD(ingest), "127.0.0.1:7400", 0, 0,
     "host:port of ingest; several separated by commas"},
    {KEY(cgroup), CONFIG_STRING, FIELD(cgroup), "forestall", 0, 0,
     "cgroup subtree all attempts live in; one per agent"},
    {KEY(supervisor), CONFIG_STRING, FIELD(supervisor), "", 0, 0,
     "path of forestall-supervisor; empty = beside this program"},
    {KEY(net_device), CONFIG_STRING, FIELD(net_device), "", 0, 0,
     "network device egress limits act on; empty = none"},
    {KEY(net_namespace), CONFIG_STRING, FIELD(net_namespace), "", 0, 0,
     "path of that device's network namespace; empty = this one"},
    {KEY(tick), CONFIG_DURATION_MS, FIELD(tick_ms), "100ms", 10, 10000, "time between two samples"},
    {KEY(lease), CONFIG_DURATION_MS, FIELD(lease_ms), "15m", 1000, 86400000,
     "executions are ended after so long without contact with ingest"},
    {KEY(brake), CONFIG_BOOL, FIELD(brake), "yes", 0, 0,
     "let programs wait at their memory limit instead of dying, when the advance did not suffice"},
    {KEY(advance), CONFIG_DOUBLE, FIELD(advance), "4", 1, 100,
     "what comes near its memory limit is given a sixth more (an eighth where a brake holds) before anybody "
     "can decide, again and again up "
     "to so "
     "many times the limit decided last; never above its code's ceiling; 1 = never"},
    {KEY(start_timeout), CONFIG_DURATION_MS, FIELD(start_timeout_ms), "60s", 100, 86400000,
     "longest wait for an execution's directory, output files and program to answer, as on a network file "
     "system, before it counts as not started"},
    {KEY(brake_deadline), CONFIG_DURATION_MS, FIELD(brake_deadline_ms), "5s", 10, 600000,
     "longest stay in the brake"},
    {KEY(brake_patience), CONFIG_DURATION_MS, FIELD(brake_patience_ms), "30s", 0, 600000,
     "the same while the node has no room for its raise and a neighbour goes on, which may give it"},
    {KEY(stop_timeout), CONFIG_DURATION_MS, FIELD(stop_timeout_ms), "5s", 0, 600000,
     "on SIGTERM: longest wait for ingest's acknowledgements"},
    {KEY(draining), CONFIG_BOOL, FIELD(draining), "no", 0, 0, "accept nothing new"},
    {KEY(end_attempts), CONFIG_BOOL, FIELD(end_attempts), "no", 0, 0,
     "SIGTERM ends the running attempts; otherwise they go on and the next agent adopts them"},
    {KEY(max_attempts), CONFIG_INT, FIELD(max_attempts), "1000", 1, 4096, "attempts at a time"},
    {KEY(capacity_memory), CONFIG_BYTES, FIELD(capacity_memory_bytes), "0", 0, 1e18,
     "memory offered; 0 = the machine's less node_reserve"},
    {KEY(capacity_cpu), CONFIG_INT, FIELD(capacity_cpu_millicores), "0", 0, 2e9,
     "CPU offered, millicores; 0 = all CPUs"},
    {KEY(capacity_io_read), CONFIG_BYTES, FIELD(capacity_io_read_bps), "0", 0, 1e18,
     "block reads offered, bytes per second; 0 = not rationed"},
    {KEY(capacity_io_write), CONFIG_BYTES, FIELD(capacity_io_write_bps), "0", 0, 1e18,
     "block writes offered, bytes per second; 0 = not rationed"},
    {KEY(capacity_net), CONFIG_BYTES, FIELD(capacity_net_bps), "0", 0, 1e18,
     "egress offered, bytes per second; 0 = not rationed"},
    {KEY(node_reserve), CONFIG_BYTES, FIELD(node_reserve_bytes), "256M", 0, 1e18,
     "memory kept for the system and this agent"},
    {KEY(raise_reserve), CONFIG_DOUBLE, FIELD(raise_reserve), "0.1", 0, 0.9,
     "share of the memory that admissions leave for raises"},
    {KEY(raise_ceiling), CONFIG_DOUBLE, FIELD(raise_ceiling), "1", 0.01, 1,
     "share of the memory one attempt may be raised to"},
    {KEY(series_share), CONFIG_DOUBLE, FIELD(series_share), "0.05", 0, 1,
     "share of ordinary executions whose series is reported"},
    {KEY(spool_limit), CONFIG_BYTES, FIELD(spool_bytes), "256M", 4194304, 1e15,
     "events and records kept until acknowledged; past it nothing new is admitted"},
    {KEY(tick_queue), CONFIG_BYTES, FIELD(queue_bytes), "8M", 65536, 1e10,
     "ticks kept while ingest is away; past it the oldest are dropped"},
    {KEY(output_keep), CONFIG_INT, FIELD(output_keep), "1000", 1, 1e6,
     "finished attempts whose kept output stays on disk"},
};

const size_t agent_option_count = FS_COUNT(agent_option_table);
