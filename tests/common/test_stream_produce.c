/* Producing: delivery reports, back-pressure, a broker that goes away, closing. */
#include "tests/common/stream_mock.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "common/clock.h"

#define API_PRODUCE 0

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

static void poll_until_connected(struct stream *stream, bool connected)
{
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (stream_connected(stream) != connected && clock_monotonic_ms() < deadline_ms) {
        struct stream_batch batch;
        assert_int_equal(stream_poll(stream, &batch, 20), 0);
        stream_batch_release(&batch);
    }
    assert_int_equal(stream_connected(stream), connected);
}

static void produce__broker_away__again_then_all_delivered(void **state)
{
    (void)state;
    char error[512];
    struct stream_options options = {
        .brokers = mock_bootstrap(), .client_id = "test", .max_inflight_bytes = 256 << 10};
    struct stream *stream = stream_open(&options, error, sizeof error);
    assert_non_null(stream);
    const char *topic = make_topic(1);
    assert_int_equal(stream_produce(stream, topic, "k", 1, "v", 1, NULL, NULL), 0);
    assert_int_equal(stream_flush(stream, DEADLINE_MS), 0);
    mock_set_up(false);
    struct reports reports = {0, 0};
    char value[4096] = {0};
    int accepted = 0, result;
    while ((result = stream_produce(stream, topic, "k", 1, value, sizeof value, on_report, &reports)) == 0)
        accepted++;
    assert_int_equal(result, -EAGAIN);
    assert_in_range(accepted, 10, 100);
    poll_until_connected(stream, false);
    assert_true(strlen(stream_counters(stream)->last_error) > 0);
    mock_set_up(true);
    assert_int_equal(stream_flush(stream, DEADLINE_MS), 0);
    assert_int_equal(reports.count, accepted);
    assert_int_equal(reports.last, 0);
    poll_until_connected(stream, true);
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
    mock_set_up(false);
    for (int i = 0; i < 10; i++)
        assert_int_equal(stream_produce(stream, topic, "k", 1, "v", 1, on_report, &reports), 0);
    int64_t begin_ms = clock_monotonic_ms();
    stream_close(stream);
    assert_true(clock_monotonic_ms() - begin_ms < 20000);
    mock_set_up(true);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        MOCK_TEST(produce__reports__served_by_poll_without_consumer),
        MOCK_TEST(produce__too_large__msgsize),
        MOCK_TEST(produce__broker_away__again_then_all_delivered),
        MOCK_TEST(produce__injected_error__retried_and_delivered),
        MOCK_TEST(close__undelivered__every_report_comes),
        MOCK_TEST(close__fetched_and_not_polled__ends_cleanly),
        MOCK_TEST(partition_of__known_keys__as_java),
        MOCK_TEST(transaction__commit_and_abort__states_hold),
    };
    signal(SIGPIPE, SIG_IGN); /* as service_open() does */
    return cmocka_run_group_tests(tests, mock_create, mock_destroy);
}
