/* Reading without a group: assigning, seeking, pausing, outcomes, quarantine, restoring. */
#include "tests/common/stream_mock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "common/topics.h"

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

static int assign_one(struct stream *stream, const char *topic, int32_t partition, int64_t offset)
{
    return stream_assign_at(stream, &(struct stream_position){topic, partition, offset}, 1);
}

static void assign_at__middle__reads_from_there(void **state)
{
    (void)state;
    struct stream *stream = open_stream(NULL);
    const char *topic = make_topic(2);
    produce_numbers(stream, topic, 1, 0, 100);
    assert_int_equal(assign_one(stream, topic, 1, 40), 0);
    assert_int_equal(assign_one(stream, topic, 2, 0), -ENOENT);
    assert_int_equal(assign_one(stream, topic, 1, 40), -EALREADY);
    expect_numbers(stream, 40, 60);
    assert_int_equal(stream_seek(stream, topic, 1, 90), 0);
    expect_numbers(stream, 90, 10);
    assert_int_equal(stream_seek(stream, topic, 0, 0), -ESTALE);
    stream_close(stream);
}

/* Each new partition leaves those alone that are being started: stopping one twice ends the process in
 * librdkafka. */
static void assign_at__many_in_turn__all_read(void **state)
{
    (void)state;
    enum { PARTITIONS = 16, ROUNDS = 10 };
    struct stream *stream = open_stream(NULL);
    const char *topic = make_topic(PARTITIONS);
    for (int32_t p = 0; p < PARTITIONS; p++)
        produce_numbers(stream, topic, p, 0, 1);
    stream_close(stream);
    for (int round = 0; round < ROUNDS; round++) {
        struct stream_batch batch;
        int read = 0;
        stream = open_stream(NULL);
        for (int32_t p = 0; p < PARTITIONS; p++)
            assert_int_equal(assign_one(stream, topic, p, STREAM_OFFSET_BEGINNING), 0);
        int64_t deadline_ms = clock_monotonic_ms() + 30000;
        while (read < PARTITIONS && clock_monotonic_ms() < deadline_ms) {
            assert_true(stream_poll(stream, &batch, 100) >= 0);
            read += (int)batch.count;
            stream_batch_release(&batch);
        }
        assert_int_equal(read, PARTITIONS);
        stream_close(stream);
    }
}

/* Told, not judged: how long a client waits that begins to follow several topics. It waited for a fetch of
 * the first before each further one. */
static void assign_at__ends_of_many__all_after_it_and_nothing_else(void **state)
{
    (void)state;
    enum { TOPICS = 6, ROUNDS = 10 };
    struct stream *stream = open_stream(NULL);
    struct stream_position starts[TOPICS];
    char topics[TOPICS][64];
    for (int t = 0; t < TOPICS; t++) {
        (void)snprintf(topics[t], sizeof topics[t], "%s", make_topic(1));
        starts[t] = (struct stream_position){topics[t], 0, STREAM_OFFSET_END};
    }
    for (int round = 0; round < ROUNDS; round++) {
        struct stream *reader = open_stream(NULL);
        struct stream_batch batch;
        int read = 0;
        for (int t = 0; t < TOPICS; t++)
            produce_numbers(stream, starts[t].topic, 0, 0, 1); /* before: not read */
        int64_t began_ms = clock_monotonic_ms();
        assert_int_equal(stream_assign_at(reader, starts, TOPICS), 0);
        int64_t took_ms = clock_monotonic_ms() - began_ms;
        for (int t = 0; t < TOPICS; t++)
            produce_numbers(stream, starts[t].topic, 0, 7, 8);
        int64_t deadline_ms = clock_monotonic_ms() + 30000;
        while (read < TOPICS && clock_monotonic_ms() < deadline_ms) {
            assert_true(stream_poll(reader, &batch, 100) >= 0);
            read += (int)batch.count;
            for (size_t i = 0; i < batch.count; i++)
                assert_int_equal(batch.messages[i].offset, round * 2 + 1);
            stream_batch_release(&batch);
        }
        assert_int_equal(read, TOPICS);
        print_message("six ends in %d ms\n", (int)took_ms);
        stream_close(reader);
    }
    stream_close(stream);
}

/* All or none. */
static void assign_at__one_of_two_is_missing__neither_is_read(void **state)
{
    (void)state;
    struct stream *stream = open_stream(NULL);
    const char *topic = make_topic(1);
    const struct stream_position starts[] = {{topic, 0, 0}, {topic, 1, 0}},
                                 twice[] = {{topic, 0, 0}, {topic, 0, 0}};
    assert_int_equal(stream_assign_at(stream, starts, 2), -ENOENT);
    assert_int_equal(stream_assign_at(stream, twice, 2), -EALREADY);
    assert_int_equal(stream_assigned_count(stream), 0);
    assert_int_equal(stream_assign_at(stream, starts, 1), 0);
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
    poll_messages(stream, &batch);
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

static void dispatch_until_retried(struct handler *handler, uint64_t times)
{
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (stream_counters(handler->stream)->retried < times) {
        assert_true(clock_monotonic_ms() < deadline_ms);
        assert_true(stream_dispatch(handler->stream, handle, handler, 20) >= 0);
    }
}

/* A partition goes on when neither its back-off nor its caller stops it. */
static void dispatch__paused_and_resumed_while_it_waits__nothing_skipped(void **state)
{
    (void)state;
    struct stream *stream = open_stream(NULL);
    const char *topic = make_topic(1);
    struct handler handler = {.stream = stream, .retries_left = 6, .last = -1, .odd = STREAM_DONE};
    produce_numbers(stream, topic, 0, 0, 20);
    assign(stream, topic, STREAM_FROM_BEGINNING);
    dispatch_until_retried(&handler, 5); /* it waits 320 ms */
    assert_int_equal(stream_pause(stream, topic, 0), 0);
    assert_int_equal(stream_resume(stream, topic, 0), 0);
    dispatch_until_retried(&handler, 6); /* it waits 640 ms */
    assert_int_equal(handler.calls, 5 + 6);
    assert_int_equal(stream_pause(stream, topic, 0), 0);
    for (int64_t over_ms = clock_monotonic_ms() + 1000; clock_monotonic_ms() < over_ms;)
        assert_int_equal(stream_dispatch(stream, handle, &handler, 20), 0);
    assert_int_equal(stream_resume(stream, topic, 0), 0);
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (handler.last < 19 && clock_monotonic_ms() < deadline_ms)
        assert_true(stream_dispatch(stream, handle, &handler, 100) >= 0);
    assert_int_equal(handler.done, 19);
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
    poll_messages(stream, &batch);
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

struct nested {
    struct stream *stream;
    const char *inner;
    int outer_sum, inner_sum;
};

static int add_number(void *context, const struct stream_message *message)
{
    *(int *)context += number_of(message);
    return 0;
}

static int restore_inside(void *context, const struct stream_message *message)
{
    struct nested *nested = context;
    nested->outer_sum += number_of(message);
    if (number_of(message) != 10)
        return 0;
    return stream_restore(nested->stream, nested->inner, 0, add_number, &nested->inner_sum, DEADLINE_MS);
}

static int restore_twice_inside(void *context, const struct stream_message *message)
{
    struct nested *nested = context;
    (void)message;
    return stream_restore(nested->stream, nested->inner, 0, restore_inside, nested, DEADLINE_MS);
}

/* More than one fetched batch, so that the outer one has to go on fetching after the inner one. */
static void restore__inside_a_restore__both_to_their_ends(void **state)
{
    (void)state;
    struct stream *stream = open_stream(NULL);
    char outer[32];
    (void)snprintf(outer, sizeof outer, "%s", make_topic(1));
    struct nested nested = {.stream = stream, .inner = make_topic(1)};
    produce_numbers(stream, outer, 0, 0, 2000);
    produce_numbers(stream, nested.inner, 0, 0, 50);
    assert_int_equal(stream_restore(stream, outer, 0, restore_inside, &nested, DEADLINE_MS), 0);
    assert_int_equal(nested.outer_sum, 2000 * 1999 / 2);
    assert_int_equal(nested.inner_sum, 50 * 49 / 2);
    assert_int_equal(stream_restore(stream, outer, 0, restore_twice_inside, &nested, DEADLINE_MS), -EBUSY);
    stream_close(stream);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        MOCK_TEST(assign_all__from_beginning__all_in_order_and_caught_up),
        MOCK_TEST(assign_all__from_end__all_produced_after_it),
        MOCK_TEST(assign_all__missing_topic__error_names_it),
        MOCK_TEST(assign_at__middle__reads_from_there),
        MOCK_TEST(assign_at__many_in_turn__all_read),
        MOCK_TEST(assign_at__ends_of_many__all_after_it_and_nothing_else),
        MOCK_TEST(assign_at__one_of_two_is_missing__neither_is_read),
        MOCK_TEST(pause__resume_at_random__nothing_skipped_nothing_twice),
        MOCK_TEST(dispatch__each_outcome__as_promised),
        MOCK_TEST(dispatch__paused_and_resumed_while_it_waits__nothing_skipped),
        MOCK_TEST(dispatch__fatal__ends),
        MOCK_TEST(quarantine__too_large__reduced_with_header),
        MOCK_TEST(restore__several_partitions__each_to_its_end),
        MOCK_TEST(restore__inside_a_restore__both_to_their_ends),
        MOCK_TEST(wait__two_streams__either_wakes),
    };
    signal(SIGPIPE, SIG_IGN); /* as service_open() does */
    return cmocka_run_group_tests(tests, mock_create, mock_destroy);
}
