/* Which partitions are ours, and what is known of them.
 *
 * A partition that is assigned is restored from executions.state before its first input. That topic has to be
 * read past everything that a previous owner may still have under way: a barrier of our own, written in a
 * transaction, can be read only after every transaction before it was decided. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/topics.h"
#include "common/uuid.h"
#include "queue/server.h"

#define RESTORE_TIMEOUT_MS 30000  /* of one reading */
#define RESTORE_GIVE_UP_MS 120000 /* below max.poll.interval.ms, 5 minutes */
#define RESTORE_PAUSE_MS 100
#define BARRIER_TRIES 20
#define BARRIER_SIZE 48
#define BLIND_MS 5000 /* without a proof of the broker for so long, nothing is seen */
#define STEP_MAX_MS                                                                                          \
    1000 /* most that one look at the clock counts: longer means that this process stood still */

const char *const input_topics[INPUT_COUNT] = {
    [INPUT_REQUESTED] = TOPIC_EXECUTIONS_REQUESTED,
    [INPUT_EVENTS] = TOPIC_EXECUTIONS_EVENTS,
    [INPUT_NODES] = TOPIC_NODES,
    [INPUT_VERDICTS] = TOPIC_VERDICTS,
};

struct slot *partitions_slot(struct server *server, enum input input, int32_t partition)
{
    if (partition < 0 || partition >= server->partition_count || !server->partitions[partition].ledger)
        return NULL;
    return &server->partitions[partition].slots[input];
}

size_t partitions_live(const struct server *server)
{
    size_t live = 0;
    for (int p = 0; p < server->partition_count; p++)
        if (server->partitions[p].ledger)
            live += ledger_live(server->partitions[p].ledger);
    return live;
}

/* --- restoring --- */

static void make_barrier(char out[BARRIER_SIZE])
{
    uint8_t id[UUID_SIZE];
    char text[UUID_TEXT_SIZE];
    uuid_v7(id, clock_realtime_us() / 1000);
    uuid_format(id, text);
    (void)snprintf(out, BARRIER_SIZE, "barrier:%s", text);
}

/* A tombstone, so that compaction takes it away; nobody else knows its key. */
static int write_barrier(struct server *server, const bool *wanted, const char *barrier)
{
    int result = stream_begin(server->stream);
    for (int p = 0; result == 0 && p < server->partition_count; p++)
        if (wanted[p])
            result = stream_produce_to(server->stream, TOPIC_EXECUTIONS_STATE, p, barrier, strlen(barrier),
                                       NULL, 0, NULL, NULL);
    if (result == 0)
        return stream_commit_transaction(server->stream, NULL, 0);
    return stream_abort(server->stream) < 0 ? -EPIPE : result;
}

static int set_barrier(struct server *server, const bool *wanted, const char *barrier)
{
    int result = -EAGAIN;
    for (int i = 0; i < BARRIER_TRIES && result < 0 && result != -EPIPE; i++) {
        if (i > 0)
            (void)poll(NULL, 0, RESTORE_PAUSE_MS);
        result = write_barrier(server, wanted, barrier);
    }
    return result;
}

struct reading {
    struct server *server;
    struct ledger *ledger;
    const char *barrier;
    bool passed;
};

static int take_state(void *context, const struct stream_message *message)
{
    struct reading *reading = context;
    struct server *server = reading->server;
    struct msg_execution_state state;
    if (message->key_size == strlen(reading->barrier) &&
        memcmp(message->key, reading->barrier, message->key_size) == 0)
        reading->passed = true;
    if (message->key_size != sizeof state.execution)
        return 0;
    if (!message->value) {
        ledger_restore(reading->ledger, message->key, NULL);
        return ledger_error(reading->ledger);
    }
    arena_reset(server->arena);
    enum stream_outcome outcome = topic_codec_decode(server->codec, &msg_execution_state_type, message,
                                                     server->arena, &state, clock_monotonic_ms());
    if (outcome == STREAM_RETRY)
        return -EAGAIN; /* written by another version, whose schema is looked for */
    if (outcome == STREAM_DONE)
        ledger_restore(reading->ledger, message->key, &state);
    else
        effects_quarantine(server, message, stream_reason(server->stream));
    return ledger_error(reading->ledger);
}

/* One reading: 0 when it went past the barrier. */
static int read_states(struct server *server, struct partition *partition, const char *barrier)
{
    struct reading reading = {.server = server, .barrier = barrier};
    struct ledger_sink sink = effects_sink_functions;
    sink.context = partition;
    reading.ledger = ledger_create(&server->config, &server->counts, &sink);
    if (!reading.ledger)
        return -ENOMEM;
    int result = stream_restore(server->stream, TOPIC_EXECUTIONS_STATE, partition->number, take_state,
                                &reading, RESTORE_TIMEOUT_MS);
    if (result == 0 && !reading.passed)
        result = -EAGAIN; /* a transaction before it is not decided yet */
    if (result < 0) {
        ledger_destroy(reading.ledger);
        return result;
    }
    ledger_restored(reading.ledger, server->at);
    partition->ledger = reading.ledger;
    return 0;
}

static int restore(struct server *server, struct partition *partition, const char *barrier)
{
    int64_t deadline_ms = clock_monotonic_ms() + RESTORE_GIVE_UP_MS;
    int result;
    ledger_destroy(partition->ledger);
    partition->ledger = NULL;
    while ((result = read_states(server, partition, barrier)) < 0) {
        if (result == -ENOMEM || service_stopping() || clock_monotonic_ms() >= deadline_ms)
            break;
        (void)poll(NULL, 0, RESTORE_PAUSE_MS);
    }
    if (result < 0) {
        log_error("not_restored", "topic=%s partition=%d error=\"%s\"", TOPIC_EXECUTIONS_STATE,
                  partition->number, strerror(-result));
        return result;
    }
    server->restored += ledger_live(partition->ledger);
    log_info("restored", "partition=%d executions=%zu done=%zu", partition->number,
             ledger_live(partition->ledger), ledger_count(partition->ledger, MSG_EXECUTION_PHASE_DONE));
    return 0;
}

/* All that is wanted, or -EPIPE: half of it would be worse than a new start. */
static int restore_all(struct server *server, const bool *wanted)
{
    char barrier[BARRIER_SIZE];
    make_barrier(barrier);
    partitions_look_at_clock(server);
    int result = set_barrier(server, wanted, barrier);
    for (int p = 0; result == 0 && p < server->partition_count; p++)
        if (wanted[p])
            result = restore(server, &server->partitions[p], barrier);
    server->proof_ms = clock_monotonic_ms();
    return result < 0 ? -EPIPE : 0;
}

int partitions_reload(struct server *server)
{
    bool *wanted = calloc((size_t)server->partition_count, sizeof *wanted);
    if (!wanted)
        return -EPIPE;
    for (int p = 0; p < server->partition_count; p++) {
        wanted[p] = server->partitions[p].ledger != NULL;
        for (enum input input = 0; input < INPUT_COUNT; input++)
            server->partitions[p].slots[input].next = server->partitions[p].slots[input].committed;
    }
    server->settled = false;
    server->positions_moved = false;
    int result = restore_all(server, wanted);
    free(wanted);
    return result;
}

/* --- assignment --- */

static int input_named(const char *topic)
{
    for (int input = 0; input < INPUT_COUNT; input++)
        if (strcmp(topic, input_topics[input]) == 0)
            return input;
    return -ENOENT;
}

static void begin_slot(struct server *server, const struct stream_partition *assigned)
{
    int input = input_named(assigned->topic);
    if (input < 0 || assigned->partition >= server->partition_count)
        return;
    server->partitions[assigned->partition].slots[input] = (struct slot){
        .next = FS_MAX(assigned->committed_offset, -1), .committed = FS_MAX(assigned->committed_offset, -1)};
}

void partitions_assigned(void *context, struct stream_partition *partitions, size_t count)
{
    struct server *server = context;
    bool *wanted = calloc((size_t)server->partition_count, sizeof *wanted);
    if (!wanted) {
        server->trouble = -EPIPE;
        return;
    }
    size_t ours = 0;
    for (size_t i = 0; i < count; i++) {
        begin_slot(server, &partitions[i]);
        if (partitions[i].partition < server->partition_count && !wanted[partitions[i].partition]) {
            wanted[partitions[i].partition] = true;
            ours++;
        }
        /* The group's offset could not be read: a transaction that decides it may be under way. */
        if (partitions[i].committed_offset == STREAM_OFFSET_NONE &&
            partitions[i].start_offset != STREAM_OFFSET_BEGINNING)
            server->trouble = -EPIPE;
    }
    server->settled = false;
    log_info("assigned", "partitions=%zu", ours);
    if (ours > 0 && server->trouble == 0)
        server->trouble = restore_all(server, wanted);
    free(wanted);
}

void partitions_revoked(void *context, const struct stream_partition *partitions, size_t count, bool lost)
{
    struct server *server = context;
    for (size_t i = 0; i < count; i++) {
        if (partitions[i].partition >= server->partition_count)
            continue;
        struct partition *partition = &server->partitions[partitions[i].partition];
        ledger_destroy(partition->ledger);
        partition->ledger = NULL;
    }
    log_info("revoked", "lost=%d", lost);
}

void partitions_destroy(struct server *server)
{
    for (int p = 0; server->partitions && p < server->partition_count; p++)
        ledger_destroy(server->partitions[p].ledger);
    free(server->partitions);
    server->partitions = NULL;
}

/* --- back-pressure --- */

static void press(struct server *server, int p, bool pause)
{
    struct slot *slot = partitions_slot(server, INPUT_REQUESTED, p);
    if (!slot || slot->paused == pause)
        return;
    int result = 0;
    if (pause)
        result = stream_pause(server->stream, input_topics[INPUT_REQUESTED], p);
    else if (slot->held_until_ms == 0)
        result = stream_resume(server->stream, input_topics[INPUT_REQUESTED], p);
    if (result == 0)
        slot->paused = pause;
}

void partitions_press(struct server *server)
{
    size_t live = 0, bytes = 0;
    bool was = false;
    for (int p = 0; p < server->partition_count; p++) {
        const struct partition *partition = &server->partitions[p];
        if (!partition->ledger)
            continue;
        live += ledger_live(partition->ledger);
        bytes += ledger_request_bytes(partition->ledger);
        was |= partition->slots[INPUT_REQUESTED].paused;
    }
    /* Some slack, so that it does not change with every execution that ends. */
    double share = FS_MAX((double)live / (double)server->options->max_executions,
                          (double)bytes / (double)server->options->request_memory_bytes);
    bool pause = was ? share > 0.9 : share >= 1;
    if (pause != was)
        log_warn(pause ? "requests_paused" : "requests_resumed", "executions=%zu request_bytes=%zu", live,
                 bytes);
    for (int p = 0; p < server->partition_count; p++)
        press(server, p, pause);
}

void partitions_release_held(struct server *server)
{
    for (int p = 0; p < server->partition_count; p++) {
        for (enum input input = 0; input < INPUT_COUNT; input++) {
            struct slot *slot = partitions_slot(server, input, p);
            if (!slot || slot->held_until_ms == 0 || server->now_ms < slot->held_until_ms)
                continue;
            slot->held_until_ms = 0;
            if (!slot->paused)
                fs_drop(stream_resume(server->stream, input_topics[input], p)); /* -ESTALE: revoked */
        }
    }
}

/* --- time --- */

void partitions_look_at_clock(struct server *server)
{
    int64_t now_ms = clock_monotonic_ms(), passed_ms = now_ms - server->now_ms;
    bool seeing = server->settled && stream_connected(server->stream) && now_ms - server->proof_ms < BLIND_MS;
    if (seeing)
        server->at.seen_us += FS_MIN(passed_ms, STEP_MAX_MS) * 1000;
    server->now_ms = now_ms;
    server->at.now_us = clock_realtime_us();
}
