/* See counters.h. */
#include "ingest/counters.h"

static const double latency_bounds[] = {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1,
                                        0.2,    0.5,   1,     2,     5,    10,   60};

static const char *const frame_names[FRAME_TYPE_END] = {
    [FRAME_HELLO] = "hello",   [FRAME_TICK] = "tick", [FRAME_STATUS] = "status", [FRAME_EVENT] = "event",
    [FRAME_RECORD] = "record", [FRAME_PING] = "ping", [FRAME_PONG] = "pong",     [FRAME_SCHEMA] = "schema",
};

static void register_labelled(struct metrics *metrics, struct counters *out)
{
    for (size_t i = 0; i < FRAME_TYPE_END; i++)
        if (frame_names[i])
            out->frames[i] =
                metrics_counter(metrics, "frames_total", "frames taken from agents", "type", frame_names[i]);
    for (enum close_reason reason = CLOSE_NONE + 1; reason < CLOSE_REASON_COUNT; reason++)
        out->closed[reason] =
            metrics_counter(metrics, "connections_closed_total", "connections ended, by reason", "reason",
                            close_reason_name(reason));
    out->to_agent[COUNTERS_ADMISSION] =
        metrics_counter(metrics, "passed_on_total", "messages put out to agents", "kind", "admission");
    out->to_agent[COUNTERS_ADJUSTMENT] =
        metrics_counter(metrics, "passed_on_total", "messages put out to agents", "kind", "adjustment");
}

static void register_agents(struct metrics *metrics, struct counters *out)
{
    out->connections = metrics_gauge(metrics, "connections", "connections open", NULL, NULL);
    out->nodes = metrics_gauge(metrics, "nodes", "nodes connected", NULL, NULL);
    out->accepted = metrics_counter(metrics, "connections_total", "connections accepted", NULL, NULL);
    out->accept_failed =
        metrics_counter(metrics, "accept_failed_total", "connections that could not be accepted", NULL, NULL);
    out->frame_bytes =
        metrics_counter(metrics, "frame_bytes_total", "bytes of frames taken from agents", NULL, NULL);
    out->blocked = metrics_counter(metrics, "blocked_total",
                                   "times an agent was not read because Kafka was behind", NULL, NULL);
    out->blocked_now = metrics_gauge(metrics, "blocked_connections", "agents not read now", NULL, NULL);
    out->held_now =
        metrics_gauge(metrics, "held_connections", "agents whose newest tick is held back now", NULL, NULL);
    out->parked_now = metrics_gauge(metrics, "parked_connections",
                                    "agents with messages whose schema is being waited for", NULL, NULL);
    out->clocks_differ =
        metrics_counter(metrics, "clocks_differ_total",
                        "nodes connected whose clock differs by more than a second", NULL, NULL);
    out->ticks_dropped =
        metrics_counter(metrics, "ticks_dropped_total", "ticks dropped because Kafka was behind", NULL, NULL);
}

static void register_kafka(struct metrics *metrics, struct counters *out)
{
    out->forwarded = metrics_counter(metrics, "forwarded_total", "messages given to Kafka", NULL, NULL);
    out->acknowledged =
        metrics_counter(metrics, "acknowledged_total", "events and records acknowledged", NULL, NULL);
    out->delivery_failed =
        metrics_counter(metrics, "delivery_failed_total", "messages that Kafka did not take", NULL, NULL);
    out->invalid = metrics_counter(metrics, "invalid_total", "messages that are not valid", NULL, NULL);
    out->unknown_schema = metrics_counter(metrics, "unknown_schema_total",
                                          "messages whose schema was not known at once", NULL, NULL);
    out->quarantined =
        metrics_counter(metrics, "quarantined_total", "entries written to quarantine", NULL, NULL);
    out->quarantine_skipped =
        metrics_counter(metrics, "quarantine_skipped_total",
                        "bytes not kept because quarantine_rate was reached", NULL, NULL);
    out->inflight_bytes =
        metrics_gauge(metrics, "inflight_bytes", "bytes given to Kafka and not confirmed", NULL, NULL);
    out->stalled = metrics_gauge(metrics, "stalled", "1 while Kafka confirms nothing", NULL, NULL);
    out->schemas =
        metrics_counter(metrics, "schemas_published_total", "agents' schemas published", NULL, NULL);
    out->not_here = metrics_counter(metrics, "not_here_total",
                                    "messages for nodes that are not connected here", NULL, NULL);
    out->not_passed = metrics_counter(metrics, "not_passed_total",
                                      "messages for a node of ours that could not be passed on", NULL, NULL);
    out->broker_errors =
        metrics_gauge(metrics, "broker_errors", "errors of the connection to Kafka so far", NULL, NULL);
    out->tick_age = metrics_histogram(metrics, "tick_age_seconds", "from a tick's own time to here",
                                      latency_bounds, FS_COUNT(latency_bounds));
    out->delivery_time =
        metrics_histogram(metrics, "delivery_seconds", "from giving a message to Kafka to its report",
                          latency_bounds, FS_COUNT(latency_bounds));
    out->downward_time =
        metrics_histogram(metrics, "downward_seconds", "from Kafka's timestamp to the agent's socket",
                          latency_bounds, FS_COUNT(latency_bounds));
}

void counters_register(struct metrics *metrics, struct counters *out)
{
    register_labelled(metrics, out);
    register_agents(metrics, out);
    register_kafka(metrics, out);
}
