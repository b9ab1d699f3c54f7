/* What the files of the loop share: the stream, the ledgers of the partitions that are ours, the transaction.
 *
 *   serve.c       opening, the loop, closing
 *   batch.c       one batch: decoding, giving inputs to the ledgers
 *   effects.c     what ledgers put out, into the transaction; committing it
 *   partitions.c  assignment, restoring, back-pressure, the clock of what is seen
 *   gauges.c      metrics */
#ifndef FORESTALL_QUEUE_SERVER_H
#define FORESTALL_QUEUE_SERVER_H

#include "common/service.h"
#include "common/stream.h"
#include "queue/allocations.h"
#include "queue/ledger.h"
#include "schemas/topic_codec.h"

enum input { INPUT_REQUESTED, INPUT_EVENTS, INPUT_NODES, INPUT_VERDICTS, INPUT_COUNT };
extern const char *const input_topics[INPUT_COUNT];

/* One consumed partition of one input topic. */
struct slot {
    int64_t next, committed; /* offset of the next record; negative: nothing known */
    int64_t held_until_ms;   /* paused: its next record's schema is looked for; 0 = not */
    uint64_t skipped_batch;  /* the rest of this batch's records of it come again */
    bool paused;             /* too many executions */
};

struct partition {
    struct server *server;
    int32_t number;
    struct ledger *ledger; /* NULL: not ours */
    struct slot slots[INPUT_COUNT];
};

struct server {
    struct service *service;
    const struct queue_options *options;
    struct ledger_config config;
    struct counts counts;
    struct stream *stream;
    struct topic_codec *codec;
    struct allocations *allocations;
    struct gauges *gauges;
    struct partition *partitions;
    int partition_count;
    struct stream_position *positions; /* room for all slots */
    struct arena *arena;
    struct buffer scratch;
    struct log_limiter limiter;

    struct moment at; /* of this step */
    int64_t now_ms;   /* monotonic */
    int64_t proof_ms; /* the broker last gave or took something */
    int64_t committed_ms;
    uint64_t batch_number;
    bool nodes_late; /* told */
    bool settled;    /* all of what was there at the assignment was read */
    bool in_transaction, positions_moved;
    int trouble; /* of this transaction: 0, -EAGAIN (do it again), -EPIPE (end the process) */
    uint64_t republished, quarantined, reloads, restored, commits;
};

/* --- partitions.c --- */
void partitions_assigned(void *context, struct stream_partition *partitions, size_t count);
void partitions_revoked(void *context, const struct stream_partition *partitions, size_t count, bool lost);
/* Everything anew from the log: what the ledgers hold may be ahead of it. 0 or -EPIPE. */
FS_MUST_CHECK int partitions_reload(struct server *server);
/* Stops or goes on reading requests, by what the ledgers hold. */
void partitions_press(struct server *server);
/* Slots held for a schema are read on when their time has come. */
void partitions_release_held(struct server *server);
/* Moves the clocks to now. */
void partitions_look_at_clock(struct server *server);
void partitions_destroy(struct server *server);
size_t partitions_live(const struct server *server);
struct slot *partitions_slot(struct server *server, enum input input, int32_t partition);

/* --- effects.c --- */
extern const struct ledger_sink effects_sink_functions; /* context: struct partition */
/* Opens the transaction when it is not. 0 or negative: trouble is set. */
FS_MUST_CHECK int effects_begin(struct server *server);
void effects_republish(struct server *server, const struct stream_message *message, struct str pool);
void effects_quarantine(struct server *server, const struct stream_message *message, const char *reason);
/* Ends the step: commits effects and positions as one, when there are effects or it is time. 0, -EPIPE. */
FS_MUST_CHECK int effects_commit(struct server *server);

/* --- batch.c --- */
void batch_take(struct server *server, const struct stream_batch *batch);

/* --- gauges.c --- */
struct gauges *gauges_create(struct metrics *metrics);
void gauges_destroy(struct gauges *gauges);
void gauges_waited(struct gauges *gauges, int64_t wait_us);
void gauges_committed(struct gauges *gauges, int64_t took_ms);
void gauges_show(const struct server *server);

#endif
