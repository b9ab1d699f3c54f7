/* See options.h. Where a number comes from: docs/design/queue.md. */
#include "queue/options.h"

#define FIELD(field) offsetof(struct queue_options, field)
#define KEY(key) "queue", #key

const struct config_option queue_option_table[] = {
    {KEY(member), CONFIG_STRING, FIELD(member), "1", 0, 0,
     "static member of the group; must differ between the instances, and stay the same over restarts"},
    {KEY(ageing), CONFIG_DURATION_MS, FIELD(ageing_ms), "10m", 1000, 86400000,
     "a request that has waited this long goes before all that came later, whatever their priority"},
    {KEY(patience), CONFIG_DURATION_MS, FIELD(patience_ms), "5s", 0, 3600000,
     "after waiting this long, start with what is free of CPU, I/O and network (at least what was requested, "
     "or half of the allocation)"},
    {KEY(unplaceable), CONFIG_DURATION_MS, FIELD(unplaceable_ms), "24h", 1000, 30 * 86400000.0,
     "a request that no node of its pool could ever hold is given up after this time"},
    {KEY(raise_reserve), CONFIG_DOUBLE, FIELD(raise_reserve), "0.1", 0, 0.9,
     "share of a node's memory that admissions leave for raises; at least the agents' own"},
    {KEY(default_memory), CONFIG_BYTES, FIELD(default_memory_bytes), "256M", 1048576, 1e15,
     "memory limit where neither request nor allocation says one"},
    {KEY(default_cpu), CONFIG_INT, FIELD(default_cpu_millicores), "0", 0, 2e9,
     "CPU limit, millicores, where neither request nor allocation says one; 0 = none"},
    {KEY(offer_ttl), CONFIG_DURATION_MS, FIELD(offer_ttl_ms), "10s", 500, 600000,
     "an offered placement is not started later than this; clocks of the nodes must agree better than that"},
    {KEY(resend), CONFIG_DURATION_MS, FIELD(resend_ms), "2s", 100, 600000,
     "an unanswered placement or cancellation is published again after this time"},
    {KEY(lease), CONFIG_DURATION_MS, FIELD(lease_ms), "15m", 1000, 86400000,
     "the agents' lease (agent.lease); the same on all nodes"},
    {KEY(lease_margin), CONFIG_DURATION_MS, FIELD(lease_margin_ms), "30s", 0, 3600000,
     "an attempt is lost after lease + lease_margin without a sign of life"},
    {KEY(takeover), CONFIG_DURATION_MS, FIELD(takeover_ms), "10s", 1000, 3600000,
     "another incarnation of a node takes its place once the first was silent this long"},
    {KEY(settle), CONFIG_DURATION_MS, FIELD(settle_ms), "3s", 0, 600000,
     "a node that was restarted has this long to tell how its attempts ended"},
    {KEY(backoff), CONFIG_DURATION_MS, FIELD(backoff_ms), "500ms", 0, 3600000,
     "wait before the second attempt; doubles with each further one"},
    {KEY(backoff_max), CONFIG_DURATION_MS, FIELD(backoff_max_ms), "1m", 0, 86400000,
     "longest wait between two attempts"},
    {KEY(verdict_wait), CONFIG_DURATION_MS, FIELD(verdict_wait_ms), "10s", 100, 3600000,
     "a failed attempt without a verdict is judged by its event after this time"},
    {KEY(failure_step), CONFIG_DOUBLE, FIELD(failure_step), "1.5", 1, 10,
     "without a verdict, the failed resource is multiplied by this"},
    {KEY(max_executions), CONFIG_INT, FIELD(max_executions), "100000", 1, 1e8,
     "executions not yet done; past it requests stay in Kafka"},
    {KEY(max_request), CONFIG_BYTES, FIELD(max_request_bytes), "256K", 1024, 786432,
     "largest request taken; a larger one is invalid"},
    {KEY(request_memory), CONFIG_BYTES, FIELD(request_memory_bytes), "512M", 1048576, 1e15,
     "memory for the requests of executions not yet done; past it requests stay in Kafka"},
    {KEY(max_nodes), CONFIG_INT, FIELD(max_nodes), "20000", 1, 1e7,
     "nodes remembered per partition; past it new ones get no work"},
    {KEY(max_codes), CONFIG_INT, FIELD(max_codes), "10000", 1, 1e8,
     "codes without a waiting execution whose last allocation is remembered, per partition"},
    {KEY(max_done), CONFIG_INT, FIELD(max_done), "200000", 1, 1e8,
     "finished executions remembered per partition; past it the oldest are forgotten before keep_done"},
    {KEY(keep_done), CONFIG_DURATION_MS, FIELD(keep_done_ms), "24h", 1000, 365 * 86400000.0,
     "a finished execution's id is not run again and its state stays readable for this time"},
};

const size_t queue_option_count = FS_COUNT(queue_option_table);
