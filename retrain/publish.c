/* See publish.h. */
#include "retrain/publish.h"

#include <errno.h>
#include <stdio.h>

#include "common/topics.h"
#include "schemas/codec.h"

#define FLUSH_MS 60000

size_t publish_chunks(size_t bytes, size_t chunk_bytes)
{
    return bytes == 0 ? 1 : (bytes + chunk_bytes - 1) / chunk_bytes;
}

int publish_encode(enum models_role role, struct str model, const struct report *report, int64_t now_us,
                   size_t chunk, size_t chunk_bytes, char key[32], struct buffer *out)
{
    struct msg_double_entry metrics[REPORT_METRICS_MAX];
    size_t from = chunk * chunk_bytes;
    for (size_t i = 0; i < report->metric_count; i++)
        metrics[i] = (struct msg_double_entry){str_of(report->metrics[i].name), report->metrics[i].value};
    struct msg_model message = {
        .role = str_of(models_role_name(role)),
        .version = str_of(report->version),
        .chunk = (int32_t)chunk,
        .chunks = (int32_t)publish_chunks(model.size, chunk_bytes),
        .bytes = {model.data + from, FS_MIN(chunk_bytes, model.size - from)},
        .total_bytes = (int64_t)model.size,
        .sha256 = str_of(report->version), /* a model's version is the SHA-256 of its bytes */
        .metrics = {.items = metrics, .count = report->metric_count},
        .parent = str_of(report->parent),
        .records = report->records,
        .created_us = now_us,
        .note = str_of(report->reason),
    };
    if (chunk == 0)
        (void)snprintf(key, 32, "%s", models_role_name(role));
    else
        (void)snprintf(key, 32, "%s/%zu", models_role_name(role), chunk);
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
    char key[32];
    static int failed; /* outlives this call when the flush runs out of time and a report comes later */
    int result = 0;
    failed = 0;
    buffer_init(&value, 0);
    for (size_t chunk = 0; result == 0 && chunk < publish_chunks(model.size, PUBLISH_CHUNK_BYTES); chunk++) {
        buffer_reset(&value);
        result = publish_encode(role, model, report, now_us, chunk, PUBLISH_CHUNK_BYTES, key, &value);
        if (result == 0)
            result = stream_produce(stream, TOPIC_MODELS, key, strlen(key), value.data, value.size,
                                    count_failure, &failed);
    }
    if (result == 0)
        result = stream_flush(stream, FLUSH_MS);
    buffer_fini(&value);
    return result < 0 ? result : failed;
}
