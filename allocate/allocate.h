/* The running service, shared by the files that know the broker: main.c (sequence), serve.c (loop), assign.c
 * (partitions come and go), on_risk.c, on_record.c, on_code.c (messages), effects.c (what becomes durable in
 * which order), measure.c (metrics). Everything they decide with is pure and in files of its own. */
#ifndef FORESTALL_ALLOCATE_ALLOCATE_H
#define FORESTALL_ALLOCATE_ALLOCATE_H

#include "allocate/attempts.h"
#include "allocate/book.h"
#include "allocate/ledger.h"
#include "allocate/mirror.h"
#include "allocate/nodes.h"
#include "allocate/options.h"
#include "common/service.h"
#include "common/stream.h"
#include "schemas/topic_codec.h"

#define ALLOCATE_SERVICE "forestall-allocate"
#define ALLOCATE_PARTITIONS_MAX 1024

struct allocate_metrics {
    struct metric *risks, *repeats, *replayed, *decisions[MSG_DIRECTION_COUNT], *observed, *again, *unsent;
    struct metric *records, *records_repeated, *allocations, *tombstones, *verdicts[2], *verdicts_resent,
        *dead, *dead_reduced;
    struct metric *policies, *profiles, *profiles_refused, *statuses, *statuses_refused, *quarantined,
        *waited;
    struct metric *attempts, *attempts_evicted, *codes, *codes_evicted, *codes_idle, *codes_refused,
        *saved_share, *nodes, *nodes_evicted;
    struct metric *pending, *open, *redis_up, *redis_written, *redis_failed, *redis_rebuilds, *connected,
        *assigned;
    struct metric *sampled_seconds, *consumed_seconds, *settled_seconds;
};

/* Effects of one message (or of none) that must become durable in order: allocation in Kafka, then Redis,
 * then dead letter and verdict, then the offset. */
struct settlement {
    struct settlement *next;
    struct allocate *owner;
    struct ticket *ticket; /* NULL: no message behind it */
    char code[BOOK_CODE_MAX], pool[NODE_NAME_MAX];
    bool tombstone, failed;
    bool held, dead_sent;        /* not all of it is handed to the producer yet */
    unsigned outstanding;        /* deliveries not reported yet */
    int64_t begun_us;            /* monotonic */
    struct buffer verdict, dead; /* framed; empty: none */
};

/* Settlements in a row. */
struct settlement_list {
    struct settlement *head, *tail;
};

struct allocate {
    struct service *service;
    const struct allocate_options *options;
    struct stream *stream;
    /* Reads the nodes' states and sends them their adjustments. A broker answers one connection's requests
     * one after the other, a partition each: an adjustment must not wait behind the allocations of a burst.
     */
    struct stream *nodes_stream;
    struct topic_codec *codec, *nodes_codec;
    struct mirror *mirror;
    struct ledger *ledger;
    struct attempts *attempts;
    struct nodes *nodes;
    struct book *book;
    struct arena *arena, *look_arena; /* of the message in hand; of the attempt looked at again */
    struct buffer out, scratch;
    struct settlement *settlements, *free_settlements;
    struct settlement_list written,
        waiting; /* allocation is in Kafka; Redis has it, the rest waits for room in the producer */
    size_t settling;
    int32_t partitions;
    bool assigned[ALLOCATE_PARTITIONS_MAX];
    int64_t known_risks[ALLOCATE_PARTITIONS_MAX];    /* risks before this offset were handled before */
    int64_t stored_records[ALLOCATE_PARTITIONS_MAX]; /* newest finished record whose offset was stored */
    size_t idle_cursor, fixed_cursor;
    bool restoring;   /* inside the restore of assigned partitions */
    size_t unordered; /* codes that may still be dropped in it before the book is put into order again */
    bool fixed_due, was_ready;
    int64_t looked_ms, checked_ms, mirrored_ms;
    int failure;
    char failure_text[256];
    struct log_limiter decision_log;
    struct allocate_metrics metrics;
};

/* --- serve.c */
FS_MUST_CHECK int allocate_open(struct allocate *allocate, struct service *service,
                                const struct allocate_options *options, char *error, size_t error_size);
/* One turn of the loop; negative: the service must end. */
FS_MUST_CHECK int allocate_step(struct allocate *allocate);
/* Waits for what is under way, then leaves. */
void allocate_close(struct allocate *allocate);
/* The service cannot go on; the first reason stays. */
void allocate_fail(struct allocate *allocate, int error, const char *format, ...) FS_PRINTF(3, 4);

/* --- assign.c */
extern const struct stream_callbacks allocate_callbacks;

/* --- on_*.c: one message each */
enum stream_outcome allocate_on_risk(struct allocate *allocate, const struct stream_message *message,
                                     struct ticket *ticket);
enum stream_outcome allocate_on_record(struct allocate *allocate, const struct stream_message *message,
                                       struct ticket *ticket);
enum stream_outcome allocate_on_policy(struct allocate *allocate, const struct stream_message *message,
                                       struct ticket *ticket);
enum stream_outcome allocate_on_profile(struct allocate *allocate, const struct stream_message *message);
enum stream_outcome allocate_on_status(void *context, const struct stream_message *message);
/* DONE, or QUARANTINE with the reason set when `wrong` is one. */
enum stream_outcome allocate_judge_message(struct stream *stream, const char *wrong);
/* Decides again for attempts whose last decision no sample has shown. */
void allocate_look_again(struct allocate *allocate);
/* Finds or begins a code, making room when the book is full. NULL: no room (counted). */
struct code_entry *allocate_entry(struct allocate *allocate, struct str code, int32_t partition,
                                  int64_t now_us);
/* What settle is told of a code. entry NULL: nothing is known. */
struct settle_input allocate_settle_input(const struct allocate *allocate, const struct code_entry *entry,
                                          int64_t now_us);
/* Publishes what people fixed for codes whose policy changed while nobody looked; some entries per call. */
void allocate_apply_fixed(struct allocate *allocate);
/* Takes back allocations of codes idle for long; some entries per call. */
void allocate_drop_idle(struct allocate *allocate);

/* --- effects.c */
/* NULL: too many under way. */
struct settlement *settlement_begin(struct allocate *allocate, struct str code, struct ticket *ticket);
/* Gives it back unused. */
void settlement_cancel(struct settlement *settlement);
/* Starts with the allocation, which becomes the book's when it was accepted; entry may be NULL: then Kafka
 * only. 0, -EAGAIN (nothing was done, the settlement is still the caller's), others: the service fails. */
FS_MUST_CHECK int settlement_publish(struct settlement *settlement, struct code_entry *entry,
                                     const struct msg_allocation *allocation);
/* Starts with a tombstone for the code's allocation. */
FS_MUST_CHECK int settlement_publish_tombstone(struct settlement *settlement);
/* There is no allocation: only dead letter and verdict. */
void settlement_publish_verdict(struct settlement *settlement);
/* Carries on what has been delivered. */
void effects_step(struct allocate *allocate);
/* Hands the stream the offsets whose effects are durable. */
void effects_store_offsets(struct allocate *allocate);
/* Serves deliveries until nothing is under way or the time is over. */
void effects_drain(struct allocate *allocate, int timeout_ms);

/* --- measure.c */
void allocate_metrics_open(struct allocate *allocate);
void allocate_metrics_show(struct allocate *allocate);

#endif
