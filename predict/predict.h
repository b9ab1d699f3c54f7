/* The service's state and the steps its loop takes. One thread.
 *
 * Two streams: one in the group, reading `telemetry` and `executions.finished` and writing `risks`, `codes`
 * and `quarantine`; one without a group, following all of `codes` and `models`. Which member reads a node's
 * ticks and which a code's records has nothing to do with each other: what is learned travels through
 * `codes`. Order for one batch: telemetry is stepped and its risks produced, then the records of the batch
 * are learned, then, once Kafka has all of it, offsets move (ledger.h). */
#ifndef FORESTALL_PREDICT_PREDICT_H
#define FORESTALL_PREDICT_PREDICT_H

#include "common/service.h"
#include "common/topics.h"
#include "predict/codes.h"
#include "predict/engine.h"
#include "predict/feed.h"
#include "predict/learn.h"
#include "predict/ledger.h"
#include "model/models.h"
#include "predict/options.h"
#include "predict/order.h"
#include "predict/table.h"
#include "schemas/topic_codec.h"

#define PREDICT_SERVICE "forestall-predict"
#define PREDICT_NODE_MAX 255
/* The ticks one batch learns from at most, beside PREDICT_RECORDS: 2,400 steps one by one take about 20 ms.
 * The rest is read again with the next batch. */
#define PREDICT_RECORD_TICKS 2400

/* A node whose ticks are read. */
struct node {
    struct order order;
    int32_t partition;
    int64_t seen_ms;
};

/* One partition of telemetry. */
struct telemetry {
    struct feed feed;
    bool rewinding; /* the rest of this batch is not looked at, then it is read again from feed.start */
    int64_t unknown_since_ms; /* its next record waits for its schema; 0 = no */
    int64_t unknown_told_ms;  /* when one was given up last; 0 = never */
};

/* One partition of executions.finished. */
struct records {
    bool owned;
    bool held; /* the rest of this batch is not looked at, then it is read again from held_offset */
    int64_t held_offset;
};

/* A decoded record that waits for the end of its batch. */
struct finished {
    struct msg_execution_record record;
    int32_t partition;
    int64_t offset;
};

struct predict_metrics {
    struct metric *ticks, *repeats, *samples, *muted, *waves, *rewound, *attempts, *executions, *evicted,
        *idle, *nodes;
    struct metric *risks[MSG_RISK_KIND_COUNT], *quarantined, *oversized, *open_batches;
    struct metric *records, *records_repeated, *learned, *codes, *codes_evicted, *codes_read, *codes_refused,
        *codes_reread, *codes_passes, *codes_deleted;
    struct metric *models_refused, *started_behind, *swaps, *fallback, *warming, *shadow_ticks,
        *shadow_distance;
    struct metric *score_ticks[2], *score_log_loss[2], *score_squared_error[2];
    struct metric *connected, *assigned;
    struct metric *step_seconds, *sampled_seconds, *consumed_seconds;
};

struct predict {
    struct service *service;
    const struct predict_options *options;
    struct stream *stream, *followed;
    struct topic_codec *codec, *followed_codec;
    struct arena *ticks, *records,
        *messages; /* of the batch's ticks, of its records, of one followed message */
    struct buffer encoded;
    struct engine *engine;
    struct codes *codes;
    struct learner *learner;
    struct models *models;
    struct ledger *ledger;
    struct table *nodes;
    struct feed_rules rules;
    struct telemetry *telemetry; /* [telemetry_count], by partition */
    int telemetry_count, finished_count;
    struct records *partitions; /* [finished_count] of executions.finished */
    bool *rereading;            /* [finished_count] holds dropped profiles of this batch */
    struct finished finished[PREDICT_RECORDS];
    size_t finished_waiting, finished_ticks;
    int failure; /* set inside a callback: ends the loop */
    char failure_text[256];
    bool was_ready; /* the log said so */
    int64_t now_ms, consumed_us, tended_ms, swept_ms;
    struct log_limiter limiter;
    struct predict_metrics metrics;
};

/* service.c */
FS_MUST_CHECK int predict_open(struct predict *predict, struct service *service,
                               const struct predict_options *options, char *error, size_t error_size);
/* Waits for work and does it. 0, or negative: the process must end (failure_text says why). */
FS_MUST_CHECK int predict_step(struct predict *predict);
void predict_close(struct predict *predict);

/* emit.c: produces one message of the open batch; waits while the producer's queue is full. Failures end the
 * loop. */
void predict_emit(struct predict *predict, const char *topic, struct str key, const struct msg_type *type,
                  const void *message);
void predict_fail(struct predict *predict, int error, const char *what);
/* engine_risk_fn */
void predict_tell(void *context, struct msg_risk *risk);
/* Stores the offsets of what is settled. */
void predict_settle(struct predict *predict);

/* intake.c: stream_handler_fn and stream_batch_end_fn of the group's stream */
enum stream_outcome predict_take(void *context, const struct stream_message *message);
int predict_end_batch(void *context);
/* Drops all state that came from this partition of telemetry. */
void predict_forget(struct predict *predict, int32_t partition);

/* assign.c */
extern const struct stream_callbacks predict_callbacks;

/* finish.c: reads the dropped profiles of this batch's codes from the topic, each partition once; they must
 * go on from what is there, or their revisions would be ignored by everybody. Before the batch's records are
 * finished, whose codes all have a place (predict.codes is at least PREDICT_RECORDS). */
void predict_reread_codes(struct predict *predict);
/* Counts, learns and publishes one record. */
void predict_finish(struct predict *predict, const struct finished *finished);
/* Deletes the profiles of codes of ours that have been idle for too long, of those that are in memory. */
void predict_sweep(struct predict *predict);
/* Takes in the profiles of a partition that becomes ours and deletes those that are idle, which reaches the
 * ones that were dropped from memory. As stream_restore(). */
FS_MUST_CHECK int predict_restore_owned(struct predict *predict, int32_t partition, int timeout_ms);

/* follow.c: stream_handler_fn of `codes` and `models` */
enum stream_outcome predict_follow(void *context, const struct stream_message *message);
/* stream_restore_fn: takes in a profile of `codes`. -EAGAIN: its writer's schema is being looked for. */
int predict_restore_code(void *context, const struct stream_message *message);
/* Hands a partition of `codes` to take; from its beginning again while a schema is being looked for, which
 * topic_codec does for 30 s before it gives one up. As stream_restore(). */
FS_MUST_CHECK int predict_restore_codes(struct predict *predict, int32_t partition, stream_restore_fn *take,
                                        void *context, int timeout_ms);
/* The champion of the configuration's file; without one the fallback decides. */
void predict_use_file(struct predict *predict);

/* measure.c */
void predict_metrics_open(struct predict *predict);
void predict_metrics_show(struct predict *predict);

#endif
