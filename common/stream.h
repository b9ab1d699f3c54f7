/* Kafka for the services: producing, batch consumption, transactions, restoring and creating topics.
 *
 * The stream*.c files and embedded_broker.c are the only ones that call librdkafka. One `struct stream` is
 * one producer and at most one consumer, used by one thread; a service that reads both with a group and
 * without one opens two streams and waits for both with stream_wait() (or puts stream_fd() into its own event
 * loop).
 *
 * Guarantees
 * - Every callback of this header runs inside stream_poll(), stream_dispatch(), stream_flush(),
 * stream_commit_*(), stream_abort() or stream_close() of the calling thread, never on a thread of librdkafka.
 * - Producing: acks=all, idempotent, partitioner murmur2_random (as Java clients: NULL keys are spread, an
 * empty key is hashed). What was accepted is retried for ever while the broker is away (inside a transaction:
 * until the transaction times out); the bound is the queue, which answers -EAGAIN when full. Delivery reports
 * are served by stream_poll() and also by stream_produce() itself while the queue is full.
 * - Consuming: at least once. An offset is committed only after stream_store_offset() (= after the effect).
 * Messages of a partition that was revoked, or that were fetched before a seek, are never handed out.
 * - A log whose end Kafka lost, or a topic made anew, is read on from the first message that is not older
 * than the newest handed out, less a minute (group whose member has read nothing yet: less twelve hours):
 * offsets go back then, repeats come, and nothing new is passed over. Logged as an error, and counted.
 * - A dead broker: stream_open() fails within 10 s and says which address and what to do; later every call
 * keeps working (0 messages, -EAGAIN) while the library reconnects for ever; stream_counters() and
 * stream_connected() tell.
 * - librdkafka from 2.5 on may never find a partition again whose leader was unknown for a moment
 * (github.com/confluentinc/librdkafka/issues/5430): it then neither delivers nor fetches, without an error.
 * With restart_after_outage "yes", or "auto" and such a version, a stream fails (-EPIPE) as soon as Kafka
 * answers again after it was away for two seconds, so that the process begins anew; stream_topics_describe()
 * and stream_topics_check() wait until every partition has a leader.
 * - -EPIPE anywhere means: fenced by a successor or a fatal error of the idempotent producer. The process
 * must end and be started again (its log position is in Kafka); nothing else works on this stream any more.
 *
 * The process must ignore SIGPIPE (service_open() does).
 *
 * Names of topics are without the prefix everywhere in this interface. */
#ifndef FORESTALL_COMMON_STREAM_H
#define FORESTALL_COMMON_STREAM_H

#include "common/base.h"

struct config;
struct metrics;
struct stream;

/* What a handler made of a message; every consumer of the project speaks this. */
enum stream_outcome {
    STREAM_DONE,       /* the effect is durable: the offset may move past it */
    STREAM_RETRY,      /* not now (Redis away, queue full): the same message again after a back-off */
    STREAM_QUARANTINE, /* cannot be read or is not valid: its bytes go to `quarantine`, the partition moves on
                        */
    STREAM_FATAL       /* the service cannot go on: end the process */
};

enum stream_start { STREAM_FROM_BEGINNING, STREAM_FROM_END };

/* Logical offsets for stream_partition.start_offset and stream_assign_at(). */
#define STREAM_OFFSET_BEGINNING (-2)
#define STREAM_OFFSET_END (-1)
#define STREAM_OFFSET_NONE (-1001) /* nothing committed yet */

/* Everything borrowed from the batch: valid until stream_batch_release(). */
struct stream_message {
    struct str topic; /* without prefix; NUL-terminated */
    int32_t partition;
    int64_t offset, timestamp_ms;
    const void *key; /* NULL: no key */
    size_t key_size;
    const void *value; /* NULL: tombstone */
    size_t value_size;
    const void *handle; /* private */
};

struct stream_batch {
    const struct stream_message *messages; /* in offset order within a partition */
    size_t count;
    struct stream *stream; /* private */
};

/* One partition given to or taken from this member. In assigned(): committed_offset is the group's committed
 * offset or STREAM_OFFSET_NONE; start_offset (in/out) is where reading will begin: the committed offset, or
 * the beginning. Lower it to read records again (clamped to the oldest available). */
struct stream_partition {
    const char *topic;
    int32_t partition;
    int64_t committed_offset, start_offset;
};

/* The offset of the next record to read. */
struct stream_position {
    const char *topic;
    int32_t partition;
    int64_t offset;
};

struct stream_callbacks {
    /* New partitions; before their first message. May call stream_restore() and stream_produce(). May be
     * NULL. */
    void (*assigned)(void *context, struct stream_partition *partitions, size_t count);
    /* These partitions go away; stored offsets are committed right after it. Inside a transaction: call
     * stream_abort(). lost: another member owns them already, so nothing may be committed or produced for
     * them. May be NULL. */
    void (*revoked)(void *context, const struct stream_partition *partitions, size_t count, bool lost);
};

struct stream_options {
    const char *brokers;              /* "host:port[,host:port]" */
    const char *topic_prefix;         /* NULL or "": none */
    const char *client_id;            /* the service's name */
    const struct config *config;      /* its section [kafka] is passed to librdkafka; NULL: none */
    const char *restart_after_outage; /* "no" (NULL too), "yes", "auto": see above */
    const char *schema_registry;  /* kept for those who frame and read values (schemas/); NULL or "": none */
    const char *transactional_id; /* NULL: plain idempotent producer */
    size_t max_inflight_bytes;    /* bound of the producer's queue; 0: 64 MiB */
    size_t max_fetched_bytes;     /* bound of the consumer's queue; 0: 64 MiB */
};

/* Counters since stream_open(); read them with stream_counters() into metrics. */
struct stream_counters {
    uint64_t produced, delivered, delivery_failed, produce_refused /* queue full */, quarantined;
    uint64_t consumed, dropped_stale /* of revoked partitions or before a seek */, retried;
    uint64_t ends_lost; /* times Kafka had lost the end of a log that was read already */
    uint64_t commits, transactions, transactions_aborted, rebalances;
    uint64_t broker_errors; /* connection losses and other errors librdkafka recovers from */
    size_t inflight;        /* messages accepted and not yet reported */
    char last_error[256];   /* text of the newest error, "" when none */
};

/* Result of one produced message: 0, or -ETIMEDOUT (broker away longer than the transaction allows),
 * -EMSGSIZE (the broker refused the size), -ECANCELED (stream closed or transaction aborted first), -EPIPE
 * (fenced/fatal), -ENOENT (no such topic or partition), -EIO. */
typedef void stream_delivered_fn(void *context, int error);

/* --- life --- */

/* Opens the producer and waits up to 10 s for an answer of the broker; with a transactional_id it also fences
 * older holders of that id and ends their open transaction. NULL: error says address, reason and what to do.
 */
FS_MUST_CHECK struct stream *stream_open(const struct stream_options *options, char *error,
                                         size_t error_size);
/* Aborts an open transaction, waits up to 10 s for outstanding deliveries, commits stored offsets, leaves the
 * group (a static member keeps its place). Every outstanding on_delivered is called before it returns. NULL
 * is allowed. */
void stream_close(struct stream *stream);
/* Readable (poll/epoll/libuv) when stream_poll() may have something to do. Level-triggered; stream_poll()
 * clears it. */
int stream_fd(const struct stream *stream);
/* Shows how often Kafka lost messages that these streams had read, among the service's metrics. */
void stream_measure(struct stream *const *streams, size_t count, struct metrics *metrics);
/* Waits until one of the streams (at most 8) has something or the time is over; NULL entries are skipped. 1
 * or 0. */
int stream_wait(struct stream *const *streams, size_t count, int timeout_ms);
/* Snapshot of the counters; valid until the next call on this stream. */
const struct stream_counters *stream_counters(struct stream *stream);
/* False from the moment all brokers are unreachable until one answers stream_poll(), which asks every second.
 */
bool stream_connected(const struct stream *stream);
/* 0, or -EPIPE with the reason once the stream is fenced or failed for good. */
FS_MUST_CHECK int stream_failed(struct stream *stream, char *reason, size_t reason_size);

/* --- producing --- */

/* Copies key and value. value NULL: tombstone. on_delivered (may be NULL) is called exactly once if 0 is
 * returned. 0, -EAGAIN (queue full although reports were served: poll, then again), -EMSGSIZE, -ENOENT,
 * -EPIPE, -EINVAL (transactional stream without stream_begin()), -ENOMEM. Does not block. */
FS_MUST_CHECK int stream_produce(struct stream *stream, const char *topic, const void *key, size_t key_size,
                                 const void *value, size_t value_size, stream_delivered_fn *on_delivered,
                                 void *context);
/* The same, to a partition of the caller's choice. */
FS_MUST_CHECK int stream_produce_to(struct stream *stream, const char *topic, int32_t partition,
                                    const void *key, size_t key_size, const void *value, size_t value_size,
                                    stream_delivered_fn *on_delivered, void *context);
/* Rewrites values on their way to Kafka, e.g. to the framing of a schema registry. */
struct stream_framer {
    void *context;
    /* The form in which value goes to topic, or value itself; valid until the next call. */
    struct str (*frame)(void *context, const char *topic, struct str value);
    void (*destroy)(void *context); /* called by stream_close() */
};
/* Copied; applied to all that is produced from now on, but not to quarantine. Only one per stream. */
void stream_set_framer(struct stream *stream, const struct stream_framer *framer);
/* Its context; NULL: none was set. */
void *stream_framer_context(const struct stream *stream);
/* As in the options; "" none. */
const char *stream_schema_registry(const struct stream *stream);
const char *stream_topic_prefix(const struct stream *stream);
/* Waits until everything is reported. 0, -ETIMEDOUT, -EPIPE. */
FS_MUST_CHECK int stream_flush(struct stream *stream, int timeout_ms);
/* The partition the default partitioner chooses for a key that is not NULL (murmur2, as Java). */
int32_t stream_partition_of(const void *key, size_t key_size, int32_t partition_count);

/* --- consuming; a stream has either a subscription or an assignment --- */

/* Joins the group (range assignor, session time-out 6 s, read_committed, from the beginning where nothing is
 * committed). member: static member id that survives restarts (group.instance.id), or NULL. Every topic must
 * exist. callbacks (copied) may be NULL. 0, -ENOENT (error names the missing topic), -EHOSTDOWN, -EINVAL,
 * -EBUSY. */
FS_MUST_CHECK int stream_subscribe(struct stream *stream, const char *group, const char *member,
                                   const char *const *topics, size_t count,
                                   const struct stream_callbacks *callbacks, void *context, char *error,
                                   size_t error_size);
/* Reads all partitions of the topics without a group. FROM_END: everything produced after this call returns
 * is seen. Partitions added to a topic later are not discovered: restart the service after adding partitions.
 * 0, -ENOENT (error names the missing topic), -EHOSTDOWN, -EBUSY. */
FS_MUST_CHECK int stream_assign_all(struct stream *stream, const char *const *topics, size_t count,
                                    enum stream_start start, bool read_committed, char *error,
                                    size_t error_size);
/* Adds partitions to what is read without a group (read_committed), all or none; an offset may be
 * STREAM_OFFSET_*. Better all in one call: once something is read, the end of each further one is answered
 * only after a fetch (up to half a second). 0, -ENOENT, -EALREADY (it is read already: stream_seek moves
 * it), -EBUSY (a group is read), -EHOSTDOWN, -EINVAL, -ENOMEM. */
FS_MUST_CHECK int stream_assign_at(struct stream *stream, const struct stream_position *starts, size_t count);

/* Serves reports and rebalances, and hands out up to 1,000 messages; returns as soon as there is one, or
 * after timeout_ms (also without a consumer). Number of messages, or -EPIPE. The batch (also an empty one)
 * must be released before the next stream_poll(). */
FS_MUST_CHECK int stream_poll(struct stream *stream, struct stream_batch *batch, int timeout_ms);
void stream_batch_release(struct stream_batch *batch);
/* The value of a record header (borrowed like the message); false: not there. */
bool stream_message_header(const struct stream_message *message, const char *name, struct str *value);
/* The effects of this message and of all before it on its partition are durable. Cheap: handed to librdkafka
 * by the next poll and committed every second, at a revocation and at close. 0, or -ESTALE: the partition is
 * not ours now. */
FS_MUST_CHECK int stream_store_offset(struct stream *stream, const struct stream_message *message);
/* Commits the stored offsets now. 0, -ESTALE (rebalanced meanwhile), -EHOSTDOWN, -EPIPE. */
FS_MUST_CHECK int stream_commit(struct stream *stream);
/* Back-pressure: stop and go on with one partition while stream_poll() goes on being called. After resume the
 * next message is the one after the last handed out. An assignment begins without pauses, whatever the one
 * before had. 0, -ESTALE: not assigned. */
FS_MUST_CHECK int stream_pause(struct stream *stream, const char *topic, int32_t partition);
FS_MUST_CHECK int stream_resume(struct stream *stream, const char *topic, int32_t partition);
/* The next message of this partition will be the first at or after offset. 0, -ESTALE, -EIO. */
FS_MUST_CHECK int stream_seek(struct stream *stream, const char *topic, int32_t partition, int64_t offset);
/* True when there is an assignment and each of its partitions was read to where its end was when it was
 * assigned. */
bool stream_caught_up(const struct stream *stream);
/* The same of one partition; false when it is not assigned. */
bool stream_partition_caught_up(struct stream *stream, const char *topic, int32_t partition);
/* Number of partitions assigned now. */
size_t stream_assigned_count(const struct stream *stream);

typedef enum stream_outcome stream_handler_fn(void *context, const struct stream_message *message);
/* One stream_poll() whose messages go to handler: DONE stores the offset; RETRY stops this partition, which
 * starts again at this message after a back-off (20 ms doubling to 2 s) while the others go on; QUARANTINE
 * writes the bytes to `quarantine` (service = client_id, reason = stream_set_reason()) and stores once they
 * are delivered, for which no offset of the partition moves meanwhile; FATAL returns -EIO. Number of messages
 * done or quarantined, -EIO, -EPIPE. Not for transactional streams. A partition that waits for a retry and is
 * paused by the caller goes on when both are over. */
FS_MUST_CHECK int stream_dispatch(struct stream *stream, stream_handler_fn *handler, void *context,
                                  int timeout_ms);
/* After the last message of a batch, while all of its messages are still valid; negative ends the dispatch
 * with that value. */
typedef int stream_batch_end_fn(void *context);
/* The same for a caller whose effects become durable later than its handler returns: nothing is stored, the
 * caller does so with stream_store_offset() for what was done or quarantined. end is called for each batch
 * that had a message; it may seek. */
FS_MUST_CHECK int stream_dispatch_batch(struct stream *stream, stream_handler_fn *handler,
                                        stream_batch_end_fn *end, void *context, int timeout_ms);
/* Called by a handler before it returns STREAM_QUARANTINE: the reason header. */
void stream_set_reason(struct stream *stream, const char *format, ...) FS_PRINTF(2, 3);
/* What was set since the last quarantine, "" when nothing: for transactional streams, which quarantine by
 * themselves. */
const char *stream_reason(const struct stream *stream);
/* Copies the message to `quarantine` with headers service, reason, topic, partition, offset; too large for
 * the broker: its first 64 KiB and header truncated = original size. Same results as stream_produce(). */
FS_MUST_CHECK int stream_quarantine(struct stream *stream, const struct stream_message *message,
                                    const char *service, const char *reason);
/* For bytes that did not come from Kafka (ingest's frames): origin is free text (node, address). on_delivered
 * (may be NULL) as in stream_produce(). */
FS_MUST_CHECK int stream_quarantine_bytes(struct stream *stream, const void *value, size_t value_size,
                                          const char *service, const char *origin, const char *reason,
                                          stream_delivered_fn *on_delivered, void *context);

/* --- transactions: begin, produce..., commit with the positions of what was consumed --- */

/* 0, -EPIPE, -EINVAL (not transactional, or one is open). */
FS_MUST_CHECK int stream_begin(struct stream *stream);
/* Commits what was produced since stream_begin() and the positions (offset = last consumed + 1) as one unit;
 * blocks 10-30 ms, in trouble up to the transaction time-out. positions may be empty. 0: committed. -EAGAIN:
 * aborted, and the consumer is back at the last committed positions: drop what was built in memory since
 * stream_begin(), release the batch without using the rest of it (all of it comes again) and go on polling.
 * -EPIPE: fenced or fatal, or the outcome is unknown: restart. */
FS_MUST_CHECK int stream_commit_transaction(struct stream *stream, const struct stream_position *positions,
                                            size_t count);
/* Drops what was produced since stream_begin() and rewinds the consumer likewise (partitions still assigned).
 * 0 (also when none is open), -EPIPE. */
FS_MUST_CHECK int stream_abort(struct stream *stream);

/* --- topics and restoring --- */

struct stream_topic {
    const char *name;
    int32_t partitions;
    bool compact;
    int64_t retention_ms; /* delete topics; 0: the broker's default */
};

/* Creates those that are missing (replication factor: the broker's default) and leaves the others as they
 * are; safe when several services do it at once. 0, -EHOSTDOWN, -ENOTSUP (embedded broker: unknown topic),
 * -EACCES, -EIO. */
FS_MUST_CHECK int stream_topics_ensure(struct stream *stream, const struct stream_topic *topics, size_t count,
                                       char *error, size_t error_size);
/* Checks that co-partitioned topics have the same number of partitions: that number, or
 * -EINVAL/-ENOENT/-EHOSTDOWN. */
FS_MUST_CHECK int stream_topics_check(struct stream *stream, const char *const *topics, size_t count,
                                      char *error, size_t error_size);
/* A topic as it is on the broker. */
struct stream_topic_state {
    int32_t partitions; /* 0: it does not exist */
    bool known; /* the rest was told: not by the embedded broker, not for a topic that does not exist */
    bool compacts, deletes; /* cleanup.policy */
    int64_t retention_ms;   /* -1: for ever */
};
/* Fills out[count]. 0, -EHOSTDOWN, -EACCES (partitions are filled in, settings may not be read), -EIO. */
FS_MUST_CHECK int stream_topics_describe(struct stream *stream, const char *const *topics, size_t count,
                                         struct stream_topic_state *out, char *error, size_t error_size);
/* > 0, -ENOENT, -EHOSTDOWN. Blocks up to timeout_ms. */
FS_MUST_CHECK int stream_partition_count(struct stream *stream, const char *topic, int timeout_ms);

/* Return 0 to go on, negative to stop stream_restore() with that value. Tombstones are passed too. */
typedef int stream_restore_fn(void *context, const struct stream_message *message);
/* Reads a partition from its beginning to its end (as of the call, read_committed) on a consumer of its own;
 * other partitions keep their place. May be called in stream_callbacks.assigned, and once more inside
 * on_message. 0, -ETIMEDOUT, -ENOENT, -EHOSTDOWN, -ENOMEM, -EBUSY (a third one inside two others), or what
 * on_message returned. Blocks. */
FS_MUST_CHECK int stream_restore(struct stream *stream, const char *topic, int32_t partition,
                                 stream_restore_fn *on_message, void *context, int timeout_ms);

#endif
