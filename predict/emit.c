/* What goes out: risks and profiles, tied to the batch they come from. See predict.h. */
#include <errno.h>
#include <stdio.h>

#include "common/clock.h"
#include "predict/predict.h"

#define WAIT_MS 100

void predict_fail(struct predict *predict, int error, const char *what)
{
    if (predict->failure != 0)
        return;
    predict->failure = error;
    (void)snprintf(predict->failure_text, sizeof predict->failure_text, "%s: %s", what, strerror(-error));
}

/* The state has moved on already, so the message cannot be put back: it waits until there is room. Stopping
 * in between leaves the batch open, and the restart begins with it. */
static int produce(struct predict *predict, const char *topic, struct str key)
{
    void *expected = ledger_expect(predict->ledger);
    for (;;) {
        int result = stream_produce(predict->stream, topic, key.data, key.size, predict->encoded.data,
                                    predict->encoded.size, ledger_delivered, expected);
        if (result == 0)
            return 0;
        if (result != -EAGAIN) {
            ledger_withdraw(expected);
            return result;
        }
        if (service_stopping())
            return 0;
        result = stream_flush(predict->stream, WAIT_MS);
        if (result < 0 && result != -ETIMEDOUT)
            return result;
    }
}

void predict_emit(struct predict *predict, const char *topic, struct str key, const struct msg_type *type,
                  const void *message)
{
    if (predict->failure != 0)
        return;
    buffer_reset(&predict->encoded);
    int result = codec_encode(type, message, &predict->encoded);
    if (result == 0)
        result = produce(predict, topic, key);
    if (result == -EMSGSIZE)
        metric_add(predict->metrics.oversized, 1);
    else if (result < 0)
        predict_fail(predict, result, topic);
}

void predict_tell(void *context, struct msg_risk *risk)
{
    struct predict *predict = context;
    risk->published_us = clock_realtime_us();
    metric_observe(predict->metrics.sampled_seconds, (double)(risk->published_us - risk->sampled_us) * 1e-6);
    metric_observe(predict->metrics.consumed_seconds,
                   (double)(risk->published_us - risk->consumed_us) * 1e-6);
    predict_emit(predict, TOPIC_RISKS, risk->code, &msg_risk_type, risk);
}

static void store(void *context, const char *topic, int32_t partition, int64_t offset)
{
    struct predict *predict = context;
    struct stream_message message = {.topic = str_of(topic), .partition = partition, .offset = offset};
    fs_drop(
        stream_store_offset(predict->stream, &message)); /* went away meanwhile: its new owner repeats it */
}

void predict_settle(struct predict *predict)
{
    ledger_settle(predict->ledger, store, predict);
    if (ledger_failure(predict->ledger) < 0)
        predict_fail(predict, ledger_failure(predict->ledger), "delivering risks or profiles");
}
