/* Opening: settings, prefix, topics, and a broker that is not there. */
#include "tests/common/stream_mock.h"

#include <errno.h>
#include <signal.h>

#include "common/clock.h"
#include "common/config.h"
#include "common/topics.h"

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

static int sum_numbers(void *context, const struct stream_message *message)
{
    int64_t *sum = context;
    *sum += number_of(message);
    return 0;
}

static void prefix__set__hidden_from_the_caller(void **state)
{
    (void)state;
    char error[512];
    struct stream_options options = {
        .brokers = mock_bootstrap(), .client_id = "test", .topic_prefix = "prod."};
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
    poll_messages(stream, &batch);
    assert_true(str_equal(batch.messages[0].topic, str_of(TOPIC_CODES)));
    assert_int_equal(stream_pause(stream, TOPIC_CODES, 1), 0);
    stream_batch_release(&batch);
    stream_close(stream);
}

static struct stream *open_with_setting(const char *setting, char *error, size_t error_size)
{
    struct config *config = config_create("test", "");
    char own[64], *argv[] = {"test", own};
    assert_true(str_copy(own, sizeof own, str_of(setting)));
    assert_int_equal(config_passthrough(config, "kafka"), 0);
    if (config_load(config, 2, argv, error, error_size) != 0)
        fail_msg("%s", error);
    struct stream_options options = {.brokers = mock_bootstrap(), .client_id = "test", .config = config};
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
                                      {"--kafka.brokers=127.0.0.1:1", "service.brokers"},
                                      {"--kafka.acks=1", "guarantees"},
                                      {"--kafka.producer.enable.idempotence=false", "guarantees"}};
    for (size_t i = 0; i < FS_COUNT(refused); i++) {
        assert_null(open_with_setting(refused[i][0], error, sizeof error));
        assert_non_null(strstr(error, refused[i][1]));
    }
    assert_null(open_with_setting("--kafka.sasl.pasword=hunter2", error, sizeof error));
    assert_non_null(strstr(error, "sasl.pasword"));
    assert_null(strstr(error, "hunter2"));
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
    assert_non_null(strstr(error, "service.brokers"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MOCK_TEST(topics_ensure__there__nothing_to_do_and_missing__unsupported),
        MOCK_TEST(prefix__set__hidden_from_the_caller),
        MOCK_TEST(config__kafka_section__passed_through_checked_and_locked),
        MOCK_TEST(open__nobody_there__error_says_what_to_do),
    };
    signal(SIGPIPE, SIG_IGN); /* as service_open() does */
    return cmocka_run_group_tests(tests, mock_create, mock_destroy);
}
