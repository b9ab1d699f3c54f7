/* See service.h. An offset is stored after the record is on disk, so a kill repeats at most what the
 * reservoir knows already. */
#include "retrain/service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/hash.h"
#include "common/topics.h"
#include "common/unwritable.h"
#include "retrain/child.h"
#include "retrain/commands.h"

#define ARENA_BLOCK ((size_t)1 << 20)
#define ARENA_LIMIT ((size_t)256 << 20)
#define MODEL_MAX ((size_t)64 << 20)
#define FOLLOW_MS 60000
#define WAIT_MS 200

/* What one more record of a kind is worth to the reservoir beside a finished one. */
#define WEIGHT_FAILED 2.0
#define WEIGHT_DEAD 4.0

static const char *const record_topics[] = {TOPIC_EXECUTIONS_DLQ, TOPIC_EXECUTIONS_FINISHED};
static const char *const followed_topics[] = {TOPIC_MODELS};

static bool failed(const struct msg_execution_record *record)
{
    return record->outcome == MSG_OUTCOME_OOM_KILLED || record->outcome == MSG_OUTCOME_TIMED_OUT ||
           record->outcome == MSG_OUTCOME_CRASHED;
}

static enum stream_outcome keep(struct retrain *retrain, struct msg_execution_record *record, double weight,
                                bool dead)
{
    if (record->series.count == 0) {
        metric_add(retrain->metrics.skipped, 1);
        return STREAM_DONE;
    }
    int result = reservoir_put(retrain->reservoir, record, weight, dead);
    if (result < 0) {
        metric_add(retrain->metrics.store_failed, 1);
        if (!log_limited(&retrain->limiter, clock_monotonic_ms()))
            log_error("store_failed", "directory=\"%s\" reason=\"%s\" do=\"free space; the log waits\"",
                      reservoir_directory(retrain->reservoir), strerror(-result));
        return STREAM_RETRY;
    }
    metric_add(result > 0 ? retrain->metrics.stored : retrain->metrics.skipped, 1);
    metric_set(retrain->metrics.kept, (double)reservoir_count(retrain->reservoir));
    return STREAM_DONE;
}

/* A record that contradicts itself neither teaches nor judges. */
static bool believed(struct retrain *retrain, const struct msg_execution_record *record)
{
    char name[160];
    enum check_fault fault = check_record(record, clock_realtime_us());
    if (fault == CHECK_FINE)
        return true;
    metric_add(retrain->metrics.refused[fault], 1);
    if (!log_limited(&retrain->limiter, clock_monotonic_ms()))
        log_warn("record_refused", "code=%s fault=%s", log_quote(name, sizeof name, record->code),
                 check_fault_name(fault));
    return false;
}

/* A repetition after a kill is known to the trials. */
static void judge(struct retrain *retrain, const struct msg_execution_record *record)
{
    int result = judge_record(retrain->judge, record);
    if (result >= 0)
        metric_add(retrain->metrics.scored, result);
    else
        metric_add(retrain->metrics.score_failed, 1);
}

/* One that cannot be kept comes again and again until it can, and would be judged each time. */
static enum stream_outcome keep_and_judge(struct retrain *retrain, struct msg_execution_record *record,
                                          double weight)
{
    enum stream_outcome outcome = keep(retrain, record, weight, false);
    if (outcome == STREAM_DONE)
        judge(retrain, record);
    return outcome;
}

static enum stream_outcome take_finished(struct retrain *retrain, const struct stream_message *message)
{
    struct msg_execution_record record;
    enum stream_outcome outcome = topic_codec_decode(retrain->codec, &msg_execution_record_type, message,
                                                     retrain->arena, &record, clock_monotonic_ms());
    if (outcome != STREAM_DONE)
        return outcome;
    metric_add(retrain->metrics.taken[1], 1);
    if (!believed(retrain, &record))
        return STREAM_DONE;
    if (failed(&record))
        return keep_and_judge(retrain, &record, WEIGHT_FAILED);
    if (hash_unit(record.execution, sizeof record.execution) >= retrain->options->sample) {
        metric_add(retrain->metrics.skipped, 1);
        return STREAM_DONE;
    }
    record.series_inclusion =
        (record.series_inclusion > 0 ? record.series_inclusion : 1) * (float)retrain->options->sample;
    return keep_and_judge(retrain, &record, 1);
}

static enum stream_outcome take_record(void *context, const struct stream_message *message)
{
    struct retrain *retrain = context;
    struct msg_dead_execution dead;
    arena_reset(retrain->arena);
    if (!message->value)
        return STREAM_DONE;
    if (!str_equal(message->topic, str_of(TOPIC_EXECUTIONS_DLQ)))
        return take_finished(retrain, message);
    enum stream_outcome outcome = topic_codec_decode(retrain->codec, &msg_dead_execution_type, message,
                                                     retrain->arena, &dead, clock_monotonic_ms());
    if (outcome != STREAM_DONE)
        return outcome;
    metric_add(retrain->metrics.taken[0], 1);
    if (!believed(retrain, &dead.record))
        return STREAM_DONE;
    return keep(retrain, &dead.record, WEIGHT_DEAD, true); /* judged when it came as a finished record */
}

/* --- life --- */

static void open_metrics(struct retrain *retrain)
{
    struct metrics *m = retrain->service->metrics;
    struct retrain_metrics *to = &retrain->metrics;
    to->taken[0] = metrics_counter(m, "records_total", "Records read", "topic", TOPIC_EXECUTIONS_DLQ);
    to->taken[1] = metrics_counter(m, "records_total", "Records read", "topic", TOPIC_EXECUTIONS_FINISHED);
    to->skipped = metrics_counter(
        m, "skipped_total", "Records not kept: no series, not sampled, known, or not chosen", NULL, NULL);
    to->stored = metrics_counter(m, "stored_total", "Records stored", NULL, NULL);
    to->store_failed =
        metrics_counter(m, "store_failed_total", "Records that could not be stored at once", NULL, NULL);
    to->evicted = metrics_gauge(m, "evicted", "Records that left the reservoir since the start", NULL, NULL);
    to->kept = metrics_gauge(m, "reservoir_records", "Records in the reservoir", NULL, NULL);
    to->trainings = metrics_counter(m, "trainings_total", "Trainings started", NULL, NULL);
    to->failed =
        metrics_counter(m, "trainings_failed_total", "Trainings that ended without a model", NULL, NULL);
    to->won = metrics_counter(m, "models_total", "Models trained", "published", "champion");
    to->undecided = metrics_counter(m, "models_total", "Models trained", "published", "challenger");
    to->lost = metrics_counter(m, "models_total", "Models trained", "published", "no");
    for (int fault = CHECK_NUMBERS; fault < CHECK_FAULT_COUNT; fault++)
        to->refused[fault] =
            metrics_counter(m, "refused_total", "Records that contradict themselves, not believed", "fault",
                            check_fault_name((enum check_fault)fault));
    to->scored = metrics_counter(m, "scored_total", "Records answered by the models in use", NULL, NULL);
    to->score_failed =
        metrics_counter(m, "score_failed_total", "Records not answered: out of memory", NULL, NULL);
    to->drifts = metrics_counter(m, "drifts_total", "Times the champion's loss rose", NULL, NULL);
    to->dropped =
        metrics_counter(m, "dropped_total", "Challengers that were not better in shadow", NULL, NULL);
    to->rolled_back = metrics_counter(m, "rolled_back_total", "Champions taken back", NULL, NULL);
    to->shadow_executions =
        metrics_gauge(m, "shadow_executions", "Executions the challenger scored in shadow", NULL, NULL);
    to->watch_executions =
        metrics_gauge(m, "watch_executions",
                      "Executions the new champion was watched for beside the one before", NULL, NULL);
    to->drift_mean = metrics_gauge(
        m, "champion_loss",
        "Mean of l / (1 + l), l the champion's calibrated loss of an execution, since it last changed", NULL,
        NULL);
    to->running = metrics_gauge(m, "training", "1 while a training runs", NULL, NULL);
    to->seconds = metrics_gauge(m, "training_seconds", "Duration of the last training", NULL, NULL);
}

static int open_directory(struct retrain *retrain, char *error, size_t error_size)
{
    char records[RETRAIN_PATH];
    const char *state = retrain->service->options.state_dir;
    if (snprintf(retrain->directory, sizeof retrain->directory, "%s/retrain", state) > 3000) {
        (void)snprintf(error, error_size, "service.state_dir is too long");
        return -ENAMETOOLONG;
    }
    if ((mkdir(state, 0755) < 0 && errno != EEXIST) ||
        (mkdir(retrain->directory, 0755) < 0 && errno != EEXIST)) {
        int result = -errno;
        char what[RETRAIN_PATH + 16];
        (void)snprintf(what, sizeof what, "cannot make %s", retrain->directory);
        return unwritable_say(result, what, "service.state_dir", error, error_size);
    }
    training_path(retrain, "records", records);
    return reservoir_open(records, (size_t)retrain->options->reservoir, &retrain->reservoir, error,
                          error_size);
}

static struct judge *open_judge(const struct retrain_options *options)
{
    const struct judge_options judge = {.seed = (uint64_t)options->seed,
                                        .shadow_least = (size_t)options->shadow_least,
                                        .shadow_most = (size_t)options->shadow_most,
                                        .watch = (size_t)options->watch,
                                        .drift_delta = options->drift_delta,
                                        .horizon_ms = (int32_t)options->horizon_ms};
    return judge_create(&judge);
}

static int open_streams(struct retrain *retrain, char *error, size_t error_size)
{
    static const struct msg_type *const written[] = {&msg_model_type};
    const struct service *service = retrain->service;
    struct stream_options options = {.brokers = service->options.brokers,
                                     .topic_prefix = service->options.topic_prefix,
                                     .schema_registry = service->options.schema_registry,
                                     .restart_after_outage = service->options.restart_after_outage,
                                     .client_id = service->name,
                                     .config = service->config};
    if (!(retrain->stream = stream_open(&options, error, error_size)) ||
        !(retrain->followed = stream_open(&options, error, error_size)))
        return -EHOSTDOWN;
    int result = topics_prepare(retrain->stream, service->options.topic_prefix,
                                (int32_t)service->options.partitions, error, error_size);
    if (result < 0)
        return result;
    retrain->codec = topic_codec_create(retrain->stream);
    retrain->followed_codec = topic_codec_create(retrain->followed);
    retrain->models = models_create(MODEL_MAX);
    retrain->arena = arena_create(ARENA_BLOCK, ARENA_LIMIT);
    retrain->judge = open_judge(retrain->options);
    if (!retrain->judge || !retrain->codec || !retrain->followed_codec || !retrain->models ||
        !retrain->arena) {
        (void)snprintf(error, error_size, "out of memory");
        return -ENOMEM;
    }
    topic_codec_measure((struct topic_codec *const[]){retrain->codec, retrain->followed_codec}, 2,
                        service->metrics);
    stream_measure((struct stream *const[]){retrain->stream, retrain->followed}, 2, service->metrics);
    return topic_codec_announce(retrain->stream, written, FS_COUNT(written), error, error_size);
}

/* The champion first: a training starts from it. */
static int follow_to_end(struct retrain *retrain, char *error, size_t error_size)
{
    int result = stream_assign_all(retrain->followed, followed_topics, FS_COUNT(followed_topics),
                                   STREAM_FROM_BEGINNING, true, error, error_size);
    int64_t deadline_ms = clock_monotonic_ms() + FOLLOW_MS;
    while (result >= 0 && !stream_caught_up(retrain->followed)) {
        if (clock_monotonic_ms() > deadline_ms || service_stopping()) {
            (void)snprintf(error, error_size, "%s could not be read to its end", TOPIC_MODELS);
            return -ETIMEDOUT;
        }
        result = stream_dispatch(retrain->followed, roles_follow, retrain, WAIT_MS);
        if (result < 0)
            (void)snprintf(error, error_size, "reading %s: %s", TOPIC_MODELS,
                           *retrain->failure ? retrain->failure : strerror(-result));
    }
    return FS_MIN(result, 0);
}

static int subscribe(struct retrain *retrain, char *error, size_t error_size)
{
    char group[256], member[128];
    service_group(retrain->service, group, sizeof group);
    (void)snprintf(member, sizeof member, "retrain-%.100s", retrain->options->member);
    return stream_subscribe(retrain->stream, group, member, record_topics, FS_COUNT(record_topics), NULL,
                            NULL, error, error_size);
}

int retrain_open(struct retrain *retrain, struct service *service, const struct retrain_options *options,
                 char *error, size_t error_size)
{
    *retrain = (struct retrain){.service = service, .options = options, .limiter = {.burst = 5}};
    retrain->last_ms = clock_monotonic_ms();
    open_metrics(retrain);
    service_ready(service, false, "starting");
    int result = open_directory(retrain, error, error_size);
    if (result == 0)
        result = open_streams(retrain, error, error_size);
    if (result >= 0)
        result = follow_to_end(retrain, error, error_size);
    if (result == 0) {
        roles_begin(retrain);
        result = subscribe(retrain, error, error_size);
    }
    if (result < 0)
        retrain_close(retrain);
    return FS_MIN(result, 0);
}

static int fail(struct retrain *retrain, const char *what, int result)
{
    if (!*retrain->failure && stream_failed(retrain->stream, retrain->failure, sizeof retrain->failure) == 0)
        (void)snprintf(retrain->failure, sizeof retrain->failure, "%s: %s", what, strerror(-result));
    return result;
}

static void tell_ready(const struct retrain *retrain)
{
    const char *reason = "assigned and caught up";
    if (!stream_connected(retrain->stream))
        reason = "Kafka does not answer";
    else if (stream_assigned_count(retrain->stream) == 0)
        reason = "no partitions assigned"; /* to another instance: it trains */
    else if (!stream_caught_up(retrain->stream))
        reason = "catching up with " TOPIC_EXECUTIONS_DLQ " and " TOPIC_EXECUTIONS_FINISHED;
    service_ready(retrain->service, stream_connected(retrain->stream) && stream_caught_up(retrain->stream),
                  reason);
}

int retrain_step(struct retrain *retrain)
{
    int result = stream_dispatch(retrain->stream, take_record, retrain, WAIT_MS);
    if (result < 0)
        return fail(retrain, "reading records", result);
    result = stream_dispatch(retrain->followed, roles_follow, retrain, 0);
    if (result < 0)
        return fail(retrain, "reading models", result);
    tell_ready(retrain);
    metric_set(retrain->metrics.kept, (double)reservoir_count(retrain->reservoir));
    metric_set(retrain->metrics.evicted, (double)reservoir_evicted(retrain->reservoir));
    result = roles_step(retrain);
    if (result < 0)
        return fail(retrain, "publishing models", result);
    result = training_step(retrain);
    return result < 0 ? fail(retrain, "training", result) : 0;
}

void retrain_close(struct retrain *retrain)
{
    child_stop(retrain->child);
    if (retrain->judge)
        roles_save(retrain);
    judge_destroy(retrain->judge);
    stream_close(retrain->stream);
    stream_close(retrain->followed);
    topic_codec_destroy(retrain->codec);
    topic_codec_destroy(retrain->followed_codec);
    models_destroy(retrain->models);
    arena_destroy(retrain->arena);
    reservoir_close(retrain->reservoir);
    *retrain = (struct retrain){0};
}
