/* What the ledgers put out goes into one transaction with the positions of what they were given.
 *
 * A transaction is opened by its first record. When it has to be aborted, what the ledgers hold is ahead of
 * the log; they are read anew from it, as after a crash: one way back, always the same. */
#include <errno.h>
#include <inttypes.h>

#include "common/clock.h"
#include "common/topics.h"
#include "queue/server.h"

/* Positions without effects (node status) may wait: to read them again changes nothing. */
#define POSITIONS_EVERY_MS 1000
/* While something depends on what is not seen, the broker is asked at least this often. */
#define PROOF_EVERY_MS 1000
#define FULL_TRIES 50
#define FULL_WAIT_MS 100

/* A full queue or an aborted transaction: do it again. Anything else would fail again: end the process, its
 * log says why. */
static void set_trouble(struct server *server, int result)
{
    if (server->trouble == 0 || result != -EAGAIN)
        server->trouble = result == -EAGAIN ? -EAGAIN : -EPIPE;
}

int effects_begin(struct server *server)
{
    if (server->trouble < 0 || server->in_transaction)
        return server->trouble;
    int result = stream_begin(server->stream);
    if (result < 0)
        set_trouble(server, result);
    server->in_transaction = result == 0;
    return server->trouble;
}

/* partition < 0: by the key. */
static int try_produce(struct server *server, const char *topic, int32_t partition, struct str key,
                       struct str value)
{
    if (partition < 0)
        return stream_produce(server->stream, topic, key.data, key.size, value.data, value.size, NULL, NULL);
    return stream_produce_to(server->stream, topic, partition, key.data, key.size, value.data, value.size,
                             NULL, NULL);
}

static void produce(struct server *server, const char *topic, int32_t partition, struct str key,
                    struct str value)
{
    if (effects_begin(server) < 0)
        return;
    int result = try_produce(server, topic, partition, key, value);
    for (int i = 0; result == -EAGAIN && i < FULL_TRIES; i++) {
        fs_drop(stream_flush(server->stream, FULL_WAIT_MS)); /* whether there is room now shows at once */
        result = try_produce(server, topic, partition, key, value);
    }
    if (result == 0)
        return;
    log_error("not_produced", "topic=%s error=\"%s\"", topic, strerror(-result));
    set_trouble(server, result);
}

static void produce_message(struct server *server, const char *topic, int32_t partition, struct str key,
                            const struct msg_type *type, const void *message)
{
    buffer_reset(&server->scratch);
    int result = codec_encode(type, message, &server->scratch);
    if (result < 0)
        set_trouble(server, result);
    else
        produce(server, topic, partition, key, buffer_str(&server->scratch));
}

/* --- the sink --- */

static void put_state(void *context, const struct msg_execution_state *state)
{
    struct partition *partition = context;
    struct str key = {(const char *)state->execution, sizeof state->execution};
    produce_message(partition->server, TOPIC_EXECUTIONS_STATE, partition->number, key,
                    &msg_execution_state_type, state);
}

static void put_tombstone(void *context, const uint8_t execution[16])
{
    struct partition *partition = context;
    produce(partition->server, TOPIC_EXECUTIONS_STATE, partition->number,
            (struct str){(const char *)execution, 16}, (struct str){NULL, 0});
}

static void put_admission(void *context, const struct msg_admission *admission)
{
    struct partition *partition = context;
    produce_message(partition->server, TOPIC_EXECUTIONS_ADMITTED, -1, admission->node, &msg_admission_type,
                    admission);
}

static void note_wait(void *context, int64_t wait_us)
{
    struct partition *partition = context;
    gauges_waited(partition->server->gauges, wait_us);
}

const struct ledger_sink effects_sink_functions = {
    .state = put_state, .forget = put_tombstone, .admit = put_admission, .waited = note_wait};

/* --- messages that are passed on --- */

void effects_republish(struct server *server, const struct stream_message *message, struct str pool)
{
    server->republished++;
    produce(server, message->topic.data, -1, pool, (struct str){message->value, message->value_size});
}

void effects_quarantine(struct server *server, const struct stream_message *message, const char *reason)
{
    char text[256];
    server->quarantined++;
    if (!log_limited(&server->limiter, server->now_ms))
        log_warn("quarantined", "topic=%s partition=%d offset=%" PRId64 " reason=%s", message->topic.data,
                 message->partition, message->offset, log_quote(text, sizeof text, str_of(reason)));
    if (effects_begin(server) < 0)
        return;
    int result = stream_quarantine(server->stream, message, server->service->name, reason);
    if (result < 0)
        set_trouble(server, result);
}

/* --- committing --- */

static size_t collect(struct server *server, bool all)
{
    size_t count = 0;
    for (int p = 0; p < server->partition_count; p++) {
        for (enum input input = 0; input < INPUT_COUNT; input++) {
            const struct slot *slot = &server->partitions[p].slots[input];
            if (!server->partitions[p].ledger || slot->next < 0 || (!all && slot->next == slot->committed))
                continue;
            server->positions[count++] =
                (struct stream_position){.topic = input_topics[input], .partition = p, .offset = slot->next};
        }
    }
    return count;
}

static void note_committed(struct server *server)
{
    for (int p = 0; p < server->partition_count; p++)
        for (enum input input = 0; input < INPUT_COUNT; input++)
            server->partitions[p].slots[input].committed = server->partitions[p].slots[input].next;
    server->committed_ms = server->proof_ms = clock_monotonic_ms();
    server->positions_moved = false;
    server->commits++;
}

static int go_back(struct server *server)
{
    server->reloads++;
    log_warn("transaction_aborted", "effect=\"the executions are read anew from the log\"");
    return partitions_reload(server);
}

static int commit(struct server *server)
{
    int64_t began_ms = clock_monotonic_ms();
    size_t count = collect(server, false);
    if (count == 0)
        count = collect(server, true); /* as a proof that the broker is there */
    if (effects_begin(server) == 0) {
        int result = stream_commit_transaction(server->stream, server->positions, count);
        server->in_transaction = false;
        if (result < 0)
            set_trouble(server, result);
    } else if (stream_abort(server->stream) < 0) {
        set_trouble(server, -EPIPE);
    }
    server->in_transaction = false;
    int trouble = server->trouble;
    server->trouble = 0;
    if (trouble == -EPIPE)
        return -EPIPE;
    if (trouble < 0)
        return go_back(server);
    note_committed(server);
    gauges_committed(server->gauges, server->committed_ms - began_ms);
    return 0;
}

int effects_commit(struct server *server)
{
    int64_t now_ms = clock_monotonic_ms();
    bool proof_due = now_ms - server->proof_ms >= PROOF_EVERY_MS && partitions_live(server) > 0;
    bool positions_due = server->positions_moved && now_ms - server->committed_ms >= POSITIONS_EVERY_MS;
    if (!server->in_transaction && server->trouble == 0 && !proof_due && !positions_due)
        return 0;
    return commit(server);
}
