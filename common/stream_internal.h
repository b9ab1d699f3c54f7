/* What the stream_*.c files share; no other file includes this. */
#ifndef FORESTALL_COMMON_STREAM_INTERNAL_H
#define FORESTALL_COMMON_STREAM_INTERNAL_H

#include <librdkafka/rdkafka.h>

#include "common/stream.h"

#define STREAM_BATCH_MAX 1000
#define STREAM_TOPICS_MAX 64
#define STREAM_RESTORE_DEPTH 2 /* a schema is looked up while profiles are restored */
#define STREAM_OPEN_TIMEOUT_MS 10000
#define STREAM_FENCE_TIMEOUT_MS 30000 /* a predecessor's open transaction ends after 10 s */
#define STREAM_CLOSE_TIMEOUT_MS 10000
#define STREAM_REQUEST_TIMEOUT_MS 5000
#define STREAM_OUTAGE_LEAST_MS 2000

/* One consumed partition. */
struct stream_slot {
    bool assigned, end_seen;
    bool paused;    /* by the caller */
    bool stopped;   /* librdkafka was told to: it is paused, or it waits for a retry */
    bool lost;      /* Kafka lost its end: stream_lost.c finds where to go on */
    bool went_back; /* it did, since the assignment */
    bool reseek;    /* messages of this drain may be older than the assignment: read again from position */
    uint64_t assigned_drain; /* number of the drain in which it was assigned */
    int64_t position;        /* next to hand out; negative: logical */
    int64_t stored, handed;  /* next to commit: as the caller said, as librdkafka knows; -1: nothing yet */
    int64_t wanted;      /* while held: next to commit once what was quarantined is delivered; -1: nothing */
    bool held;           /* something of it is on its way to quarantine: no offset moves past it */
    int64_t floor;       /* committed at assignment: never store below it; -1: nothing */
    int64_t rewind;      /* where the last transaction ended; negative: logical */
    int64_t end_target;  /* end of the partition when its first message came; -1: not known yet */
    int64_t known_ms;    /* what is older was handed out or is not wanted; as stream_message.timestamp_ms */
    int64_t retry_at_ms; /* stream_dispatch() lets it wait until then; 0: it does not wait */
    int retry_backoff_ms;
};

struct stream_topic_entry {
    char *full_name; /* prefix + name */
    const char *name;
    rd_kafka_topic_t *producer_topic; /* opened at the first stream_produce() */
    struct stream_slot *slots;
    int32_t slot_count;
};

/* A pending delivery report with a callback; from a free list, so that producing does not call malloc. */
struct stream_delivery {
    stream_delivered_fn *on_delivered;
    void *context;
    struct stream_delivery *next;
};

struct stream_delivery_block;

enum stream_mode { STREAM_MODE_NONE, STREAM_MODE_GROUP, STREAM_MODE_FREE };

struct stream {
    rd_kafka_t *producer, *consumer, *restorers[STREAM_RESTORE_DEPTH];
    rd_kafka_queue_t *producer_queue, *consumer_queue, *restorer_queues[STREAM_RESTORE_DEPTH];
    size_t restoring; /* restores under way, one inside the other */
    enum stream_mode mode;
    bool embedded; /* the cluster is librdkafka's mock */
    int event_fd;

    char *brokers, *prefix, *client_id, *schema_registry;
    struct stream_framer framer; /* frame NULL: none */
    size_t prefix_size, max_inflight_bytes, max_fetched_bytes;
    const struct config *config;

    struct stream_topic_entry topics[STREAM_TOPICS_MAX];
    size_t topic_count;
    size_t last_produced_topic, last_consumed_topic;
    struct stream_delivery *free_deliveries;
    struct stream_delivery_block *delivery_blocks;

    struct stream_callbacks callbacks;
    void *callback_context;

    rd_kafka_message_t *raw[STREAM_BATCH_MAX];
    struct stream_message messages[STREAM_BATCH_MAX];
    size_t raw_count;
    bool batch_out;
    uint64_t drain; /* number of the current or last drain of the consumer's queue */
    bool offsets_dirty;
    size_t waiting;           /* slots that wait for a retry */
    size_t quarantining;      /* by stream_dispatch(), not delivered yet */
    bool holding;             /* a slot is held */
    bool any_lost;            /* a slot is lost */
    int64_t lost_at_ms;       /* not looked for before */
    struct metric *ends_lost; /* NULL: nobody measures */

    bool transactional, in_transaction;
    bool revoking;         /* inside on_revoked: nothing to go back to */
    bool transaction_lost; /* aborted by a revocation while the caller believed it open */

    bool serving; /* inside rd_kafka_poll of the producer */
    bool disconnected, restarts_after_outage;
    int64_t probe_at_ms, away_since_ms;
    int failure; /* 0 or -EPIPE */
    char failure_reason[256];
    char quarantine_reason[256];
    struct stream_counters counters;
};

/* stream_config.c: configurations ready for rd_kafka_new(); NULL with an error text. */
rd_kafka_conf_t *stream_config_producer(struct stream *stream, const char *transactional_id, char *error,
                                        size_t error_size);
struct stream_consumer_settings {
    const char *group, *member; /* both may be NULL */
    bool read_committed;
    bool hurried; /* reads to an end and stops: an empty answer must not be waited for */
};
rd_kafka_conf_t *stream_config_consumer(struct stream *stream,
                                        const struct stream_consumer_settings *settings, char *error,
                                        size_t error_size);

/* stream.c */
int stream_errno(rd_kafka_resp_err_t code);
void stream_note_error(struct stream *stream, const char *text);
/* Marks the stream as failed for good; returns -EPIPE. */
int stream_fail(struct stream *stream, const char *reason);
/* Looks whether librdkafka declared a fatal error; 0 or -EPIPE. */
int stream_check_fatal(struct stream *stream);
/* All brokers are away; one answered. */
void stream_note_away(struct stream *stream);
void stream_note_answer(struct stream *stream);
void stream_serve_reports(struct stream *stream);
void stream_wake(struct stream *stream);
void stream_connect_events(struct stream *stream, rd_kafka_queue_t *queue);
struct stream_topic_entry *stream_topic_find(struct stream *stream, const char *name);
/* Finds or adds; NULL: out of memory or more than STREAM_TOPICS_MAX. */
struct stream_topic_entry *stream_topic_add(struct stream *stream, const char *name);
/* Finds or adds the slot; NULL: out of memory. */
struct stream_slot *stream_slot_add(struct stream *stream, const char *name, int32_t partition);
/* Of an assigned partition, else NULL. */
struct stream_slot *stream_slot_find(struct stream *stream, const char *name, int32_t partition);

/* stream_produce.c */
void stream_delivery_report(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque);
void stream_deliveries_free(struct stream *stream);

/* The same as stream_quarantine(), with a report. */
int stream_quarantine_reported(struct stream *stream, const struct stream_message *message,
                               const char *service, const char *reason, stream_delivered_fn *on_delivered,
                               void *context);

/* stream_consume.c */
void stream_rebalance(rd_kafka_t *handle, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list,
                      void *opaque);
void stream_consumer_close(struct stream *stream);
/* Hands stored offsets to librdkafka. */
void stream_hand_offsets(struct stream *stream);

/* stream_poll.c */
void stream_message_from(const struct stream *stream, const rd_kafka_message_t *raw,
                         struct stream_message *out);
int stream_seek_slot(struct stream *stream, const struct stream_topic_entry *topic, int32_t partition,
                     int64_t offset);
/* Tells librdkafka what the slot's `paused` and `retry_at_ms` ask for; going on, it is read from its
 * position. */
int stream_stop_or_go(struct stream *stream, const struct stream_topic_entry *topic, int32_t partition);

/* stream_lost.c: slot.known_ms of an assignment that begins now. */
int64_t stream_known_from_ms(const struct stream *stream);
/* True when the end of this partition is before what was handed out of it. Looks at what is known: cheap. */
bool stream_lost_end(const struct stream *stream, const rd_kafka_message_t *raw,
                     const struct stream_slot *slot);
/* Lets lost partitions go on; what cannot be asked now is asked again by a later call. */
void stream_find_lost(struct stream *stream);

/* stream_transaction.c: everything assigned goes back to where the last transaction ended. */
int stream_rewind(struct stream *stream);

/* stream_admin.c: metadata of all topics (never creates one); NULL with an error text. */
const struct rd_kafka_metadata *stream_metadata(struct stream *stream, int timeout_ms, char *error,
                                                size_t error_size);
/* The same, once every partition of these topics has a leader, or after STREAM_OPEN_TIMEOUT_MS. */
const struct rd_kafka_metadata *stream_metadata_led(struct stream *stream, const char *const *topics,
                                                    size_t count, char *error, size_t error_size);
/* Partition count, or -ENOENT. */
int stream_metadata_partitions(const struct stream *stream, const struct rd_kafka_metadata *metadata,
                               const char *topic);

/* First offset and end of a partition that exists; a leader that is just being elected is waited for. 0 or
 * -EHOSTDOWN. */
int stream_query_offsets(struct stream *stream, rd_kafka_t *handle, const char *full_name, int32_t partition,
                         int timeout_ms, int64_t *low, int64_t *high);

/* Error code an error object carries; destroys it. */
rd_kafka_resp_err_t stream_take_error(struct stream *stream, rd_kafka_error_t *error);

#endif
