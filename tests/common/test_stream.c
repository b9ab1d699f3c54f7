/* The stream against librdkafka's mock cluster: what does not need a real broker. Transactions, rebalances
 * between processes and broken brokers are in real_broker_stream.py. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "common/clock.h"
#include "common/config.h"
#include "common/stream.h"
#include "common/topics.h"

#define DEADLINE_MS 20000
#define API_OFFSET_COMMIT 8
#define API_PRODUCE 0

static rd_kafka_t *mock_handle;
static rd_kafka_mock_cluster_t *mock;
static int topic_number;

static int set_up(void **state)
{
    (void)state;
    char error[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, NULL);
    mock_handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error);
    mock = mock_handle ? rd_kafka_mock_cluster_new(mock_handle, 1) : NULL;
    if (!mock)
        return -1;
    return rd_kafka_mock_topic_create(mock, TOPIC_QUARANTINE, 1, 1) == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    rd_kafka_mock_cluster_destroy(mock);
    rd_kafka_destroy(mock_handle);
    return 0;
}

/* A new topic for each test. */
static const char *make_topic(int partitions)
{
    static char name[32];
    snprintf(name, sizeof name, "t%d", ++topic_number);
    assert_int_equal(rd_kafka_mock_topic_create(mock, name, partitions, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    return name;
}

static struct stream *open_stream(const char *transactional_id)
{
    char error[512];
    struct stream_options options = {.brokers = rd_kafka_mock_cluster_bootstraps(mock),
                                     .client_id = "test",
                                     .transactional_id = transactional_id};
    struct stream *stream = stream_open(&options, error, sizeof error);
    if (!stream)
        fail_msg("%s", error);
    return stream;
}

static void produce_numbers(struct stream *stream, const char *topic, int32_t partition, int from, int to)
{
    for (int i = from; i < to; i++)
        assert_int_equal(stream_produce_to(stream, topic, partition, "k", 1, &i, sizeof i, NULL, NULL), 0);
    assert_int_equal(stream_flush(stream, DEADLINE_MS), 0);
}

static void assign(struct stream *stream, const char *topic, enum stream_start start)
{
    char error[512] = "";
    if (stream_assign_all(stream, &topic, 1, start, true, error, sizeof error) < 0)
        fail_msg("%s", error);
}

static void subscribe(struct stream *stream, const char *group, const char *topic,
                      const struct stream_callbacks *callbacks, void *context)
{
    char error[512] = "";
    if (stream_subscribe(stream, group, NULL, &topic, 1, callbacks, context, error, sizeof error) < 0)
        fail_msg("%s", error);
}

static int number_of(const struct stream_message *message)
{
    int number;
    assert_int_equal(message->value_size, sizeof number);
    memcpy(&number, message->value, sizeof number);
    return number;
}

/* Reads until `wanted` numbers of one partition came, each the successor of the one before. */
static void expect_numbers(struct stream *stream, int from, int wanted)
{
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    int next = from;
    while (next < from + wanted) {
        if (clock_monotonic_ms() > deadline_ms)
            fail_msg("only %d of %d messages came", next - from, wanted);
        struct stream_batch batch;
        assert_true(stream_poll(stream, &batch, 100) >= 0);
        for (size_t i = 0; i < batch.count && next < from + wanted; i++)
            assert_int_equal(number_of(&batch.messages[i]), next++);
        stream_batch_release(&batch);
    }
}

struct reports {
    int count, last;
};

static void on_report(void *context, int error)
{
    struct reports *reports = context;
    reports->count++;
    reports->last = error;
}

static void produce__reports__served_by_poll_without_consumer(void **state)
{
    (void)state;
    struct stream *stream = open_stream(NULL);
    struct reports reports = {0, -1};
    const char *topic = make_topic(3);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(stream_produce(stream, topic, "k", 1, "v", 1, on_report, &reports), 0);
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (reports.count < 1000 && clock_monotonic_ms() < deadline_ms) {
        struct stream_batch batch;
        assert_int_equal(stream_poll(stream, &batch, 100), 0);
        stream_batch_release(&batch);
    }
    assert_int_equal(reports.count, 1000);
    assert_int_equal(reports.last, 0);
    assert_int_equal(stream_counters(stream)->delivered, 1000);
    assert_int_equal(stream_counters(stream)->inflight, 0);
    stream_close(stream);
}

static void produce__too_large__msgsize(void **state)
{
    (void)state;
    struct stream *stream = open_stream(NULL);
    size_t size = 4u << 20;
    char *value = calloc(1, size);
    struct reports reports = {0, 0};
    assert_int_equal(stream_produce(stream, make_topic(1), "k", 1, value, size, on_report, &reports),
                     -EMSGSIZE);
    assert_int_equal(reports.count, 0);
    free(value);
    stream_close(stream);
}

static void produce__broker_away__again_then_all_delivered(void **state)
{
    (void)state;
    char error[512];
    struct stream_options options = {.brokers = rd_kafka_mock_cluster_bootstraps(mock),
                                     .client_id = "test",
                                     .max_inflight_bytes = 256 << 10};
    struct stream *stream = stream_open(&options, error, sizeof error);
    assert_non_null(stream);
    const char *topic = make_topic(1);
    assert_int_equal(stream_produce(stream, topic, "k", 1, "v", 1, NULL, NULL), 0);
    assert_int_equal(stream_flush(stream, DEADLINE_MS), 0);
    rd_kafka_mock_broker_set_down(mock, -1);
    struct reports reports = {0, 0};
    char value[4096] = {0};
    int accepted = 0, result;
    while ((result = stream_produce(stream, topic, "k", 1, value, sizeof value, on_report, &reports)) == 0)
        accepted++;
    assert_int_equal(result, -EAGAIN);
    assert_in_range(accepted, 10, 100);
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (stream_connected(stream) && clock_monotonic_ms() < deadline_ms) {
        struct stream_batch batch;
        assert_int_equal(stream_poll(stream, &batch, 20), 0);
        stream_batch_release(&batch);
    }
    assert_false(stream_connected(stream));
    assert_true(strlen(stream_counters(stream)->last_error) > 0);
    rd_kafka_mock_broker_set_up(mock, -1);
    assert_int_equal(stream_flush(stream, DEADLINE_MS), 0);
    assert_int_equal(reports.count, accepted);
    assert_int_equal(reports.last, 0);
    assert_true(stream_connected(stream));
    stream_close(stream);
}

static void produce__injected_error__retried_and_delivered(void **state)
{
    (void)state;
    struct stream *stream = open_stream(NULL);
    struct reports reports = {0, -1};
    const char *topic = make_topic(1);
    rd_kafka_mock_push_request_errors(mock, API_PRODUCE, 2, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                      RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
    assert_int_equal(stream_produce(stream, topic, "k", 1, "v", 1, on_report, &reports), 0);
    assert_int_equal(stream_flush(stream, DEADLINE_MS), 0);
    assert_int_equal(reports.count, 1);
    assert_int_equal(reports.last, 0);
    stream_close(stream);
}

static void close__undelivered__every_report_comes(void **state)
{
    (void)state;
    struct stream *stream = open_stream(NULL);
    struct reports reports = {0, 1};
    const char *topic = make_topic(1);
    assert_int_equal(stream_produce(stream, topic, "k", 1, "v", 1, NULL, NULL), 0);
    assert_int_equal(stream_flush(stream, DEADLINE_MS), 0);
    rd_kafka_mock_broker_set_down(mock, -1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(stream_produce(stream, topic, "k", 1, "v", 1, on_report, &reports), 0);
    int64_t begin_ms = clock_monotonic_ms();
    stream_close(stream);
    assert_true(clock_monotonic_ms() - begin_ms < 20000);
    rd_kafka_mock_broker_set_up(mock, -1);
    assert_int_equal(reports.count, 10);
    assert_int_equal(reports.last, -ECANCELED);
}

static void close__fetched_and_not_polled__ends_cleanly(void **state)
{
    (void)state;
    const char *topic = make_topic(1);
    for (int round = 0; round < 5; round++) {
        struct stream *stream = open_stream(NULL);
        produce_numbers(stream, topic, 0, round * 2000, round * 2000 + 2000);
        assign(stream, topic, STREAM_FROM_BEGINNING);
        expect_numbers(stream, 0, 1); /* librdkafka has fetched more by now */
        stream_close(stream);
    }
}

static void partition_of__known_keys__as_java(void **state)
{
    (void)state;
    /* Java's Utils.toPositive(Utils.murmur2(key)) % 8; hashes from Kafka's own UtilsTest. */
    const struct {
        const char *key;
        int32_t hash;
    } cases[] = {{"21", -973932308},
                 {"foobar", -790332482},
                 {"a-little-bit-long-string", -985981536},
                 {"a-little-bit-longer-string", -1486304829},
                 {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
                 {"abc", 479470107}};
    for (size_t i = 0; i < FS_COUNT(cases); i++)
        assert_int_equal(stream_partition_of(cases[i].key, strlen(cases[i].key), 8),
                         (cases[i].hash & 0x7fffffff) % 8);
}

static void assign_all__from_beginning__all_in_order_and_caught_up(void **state)
{
    (void)state;
    struct stream *stream = open_stream(NULL);
    const char *topic = make_topic(1);
    produce_numbers(stream, topic, 0, 0, 5000);
    assert_false(stream_caught_up(stream));
    assign(stream, topic, STREAM_FROM_BEGINNING);
    expect_numbers(stream, 0, 5000);
    assert_true(stream_caught_up(stream));
    stream_close(stream);
}

static void assign_all__from_end__all_produced_after_it(void **state)
{
    (void)state;
    struct stream *stream = open_stream(NULL);
    const char *topic = make_topic(1);
    produce_numbers(stream, topic, 0, 0, 10);
    assign(stream, topic, STREAM_FROM_END);
    produce_numbers(stream, topic, 0, 10, 20);
    expect_numbers(stream, 10, 10);
    stream_close(stream);
}

static void assign_all__missing_topic__error_names_it(void **state)
{
    (void)state;
    struct stream *stream = open_stream(NULL);
    const char *topics[] = {"no.such.topic"};
    char error[512] = "";
    assert_int_equal(stream_assign_all(stream, topics, 1, STREAM_FROM_END, true, error, sizeof error),
                     -ENOENT);
    assert_non_null(strstr(error, "no.such.topic"));
    assert_int_equal(stream_partition_count(stream, "no.such.topic", 5000), -ENOENT);
    assert_int_equal(stream_partition_count(stream, make_topic(5), 5000), 5);
    stream_close(stream);
}

static void assign_at__middle__reads_from_there(void **state)
{
    (void)state;
    struct stream *stream = open_stream(NULL);
    const char *topic = make_topic(2);
    produce_numbers(stream, topic, 1, 0, 100);
    assert_int_equal(stream_assign_at(stream, topic, 1, 40), 0);
    assert_int_equal(stream_assign_at(stream, topic, 2, 0), -ENOENT);
    expect_numbers(stream, 40, 60);
    assert_int_equal(stream_seek(stream, topic, 1, 90), 0);
    expect_numbers(stream, 90, 10);
    assert_int_equal(stream_seek(stream, topic, 0, 0), -ESTALE);
    stream_close(stream);
}

static void pause__resume_at_random__nothing_skipped_nothing_twice(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    struct stream *stream = open_stream(NULL);
    const char *topic = make_topic(1);
    assign(stream, topic, STREAM_FROM_BEGINNING);
    assert_int_equal(stream_pause(stream, topic, 0), 0); /* before the first message */
    produce_numbers(stream, topic, 0, 0, 500);
    int produced = 500, next = 0;
    bool paused = true;
    int64_t deadline_ms = clock_monotonic_ms() + 60000;
    while (next < 20000) {
        assert_true(clock_monotonic_ms() < deadline_ms);
        if (rand_r(&seed) % 3 == 0) {
            paused = !paused;
            assert_int_equal(paused ? stream_pause(stream, topic, 0) : stream_resume(stream, topic, 0), 0);
        }
        struct stream_batch batch;
        assert_true(stream_poll(stream, &batch, (int)(rand_r(&seed) % 5)) >= 0);
        assert_true(!paused || batch.count == 0);
        for (size_t i = 0; i < batch.count; i++)
            assert_int_equal(number_of(&batch.messages[i]), next++);
        stream_batch_release(&batch);
        if (produced < 20000 && produced - next < 2000) {
            produce_numbers(stream, topic, 0, produced, produced + 500);
            produced += 500;
        }
    }
    stream_close(stream);
}

static void subscribe__stop_between_effect_and_store__delivered_again(void **state)
{
    (void)state;
    struct stream *stream = open_stream(NULL);
    const char *topic = make_topic(1);
    char group[48];
    snprintf(group, sizeof group, "g-%s", topic);
    produce_numbers(stream, topic, 0, 0, 10);
    subscribe(stream, group, topic, NULL, NULL);
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    int seen = 0;
    while (seen < 10 && clock_monotonic_ms() < deadline_ms) {
        struct stream_batch batch;
        assert_true(stream_poll(stream, &batch, 100) >= 0);
        for (size_t i = 0; i < batch.count; i++, seen++) {
            if (seen < 4) /* the others had their effect, and then the process stopped */
                assert_int_equal(stream_store_offset(stream, &batch.messages[i]), 0);
        }
        stream_batch_release(&batch);
    }
    assert_int_equal(seen, 10);
    stream_close(stream);
    stream = open_stream(NULL);
    subscribe(stream, group, topic, NULL, NULL);
    expect_numbers(stream, 4, 6);
    stream_close(stream);
}

static void commit__explicit_and_failing__says_so(void **state)
{
    (void)state;
    struct stream *stream = open_stream(NULL);
    const char *topic = make_topic(1);
    char group[48];
    snprintf(group, sizeof group, "g-%s", topic);
    produce_numbers(stream, topic, 0, 0, 3);
    subscribe(stream, group, topic, NULL, NULL);
    struct stream_batch batch;
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    for (;;) {
        assert_true(stream_poll(stream, &batch, 100) >= 0);
        if (batch.count > 0 || clock_monotonic_ms() > deadline_ms)
            break;
        stream_batch_release(&batch);
    }
    assert_true(batch.count > 0);
    assert_int_equal(stream_store_offset(stream, &batch.messages[0]), 0);
    rd_kafka_mock_push_request_errors(mock, API_OFFSET_COMMIT, 1, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION);
    assert_int_equal(stream_commit(stream), -ESTALE);
    stream_batch_release(&batch);
    stream_close(stream);
}

struct starts {
    int64_t committed, start;
    int assigned, revoked;
};

static void on_assigned(void *context, struct stream_partition *partitions, size_t count)
{
    struct starts *starts = context;
    assert_int_equal(count, 1);
    starts->assigned++;
    starts->committed = partitions[0].committed_offset;
    partitions[0].start_offset = starts->start;
}

static void on_revoked(void *context, const struct stream_partition *partitions, size_t count, bool lost)
{
    (void)partitions, (void)lost;
    assert_int_equal(count, 1);
    ((struct starts *)context)->revoked++;
}

static void subscribe__start_moved_back__reads_again(void **state)
{
    (void)state;
    struct stream *stream = open_stream(NULL);
    const char *topic = make_topic(1);
    char group[48];
    snprintf(group, sizeof group, "g-%s", topic);
    struct stream_callbacks callbacks = {on_assigned, on_revoked};
    struct starts starts = {.start = STREAM_OFFSET_BEGINNING};
    produce_numbers(stream, topic, 0, 0, 100);
    subscribe(stream, group, topic, &callbacks, &starts);
    struct stream_batch batch;
    int stored = 0;
    while (stored < 100) {
        assert_true(stream_poll(stream, &batch, 100) >= 0);
        for (size_t i = 0; i < batch.count; i++, stored++)
            assert_int_equal(stream_store_offset(stream, &batch.messages[i]), 0);
        stream_batch_release(&batch);
    }
    assert_int_equal(starts.committed, STREAM_OFFSET_NONE);
    stream_close(stream);
    assert_int_equal(starts.revoked, 1);
    stream = open_stream(NULL);
    starts.start = 70;
    subscribe(stream, group, topic, &callbacks, &starts);
    expect_numbers(stream, 70, 30);
    assert_int_equal(starts.committed, 100);
    assert_true(stream_caught_up(stream));
    stream_close(stream);
}

struct handler {
    struct stream *stream;
    int retries_left, calls, done, last;
    enum stream_outcome odd; /* of the number 13 */
};

static enum stream_outcome handle(void *context, const struct stream_message *message)
{
    struct handler *handler = context;
    int number = number_of(message);
    handler->calls++;
    if (number == 5 && handler->retries_left-- > 0)
        return STREAM_RETRY;
    if (number == 13) {
        stream_set_reason(handler->stream, "unlucky %d", number);
        return handler->odd;
    }
    assert_int_equal(number, handler->last + 1 + (handler->last == 12));
    handler->last = number;
    handler->done++;
    return STREAM_DONE;
}

static void dispatch__each_outcome__as_promised(void **state)
{
    (void)state;
    struct stream *stream = open_stream(NULL);
    const char *topic = make_topic(1);
    struct handler handler = {.stream = stream, .retries_left = 3, .last = -1, .odd = STREAM_QUARANTINE};
    produce_numbers(stream, topic, 0, 0, 20);
    assign(stream, topic, STREAM_FROM_BEGINNING);
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (handler.last < 19 && clock_monotonic_ms() < deadline_ms)
        assert_true(stream_dispatch(stream, handle, &handler, 100) >= 0);
    assert_int_equal(handler.done, 19);
    assert_int_equal(handler.calls, 20 + 3);
    assert_int_equal(stream_counters(stream)->retried, 3);
    assert_int_equal(stream_counters(stream)->quarantined, 1);
    stream_close(stream);

    stream = open_stream(NULL);
    assign(stream, TOPIC_QUARANTINE, STREAM_FROM_BEGINNING);
    struct stream_batch batch;
    for (;;) {
        assert_true(stream_poll(stream, &batch, 100) >= 0);
        if (batch.count > 0 || clock_monotonic_ms() > deadline_ms)
            break;
        stream_batch_release(&batch);
    }
    assert_int_equal(batch.count, 1);
    const char *const headers[][2] = {{"service", "test"},
                                      {"reason", "unlucky 13"},
                                      {"topic", topic},
                                      {"partition", "0"},
                                      {"offset", "13"}};
    for (size_t i = 0; i < FS_COUNT(headers); i++) {
        struct str value;
        assert_true(stream_message_header(&batch.messages[0], headers[i][0], &value));
        assert_true(str_equal(value, str_of(headers[i][1])));
    }
    assert_int_equal(number_of(&batch.messages[0]), 13);
    stream_batch_release(&batch);
    stream_close(stream);
}

static void dispatch__fatal__ends(void **state)
{
    (void)state;
    struct stream *stream = open_stream(NULL);
    const char *topic = make_topic(1);
    struct handler handler = {.stream = stream, .last = 12, .odd = STREAM_FATAL};
    produce_numbers(stream, topic, 0, 13, 14);
    assign(stream, topic, STREAM_FROM_BEGINNING);
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    int result = 0;
    while (result >= 0 && clock_monotonic_ms() < deadline_ms)
        result = stream_dispatch(stream, handle, &handler, 100);
    assert_int_equal(result, -EIO);
    stream_close(stream);
}

static void note_delivery(void *context, int error)
{
    int *reported = context;
    assert_int_equal(error, 0);
    ++*reported;
}

static void quarantine__too_large__reduced_with_header(void **state)
{
    (void)state;
    struct stream *stream = open_stream(NULL);
    assign(stream, TOPIC_QUARANTINE, STREAM_FROM_END);
    size_t size = 2u << 20;
    char *value = calloc(1, size);
    int reported = 0;
    assert_int_equal(stream_quarantine_bytes(stream, value, size, "ingest", "node-7", "frame too long",
                                             note_delivery, &reported),
                     0);
    free(value);
    struct stream_batch batch;
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    for (;;) {
        assert_true(stream_poll(stream, &batch, 100) >= 0);
        if (batch.count > 0 || clock_monotonic_ms() > deadline_ms)
            break;
        stream_batch_release(&batch);
    }
    assert_int_equal(batch.count, 1);
    struct str header;
    assert_int_equal(batch.messages[0].value_size, 64 << 10);
    assert_true(stream_message_header(&batch.messages[0], "truncated", &header));
    assert_true(str_equal(header, str_of("2097152")));
    assert_true(stream_message_header(&batch.messages[0], "origin", &header));
    stream_batch_release(&batch);
    stream_close(stream);
    assert_int_equal(reported, 1);
}

static int sum_numbers(void *context, const struct stream_message *message)
{
    int64_t *sum = context;
    *sum += number_of(message);
    return 0;
}

static int stop_at_once(void *context, const struct stream_message *message)
{
    (void)context, (void)message;
    return -ECANCELED;
}

static void restore__several_partitions__each_to_its_end(void **state)
{
    (void)state;
    struct stream *stream = open_stream(NULL);
    const char *topic = make_topic(3);
    produce_numbers(stream, topic, 0, 0, 1000);
    produce_numbers(stream, topic, 1, 1000, 2000);
    int64_t sum = 0;
    assert_int_equal(stream_restore(stream, topic, 0, sum_numbers, &sum, DEADLINE_MS), 0);
    assert_int_equal(sum, 499500);
    assert_int_equal(stream_restore(stream, topic, 1, sum_numbers, &sum, DEADLINE_MS), 0);
    assert_int_equal(sum, 499500 + 1499500);
    assert_int_equal(stream_restore(stream, topic, 2, sum_numbers, &sum, DEADLINE_MS), 0); /* empty */
    assert_int_equal(stream_restore(stream, topic, 0, stop_at_once, NULL, DEADLINE_MS), -ECANCELED);
    assert_int_equal(sum, 499500 + 1499500);
    stream_close(stream);
}

static void transaction__commit_and_abort__states_hold(void **state)
{
    (void)state;
    struct stream *stream = open_stream("tx-1");
    const char *topic = make_topic(1);
    struct reports reports = {0, -1};
    assert_int_equal(stream_produce(stream, topic, "k", 1, "v", 1, NULL, NULL), -EINVAL); /* none begun */
    assert_int_equal(stream_commit_transaction(stream, NULL, 0), -EINVAL);
    assert_int_equal(stream_begin(stream), 0);
    assert_int_equal(stream_begin(stream), -EINVAL);
    assert_int_equal(stream_produce(stream, topic, "k", 1, "v", 1, on_report, &reports), 0);
    assert_int_equal(stream_commit_transaction(stream, NULL, 0), 0);
    assert_int_equal(reports.count, 1);
    assert_int_equal(reports.last, 0);
    assert_int_equal(stream_begin(stream), 0);
    assert_int_equal(stream_abort(stream), 0);
    assert_int_equal(stream_abort(stream), 0);
    stream_close(stream);
}

static void topics_ensure__there__nothing_to_do_and_missing__unsupported(void **state)
{
    (void)state;
    struct stream *stream = open_stream(NULL);
    char error[512] = "";
    struct stream_topic topics[] = {{make_topic(2), 2, false, 0}, {"not.there", 1, true, 0}};
    assert_int_equal(stream_topics_ensure(stream, topics, 1, error, sizeof error), 0);
    assert_true(stream_topics_ensure(stream, topics, 2, error, sizeof error) < 0); /* the mock cannot */
    assert_true(strlen(error) > 0);
    const char *names[] = {topics[0].name, TOPIC_QUARANTINE};
    assert_int_equal(stream_topics_check(stream, names, 1, error, sizeof error), 2);
    assert_int_equal(stream_topics_check(stream, names, 2, error, sizeof error), -EINVAL);
    assert_non_null(strstr(error, TOPIC_QUARANTINE));
    stream_close(stream);
}

static void prefix__set__hidden_from_the_caller(void **state)
{
    (void)state;
    char error[512];
    struct stream_options options = {
        .brokers = rd_kafka_mock_cluster_bootstraps(mock), .client_id = "test", .topic_prefix = "prod."};
    assert_int_equal(rd_kafka_mock_topic_create(mock, "prod.codes", 2, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    struct stream *stream = stream_open(&options, error, sizeof error);
    assert_non_null(stream);
    assert_int_equal(stream_partition_count(stream, TOPIC_CODES, 5000), 2);
    produce_numbers(stream, TOPIC_CODES, 1, 0, 10);
    int64_t sum = 0;
    assert_int_equal(stream_restore(stream, TOPIC_CODES, 1, sum_numbers, &sum, DEADLINE_MS), 0);
    assert_int_equal(sum, 45);
    assign(stream, TOPIC_CODES, STREAM_FROM_BEGINNING);
    struct stream_batch batch;
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    for (;;) {
        assert_true(stream_poll(stream, &batch, 100) >= 0);
        if (batch.count > 0 || clock_monotonic_ms() > deadline_ms)
            break;
        stream_batch_release(&batch);
    }
    assert_true(batch.count > 0);
    assert_true(str_equal(batch.messages[0].topic, str_of(TOPIC_CODES)));
    assert_int_equal(stream_pause(stream, TOPIC_CODES, 1), 0);
    stream_batch_release(&batch);
    stream_close(stream);
}

static struct stream *open_with_setting(const char *setting, char *error, size_t error_size)
{
    struct config *config = config_create("test", "");
    char *argv[] = {"test", (char *)(uintptr_t)setting};
    assert_int_equal(config_passthrough(config, "kafka"), 0);
    if (config_load(config, 2, argv, error, error_size) != 0)
        fail_msg("%s", error);
    struct stream_options options = {
        .brokers = rd_kafka_mock_cluster_bootstraps(mock), .client_id = "test", .config = config};
    struct stream *stream = stream_open(&options, error, error_size);
    config_destroy(
        config); /* read at open; a consumer opened later reads it again, so services keep theirs */
    return stream;
}

static void config__kafka_section__passed_through_checked_and_locked(void **state)
{
    (void)state;
    char error[512] = "";
    struct stream *stream = open_with_setting("--kafka.linger.ms=7", error, sizeof error);
    if (!stream)
        fail_msg("%s", error);
    stream_close(stream);
    stream = open_with_setting("--kafka.consumer.fetch.min.bytes=7", error, sizeof error);
    assert_non_null(stream);
    stream_close(stream);
    const char *const refused[][2] = {{"--kafka.no.such.key=1", "no.such.key"},
                                      {"--kafka.linger.ms=soon", "linger.ms"},
                                      {"--kafka.acks=1", "guarantees"},
                                      {"--kafka.producer.enable.idempotence=false", "guarantees"}};
    for (size_t i = 0; i < FS_COUNT(refused); i++) {
        assert_null(open_with_setting(refused[i][0], error, sizeof error));
        assert_non_null(strstr(error, refused[i][1]));
    }
}

static void wait__two_streams__either_wakes(void **state)
{
    (void)state;
    struct stream *idle = open_stream(NULL), *busy = open_stream(NULL);
    const char *topic = make_topic(1);
    assign(busy, topic, STREAM_FROM_END);
    struct stream *const both[] = {idle, NULL, busy};
    produce_numbers(idle, topic, 0, 0, 1);
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    int got = 0;
    while (got == 0 && clock_monotonic_ms() < deadline_ms) {
        assert_int_equal(stream_wait(both, 3, 5000), 1);
        for (size_t i = 0; i < 3; i += 2) {
            struct stream_batch batch;
            int count = stream_poll(both[i], &batch, 0);
            assert_true(count >= 0);
            got += count;
            stream_batch_release(&batch);
        }
    }
    assert_int_equal(got, 1);
    stream_close(idle);
    stream_close(busy);
}

static void open__nobody_there__error_says_what_to_do(void **state)
{
    (void)state;
    char error[512] = "";
    struct stream_options options = {.brokers = "127.0.0.1:1", .client_id = "test"};
    int64_t begin_ms = clock_monotonic_ms();
    assert_null(stream_open(&options, error, sizeof error));
    assert_true(clock_monotonic_ms() - begin_ms < 15000);
    print_message("%s\n", error);
    assert_non_null(strstr(error, "127.0.0.1:1"));
    assert_non_null(strstr(error, "refused"));
    assert_non_null(strstr(error, "kafka.brokers"));
}

/* A test that failed must not leave the broker down for the next one. */
struct late_store {
    struct handler handler;
    struct stream_message kept; /* the number 9: stored at the end of its batch */
    int ends, seen;
};

static enum stream_outcome handle_late(void *context, const struct stream_message *message)
{
    struct late_store *late = context;
    enum stream_outcome outcome = handle(&late->handler, message);
    late->seen++;
    if (outcome == STREAM_DONE && number_of(message) == 9)
        late->kept = *message;
    return outcome;
}

static int end_late(void *context)
{
    struct late_store *late = context;
    assert_true(late->seen > 0);
    late->ends++;
    if (late->kept.value) {
        assert_int_equal(number_of(&late->kept), 9); /* still valid */
        assert_int_equal(stream_store_offset(late->handler.stream, &late->kept), 0);
        late->kept.value = NULL;
    }
    return 0;
}

static void dispatch_batch__end_stores__committed_only_so_far(void **state)
{
    (void)state;
    struct stream *stream = open_stream(NULL);
    const char *topic = make_topic(1);
    char group[48];
    snprintf(group, sizeof group, "g-%s", topic);
    struct late_store late = {
        .handler = {.stream = stream, .retries_left = 2, .last = -1, .odd = STREAM_QUARANTINE}};
    produce_numbers(stream, topic, 0, 0, 20);
    subscribe(stream, group, topic, NULL, NULL);
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (late.handler.last < 19 && clock_monotonic_ms() < deadline_ms)
        assert_true(stream_dispatch_batch(stream, handle_late, end_late, &late, 100) >= 0);
    assert_int_equal(late.handler.done, 19);
    assert_int_equal(late.handler.calls, 20 + 2);
    assert_true(late.ends >= 2);
    stream_close(stream);
    stream = open_stream(NULL);
    subscribe(stream, group, topic, NULL, NULL);
    expect_numbers(stream, 10, 10);
    stream_close(stream);
}

static int broker_up(void **state)
{
    (void)state;
    return rd_kafka_mock_broker_set_up(mock, -1) == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : -1;
}

#define TEST(function) cmocka_unit_test_setup(function, broker_up)

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as service_open() does */
    const struct CMUnitTest tests[] = {
        TEST(produce__reports__served_by_poll_without_consumer),
        TEST(produce__too_large__msgsize),
        TEST(produce__broker_away__again_then_all_delivered),
        TEST(produce__injected_error__retried_and_delivered),
        TEST(close__undelivered__every_report_comes),
        TEST(close__fetched_and_not_polled__ends_cleanly),
        TEST(partition_of__known_keys__as_java),
        TEST(assign_all__from_beginning__all_in_order_and_caught_up),
        TEST(assign_all__from_end__all_produced_after_it),
        TEST(assign_all__missing_topic__error_names_it),
        TEST(assign_at__middle__reads_from_there),
        TEST(pause__resume_at_random__nothing_skipped_nothing_twice),
        TEST(subscribe__stop_between_effect_and_store__delivered_again),
        TEST(commit__explicit_and_failing__says_so),
        TEST(subscribe__start_moved_back__reads_again),
        TEST(dispatch__each_outcome__as_promised),
        TEST(dispatch__fatal__ends),
        TEST(dispatch_batch__end_stores__committed_only_so_far),
        TEST(quarantine__too_large__reduced_with_header),
        TEST(restore__several_partitions__each_to_its_end),
        TEST(transaction__commit_and_abort__states_hold),
        TEST(topics_ensure__there__nothing_to_do_and_missing__unsupported),
        TEST(prefix__set__hidden_from_the_caller),
        TEST(config__kafka_section__passed_through_checked_and_locked),
        TEST(wait__two_streams__either_wakes),
        TEST(open__nobody_there__error_says_what_to_do),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
