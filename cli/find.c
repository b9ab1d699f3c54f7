/* See find.h. */
#include "cli/find.h"

#include <errno.h>
#include <stdio.h>

struct details {
    struct execution *execution;
    struct arena *arena;
    struct buffer bytes;
    struct msg_allocation *allocation;
    struct str code;
};

static int on_state(void *context, const struct reader_message *message)
{
    struct execution *execution = context;
    if (!message->message)
        return 0;
    int result = execution_take(execution, message->type, message->message);
    return FS_MIN(result, 0);
}

int find_execution(const struct target *target, const struct target_options *options, const uint8_t id[16],
                   struct execution **out, char *error, size_t error_size)
{
    static const char *const topics[] = {TOPIC_EXECUTIONS_STATE};
    struct execution *execution = execution_create(id, true);
    (void)snprintf(error, error_size, "out of memory");
    struct reader *reader = execution ? reader_open(target, error, error_size) : NULL;
    int result =
        reader ? reader_add_topics(reader, topics, 1, STREAM_FROM_BEGINNING, error, error_size) : -EHOSTDOWN;
    if (result == 0) {
        result = reader_scan(reader, on_state, execution, options->timeout_ms);
        if (result < 0)
            (void)snprintf(error, error_size, "reading executions.state: %s", strerror(-result));
    }
    if ((result == 0 || result == -ETIMEDOUT) && execution_state(execution)) {
        result = 0;
    } else if (result == 0) {
        (void)snprintf(error, error_size,
                       "no such execution: never asked for here, not yet taken by forestall-queue, or "
                       "forgotten (a day after its end)");
        result = -ENOENT;
    }
    reader_close(reader);
    if (result == 0)
        *out = execution;
    else
        execution_destroy(execution);
    return result;
}

static int keep_allocation(struct details *details, const struct msg_allocation *allocation)
{
    struct msg_allocation *kept = arena_alloc(details->arena, 1, sizeof *kept);
    buffer_reset(&details->bytes);
    msg_allocation_type.encode(allocation, &details->bytes);
    if (!kept || buffer_error(&details->bytes))
        return -ENOMEM;
    char *bytes = arena_strdup(details->arena, buffer_str(&details->bytes));
    if (!bytes ||
        msg_allocation_type.decode((struct str){bytes, details->bytes.size}, details->arena, kept) < 0)
        return -ENOMEM;
    details->allocation = kept;
    return 0;
}

static int on_detail(void *context, const struct reader_message *message)
{
    struct details *details = context;
    if (!message->message)
        return 0;
    if (message->type == &msg_allocation_type)
        return str_equal(message->key, details->code) ? keep_allocation(details, message->message) : 0;
    int result =
        message->type == &msg_execution_record_type
            ? execution_take_record(details->execution, message->message, message->partition, message->offset)
            : execution_take(details->execution, message->type, message->message);
    return FS_MIN(result, 0);
}

/* Samples come with the records for what has ended; for what runs they are in telemetry alone. */
static int add_partitions(struct reader *reader, const struct msg_execution_state *state, char *error,
                          size_t error_size)
{
    const struct reader_key keys[] = {
        {TOPIC_EXECUTIONS_EVENTS, state->request.pool},
        {TOPIC_RISKS, state->request.code},
        {TOPIC_EXECUTIONS_FINISHED, state->request.code},
        {TOPIC_ALLOCATIONS, state->request.code},
        {TOPIC_EXECUTIONS_DLQ, state->request.code},
        {TOPIC_ADJUSTMENTS, state->node},
        {TOPIC_TELEMETRY, state->node},
    };
    struct reader_key known[FS_COUNT(keys)];
    size_t count = 0;
    for (size_t i = 0; i < FS_COUNT(keys); i++)
        if (keys[i].key.size > 0) /* no node: it was never placed */
            known[count++] = keys[i];
    return reader_add_keys(reader, known, count, STREAM_FROM_BEGINNING, error, error_size);
}

int find_details(const struct target *target, const struct target_options *options,
                 struct execution *execution, struct arena *arena, struct msg_allocation **allocation,
                 char *error, size_t error_size)
{
    const struct msg_execution_state *state = execution_state(execution);
    struct details details = {.execution = execution, .arena = arena, .code = state->request.code};
    struct reader *reader = reader_open(target, error, error_size);
    buffer_init(&details.bytes, 0);
    int result = reader ? add_partitions(reader, state, error, error_size) : -EHOSTDOWN;
    if (result == 0) {
        result = reader_scan(reader, on_detail, &details, options->timeout_ms);
        if (result < 0)
            (void)snprintf(error, error_size, "reading what happened: %s", strerror(-result));
    }
    reader_close(reader);
    buffer_fini(&details.bytes);
    if (result >= 0 || result == -ETIMEDOUT)
        *allocation = details.allocation;
    return FS_MIN(result, 0);
}
