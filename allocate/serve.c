/* The loop. See allocate.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "allocate/allocate.h"
#include "common/clock.h"
#include "common/topics.h"

#define ARENA_BLOCK (256u << 10)
#define ARENA_LIMIT (64u << 20) /* a record of 512 KiB decodes to some MiB */
#define TICKETS 65536           /* messages under way: risks are done at once, so records decide */
#define LOOK_MS 20              /* between two looks at open attempts */
#define IDLE_WAIT_MS 200
#define CHECK_MS 1000
#define MIRROR_RETRY_MS 100
#define STOP_TIMEOUT_MS 10000
#define LOGGED_PER_SECOND 50

static const char *const group_topics[] = {TOPIC_RISKS, TOPIC_EXECUTIONS_FINISHED, TOPIC_POLICIES,
                                           TOPIC_CODES};
static const char *const joined_topics[] = {TOPIC_RISKS, TOPIC_EXECUTIONS_FINISHED, TOPIC_POLICIES,
                                            TOPIC_CODES, TOPIC_ALLOCATIONS};
static const char *const node_topics[] = {TOPIC_NODES};

void allocate_fail(struct allocate *allocate, int error, const char *format, ...)
{
    va_list arguments;
    if (allocate->failure != 0)
        return;
    allocate->failure = error < 0 ? error : -EIO;
    va_start(arguments, format);
    (void)vsnprintf(allocate->failure_text, sizeof allocate->failure_text, format,
                    arguments); /* cut is fine */
    va_end(arguments);
}

static int open_settlements(struct allocate *allocate)
{
    size_t count = (size_t)allocate->options->max_pending;
    allocate->settlements = calloc(count, sizeof *allocate->settlements);
    if (!allocate->settlements)
        return -ENOMEM;
    for (size_t i = count; i-- > 0;) {
        struct settlement *settlement = &allocate->settlements[i];
        settlement->owner = allocate;
        buffer_init(&settlement->verdict, 0);
        buffer_init(&settlement->dead, 0);
        settlement->next = allocate->free_settlements;
        allocate->free_settlements = settlement;
    }
    return 0;
}

static int open_memory(struct allocate *allocate, char *error, size_t error_size)
{
    const struct allocate_options *options = allocate->options;
    allocate->ledger = ledger_create(TICKETS);
    allocate->attempts = attempts_create((size_t)options->max_attempts);
    allocate->nodes = nodes_create((size_t)options->max_nodes);
    allocate->book = book_create((size_t)options->max_codes);
    allocate->arena = arena_create(ARENA_BLOCK, ARENA_LIMIT);
    allocate->look_arena = arena_create(ARENA_BLOCK, ARENA_LIMIT);
    buffer_init(&allocate->out, 0);
    buffer_init(&allocate->scratch, 0);
    allocate->decision_log = (struct log_limiter){.burst = LOGGED_PER_SECOND};
    if (allocate->ledger && allocate->attempts && allocate->nodes && allocate->book && allocate->arena &&
        allocate->look_arena && open_settlements(allocate) == 0)
        return 0;
    (void)snprintf(error, error_size,
                   "out of memory for allocate.max_codes=%lld, max_attempts=%lld, max_nodes=%lld: lower them",
                   (long long)options->max_codes, (long long)options->max_attempts,
                   (long long)options->max_nodes);
    return -ENOMEM;
}

static struct stream *open_stream(const struct service *service, char *error, size_t error_size)
{
    struct stream_options options = {.brokers = service->options.brokers,
                                     .topic_prefix = service->options.topic_prefix,
                                     .schema_registry = service->options.schema_registry,
                                     .restart_after_outage = service->options.restart_after_outage,
                                     .client_id = ALLOCATE_SERVICE,
                                     .config = service->config};
    return stream_open(&options, error, error_size);
}

static int open_mirror(struct allocate *allocate, char *error, size_t error_size)
{
    const struct service_options *shared = &allocate->service->options;
    struct mirror_options options = {.address = shared->redis,
                                     .prefix = shared->redis_prefix,
                                     .password = shared->redis_password,
                                     .member = allocate->options->member,
                                     .timeout_ms = (int)allocate->options->redis_timeout_ms};
    allocate->mirror = mirror_open(&options, error, error_size);
    return allocate->mirror ? 0 : -EINVAL;
}

static int prepare_topics(struct allocate *allocate, char *error, size_t error_size)
{
    static const struct msg_type *const written[] = {&msg_adjustment_type, &msg_allocation_type,
                                                     &msg_verdict_type, &msg_dead_execution_type};
    int result = topics_prepare(allocate->stream, allocate->service->options.topic_prefix,
                                (int32_t)allocate->service->options.partitions, error, error_size);
    if (result == 0)
        result =
            stream_topics_check(allocate->stream, joined_topics, FS_COUNT(joined_topics), error, error_size);
    if (result < 0)
        return result;
    allocate->partitions = result;
    result = topic_codec_announce(allocate->stream, written, FS_COUNT(written), error, error_size);
    if (result == 0) /* adjustments leave on it */
        result = topic_codec_frame(allocate->nodes_stream, written, FS_COUNT(written), error, error_size);
    return result;
}

static int subscribe(struct allocate *allocate, char *error, size_t error_size)
{
    char group[256], member[128];
    service_group(allocate->service, group, sizeof group);
    (void)snprintf(member, sizeof member, "allocate-%s", allocate->options->member);
    int result = stream_assign_all(allocate->nodes_stream, node_topics, FS_COUNT(node_topics),
                                   STREAM_FROM_END, true, error, error_size);
    if (result == 0)
        result = stream_subscribe(allocate->stream, group, member, group_topics, FS_COUNT(group_topics),
                                  &allocate_callbacks, allocate, error, error_size);
    return result;
}

int allocate_open(struct allocate *allocate, struct service *service, const struct allocate_options *options,
                  char *error, size_t error_size)
{
    allocate->service = service;
    allocate->options = options;
    allocate_metrics_open(allocate);
    service_ready(service, false, "starting");
    int result = open_memory(allocate, error, error_size);
    if (result == 0)
        result = open_mirror(allocate, error, error_size);
    if (result < 0)
        return result;
    allocate->stream = open_stream(service, error, error_size);
    if (!allocate->stream)
        return -EHOSTDOWN;
    allocate->nodes_stream = open_stream(service, error, error_size);
    if (!allocate->nodes_stream)
        return -EHOSTDOWN;
    allocate->codec = topic_codec_create(allocate->stream);
    allocate->nodes_codec = topic_codec_create(allocate->nodes_stream);
    if (!allocate->codec || !allocate->nodes_codec) {
        (void)snprintf(error, error_size, "out of memory");
        return -ENOMEM;
    }
    topic_codec_measure((struct topic_codec *const[]){allocate->codec, allocate->nodes_codec}, 2,
                        service->metrics);
    stream_measure((struct stream *const[]){allocate->stream, allocate->nodes_stream}, 2, service->metrics);
    result = prepare_topics(allocate, error, error_size);
    return result == 0 ? subscribe(allocate, error, error_size) : result;
}

static const char *known_topic(struct str topic)
{
    for (size_t i = 0; i < FS_COUNT(group_topics); i++)
        if (str_equal(topic, str_of(group_topics[i])))
            return group_topics[i];
    return NULL;
}

static enum stream_outcome handle(struct allocate *allocate, const char *topic,
                                  const struct stream_message *message, struct ticket *ticket)
{
    if (strcmp(topic, TOPIC_RISKS) == 0)
        return allocate_on_risk(allocate, message, ticket);
    if (strcmp(topic, TOPIC_EXECUTIONS_FINISHED) == 0)
        return allocate_on_record(allocate, message, ticket);
    if (strcmp(topic, TOPIC_POLICIES) == 0)
        return allocate_on_policy(allocate, message, ticket);
    return allocate_on_profile(allocate, message);
}

/* Every message gets its ticket when it is done, held by what is under way for it: offsets never pass one
 * that is not. */
static enum stream_outcome on_message(void *context, const struct stream_message *message)
{
    struct allocate *allocate = context;
    const char *topic = known_topic(message->topic);
    if (!topic)
        return STREAM_FATAL; /* only what was subscribed to comes */
    if (ledger_pending(allocate->ledger) >= TICKETS - 1)
        return STREAM_RETRY;
    struct ticket *ticket = ledger_take(allocate->ledger, topic, message->partition, message->offset);
    if (!ticket)
        return STREAM_RETRY;
    arena_reset(allocate->arena);
    enum stream_outcome outcome = handle(allocate, topic, message, ticket);
    if (allocate->failure != 0)
        outcome = STREAM_FATAL;
    if (outcome == STREAM_RETRY) {
        metric_add(allocate->metrics.waited, 1);
        ledger_put_back(allocate->ledger, ticket);
        return outcome;
    }
    if (outcome != STREAM_FATAL)
        ledger_release(allocate->ledger, ticket);
    return outcome;
}

static int on_batch_end(void *context)
{
    effects_store_offsets(context);
    return 0;
}

static bool is_ready(struct allocate *allocate)
{
    return stream_caught_up(allocate->stream) && stream_caught_up(allocate->nodes_stream);
}

static void check(struct allocate *allocate, int64_t now_ms)
{
    bool ready = is_ready(allocate);
    service_ready(allocate->service, ready, ready ? "assigned and caught up" : "not assigned or behind");
    if (ready && !allocate->was_ready)
        log_info("ready", "partitions=%zu codes=%zu", stream_assigned_count(allocate->stream),
                 book_count(allocate->book));
    allocate->was_ready = ready;
    if (now_ms - allocate->checked_ms < CHECK_MS)
        return;
    allocate->checked_ms = now_ms;
    mirror_check(allocate->mirror);
    allocate_drop_idle(allocate);
    allocate_metrics_show(allocate);
}

static void mind(struct allocate *allocate)
{
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms - allocate->looked_ms >= LOOK_MS) {
        allocate->looked_ms = now_ms;
        allocate_look_again(allocate);
    }
    effects_step(allocate);
    effects_store_offsets(allocate);
    allocate_apply_fixed(allocate);
    const struct mirror_counters *redis = mirror_counters(allocate->mirror);
    if (redis->rebuilding || now_ms - allocate->mirrored_ms >= MIRROR_RETRY_MS) {
        allocate->mirrored_ms = now_ms;
        mirror_step(allocate->mirror, allocate->book, topic_codec_codec(allocate->codec), allocate->arena);
    }
    check(allocate, now_ms);
}

static int wait_ms(const struct allocate *allocate)
{
    if (allocate->fixed_due || allocate->written.head || mirror_counters(allocate->mirror)->rebuilding)
        return 0;
    return attempts_open_count(allocate->attempts) > 0 || allocate->waiting.head ? LOOK_MS : IDLE_WAIT_MS;
}

int allocate_step(struct allocate *allocate)
{
    struct stream *streams[] = {allocate->stream, allocate->nodes_stream};
    (void)stream_wait(streams, FS_COUNT(streams), wait_ms(allocate));
    int result = stream_dispatch_batch(allocate->stream, on_message, on_batch_end, allocate, 0);
    if (result >= 0)
        result = stream_dispatch(allocate->nodes_stream, allocate_on_status, allocate, 0);
    if (result < 0)
        allocate_fail(allocate, result, "%s",
                      result == -EPIPE ? "replaced by a successor, or the producer failed for good"
                                       : "a message could not be handled");
    if (allocate->failure == 0)
        mind(allocate);
    return allocate->failure;
}

void allocate_close(struct allocate *allocate)
{
    service_ready(allocate->service, false, "stopping");
    if (allocate->stream && allocate->failure == 0)
        effects_drain(allocate, STOP_TIMEOUT_MS);
    stream_close(allocate->nodes_stream);
    stream_close(allocate->stream);
    topic_codec_destroy(allocate->nodes_codec);
    topic_codec_destroy(allocate->codec);
    mirror_close(allocate->mirror);
    for (int64_t i = 0; allocate->settlements && i < allocate->options->max_pending; i++) {
        buffer_fini(&allocate->settlements[i].verdict);
        buffer_fini(&allocate->settlements[i].dead);
    }
    free(allocate->settlements);
    buffer_fini(&allocate->scratch);
    buffer_fini(&allocate->out);
    arena_destroy(allocate->look_arena);
    arena_destroy(allocate->arena);
    book_destroy(allocate->book);
    nodes_destroy(allocate->nodes);
    attempts_destroy(allocate->attempts);
    ledger_destroy(allocate->ledger);
}
