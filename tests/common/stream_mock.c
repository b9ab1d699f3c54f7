/* See stream_mock.h. */
#include "tests/common/stream_mock.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/config.h"
#include "common/topics.h"

rd_kafka_mock_cluster_t *mock;
static rd_kafka_t *mock_handle;
static struct config *config; /* streams read it as long as they are open */

int mock_create(void **state)
{
    (void)state;
    char error[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, NULL);
    mock_handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error);
    mock = mock_handle ? rd_kafka_mock_cluster_new(mock_handle, 1) : NULL;
    config = config_create("test", "");
    /* The mock cluster lets a session less a second pass before members that come or go share partitions. */
    char timeout[] = "--kafka.consumer.session.timeout.ms=3000", *argv[] = {"test", timeout};
    if (!mock || !config || config_passthrough(config, "kafka") < 0 ||
        config_load(config, 2, argv, error, sizeof error) < 0)
        return -1;
    return rd_kafka_mock_topic_create(mock, TOPIC_QUARANTINE, 1, 1) == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : -1;
}

int mock_destroy(void **state)
{
    (void)state;
    rd_kafka_mock_cluster_destroy(mock);
    rd_kafka_destroy(mock_handle);
    config_destroy(config);
    return 0;
}

int mock_bring_up(void **state)
{
    (void)state;
    return rd_kafka_mock_broker_set_up(mock, -1) == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : -1;
}

const char *mock_bootstrap(void)
{
    return rd_kafka_mock_cluster_bootstraps(mock);
}

void mock_set_up(bool up)
{
    assert_int_equal(up ? rd_kafka_mock_broker_set_up(mock, -1) : rd_kafka_mock_broker_set_down(mock, -1),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
}

const char *make_topic(int partitions)
{
    static char name[32];
    static int number;
    (void)snprintf(name, sizeof name, "t%d", ++number);
    assert_int_equal(rd_kafka_mock_topic_create(mock, name, partitions, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    return name;
}

struct stream *open_stream(const char *transactional_id)
{
    char error[512];
    struct stream_options options = {.brokers = mock_bootstrap(),
                                     .client_id = "test",
                                     .transactional_id = transactional_id,
                                     .config = config};
    struct stream *stream = stream_open(&options, error, sizeof error);
    if (!stream)
        fail_msg("%s", error);
    return stream;
}

void assign(struct stream *stream, const char *topic, enum stream_start start)
{
    char error[512] = "";
    if (stream_assign_all(stream, &topic, 1, start, true, error, sizeof error) < 0)
        fail_msg("%s", error);
}

void produce_numbers(struct stream *stream, const char *topic, int32_t partition, int from, int to)
{
    for (int i = from; i < to; i++)
        assert_int_equal(stream_produce_to(stream, topic, partition, "k", 1, &i, sizeof i, NULL, NULL), 0);
    assert_int_equal(stream_flush(stream, DEADLINE_MS), 0);
}

int number_of(const struct stream_message *message)
{
    int number;
    assert_int_equal(message->value_size, sizeof number);
    memcpy(&number, message->value, sizeof number);
    return number;
}

void expect_numbers(struct stream *stream, int from, int wanted)
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

void poll_messages(struct stream *stream, struct stream_batch *batch)
{
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    assert_true(stream_poll(stream, batch, 100) >= 0);
    while (batch->count == 0 && clock_monotonic_ms() < deadline_ms) {
        stream_batch_release(batch);
        assert_true(stream_poll(stream, batch, 100) >= 0);
    }
    assert_true(batch->count > 0);
}
