/* Groups of one member: what is delivered again, commits that fail, starting elsewhere; and one that is
 * rebalanced while it is paused. Several members that work and die: test_stream_groups.py. */
#include "tests/common/stream_mock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "common/clock.h"

#define API_PRODUCE 0
#define API_OFFSET_COMMIT 8

static void subscribe(struct stream *stream, const char *group, const char *topic,
                      const struct stream_callbacks *callbacks, void *context)
{
    char error[512] = "";
    if (stream_subscribe(stream, group, NULL, &topic, 1, callbacks, context, error, sizeof error) < 0)
        fail_msg("%s", error);
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
    poll_messages(stream, &batch);
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

struct paused_member {
    struct stream *stream;
    size_t assigned; /* partitions in the newest assignment */
    int assignments;
    bool seen[2];
};

static void note_assignment(void *context, struct stream_partition *partitions, size_t count)
{
    struct paused_member *member = context;
    (void)partitions;
    member->assigned = count;
    member->assignments++;
}

static void poll_member(struct paused_member *member)
{
    struct stream_batch batch;
    assert_true(stream_poll(member->stream, &batch, 20) >= 0);
    for (size_t i = 0; i < batch.count; i++)
        member->seen[batch.messages[i].partition] = true;
    stream_batch_release(&batch);
}

/* Both poll until the first has had so many assignments and so many partitions in the newest. */
static void poll_both(struct paused_member *first, struct paused_member *second, int assignments,
                      size_t assigned)
{
    int64_t deadline_ms = clock_monotonic_ms() + 2 * DEADLINE_MS;
    while (first->assignments < assignments || first->assigned != assigned) {
        assert_true(clock_monotonic_ms() < deadline_ms);
        poll_member(first);
        if (second)
            poll_member(second);
    }
}

/* librdkafka keeps a pause for a partition that comes back to the same member. */
static void pause__rebalanced_meanwhile__partitions_that_come_back_are_read(void **state)
{
    (void)state;
    const char *topic = make_topic(2);
    char group[48];
    snprintf(group, sizeof group, "g-%s", topic);
    struct stream_callbacks callbacks = {.assigned = note_assignment};
    struct paused_member first = {.stream = open_stream(NULL)}, second = {.stream = open_stream(NULL)};
    subscribe(first.stream, group, topic, &callbacks, &first);
    poll_both(&first, NULL, 1, 2);
    for (int32_t p = 0; p < 2; p++)
        assert_int_equal(stream_pause(first.stream, topic, p), 0);
    subscribe(second.stream, group, topic, &callbacks, &second);
    poll_both(&first, &second, 2, 1);
    stream_close(second.stream);
    poll_both(&first, NULL, 3, 2);
    for (int32_t p = 0; p < 2; p++)
        produce_numbers(first.stream, topic, p, 0, 3);
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    while ((!first.seen[0] || !first.seen[1]) && clock_monotonic_ms() < deadline_ms)
        poll_member(&first);
    assert_true(first.seen[0]);
    assert_true(first.seen[1]);
    stream_close(first.stream);
}

struct late_store {
    struct stream *stream;
    struct stream_message kept; /* the number 9: stored at the end of its batch */
    int retries_left, ends, calls, next;
};

static enum stream_outcome take_late(void *context, const struct stream_message *message)
{
    struct late_store *late = context;
    int number = number_of(message);
    late->calls++;
    if (number == 5 && late->retries_left-- > 0)
        return STREAM_RETRY;
    assert_int_equal(number, late->next++);
    if (number == 9)
        late->kept = *message;
    return number == 13 ? STREAM_QUARANTINE : STREAM_DONE;
}

static int end_late(void *context)
{
    struct late_store *late = context;
    assert_true(late->calls > 0);
    late->ends++;
    if (late->kept.value) {
        assert_int_equal(number_of(&late->kept), 9); /* still valid */
        assert_int_equal(stream_store_offset(late->stream, &late->kept), 0);
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
    struct late_store late = {.stream = stream, .retries_left = 2};
    produce_numbers(stream, topic, 0, 0, 20);
    subscribe(stream, group, topic, NULL, NULL);
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (late.next < 20 && clock_monotonic_ms() < deadline_ms)
        assert_true(stream_dispatch_batch(stream, take_late, end_late, &late, 100) >= 0);
    assert_int_equal(late.next, 20);
    assert_int_equal(late.calls, 20 + 2);
    assert_true(late.ends >= 2);
    stream_close(stream);
    stream = open_stream(NULL);
    subscribe(stream, group, topic, NULL, NULL);
    expect_numbers(stream, 10, 10);
    stream_close(stream);
}

static enum stream_outcome refuse_first(void *context, const struct stream_message *message)
{
    (*(int *)context)++;
    return number_of(message) == 0 ? STREAM_QUARANTINE : STREAM_DONE;
}

/* The broker takes its time with the dead letter: until it has it, a restart must find the message again. */
static void dispatch__quarantine_not_delivered_yet__offset_waits(void **state)
{
    (void)state;
    struct stream *stream = open_stream(NULL);
    const char *topic = make_topic(1);
    char group[48];
    int handled = 0;
    snprintf(group, sizeof group, "g-%s", topic);
    produce_numbers(stream, topic, 0, 0, 3);
    subscribe(stream, group, topic, NULL, NULL);
    assert_int_equal(rd_kafka_mock_broker_push_request_error_rtts(mock, 1, API_PRODUCE, 1,
                                                                  RD_KAFKA_RESP_ERR_NO_ERROR, 3000),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (handled < 3 && clock_monotonic_ms() < deadline_ms)
        assert_true(stream_dispatch(stream, refuse_first, &handled, 100) >= 0);
    assert_int_equal(handled, 3);
    assert_int_equal(stream_commit(stream), 0);
    assert_int_equal(stream_counters(stream)->commits, 0); /* there was nothing to commit */
    assert_int_equal(stream_flush(stream, DEADLINE_MS), 0);
    assert_int_equal(stream_dispatch(stream, refuse_first, &handled, 0), 0);
    assert_int_equal(stream_commit(stream), 0);
    assert_int_equal(stream_counters(stream)->commits, 1);
    stream_close(stream);
    stream = open_stream(NULL);
    produce_numbers(stream, topic, 0, 3, 5);
    subscribe(stream, group, topic, NULL, NULL);
    expect_numbers(stream, 3, 2);
    stream_close(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MOCK_TEST(subscribe__stop_between_effect_and_store__delivered_again),
        MOCK_TEST(commit__explicit_and_failing__says_so),
        MOCK_TEST(subscribe__start_moved_back__reads_again),
        MOCK_TEST(pause__rebalanced_meanwhile__partitions_that_come_back_are_read),
        MOCK_TEST(dispatch_batch__end_stores__committed_only_so_far),
        MOCK_TEST(dispatch__quarantine_not_delivered_yet__offset_waits),
    };
    signal(SIGPIPE, SIG_IGN); /* as service_open() does */
    return cmocka_run_group_tests(tests, mock_create, mock_destroy);
}
