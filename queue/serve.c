/* See serve.h. One step: a batch of inputs, what time brings about, admissions, and one transaction for all
 * of it. */
#include "queue/serve.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "common/clock.h"
#include "queue/broker.h"
#include "queue/server.h"

#define POLL_MS 50      /* also the precision of back-offs */
#define ADMIT_ROUNDS 32 /* of ALLOCATIONS_READ_MAX codes, in one step */
#define ARENA_BLOCK ((size_t)256 << 10)
#define ARENA_LIMIT ((size_t)64 << 20) /* one decoded input */
#define SHOW_MS 250

/* --- admitting --- */

struct learning {
    struct ledger *ledger;
    struct code **codes;
    struct moment at;
};

static void learn(void *context, size_t index, const struct allocation *allocation)
{
    struct learning *learning = context;
    ledger_learn(learning->ledger, learning->codes[index], allocation, learning->at);
}

static void admit(struct server *server, struct ledger *ledger)
{
    struct code *codes[ALLOCATIONS_READ_MAX];
    struct str names[ALLOCATIONS_READ_MAX];
    size_t count = 1;
    ledger_round(ledger);
    for (int i = 0; i < ADMIT_ROUNDS && count > 0; i++) {
        count = ledger_wanted(ledger, server->at, codes, ALLOCATIONS_READ_MAX);
        for (size_t c = 0; c < count; c++)
            names[c] = ledger_code_name(codes[c]);
        if (count > 0)
            allocations_read(server->allocations, names, count, learn,
                             &(struct learning){.ledger = ledger, .codes = codes, .at = server->at});
        ledger_admit(ledger, server->at);
    }
}

/* --- one step --- */

/* Requests that are left in Kafka on purpose do not count. */
static bool is_caught_up(const struct server *server, const struct partition *partition)
{
    for (enum input input = 0; input < INPUT_COUNT; input++) {
        bool left = input == INPUT_REQUESTED && partition->slots[input].paused;
        if (!left && !stream_partition_caught_up(server->stream, input_topics[input], partition->number))
            return false;
    }
    return true;
}

/* Whether all that was there at the assignment is read. */
static void settle(struct server *server)
{
    bool owning = false;
    if (server->settled)
        return;
    for (int p = 0; p < server->partition_count; p++) {
        const struct partition *partition = &server->partitions[p];
        if (partition->ledger && !is_caught_up(server, partition))
            return;
        owning |= partition->ledger != NULL;
    }
    if (!owning)
        return;
    server->settled = true;
    log_info("caught_up", "executions=%zu", partitions_live(server));
}

static int work_ledgers(struct server *server)
{
    int result = 0;
    for (int p = 0; p < server->partition_count && result == 0; p++) {
        struct ledger *ledger = server->partitions[p].ledger;
        if (!ledger)
            continue;
        if (server->settled) {
            ledger_tick(ledger, server->at);
            admit(server, ledger);
        }
        ledger_flush(ledger, server->at);
        result = ledger_error(ledger);
    }
    return result;
}

/* 0, or negative when the process has to end. */
static int step(struct server *server)
{
    struct stream_batch batch;
    int got = stream_poll(server->stream, &batch, POLL_MS);
    if (got < 0)
        return got;
    if (server->trouble == -EPIPE) { /* restoring failed */
        stream_batch_release(&batch);
        return -EPIPE;
    }
    if (got > 0)
        server->proof_ms = clock_monotonic_ms();
    partitions_look_at_clock(server);
    batch_take(server, &batch);
    settle(server);
    int result = work_ledgers(server);
    if (result == 0)
        result = effects_commit(server);
    stream_batch_release(&batch);
    if (result == 0) {
        partitions_press(server);
        partitions_release_held(server);
    }
    return result;
}

static void tell_late_nodes(struct server *server)
{
    size_t late = 0;
    for (int p = 0; p < server->partition_count; p++)
        if (server->partitions[p].ledger)
            late += ledger_late_nodes(server->partitions[p].ledger);
    if (late > 0 && !server->nodes_late)
        log_warn("nodes_late",
                 "nodes=%zu reason=\"their status is more than 5 s old when it comes\" "
                 "do=\"set the clocks of this host and ingest's right, or see what delays the topic nodes\"",
                 late);
    else if (late == 0 && server->nodes_late)
        log_info("nodes_in_time", "nodes_late=0");
    server->nodes_late = late > 0;
}

static const char *readiness(const struct server *server)
{
    if (stream_assigned_count(server->stream) == 0)
        return "no partition assigned";
    if (!stream_connected(server->stream))
        return "no broker connected";
    return server->settled ? "assigned and caught up" : "catching up";
}

static int run(struct server *server)
{
    int64_t shown_ms = 0;
    int result = 0;
    while (!service_stopping() && result == 0) {
        result = step(server);
        if (server->now_ms - shown_ms < SHOW_MS)
            continue;
        shown_ms = server->now_ms;
        gauges_show(server);
        tell_late_nodes(server);
        service_ready(server->service, server->settled && stream_connected(server->stream),
                      readiness(server));
    }
    return result;
}

/* --- opening and closing --- */

static int open_parts(struct server *server, char *error, size_t error_size)
{
    const struct service_options *options = &server->service->options;
    int result = broker_open(server->service, server->options, &server->stream, &server->partition_count,
                             error, error_size);
    if (result < 0)
        return result;
    struct store_options store = {
        .address = options->redis, .password = options->redis_password, .prefix = options->redis_prefix};
    server->allocations = allocations_open(&store, error, error_size);
    if (!server->allocations)
        return -EINVAL;
    size_t count = (size_t)server->partition_count;
    server->partitions = calloc(count, sizeof *server->partitions);
    server->positions = calloc(count * INPUT_COUNT, sizeof *server->positions);
    server->codec = topic_codec_create(server->stream);
    server->arena = arena_create(ARENA_BLOCK, ARENA_LIMIT);
    server->gauges = gauges_create(server->service->metrics);
    if (!server->partitions || !server->positions || !server->codec || !server->arena || !server->gauges) {
        (void)str_copy(error, error_size, str_of("out of memory"));
        return -ENOMEM;
    }
    topic_codec_measure(&server->codec, 1, server->service->metrics);
    stream_measure(&server->stream, 1, server->service->metrics);
    for (int p = 0; p < server->partition_count; p++)
        server->partitions[p] = (struct partition){.server = server, .number = p};
    return 0;
}

static int open_server(struct server *server, char *error, size_t error_size)
{
    static const struct stream_callbacks callbacks = {.assigned = partitions_assigned,
                                                      .revoked = partitions_revoked};
    ledger_config_fill(&server->config, server->options);
    buffer_init(&server->scratch, 0);
    server->now_ms = server->proof_ms = clock_monotonic_ms();
    int result = open_parts(server, error, error_size);
    if (result == 0)
        result = broker_join(server->stream, server->service, server->options, &callbacks, server, error,
                             error_size);
    return result;
}

/* Effects are committed with each step, so there is nothing to drain. */
static void close_server(struct server *server)
{
    topic_codec_destroy(server->codec);
    stream_close(server->stream);
    allocations_close(server->allocations);
    partitions_destroy(server);
    gauges_destroy(server->gauges);
    free(server->positions);
    arena_destroy(server->arena);
    buffer_fini(&server->scratch);
}

int serve(struct service *service, const struct queue_options *options)
{
    char error[512] = "";
    struct server server = {.service = service, .options = options, .limiter = {.burst = 10}};
    int result = open_server(&server, error, sizeof error);
    if (result < 0) {
        log_error("not_started", "reason=\"%s\"", error);
    } else {
        log_info("started", "member=%s partitions=%d", options->member, server.partition_count);
        result = run(&server);
        if (result < 0 && stream_failed(server.stream, error, sizeof error) == 0)
            (void)str_copy(error, sizeof error, str_of(strerror(-result)));
        if (result < 0)
            log_error("ended", "reason=\"%s\" effect=\"the next start goes on from the log\"", error);
    }
    close_server(&server);
    log_info("stopped", "status=%d", result < 0);
    return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
