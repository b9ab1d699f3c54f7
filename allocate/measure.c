/* The service's numbers. See allocate.h. */
#include "allocate/allocate.h"

static const double seconds[] = {0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.25, 0.5, 1, 5, 30};

static struct metric *counter(struct allocate *allocate, const char *name, const char *help)
{
    return metrics_counter(allocate->service->metrics, name, help, NULL, NULL);
}

static struct metric *gauge(struct allocate *allocate, const char *name, const char *help)
{
    return metrics_gauge(allocate->service->metrics, name, help, NULL, NULL);
}

static struct metric *histogram(struct allocate *allocate, const char *name, const char *help)
{
    return metrics_histogram(allocate->service->metrics, name, help, seconds, FS_COUNT(seconds));
}

static void open_decisions(struct allocate *allocate, struct allocate_metrics *m)
{
    m->risks = counter(allocate, "risks_total", "risks read");
    m->repeats = counter(allocate, "risks_repeated_total", "risks that were handled before");
    m->replayed =
        counter(allocate, "risks_replayed_total", "risks read again at a start, for their attempt's past");
    for (int direction = 0; direction < MSG_DIRECTION_COUNT; direction++)
        m->decisions[direction] =
            metrics_counter(allocate->service->metrics, "decisions_total", "decisions taken", "direction",
                            msg_direction_name((enum msg_direction)direction));
    m->observed = counter(allocate, "decisions_observed_total",
                          "decisions for the log only: held out, or the code's mode");
    m->again = counter(allocate, "looked_again_total", "open or short attempts looked at again");
    m->unsent =
        counter(allocate, "adjustments_unsent_total", "adjustments that Kafka did not take; decided again");
    m->sampled_seconds =
        histogram(allocate, "sampled_to_decided_seconds", "from a sample to the decision on it");
    m->consumed_seconds =
        histogram(allocate, "told_to_decided_seconds", "from a risk's publication to the decision on it");
}

static void open_records(struct allocate *allocate, struct allocate_metrics *m)
{
    m->records = counter(allocate, "records_total", "finished records settled");
    m->records_repeated =
        counter(allocate, "records_repeated_total", "finished records that were counted before");
    m->allocations = counter(allocate, "allocations_total", "allocations published");
    m->tombstones = counter(allocate, "allocations_deleted_total", "allocations taken back");
    m->verdicts[0] =
        metrics_counter(allocate->service->metrics, "verdicts_total", "verdicts given", "retry", "no");
    m->verdicts[1] =
        metrics_counter(allocate->service->metrics, "verdicts_total", "verdicts given", "retry", "yes");
    m->verdicts_resent = counter(allocate, "verdicts_resent_total", "verdicts sent again after a restart");
    m->dead = counter(allocate, "dead_letters_total", "dead letters written");
    m->dead_reduced = counter(allocate, "dead_letters_reduced_total", "dead letters made smaller to fit");
    m->policies = counter(allocate, "policies_total", "policies read");
    m->profiles = counter(allocate, "profiles_total", "profiles read");
    m->profiles_refused = counter(allocate, "profiles_refused_total", "profiles that could not be used");
    m->statuses = counter(allocate, "statuses_total", "node statuses read");
    m->statuses_refused = counter(allocate, "statuses_refused_total", "node statuses that could not be used");
    m->quarantined = counter(allocate, "quarantined_total", "messages that could not be read");
    m->waited = counter(allocate, "waits_total", "messages put back because too much was under way");
    m->settled_seconds = histogram(allocate, "settled_seconds", "from a record to its last effect in Kafka");
}

static void open_state(struct allocate *allocate, struct allocate_metrics *m)
{
    m->attempts = gauge(allocate, "attempts", "attempts known");
    m->attempts_evicted = counter(allocate, "attempts_evicted_total",
                                  "attempts forgotten because allocate.max_attempts was reached");
    m->open = gauge(allocate, "attempts_open", "attempts whose last decision no sample has shown");
    m->codes = gauge(allocate, "codes", "codes known");
    m->codes_evicted =
        counter(allocate, "codes_evicted_total", "codes dropped because allocate.max_codes was reached");
    m->codes_idle = counter(allocate, "codes_idle_total", "codes dropped after allocate.idle");
    m->codes_refused = counter(allocate, "codes_refused_total", "times there was no room for a code");
    m->nodes = gauge(allocate, "nodes", "nodes known");
    m->nodes_evicted =
        counter(allocate, "nodes_evicted_total", "nodes forgotten because allocate.max_nodes was reached");
    m->pending = gauge(allocate, "pending", "records whose effects are not all durable");
    m->redis_up = gauge(allocate, "redis_up", "1 while Redis answers");
    m->redis_written = counter(allocate, "redis_written_total", "allocations written to Redis");
    m->redis_failed =
        counter(allocate, "redis_failed_total", "writes that Redis did not take; a rebuild follows");
    m->redis_rebuilds = counter(allocate, "redis_rebuilds_total", "times everything was written to Redis");
    m->connected = gauge(allocate, "connected", "1 while Kafka answers");
    m->assigned = gauge(allocate, "partitions", "partitions assigned");
}

void allocate_metrics_open(struct allocate *allocate)
{
    open_decisions(allocate, &allocate->metrics);
    open_records(allocate, &allocate->metrics);
    open_state(allocate, &allocate->metrics);
}

/* A counter that is kept elsewhere. */
static void follow(struct metric *metric, double value)
{
    metric_add(metric, value - metric_value(metric));
}

void allocate_metrics_show(struct allocate *allocate)
{
    struct allocate_metrics *m = &allocate->metrics;
    const struct mirror_counters *redis = mirror_counters(allocate->mirror);
    follow(m->attempts_evicted, (double)attempts_evicted(allocate->attempts));
    follow(m->nodes_evicted, (double)nodes_evicted(allocate->nodes));
    follow(m->redis_written, (double)redis->written);
    follow(m->redis_failed, (double)redis->failed);
    follow(m->redis_rebuilds, (double)redis->rebuilds);
    follow(m->quarantined, (double)stream_counters(allocate->stream)->quarantined);
    metric_set(m->attempts, (double)attempts_count(allocate->attempts));
    metric_set(m->open, (double)attempts_open_count(allocate->attempts));
    metric_set(m->codes, (double)book_count(allocate->book));
    metric_set(m->nodes, (double)nodes_count(allocate->nodes));
    metric_set(m->pending, (double)allocate->settling);
    metric_set(m->redis_up, redis->up);
    metric_set(m->connected, stream_connected(allocate->stream));
    metric_set(m->assigned, (double)stream_assigned_count(allocate->stream));
}
