/* See session.h. */
#include "ingest/session.h"

#include <inttypes.h>
#include <stdio.h>

#include "ingest/validate.h"
#include "schemas/name.h"

static const char *const close_names[CLOSE_REASON_COUNT] = {
    [CLOSE_NONE] = "none",
    [CLOSE_PEER] = "peer",
    [CLOSE_ERROR] = "error",
    [CLOSE_SILENT] = "silent",
    [CLOSE_SLOW_FRAME] = "slow_frame",
    [CLOSE_NO_HELLO] = "no_hello",
    [CLOSE_FRAME_SIZE] = "frame_size",
    [CLOSE_FRAME_TYPE] = "frame_type",
    [CLOSE_PROTOCOL] = "protocol",
    [CLOSE_HELLO_INVALID] = "hello_invalid",
    [CLOSE_SECOND_INCARNATION] = "second_incarnation",
    [CLOSE_OLD_EPOCH] = "old_epoch",
    [CLOSE_CLOCK] = "clock",
    [CLOSE_REPLACED] = "replaced",
    [CLOSE_OUTPUT_FULL] = "output_full",
    [CLOSE_FULL] = "full",
    [CLOSE_KAFKA] = "kafka",
    [CLOSE_STOPPING] = "stopping",
    [CLOSE_MEMORY] = "memory",
};

const char *close_reason_name(enum close_reason reason)
{
    return reason < CLOSE_REASON_COUNT ? close_names[reason] : "?";
}

const char *session_fault(enum session_state state, enum frame_type type)
{
    switch (type) {
    case FRAME_HELLO:
        return state == SESSION_GREETING ? NULL : "a second HELLO";
    case FRAME_TICK:
    case FRAME_STATUS:
    case FRAME_EVENT:
    case FRAME_RECORD:
    case FRAME_PING:
    case FRAME_PONG:
    case FRAME_SCHEMA:
        return state == SESSION_UP ? NULL : "the first frame is not HELLO";
    default:
        return "a frame that only ingest sends";
    }
}

enum session_due session_due(const struct session_times *times, int64_t now_ms, enum close_reason *reason)
{
    enum close_reason why = CLOSE_NONE;
    if (times->state == SESSION_LEAVING)
        why = now_ms - times->since_ms >= SESSION_FAREWELL_MS ? CLOSE_PEER : CLOSE_NONE;
    else if (!times->reading)
        why = CLOSE_NONE;
    else if (times->state == SESSION_GREETING && now_ms - times->since_ms >= SESSION_SILENCE_MS)
        why = CLOSE_NO_HELLO;
    else if (now_ms - times->heard_ms >= SESSION_SILENCE_MS)
        why = CLOSE_SILENT;
    else if (times->frame_ms != 0 && now_ms - times->frame_ms >= SESSION_FRAME_MS)
        why = CLOSE_SLOW_FRAME;
    if (why != CLOSE_NONE) {
        *reason = why;
        return SESSION_DUE_CLOSE;
    }
    if (times->state == SESSION_UP && now_ms - times->sent_ms >= SESSION_PING_MS)
        return SESSION_DUE_PING;
    return SESSION_DUE_NOTHING;
}

const char *identity_take(const struct msg_hello *hello, struct identity *out)
{
    static const uint8_t nobody[UUID_SIZE];
    struct identity identity = {.epoch = hello->epoch};
    if (!name_valid(hello->node, IDENTITY_NODE_MAX))
        return "node is not 1..255 bytes of [A-Za-z0-9._:+@/-]";
    if (!name_valid(hello->pool, IDENTITY_POOL_MAX))
        return "pool is not 1..128 bytes of [A-Za-z0-9._:+@/-]";
    if (!name_valid(hello->boot_id, sizeof identity.boot_id - 1))
        return "boot_id is not 1..64 bytes of [A-Za-z0-9._:+@/-]";
    if (hello->version.size > 64)
        return "version is longer than 64 bytes";
    if (memcmp(hello->incarnation, nobody, UUID_SIZE) == 0)
        return "incarnation is all zero";
    if (hello->epoch < 1)
        return "epoch is below 1";
    if (hello->spooled_through < 0)
        return "spooled_through is negative";
    (void)str_copy(identity.node, sizeof identity.node, hello->node); /* fit: just checked */
    (void)str_copy(identity.pool, sizeof identity.pool, hello->pool);
    (void)str_copy(identity.boot_id, sizeof identity.boot_id, hello->boot_id);
    memcpy(identity.incarnation, hello->incarnation, UUID_SIZE);
    *out = identity;
    return NULL;
}

bool session_clock_fault(int64_t node_us, int64_t now_us, int64_t skew_ms, char *sentence, size_t size)
{
    int64_t ahead_us = node_us - now_us;
    if (ahead_us > skew_ms * 1000)
        (void)snprintf(sentence, size,
                       "the clock of this node is %" PRId64 " s ahead of ingest's, more than the %" PRId64
                       " s of ingest.clock_skew: set it",
                       ahead_us / 1000000, skew_ms / 1000);
    else if (node_us < VALID_TIME_LEAST_US)
        (void)snprintf(sentence, size,
                       "the clock of this node is %" PRId64 " s behind ingest's, before 2020: set it",
                       -ahead_us / 1000000);
    else
        return false;
    return true;
}

enum close_reason identity_yield(const struct identity *holder, const struct identity *newcomer,
                                 char *sentence, size_t size)
{
    char id[UUID_TEXT_SIZE];
    uuid_format(holder->incarnation, id);
    if (memcmp(holder->incarnation, newcomer->incarnation, UUID_SIZE) != 0) {
        (void)snprintf(
            sentence, size,
            "node id %s is connected as incarnation %s: two agents must not share a node id; give this one "
            "another ([agent] node), or wait 5 s if the other one is gone",
            holder->node, id);
        return CLOSE_SECOND_INCARNATION;
    }
    if (newcomer->epoch < holder->epoch) {
        (void)snprintf(sentence, size,
                       "incarnation %s of node %s is connected with epoch %" PRId64 ", this is %" PRId64
                       ": an agent from the past, or a copy of its state directory",
                       id, holder->node, holder->epoch, newcomer->epoch);
        return CLOSE_OLD_EPOCH;
    }
    if (newcomer->epoch == holder->epoch && strcmp(newcomer->boot_id, holder->boot_id) != 0) {
        (void)snprintf(
            sentence, size,
            "incarnation %s of node %s is connected from another boot with the same epoch: the state "
            "directory was copied; remove the copy",
            id, holder->node);
        return CLOSE_SECOND_INCARNATION;
    }
    return CLOSE_NONE;
}
