/* See publish.h. */
#include "retrain/publish.h"

#include <errno.h>
#include <string.h>

#include "common/topics.h"
#include "schemas/codec.h"

#define FLUSH_MS 60000

int publish_encode(enum models_role role, struct str model, const struct report *report, int64_t now_us,
                   size_t chunk, size_t chunk_bytes, char key[MODELS_KEY_SIZE], struct buffer *out)
{
    struct msg_double_entry metrics[REPORT_METRICS_MAX];
    for (size_t i = 0; i < report->metric_count; i++)
        metrics[i] = (struct msg_double_entry){str_of(report->metrics[i].name), report->metrics[i].value};
    struct msg_model head = {
        .version = str_of(report->version),
        .metrics = {.items = metrics, .count = report->metric_count},
        .parent = str_of(report->parent),
        .records = report->records,
        .created_us = now_us,
        .note = str_of(report->reason),
    };
    struct msg_model message;
    models_chunk(role, model, &head, chunk, chunk_bytes, key, &message);
    return codec_encode(&msg_model_type, &message, out);
}

static void count_failure(void *context, int error)
{
    int *failed = context;
    if (error < 0 && *failed == 0)
        *failed = error;
}

int publish_model(struct stream *stream, enum models_role role, struct str model, const struct report *report,
                  int64_t now_us)
{
    struct buffer value;
    char key[MODELS_KEY_SIZE];
    static int failed; /* outlives this call when the flush runs out of time and a report comes later */
    int result = 0;
    failed = 0;
    buffer_init(&value, 0);
    for (size_t chunk = 0; result == 0 && chunk < models_chunks(model.size, MODELS_CHUNK_BYTES); chunk++) {
        buffer_reset(&value);
        result = publish_encode(role, model, report, now_us, chunk, MODELS_CHUNK_BYTES, key, &value);
        if (result == 0)
            result = stream_produce(stream, TOPIC_MODELS, key, strlen(key), value.data, value.size,
                                    count_failure, &failed);
    }
    if (result == 0)
        result = stream_flush(stream, FLUSH_MS);
    buffer_fini(&value);
    return result < 0 ? result : failed;
}

int publish_nobody(struct stream *stream, enum models_role role)
{
    static int failed; /* as above */
    const char *key = models_role_name(role);
    failed = 0;
    int result = stream_produce(stream, TOPIC_MODELS, key, strlen(key), NULL, 0, count_failure, &failed);
    if (result == 0)
        result = stream_flush(stream, FLUSH_MS);
    return result < 0 ? result : failed;
}
