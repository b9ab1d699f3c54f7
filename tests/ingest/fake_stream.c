/* See fake_stream.h. */
#include "tests/ingest/fake_stream.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct fake_message messages[FAKE_MESSAGES_MAX];
static size_t message_count, limit_bytes;
static int refusal;
static bool forgetful;

void fake_stream_reset(void)
{
    for (size_t i = 0; i < message_count; i++)
        free(messages[i].value);
    message_count = limit_bytes = 0;
    refusal = 0;
    forgetful = false;
}

size_t fake_stream_count(void)
{
    return message_count;
}

struct fake_message *fake_stream_message(size_t index)
{
    assert(index < message_count);
    return &messages[index];
}

void fake_stream_refuse(int error)
{
    refusal = error;
}

void fake_stream_limit(size_t bytes)
{
    limit_bytes = bytes;
}

void fake_stream_forget_values(void)
{
    forgetful = true;
}

void fake_stream_report(size_t index, int error)
{
    struct fake_message *message = fake_stream_message(index);
    assert(!message->reported);
    message->reported = true;
    if (message->on_delivered)
        message->on_delivered(message->context, error);
}

void fake_stream_report_all(int error)
{
    for (size_t i = 0; i < message_count; i++)
        if (!messages[i].reported)
            fake_stream_report(i, error);
}

static int accept_message(const char *topic, struct str key, struct str value,
                          stream_delivered_fn *on_delivered, void *context)
{
    if (refusal)
        return refusal;
    if (limit_bytes && value.size > limit_bytes)
        return -EMSGSIZE;
    assert(message_count < FAKE_MESSAGES_MAX);
    struct fake_message *message = &messages[message_count++];
    *message =
        (struct fake_message){.value_size = value.size, .on_delivered = on_delivered, .context = context};
    (void)snprintf(message->topic, sizeof message->topic, "%s", topic);
    (void)str_copy(message->key, sizeof message->key, key);
    if (forgetful)
        return 0;
    message->value = malloc(value.size + 1);
    assert(message->value);
    if (value.size > 0)
        memcpy(message->value, value.data, value.size);
    return 0;
}

int stream_produce(struct stream *stream, const char *topic, const void *key, size_t key_size,
                   const void *value, size_t value_size, stream_delivered_fn *on_delivered, void *context)
{
    (void)stream;
    return accept_message(topic, (struct str){key, key_size}, (struct str){value, value_size}, on_delivered,
                          context);
}

int stream_quarantine_bytes(struct stream *stream, const void *value, size_t value_size, const char *service,
                            const char *origin, const char *reason, stream_delivered_fn *on_delivered,
                            void *context)
{
    (void)stream, (void)service;
    struct str kept = {value,
                       limit_bytes ? FS_MIN(value_size, limit_bytes) : value_size}; /* cut, as the real one */
    int result = accept_message("quarantine", (struct str){0}, kept, on_delivered, context);
    if (result < 0)
        return result;
    struct fake_message *message = &messages[message_count - 1];
    (void)snprintf(message->origin, sizeof message->origin, "%s", origin);
    (void)snprintf(message->reason, sizeof message->reason, "%s", reason);
    return 0;
}

int stream_quarantine(struct stream *stream, const struct stream_message *message, const char *service,
                      const char *reason)
{
    return stream_quarantine_bytes(stream, message->value, message->value_size, service, "kafka", reason,
                                   NULL, NULL);
}

const struct stream_counters *stream_counters(struct stream *stream)
{
    static struct stream_counters none;
    (void)stream;
    return &none;
}
