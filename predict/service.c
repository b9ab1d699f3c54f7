/* Opening, the loop's step, closing. See predict.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "predict/predict.h"

#define OPEN_BATCHES 256 /* in flight to Kafka at a time */
#define ARENA_BLOCK ((size_t)1 << 20)
#define ARENA_LIMIT ((size_t)96 << 20) /* one tick or a batch's records, decoded */
#define FOLLOW_TIMEOUT_MS 60000
#define WAIT_MS 20 /* the shortest back-off of the stream */
#define TEND_MS 1000
#define SWEEPS 24 /* in the time after which a code is deleted */

static const char *const joined[] = {TOPIC_TELEMETRY, TOPIC_EXECUTIONS_FINISHED};
static const char *const followed[] = {TOPIC_CODES, TOPIC_MODELS};
static const char *const by_code[] = {TOPIC_EXECUTIONS_FINISHED, TOPIC_CODES, TOPIC_RISKS};

/* --- opening --- */

static int open_tables(struct predict *predict)
{
    const struct predict_options *options = predict->options;
    struct engine_options engine = {
        .executions = (size_t)options->executions,
        .training_ticks = options->rewind_ticks,
        .rules = {.refresh_us = options->refresh_ms * 1000, .change = options->change},
        .tell = predict_tell,
        .context = predict,
    };
    predict->rules = (struct feed_rules){.ticks = options->rewind_ticks,
                                         .nodes = options->rewind_nodes,
                                         .records_max = options->rewind_records,
                                         .stale_ms = options->stale_ms};
    predict->limiter.burst = 5;
    buffer_init(&predict->encoded, 0);
    predict->codes = codes_create((size_t)options->codes);
    predict->engine = predict->codes ? engine_create(&engine, predict->codes) : NULL;
    predict->learner = learner_create((size_t)options->learn_ticks);
    predict->models = models_create((size_t)options->model_bytes);
    predict->nodes = table_create((size_t)options->nodes, PREDICT_NODE_MAX, sizeof(struct node));
    predict->ticks = arena_create(ARENA_BLOCK, ARENA_LIMIT);
    predict->records = arena_create(ARENA_BLOCK, ARENA_LIMIT);
    predict->messages = arena_create(ARENA_BLOCK, ARENA_LIMIT);
    return predict->engine && predict->learner && predict->models && predict->nodes && predict->ticks &&
                   predict->records && predict->messages
               ? 0
               : -ENOMEM;
}

static int open_streams(struct predict *predict, char *error, size_t error_size)
{
    const struct service *service = predict->service;
    struct stream_options options = {.brokers = service->options.brokers,
                                     .topic_prefix = service->options.topic_prefix,
                                     .schema_registry = service->options.schema_registry,
                                     .restart_after_outage = service->options.restart_after_outage,
                                     .client_id = service->name,
                                     .config = service->config};
    predict->stream = stream_open(&options, error, error_size);
    if (!predict->stream)
        return -EHOSTDOWN;
    predict->followed = stream_open(&options, error, error_size);
    if (!predict->followed)
        return -EHOSTDOWN;
    predict->codec = topic_codec_create(predict->stream);
    predict->followed_codec = topic_codec_create(predict->followed);
    if (!predict->codec || !predict->followed_codec) {
        (void)snprintf(error, error_size, "out of memory");
        return -ENOMEM;
    }
    topic_codec_measure((struct topic_codec *const[]){predict->codec, predict->followed_codec}, 2,
                        service->metrics);
    stream_measure((struct stream *const[]){predict->stream, predict->followed}, 2, service->metrics);
    return 0;
}

static int prepare_topics(struct predict *predict, char *error, size_t error_size)
{
    static const struct msg_type *const written[] = {&msg_risk_type, &msg_code_profile_type};
    int result = topics_prepare(predict->stream, predict->service->options.topic_prefix,
                                (int32_t)predict->service->options.partitions, error, error_size);
    if (result == 0)
        result = stream_topics_check(predict->stream, by_code, FS_COUNT(by_code), error, error_size);
    if (result < 0)
        return result;
    predict->finished_count = result;
    predict->telemetry_count = result =
        stream_partition_count(predict->stream, TOPIC_TELEMETRY, FOLLOW_TIMEOUT_MS);
    if (result < 0)
        (void)snprintf(error, error_size, "preparing topics: %s", strerror(-result));
    else
        result = topic_codec_announce(predict->stream, written, FS_COUNT(written), error, error_size);
    return result;
}

static int open_partitions(struct predict *predict)
{
    size_t telemetry = (size_t)predict->telemetry_count, finished = (size_t)predict->finished_count;
    predict->telemetry = calloc(telemetry, sizeof *predict->telemetry);
    predict->partitions = calloc(finished, sizeof *predict->partitions);
    predict->rereading = calloc(finished, sizeof *predict->rereading);
    predict->ledger = ledger_create(OPEN_BATCHES, telemetry + finished);
    for (size_t i = 0; predict->telemetry && i < telemetry; i++)
        predict->telemetry[i].feed.next = -1;
    return predict->telemetry && predict->partitions && predict->rereading && predict->ledger ? 0 : -ENOMEM;
}

/* Reads what is followed to the end that it has now, or the first risks would be those of champions and heads
 * of before. Kafka in trouble, or a schema that nobody knows, must not keep all risks away: past the time
 * allowed it goes on with what is here, and the rest arrives meanwhile. */
static int catch_up(struct predict *predict)
{
    int64_t begun_ms = clock_monotonic_ms();
    int result = 0;
    service_ready(predict->service, false, "reading codes and models before anything is decided");
    while (result >= 0 && !stream_caught_up(predict->followed) && !service_stopping()) {
        predict->now_ms = clock_monotonic_ms();
        if (predict->now_ms - begun_ms >= predict->options->follow_wait_ms) {
            metric_add(predict->metrics.started_behind, 1);
            log_warn("started_behind",
                     "waited_ms=%lld codes=%zu reason=\"codes and models not read to their ends\"",
                     (long long)(predict->now_ms - begun_ms), codes_count(predict->codes));
            return 0;
        }
        result = stream_dispatch(predict->followed, predict_follow, predict, WAIT_MS);
    }
    return FS_MIN(result, 0);
}

static int open_followed(struct predict *predict, char *error, size_t error_size)
{
    int result = stream_assign_all(predict->followed, followed, FS_COUNT(followed), STREAM_FROM_BEGINNING,
                                   true, error, error_size);
    if (result < 0)
        return result;
    result = catch_up(predict);
    if (result < 0)
        (void)snprintf(error, error_size, "reading topics %s and %s: %s", TOPIC_CODES, TOPIC_MODELS,
                       strerror(-result));
    return result;
}

static int join(struct predict *predict, char *error, size_t error_size)
{
    char group[256], member[256];
    service_group(predict->service, group, sizeof group);
    (void)snprintf(member, sizeof member, "predict-%s", predict->options->member);
    return stream_subscribe(predict->stream, group, member, joined, FS_COUNT(joined), &predict_callbacks,
                            predict, error, error_size);
}

int predict_open(struct predict *predict, struct service *service, const struct predict_options *options,
                 char *error, size_t error_size)
{
    *predict = (struct predict){.service = service, .options = options};
    predict->now_ms = predict->tended_ms = predict->swept_ms = clock_monotonic_ms();
    predict_metrics_open(predict);
    (void)snprintf(error, error_size,
                   "out of memory: lower predict.executions, predict.codes or predict.nodes");
    int result = open_tables(predict);
    if (result == 0)
        result = open_streams(predict, error, error_size);
    if (result == 0)
        result = prepare_topics(predict, error, error_size);
    if (result >= 0)
        result = open_partitions(predict);
    if (result >= 0)
        result = open_followed(predict, error, error_size);
    if (result >= 0 && !engine_champion(predict->engine))
        predict_use_file(predict);
    if (result >= 0)
        result = join(predict, error, error_size);
    if (result < 0)
        predict_close(predict);
    return FS_MIN(result, 0);
}

/* --- the loop --- */

static bool building(const struct predict *predict)
{
    for (int p = 0; p < predict->telemetry_count; p++)
        if (predict->telemetry[p].feed.phase == FEED_REPLAYING && !stream_caught_up(predict->stream))
            return true;
    return false;
}

static void tell_ready(struct predict *predict)
{
    const char *reason = "assigned and caught up";
    bool ready = false;
    if (!stream_connected(predict->stream))
        reason = "Kafka does not answer";
    else if (stream_assigned_count(predict->stream) == 0)
        reason = "no partitions assigned";
    else if (building(predict))
        reason = "building state from telemetry";
    else if (!stream_caught_up(predict->stream))
        reason = "catching up with telemetry and executions.finished";
    else if (!stream_caught_up(predict->followed))
        reason = "catching up with codes and models";
    else
        ready = true;
    service_ready(predict->service, ready, reason);
    if (ready && !predict->was_ready)
        log_info("ready", "partitions=%zu codes=%zu", stream_assigned_count(predict->stream),
                 codes_count(predict->codes));
    predict->was_ready = ready;
}

static void tend(struct predict *predict)
{
    predict->tended_ms = predict->now_ms;
    engine_tend(predict->engine, predict->now_ms, predict->options->idle_ms);
    struct node *node;
    while ((node = table_oldest(predict->nodes)) &&
           predict->now_ms - node->seen_ms >= predict->options->idle_ms)
        table_remove(predict->nodes, node);
    if (predict->now_ms - predict->swept_ms >= predict->options->code_idle_ms / SWEEPS) {
        predict->swept_ms = predict->now_ms;
        predict_sweep(predict);
    }
    predict_metrics_show(predict);
    tell_ready(predict);
}

static int stream_result(struct predict *predict, struct stream *stream, int result)
{
    if (predict->failure == 0 && result < 0) {
        char reason[200] = "";
        if (stream_failed(stream, reason, sizeof reason) == 0)
            (void)snprintf(reason, sizeof reason, "%s", strerror(-result));
        predict->failure = result;
        (void)snprintf(predict->failure_text, sizeof predict->failure_text, "%s", reason);
    }
    return predict->failure;
}

int predict_step(struct predict *predict)
{
    int result;
    if (ledger_full(predict->ledger)) { /* Kafka is behind: nothing new until it has something */
        result = stream_flush(predict->stream, WAIT_MS);
        if (result == -ETIMEDOUT)
            result = 0;
    } else {
        fs_drop(stream_wait((struct stream *const[]){predict->stream, predict->followed}, 2,
                            WAIT_MS)); /* both are asked */
        predict->now_ms = clock_monotonic_ms();
        predict->consumed_us = clock_realtime_us();
        result = stream_dispatch_batch(predict->stream, predict_take, predict_end_batch, predict, 0);
    }
    if (stream_result(predict, predict->stream, result) < 0)
        return predict->failure;
    predict_settle(predict);
    result = stream_dispatch(predict->followed, predict_follow, predict, 0);
    if (stream_result(predict, predict->followed, result) < 0)
        return predict->failure;
    if (predict->now_ms - predict->tended_ms >= TEND_MS)
        tend(predict);
    return 0;
}

/* What was produced is delivered and its offsets committed by the stream's close. */
void predict_close(struct predict *predict)
{
    if (predict->stream && predict->ledger) {
        fs_drop(stream_flush(predict->stream, 10000)); /* what is late comes again after the restart */
        predict_settle(predict);
    }
    topic_codec_destroy(predict->codec);
    topic_codec_destroy(predict->followed_codec);
    stream_close(predict->stream);
    stream_close(predict->followed);
    ledger_destroy(predict->ledger);
    free(predict->telemetry);
    free(predict->partitions);
    free(predict->rereading);
    table_destroy(predict->nodes);
    engine_destroy(predict->engine);
    learner_destroy(predict->learner);
    models_destroy(predict->models);
    codes_destroy(predict->codes);
    arena_destroy(predict->ticks);
    arena_destroy(predict->records);
    arena_destroy(predict->messages);
    buffer_fini(&predict->encoded);
}
