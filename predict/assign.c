/* Partitions that come and go. See predict.h and feed.h. */
#include <errno.h>

#include "predict/predict.h"

#define RESTORE_TIMEOUT_MS 60000
#define DRAIN_TIMEOUT_MS 5000

static bool is_telemetry(const struct predict *predict, const struct stream_partition *partition)
{
    return strcmp(partition->topic, TOPIC_TELEMETRY) == 0 && partition->partition < predict->telemetry_count;
}

static bool is_finished(const struct predict *predict, const struct stream_partition *partition)
{
    return strcmp(partition->topic, TOPIC_EXECUTIONS_FINISHED) == 0 &&
           partition->partition < predict->finished_count;
}

static void begin_telemetry(struct predict *predict, struct stream_partition *partition)
{
    struct telemetry *telemetry = &predict->telemetry[partition->partition];
    int64_t start;
    telemetry->rewinding = false;
    if (!feed_assign(&telemetry->feed, &predict->rules,
                     partition->committed_offset >= 0 ? partition->committed_offset : -1, &start))
        predict_forget(predict, partition->partition);
    partition->start_offset = start;
}

/* Whoever had this partition before may have counted records since we last looked. */
static void begin_finished(struct predict *predict, const struct stream_partition *partition)
{
    int result = predict_restore_owned(predict, partition->partition, RESTORE_TIMEOUT_MS);
    if (result < 0)
        predict_fail(predict, result, "reading the profiles of a partition");
    predict->partitions[partition->partition] = (struct records){.owned = true};
}

static void on_assigned(void *context, struct stream_partition *partitions, size_t count)
{
    struct predict *predict = context;
    size_t telemetry = 0, finished = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_telemetry(predict, &partitions[i])) {
            begin_telemetry(predict, &partitions[i]);
            telemetry++;
        } else if (is_finished(predict, &partitions[i])) {
            begin_finished(predict, &partitions[i]);
            finished++;
        }
    }
    log_info("assigned", "telemetry=%zu finished=%zu", telemetry, finished);
}

static void on_revoked(void *context, const struct stream_partition *partitions, size_t count, bool lost)
{
    struct predict *predict = context;
    if (!lost) {
        int result = stream_flush(predict->stream,
                                  DRAIN_TIMEOUT_MS); /* late ones: their records come again elsewhere */
        if (result < 0 && result != -ETIMEDOUT)
            predict_fail(predict, result, "delivering before a rebalance");
        predict_settle(predict);
    }
    for (size_t i = 0; i < count; i++) {
        if (is_telemetry(predict, &partitions[i])) {
            feed_leave(&predict->telemetry[partitions[i].partition].feed);
            ledger_forget(predict->ledger, TOPIC_TELEMETRY, partitions[i].partition);
        } else if (is_finished(predict, &partitions[i])) {
            predict->partitions[partitions[i].partition].owned = false;
            ledger_forget(predict->ledger, TOPIC_EXECUTIONS_FINISHED, partitions[i].partition);
        }
    }
    log_info("revoked", "partitions=%zu lost=%d", count, lost);
}

const struct stream_callbacks predict_callbacks = {.assigned = on_assigned, .revoked = on_revoked};
