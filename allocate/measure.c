/* The service's numbers. See allocate.h. */
#include "allocate/allocate.h"

#define FIELD(field) offsetof(struct allocate_metrics, field)

static const double seconds[] = {0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.25, 0.5, 1, 5, 30};

static const struct metrics_row rows[] = {
    /* decisions */
    {METRICS_COUNTER, FIELD(risks), "risks_total", "risks read"},
    {METRICS_COUNTER, FIELD(repeats), "risks_repeated_total", "risks that were handled before"},
    {METRICS_COUNTER, FIELD(replayed), "risks_replayed_total",
     "risks read again at a start, for their attempt's past"},
    {METRICS_COUNTER, FIELD(observed), "decisions_observed_total",
     "decisions for the log only: held out, or the code's mode"},
    {METRICS_COUNTER, FIELD(again), "looked_again_total", "open or short attempts looked at again"},
    {METRICS_COUNTER, FIELD(unsent), "adjustments_unsent_total",
     "adjustments that Kafka did not take; decided again"},
    {METRICS_HISTOGRAM, FIELD(sampled_seconds), "sampled_to_decided_seconds",
     "from a sample to the decision on it"},
    {METRICS_HISTOGRAM, FIELD(consumed_seconds), "told_to_decided_seconds",
     "from a risk's publication to the decision on it"},
    /* records */
    {METRICS_COUNTER, FIELD(records), "records_total", "finished records settled"},
    {METRICS_COUNTER, FIELD(records_repeated), "records_repeated_total",
     "finished records that were counted before"},
    {METRICS_COUNTER, FIELD(allocations), "allocations_total", "allocations published"},
    {METRICS_COUNTER, FIELD(tombstones), "allocations_deleted_total", "allocations taken back"},
    {METRICS_COUNTER, FIELD(verdicts_resent), "verdicts_resent_total", "verdicts sent again after a restart"},
    {METRICS_COUNTER, FIELD(dead), "dead_letters_total", "dead letters written"},
    {METRICS_COUNTER, FIELD(dead_reduced), "dead_letters_reduced_total", "dead letters made smaller to fit"},
    {METRICS_COUNTER, FIELD(policies), "policies_total", "policies read"},
    {METRICS_COUNTER, FIELD(profiles), "profiles_total", "profiles read"},
    {METRICS_COUNTER, FIELD(profiles_refused), "profiles_refused_total", "profiles that could not be used"},
    {METRICS_COUNTER, FIELD(statuses), "statuses_total", "node statuses read"},
    {METRICS_COUNTER, FIELD(statuses_refused), "statuses_refused_total",
     "node statuses that could not be used"},
    {METRICS_COUNTER, FIELD(quarantined), "quarantined_total", "messages that could not be read"},
    {METRICS_COUNTER, FIELD(waited), "waits_total", "messages put back because too much was under way"},
    {METRICS_HISTOGRAM, FIELD(settled_seconds), "settled_seconds",
     "from a record to its last effect in Kafka"},
    /* state and what is around */
    {METRICS_GAUGE, FIELD(attempts), "attempts", "attempts known"},
    {METRICS_COUNTER, FIELD(attempts_evicted), "attempts_evicted_total",
     "attempts forgotten because allocate.max_attempts was reached"},
    {METRICS_GAUGE, FIELD(open), "attempts_open", "attempts whose last decision no sample has shown"},
    {METRICS_GAUGE, FIELD(codes), "codes", "codes known"},
    {METRICS_COUNTER, FIELD(codes_evicted), "codes_evicted_total",
     "codes dropped because allocate.max_codes was reached"},
    {METRICS_COUNTER, FIELD(codes_idle), "codes_idle_total", "codes dropped after allocate.idle"},
    {METRICS_COUNTER, FIELD(codes_refused), "codes_refused_total", "times there was no room for a code"},
    {METRICS_GAUGE, FIELD(saved_share), "saved_share",
     "share of executions that needed more memory than they started with and were raised in time, lately"},
    {METRICS_GAUGE, FIELD(nodes), "nodes", "nodes known"},
    {METRICS_COUNTER, FIELD(nodes_evicted), "nodes_evicted_total",
     "nodes forgotten because allocate.max_nodes was reached"},
    {METRICS_GAUGE, FIELD(pending), "pending", "records whose effects are not all durable"},
    {METRICS_GAUGE, FIELD(redis_up), "redis_up", "1 while Redis answers"},
    {METRICS_COUNTER, FIELD(redis_written), "redis_written_total", "allocations written to Redis"},
    {METRICS_COUNTER, FIELD(redis_failed), "redis_failed_total",
     "writes that Redis did not take; a rebuild follows"},
    {METRICS_COUNTER, FIELD(redis_rebuilds), "redis_rebuilds_total", "times everything was written to Redis"},
    {METRICS_GAUGE, FIELD(connected), "connected", "1 while Kafka answers"},
    {METRICS_GAUGE, FIELD(assigned), "partitions", "partitions assigned"},
};

static void open_labelled(struct metrics *metrics, struct allocate_metrics *m)
{
    static const char *const retry[] = {"no", "yes"};
    for (int direction = 0; direction < MSG_DIRECTION_COUNT; direction++)
        m->decisions[direction] = metrics_counter(metrics, "decisions_total", "decisions taken", "direction",
                                                  msg_direction_name((enum msg_direction)direction));
    for (int i = 0; i < 2; i++)
        m->verdicts[i] = metrics_counter(metrics, "verdicts_total", "verdicts given", "retry", retry[i]);
}

void allocate_metrics_open(struct allocate *allocate)
{
    struct metrics *metrics = allocate->service->metrics;
    metrics_register(metrics, rows, FS_COUNT(rows), seconds, FS_COUNT(seconds), &allocate->metrics);
    open_labelled(metrics, &allocate->metrics);
}

void allocate_metrics_show(struct allocate *allocate)
{
    struct allocate_metrics *m = &allocate->metrics;
    const struct mirror_counters *redis = mirror_counters(allocate->mirror);
    metric_follow(m->attempts_evicted, (double)attempts_evicted(allocate->attempts));
    metric_follow(m->nodes_evicted, (double)nodes_evicted(allocate->nodes));
    metric_follow(m->redis_written, (double)redis->written);
    metric_follow(m->redis_failed, (double)redis->failed);
    metric_follow(m->redis_rebuilds, (double)redis->rebuilds);
    metric_follow(m->quarantined, (double)stream_counters(allocate->stream)->quarantined);
    metric_set(m->attempts, (double)attempts_count(allocate->attempts));
    metric_set(m->open, (double)attempts_open_count(allocate->attempts));
    metric_set(m->codes, (double)book_count(allocate->book));
    metric_set(m->saved_share, book_saved(allocate->book));
    metric_set(m->nodes, (double)nodes_count(allocate->nodes));
    metric_set(m->pending, (double)allocate->settling);
    metric_set(m->redis_up, redis->up);
    metric_set(m->connected, stream_connected(allocate->stream));
    metric_set(m->assigned, (double)stream_assigned_count(allocate->stream));
}
