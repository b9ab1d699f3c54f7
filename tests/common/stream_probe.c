/* Uses common/stream on a real broker in the ways that test_stream_groups.py and test_stream_rate.py ask for
 * and checks:
 *
 *   stream_probe ensure BROKERS                            creates every topic of topics.h
 *   stream_probe work BROKERS TOPIC GROUP MEMBER [SEED]    group consumer: prints "did PARTITION OFFSET
 * VALUE" per message (the effect), then stores its offset; with SEED: pauses and resumes at random; SIGTERM
 * ends it stream_probe restore BROKERS TOPIC PARTITION           prints "value VALUE" of a partition's
 * committed records stream_probe watch BROKERS TOPIC                       reads without a group from the
 * end: prints "ready", then "saw VALUE"; and "connected 0|1" when that changes stream_probe bench BROKERS
 * TOPIC COUNT                 prints messages per second and latency of this interface Exit status: 0, 1
 * (error on stderr), 3 (fenced or fatal). Environment RESTART_AFTER_OUTAGE: as in stream_options. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/stream.h"
#include "common/topics.h"

static volatile sig_atomic_t ending;

static void on_signal(int number)
{
    (void)number;
    ending = 1;
}

static int complain(const char *what, const char *error, int result)
{
    fprintf(stderr, "%s: %s (%s)\n", what, error, strerror(-result));
    return result == -EPIPE ? 3 : 1;
}

static struct stream *open_stream(const char *brokers)
{
    char error[512];
    struct stream_options options = {
        .brokers = brokers, .client_id = "probe", .restart_after_outage = getenv("RESTART_AFTER_OUTAGE")};
    struct stream *stream = stream_open(&options, error, sizeof error);
    if (!stream)
        fprintf(stderr, "%s\n", error);
    return stream;
}

static int run_ensure(struct stream *stream)
{
    char error[512] = "";
    struct stream_topic topics[TOPIC_COUNT];
    topics_fill(topics, 0);
    int result = stream_topics_ensure(stream, topics, TOPIC_COUNT, error, sizeof error);
    return result < 0 ? complain("ensure", error, result) : 0;
}

struct worker {
    struct stream *stream;
    unsigned seed;
    bool shaking;
    int64_t expected[64]; /* next offset per partition; -1: any */
    bool paused[64];
    const char *topic;
    uint64_t skipped, lost;
};

static void on_assigned(void *context, struct stream_partition *partitions, size_t count)
{
    struct worker *worker = context;
    for (size_t i = 0; i < count; i++) {
        worker->expected[partitions[i].partition] = -1;
        worker->paused[partitions[i].partition] = false;
        printf("assigned %" PRId32 " committed %" PRId64 "\n", partitions[i].partition,
               partitions[i].committed_offset);
    }
    fflush(stdout);
}

/* Where Kafka lost messages, offsets go back. */
static void note_lost(struct worker *worker)
{
    uint64_t lost = stream_counters(worker->stream)->ends_lost;
    if (lost == worker->lost)
        return;
    worker->lost = lost;
    memset(worker->expected, -1, sizeof worker->expected);
    printf("lost %" PRIu64 "\n", lost);
}

static enum stream_outcome take_effect(void *context, const struct stream_message *message)
{
    struct worker *worker = context;
    int64_t *expected = &worker->expected[message->partition];
    note_lost(worker);
    if (*expected >= 0 && message->offset != *expected) {
        fprintf(stderr, "partition %" PRId32 ": offset %" PRId64 " after %" PRId64 "\n", message->partition,
                message->offset, *expected - 1);
        return STREAM_FATAL;
    }
    if (worker->shaking && rand_r(&worker->seed) % 500 == 0)
        return STREAM_RETRY;
    *expected = message->offset + 1;
    printf("did %" PRId32 " %" PRId64 " %.*s\n", message->partition, message->offset,
           (int)message->value_size, (const char *)message->value);
    fflush(stdout); /* the effect is outside the process from here on */
    return STREAM_DONE;
}

/* Back-pressure as a service would make it, at any moment. */
static int shake(struct worker *worker)
{
    int32_t partition = (int32_t)(rand_r(&worker->seed) % 4);
    bool pause = !worker->paused[partition];
    int result = pause ? stream_pause(worker->stream, worker->topic, partition)
                       : stream_resume(worker->stream, worker->topic, partition);
    if (result == 0)
        worker->paused[partition] = pause;
    return result == -ESTALE ? 0 : result;
}

static int run_work(struct stream *stream, int argc, char **argv)
{
    char error[512] = "";
    struct worker worker = {.stream = stream, .topic = argv[3], .shaking = argc > 6};
    if (argc > 6)
        worker.seed = (unsigned)strtoul(argv[6], NULL, 10);
    struct stream_callbacks callbacks = {.assigned = on_assigned};
    const char *topic = argv[3];
    int result =
        stream_subscribe(stream, argv[4], argv[5], &topic, 1, &callbacks, &worker, error, sizeof error);
    while (result >= 0 && !ending) {
        result = stream_dispatch(stream, take_effect, &worker, worker.shaking ? 5 : 100);
        if (result >= 0 && worker.shaking)
            result = shake(&worker);
    }
    if (result == -EPIPE)
        fs_drop(stream_failed(stream, error, sizeof error)); /* that it did is known: only the text */
    return result < 0 ? complain("work", error, result) : 0;
}

static int print_value(void *context, const struct stream_message *message)
{
    (void)context;
    printf("value %.*s\n", (int)message->value_size, (const char *)message->value);
    return 0;
}

static int run_restore(struct stream *stream, char **argv)
{
    int result =
        stream_restore(stream, argv[3], (int32_t)strtol(argv[4], NULL, 10), print_value, NULL, 20000);
    return result < 0 ? complain("restore", stream_counters(stream)->last_error, result) : 0;
}

static int run_watch(struct stream *stream, char **argv)
{
    char error[512] = "";
    const char *topic = argv[3];
    int result = stream_assign_all(stream, &topic, 1, STREAM_FROM_END, true, error, sizeof error);
    if (result < 0)
        return complain("watch", error, result);
    puts("ready");
    for (bool connected = true; result >= 0 && !ending;) {
        struct stream_batch batch;
        result = stream_poll(stream, &batch, 50);
        for (size_t i = 0; i < batch.count; i++)
            printf("saw %.*s\n", (int)batch.messages[i].value_size, (const char *)batch.messages[i].value);
        stream_batch_release(&batch);
        if (stream_connected(stream) != connected) {
            connected = !connected;
            printf("connected %d\n", connected);
        }
        fflush(stdout);
    }
    return result < 0 ? complain("watch", stream_counters(stream)->last_error, result) : 0;
}

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* Produces at rate (0: as fast as it goes) and reads back in the same loop; fills latencies. */
static int bench_round(struct stream *stream, const char *topic, size_t count, int64_t rate,
                       int64_t *latencies_us)
{
    char value[100] = {0};
    size_t sent = 0, got = 0;
    int64_t begin_us = clock_monotonic_us();
    while (got < count) {
        int64_t now_us = clock_monotonic_us();
        while (sent < count && (rate == 0 || (int64_t)sent * 1000000 / rate <= now_us - begin_us)) {
            int64_t stamp_us = clock_monotonic_us();
            memcpy(value, &stamp_us, sizeof stamp_us);
            int result = stream_produce(stream, topic, &sent, sizeof sent, value, sizeof value, NULL, NULL);
            if (result == -EAGAIN || (rate == 0 && sent % 1000 == 999 && result == 0)) {
                sent += result == 0;
                break;
            }
            if (result < 0)
                return result;
            sent++;
        }
        struct stream_batch batch;
        int result = stream_poll(stream, &batch, sent < count ? rate > 0 : 100);
        if (result < 0)
            return result;
        for (size_t i = 0; i < batch.count && got < count; i++) {
            int64_t stamp_us;
            memcpy(&stamp_us, batch.messages[i].value, sizeof stamp_us);
            latencies_us[got++] = clock_monotonic_us() - stamp_us;
        }
        stream_batch_release(&batch);
    }
    double seconds = (double)(clock_monotonic_us() - begin_us) / 1e6;
    qsort(latencies_us, count, sizeof *latencies_us, compare);
    int64_t p50_us = latencies_us[count / 2], p99_us = latencies_us[count * 99 / 100];
    printf("{\"rate\": %" PRId64 ", \"messages_per_s\": %.0f, \"p50_ms\": %.2f, \"p99_ms\": %.2f}\n", rate,
           (double)count / seconds, (double)p50_us / 1e3, (double)p99_us / 1e3);
    return 0;
}

static int run_bench(struct stream *stream, char **argv)
{
    char error[512] = "";
    const char *topic = argv[3];
    size_t count = strtoul(argv[4], NULL, 10);
    int64_t *latencies_us = calloc(count + 1, sizeof *latencies_us);
    int result = stream_assign_all(stream, &topic, 1, STREAM_FROM_END, true, error, sizeof error);
    if (result == 0)
        result = bench_round(stream, topic, FS_MAX(count / 10, 1), 1000, latencies_us);
    if (result == 0)
        result = bench_round(stream, topic, count, 10000, latencies_us);
    if (result == 0)
        result = bench_round(stream, topic, count, 0, latencies_us);
    free(latencies_us);
    return result < 0 ? complain("bench", error, result) : 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int arguments;
    } modes[] = {{"ensure", 3}, {"work", 6}, {"restore", 5}, {"watch", 4}, {"bench", 5}};
    size_t mode = 0;
    while (mode < FS_COUNT(modes) && (argc < 2 || strcmp(modes[mode].name, argv[1]) != 0))
        mode++;
    if (mode == FS_COUNT(modes) || argc < modes[mode].arguments) {
        fprintf(stderr, "see the head of stream_probe.c\n");
        return 2;
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    struct stream *stream = open_stream(argv[2]);
    if (!stream)
        return 1;
    int status = mode == 0   ? run_ensure(stream)
                 : mode == 1 ? run_work(stream, argc, argv)
                 : mode == 2 ? run_restore(stream, argv)
                 : mode == 3 ? run_watch(stream, argv)
                             : run_bench(stream, argv);
    stream_close(stream);
    return status;
}
