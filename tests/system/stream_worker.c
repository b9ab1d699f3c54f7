/* Copies one topic to another, one transaction per batch, through common/stream: what test_stream_broker.py
 * kills.
 *
 *   stream_worker BROKERS FROM TO GROUP MEMBER TRANSACTIONAL_ID
 *
 * Creates both topics and a compacted one named "compacted". Prints `assigned N` and, after each commit,
 * `committed N` (messages so far). Ends with 0 on SIGTERM, 3 when another worker with its transactional id
 * took over, 1 otherwise. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/base.h"
#include "common/stream.h"

#define PARTITIONS 4

struct worker {
    struct stream *stream;
    const char *from, *to;
    struct stream_position positions[PARTITIONS];
    size_t position_count;
    uint64_t committed;
};

static volatile sig_atomic_t ending;

static void on_signal(int number)
{
    (void)number;
    ending = 1;
}

static void on_assigned(void *context, struct stream_partition *partitions, size_t count)
{
    (void)context;
    (void)partitions;
    printf("assigned %zu\n", count);
    fflush(stdout);
}

static void on_revoked(void *context, const struct stream_partition *partitions, size_t count, bool lost)
{
    struct worker *worker = context;
    (void)partitions;
    printf("revoked %zu%s\n", count, lost ? " lost" : "");
    fflush(stdout);
    worker->position_count = 0;
    fs_drop(stream_abort(worker->stream)); /* a fenced stream says so again at the next poll */
}

static void note_position(struct worker *worker, const struct stream_message *message)
{
    size_t i = 0;
    while (i < worker->position_count && worker->positions[i].partition != message->partition)
        i++;
    if (i == worker->position_count)
        worker->position_count++;
    worker->positions[i] = (struct stream_position){worker->from, message->partition, message->offset + 1};
}

/* 0, -EAGAIN: aborted and rewound, or what the stream says. */
static int copy_batch(struct worker *worker, const struct stream_batch *batch)
{
    int result = stream_begin(worker->stream);
    worker->position_count = 0;
    for (size_t i = 0; i < batch->count && result == 0; i++) {
        const struct stream_message *message = &batch->messages[i];
        result = stream_produce(worker->stream, worker->to, message->key, message->key_size, message->value,
                                message->value_size, NULL, NULL);
        note_position(worker, message);
    }
    if (result == 0)
        result = stream_commit_transaction(worker->stream, worker->positions, worker->position_count);
    else if (result == -EAGAIN && stream_abort(worker->stream) < 0)
        result = -EPIPE;
    return result;
}

static int run(struct worker *worker)
{
    int result = 0;
    while (!ending && (result == 0 || result == -EAGAIN)) {
        struct stream_batch batch;
        result = stream_poll(worker->stream, &batch, 100);
        if (result < 0)
            break;
        result = batch.count > 0 ? copy_batch(worker, &batch) : 0;
        if (result == 0 && batch.count > 0) {
            worker->committed += batch.count;
            printf("committed %llu\n", (unsigned long long)worker->committed);
            fflush(stdout);
        }
        stream_batch_release(&batch);
    }
    return result == -EAGAIN ? 0 : result;
}

static int subscribe(struct worker *worker, const char *group, const char *member)
{
    const struct stream_topic topics[] = {{.name = worker->from, .partitions = PARTITIONS},
                                          {.name = worker->to, .partitions = PARTITIONS},
                                          {.name = "compacted", .partitions = 1, .compact = true}};
    const struct stream_callbacks callbacks = {.assigned = on_assigned, .revoked = on_revoked};
    char error[512] = "";
    int result = stream_topics_ensure(worker->stream, topics, FS_COUNT(topics), error, sizeof(error));
    if (result == 0)
        result = stream_subscribe(worker->stream, group, member, &worker->from, 1, &callbacks, worker, error,
                                  sizeof(error));
    if (result < 0)
        fprintf(stderr, "%s: %s\n", error, strerror(-result));
    return result;
}

int main(int argc, char **argv)
{
    char error[512];
    if (argc != 7)
        return 2;
    signal(SIGTERM, on_signal);
    struct worker worker = {.from = argv[2], .to = argv[3]};
    worker.stream = stream_open(
        &(struct stream_options){.brokers = argv[1], .client_id = argv[5], .transactional_id = argv[6]},
        error, sizeof(error));
    if (!worker.stream) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    int result = subscribe(&worker, argv[4], argv[5]);
    if (result == 0)
        result = run(&worker);
    char reason[256] = "";
    if (stream_failed(worker.stream, reason, sizeof(reason)) < 0)
        fprintf(stderr, "ended: %s\n", reason);
    stream_close(worker.stream);
    return result == 0 ? 0 : result == -EPIPE ? 3 : 1;
}
