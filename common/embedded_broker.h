/* A Kafka broker inside this process for `forestall local`, `forestall demo` and unit tests: librdkafka's
 * mock cluster.
 *
 * Loopback only, on a port of the system's choice (the mock offers no other): other processes find it in
 * STATE_DIR/bootstrap. It makes every topic of topics.h. The newest value of every key of the compacted
 * topics is kept in STATE_DIR/topics.state (written by embedded_broker_poll() when it changed, at most every
 * second, and at close; atomically, with fsync) and is fed back at open. What it does not do: keep anything
 * of the other topics or of committed offsets over a restart; keep more than 5 MiB per partition (oldest
 * dropped, no compaction); isolate or fence transactions (they succeed). Nothing that promises something may
 * rest on it. A group's first join takes 3 s (librdkafka before 2.8). */
#ifndef FORESTALL_COMMON_EMBEDDED_BROKER_H
#define FORESTALL_COMMON_EMBEDDED_BROKER_H

#include "common/base.h"

struct embedded_broker;

/* Another value in place of a kept one (borrowed until the next call), or the same. */
typedef struct str embedded_broker_renew_fn(void *context, const char *topic, struct str value);

struct embedded_broker_options {
    const char *state_dir;    /* made if missing; NULL: keep nothing */
    const char *topic_prefix; /* NULL: none */
    int32_t partitions;       /* of the keyed families; 0: the default of topics.h */
    size_t max_state_bytes;   /* bound of the kept values; 0: 256 MiB; what exceeds it is counted, not kept */
    /* Asked for each kept value before it is fed back; NULL: as they are. For what values say about offsets
     * of other topics, which begin at 0 again. */
    embedded_broker_renew_fn *renew;
    void *renew_context;
};

/* NULL: error says why (state directory not writable or in use, state damaged, made with more partitions...).
 */
FS_MUST_CHECK struct embedded_broker *embedded_broker_open(const struct embedded_broker_options *options,
                                                           char *error, size_t error_size);
/* "127.0.0.1:PORT" */
const char *embedded_broker_bootstrap(const struct embedded_broker *broker);
/* Takes in what was written to the compacted topics and saves it. Call it at least once a second. The broker
 * itself runs on a thread of librdkafka and needs no call. 0, negative errno of the save (go on: it is tried
 * again). */
FS_MUST_CHECK int embedded_broker_poll(struct embedded_broker *broker, int timeout_ms);
/* Readable when embedded_broker_poll() has something to take in. */
int embedded_broker_fd(const struct embedded_broker *broker);
/* Keys kept, and writes that were not kept because of max_state_bytes. */
size_t embedded_broker_key_count(const struct embedded_broker *broker);
uint64_t embedded_broker_overflow_count(const struct embedded_broker *broker);
/* Takes in and saves the rest, then stops the broker. NULL is allowed. */
void embedded_broker_close(struct embedded_broker *broker);

#endif
