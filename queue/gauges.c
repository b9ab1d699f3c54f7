/* Metrics: the ledgers' counts and what the loop knows beside. */
#include <stdlib.h>

#include "queue/server.h"

static const double wait_bounds[] = {0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600, 1800, 3600};
static const double commit_bounds[] = {0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5, 10};

/* Figures kept elsewhere as whole numbers, shown as counters. */
enum total {
    TOTAL_REPUBLISHED,
    TOTAL_QUARANTINED,
    TOTAL_RELOADS,
    TOTAL_RESTORED,
    TOTAL_COMMITS,
    TOTAL_CONSUMED,
    TOTAL_ABORTED,
    TOTAL_BROKER_ERRORS,
    TOTAL_REBALANCES,
    TOTAL_REDIS_READ,
    TOTAL_REDIS_ABSENT,
    TOTAL_REDIS_UNREADABLE,
    TOTAL_REDIS_UNANSWERED,
    TOTAL_COUNT
};

static const struct count_text total_texts[TOTAL_COUNT] = {
    [TOTAL_REPUBLISHED] = {"republished_total",
                           "Records found on the wrong partition and passed on to the right one"},
    [TOTAL_QUARANTINED] = {"quarantined_total", "Records put into quarantine"},
    [TOTAL_RELOADS] = {"reloads_total", "Times all executions were read anew after an aborted transaction"},
    [TOTAL_RESTORED] = {"restored_total", "Executions not done that were restored from the log"},
    [TOTAL_COMMITS] = {"transactions_total", "Transactions committed"},
    [TOTAL_CONSUMED] = {"consumed_total", "Records consumed"},
    [TOTAL_ABORTED] = {"transactions_aborted_total", "Transactions aborted"},
    [TOTAL_BROKER_ERRORS] = {"broker_errors_total",
                             "Connection losses and other errors the client recovers from"},
    [TOTAL_REBALANCES] = {"rebalances_total", "Assignments and revocations"},
    [TOTAL_REDIS_READ] = {"allocations_read_total", "Allocations read from Redis"},
    [TOTAL_REDIS_ABSENT] = {"allocations_absent_total", "Codes without an allocation in Redis"},
    [TOTAL_REDIS_UNREADABLE] = {"allocations_unreadable_total", "Allocations in Redis that are not valid"},
    [TOTAL_REDIS_UNANSWERED] = {"allocations_unanswered_total",
                                "Allocations Redis did not give; the last known was used"},
};

static const struct count_text phase_texts[MSG_EXECUTION_PHASE_COUNT] = {
    [MSG_EXECUTION_PHASE_WAITING] = {"waiting", "Executions that wait for a node"},
    [MSG_EXECUTION_PHASE_PLACED] = {"placed", "Executions offered to a node that has not answered"},
    [MSG_EXECUTION_PHASE_RUNNING] = {"running", "Executions accepted by a node"},
    [MSG_EXECUTION_PHASE_JUDGED] = {"judged", "Failed executions that wait for their verdict"},
    [MSG_EXECUTION_PHASE_BACKOFF] = {"backoff", "Executions that wait before their next attempt"},
    [MSG_EXECUTION_PHASE_DONE] = {"done", "Finished executions remembered"},
};

struct gauges {
    struct metric *counts[COUNT_COUNT], *totals[TOTAL_COUNT], *phases[MSG_EXECUTION_PHASE_COUNT];
    struct metric *nodes, *usable, *late, *partitions, *oldest, *paused, *request_bytes, *seen, *redis_up,
        *connected;
    struct metric *wait, *commit;
};

struct gauges *gauges_create(struct metrics *metrics)
{
    struct gauges *gauges = calloc(1, sizeof *gauges);
    if (!gauges)
        return NULL;
    for (size_t i = 0; i < COUNT_COUNT; i++)
        gauges->counts[i] = metrics_counter(metrics, count_texts[i].name, count_texts[i].help, NULL, NULL);
    for (size_t i = 0; i < TOTAL_COUNT; i++)
        gauges->totals[i] = metrics_counter(metrics, total_texts[i].name, total_texts[i].help, NULL, NULL);
    for (size_t i = 0; i < MSG_EXECUTION_PHASE_COUNT; i++)
        gauges->phases[i] = metrics_gauge(metrics, phase_texts[i].name, phase_texts[i].help, NULL, NULL);
    gauges->nodes = metrics_gauge(metrics, "nodes", "Nodes known, each incarnation by itself", NULL, NULL);
    gauges->usable =
        metrics_gauge(metrics, "nodes_usable", "Nodes that executions can be placed on", NULL, NULL);
    gauges->late = metrics_gauge(metrics, "nodes_late",
                                 "Nodes whose status comes, but is too old each time to place anything there",
                                 NULL, NULL);
    gauges->partitions = metrics_gauge(metrics, "partitions", "Partitions assigned", NULL, NULL);
    gauges->oldest =
        metrics_gauge(metrics, "oldest_waiting_seconds", "Age of the oldest waiting execution", NULL, NULL);
    gauges->paused =
        metrics_gauge(metrics, "requests_paused", "1 while requests are left in Kafka", NULL, NULL);
    gauges->request_bytes = metrics_gauge(metrics, "request_bytes", "Memory taken by requests", NULL, NULL);
    gauges->seen =
        metrics_gauge(metrics, "seen_seconds", "Time counted towards the loss of nodes", NULL, NULL);
    gauges->redis_up = metrics_gauge(metrics, "redis_up", "1 while Redis answers", NULL, NULL);
    gauges->connected =
        metrics_gauge(metrics, "broker_connected", "1 while a broker is connected", NULL, NULL);
    gauges->wait = metrics_histogram(metrics, "wait_seconds", "From ready to run until offered to a node",
                                     wait_bounds, FS_COUNT(wait_bounds));
    gauges->commit = metrics_histogram(metrics, "commit_seconds", "Duration of a transaction's commit",
                                       commit_bounds, FS_COUNT(commit_bounds));
    return gauges;
}

void gauges_destroy(struct gauges *gauges)
{
    free(gauges);
}

void gauges_waited(struct gauges *gauges, int64_t wait_us)
{
    metric_observe(gauges->wait, (double)FS_MAX(wait_us, 0) / 1e6);
}

void gauges_committed(struct gauges *gauges, int64_t took_ms)
{
    metric_observe(gauges->commit, (double)took_ms / 1e3);
}

static void set_counter(struct metric *metric, uint64_t value)
{
    metric_add(metric, (double)value - metric_value(metric));
}

static void show_totals(const struct server *server)
{
    const struct stream_counters *stream = stream_counters(server->stream);
    const struct allocations_counters *redis = allocations_counters(server->allocations);
    const uint64_t values[TOTAL_COUNT] = {
        [TOTAL_REPUBLISHED] = server->republished,
        [TOTAL_QUARANTINED] = server->quarantined,
        [TOTAL_RELOADS] = server->reloads,
        [TOTAL_RESTORED] = server->restored,
        [TOTAL_COMMITS] = server->commits,
        [TOTAL_CONSUMED] = stream->consumed,
        [TOTAL_ABORTED] = stream->transactions_aborted,
        [TOTAL_BROKER_ERRORS] = stream->broker_errors,
        [TOTAL_REBALANCES] = stream->rebalances,
        [TOTAL_REDIS_READ] = redis->read,
        [TOTAL_REDIS_ABSENT] = redis->absent,
        [TOTAL_REDIS_UNREADABLE] = redis->unreadable,
        [TOTAL_REDIS_UNANSWERED] = redis->unanswered,
    };
    for (size_t i = 0; i < TOTAL_COUNT; i++)
        set_counter(server->gauges->totals[i], values[i]);
    for (size_t i = 0; i < COUNT_COUNT; i++)
        set_counter(server->gauges->counts[i], server->counts.of[i]);
}

void gauges_show(const struct server *server)
{
    const struct gauges *gauges = server->gauges;
    size_t phases[MSG_EXECUTION_PHASE_COUNT] = {0}, nodes = 0, usable = 0, late = 0, partitions = 0,
           bytes = 0;
    int64_t oldest_us = 0;
    bool paused = false;
    for (int p = 0; p < server->partition_count; p++) {
        const struct partition *partition = &server->partitions[p];
        if (!partition->ledger)
            continue;
        for (enum msg_execution_phase phase = 0; phase < MSG_EXECUTION_PHASE_COUNT; phase++)
            phases[phase] += ledger_count(partition->ledger, phase);
        nodes += ledger_node_count(partition->ledger);
        usable += ledger_usable_nodes(partition->ledger);
        late += ledger_late_nodes(partition->ledger);
        bytes += ledger_request_bytes(partition->ledger);
        oldest_us = FS_MAX(oldest_us, ledger_oldest_us(partition->ledger, server->at));
        paused |= partition->slots[INPUT_REQUESTED].paused;
        partitions++;
    }
    for (size_t i = 0; i < MSG_EXECUTION_PHASE_COUNT; i++)
        metric_set(gauges->phases[i], (double)phases[i]);
    metric_set(gauges->nodes, (double)nodes);
    metric_set(gauges->usable, (double)usable);
    metric_set(gauges->late, (double)late);
    metric_set(gauges->partitions, (double)partitions);
    metric_set(gauges->oldest, (double)oldest_us / 1e6);
    metric_set(gauges->paused, paused ? 1 : 0);
    metric_set(gauges->request_bytes, (double)bytes);
    metric_set(gauges->seen, (double)server->at.seen_us / 1e6);
    metric_set(gauges->redis_up, allocations_reachable(server->allocations) ? 1 : 0);
    metric_set(gauges->connected, stream_connected(server->stream) ? 1 : 0);
    show_totals(server);
}
