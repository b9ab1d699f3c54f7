/* What an agent, or somebody who is none, may do to the gateway. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/topics.h"
#include "tests/ingest/rig.h"

static void half_a_frame__kept_and_completed(void **state)
{
    struct rig *rig = *state;
    struct rig_peer peer = rig_greeted(rig);
    struct msg_tick tick = sample_tick();
    struct buffer payload, frame;
    buffer_init(&payload, 0);
    buffer_init(&frame, 0);
    assert_int_equal(codec_encode(&msg_tick_type, &tick, &payload), 0);
    frame_append(&frame, FRAME_TICK, buffer_str(&payload));
    frame_append(&frame, FRAME_TICK, buffer_str(&payload));
    for (size_t at = 0; at < frame.size; at++)
        rig_give(rig, &peer, frame.data + at, 1);
    assert_int_equal(fake_stream_count(), 2);
    assert_int_equal(peer.connection->in.size, 0);
    for (size_t i = 0; i < 2; i++)
        assert_memory_equal(fake_stream_message(i)->value, payload.data, payload.size);
    buffer_fini(&payload);
    buffer_fini(&frame);
    rig_disconnect(&peer);
}

static void two_gibibytes_prefix__rejected_at_once(void **state)
{
    struct rig *rig = *state;
    struct rig_peer peer = rig_greeted(rig);
    rig_give(rig, &peer, "\x80\x00\x00\x00\x04", 5);
    rig_turn(rig);
    struct frame frame = rig_last(&peer, FRAME_REJECT);
    assert_int_equal(memcmp(frame.payload.data, "a frame of 2147483648 bytes", 27), 0);
    assert_string_equal(fake_stream_message(0)->topic, TOPIC_QUARANTINE);
    assert_int_equal(peer.connection->in.capacity, 0);
    rig_later(rig, 1100);
    assert_int_equal(rig->ingest.lists[LIST_ALL].count, 0);
    rig_disconnect(&peer);
}

static void garbage_flood__quarantine_bounded_and_counted(void **state)
{
    struct rig *rig = *state;
    struct rig_peer peer = rig_greeted(rig);
    for (int i = 0; i < 250; i++)
        rig_give_frame(rig, &peer, FRAME_TICK, str_of("garbage"));
    assert_int_equal(fake_stream_count(), 100);
    assert_true(metric_value(rig->ingest.counters.quarantine_skipped) == 150);
    assert_true(metric_value(rig->ingest.counters.invalid) == 250);
    rig_disconnect(&peer);
}

static void peer_that_does_not_read__closed_at_the_output_limit(void **state)
{
    struct rig *rig = *state;
    struct rig_peer peer = rig_greeted(rig);
    for (int i = 0; i < 10000 && rig->ingest.lists[LIST_ALL].count > 0; i++) {
        for (int k = 0; k < 1000 && rig->ingest.lists[LIST_ALL].count > 0; k++)
            rig_give_frame(rig, &peer, FRAME_PING, (struct str){"12345678", 8});
        rig_turn(rig);
    }
    assert_int_equal(rig->ingest.lists[LIST_ALL].count, 0);
    assert_true(metric_value(rig->ingest.counters.closed[CLOSE_OUTPUT_FULL]) == 1);
    rig_disconnect(&peer);
}

static void connections__past_their_limit__refused_with_words(void **state)
{
    struct rig *rig = *state;
    rig->options.max_connections = 1;
    struct rig_peer first = rig_greeted(rig), second = rig_connect(rig);
    rig_turn(rig);
    assert_non_null(strstr(rig_last(&second, FRAME_REJECT).payload.data, "max_connections"));
    assert_true(peers_reading(first.connection));
    rig_disconnect(&first);
    rig_disconnect(&second);
}

static void same_incarnation_again__replaces_and_old_reports_reach_nobody(void **state)
{
    struct rig *rig = *state;
    struct frame frame;
    struct rig_peer first = rig_greeted(rig);
    rig_give_event(rig, &first, 9);
    struct rig_peer again = rig_greeted(rig);
    rig_turn(rig);
    (void)rig_last(&first, FRAME_REJECT);
    fake_stream_report_all(0);
    rig_turn(rig);
    assert_false(rig_take(&again, &frame)); /* it sends number 9 again and is told then */
    assert_int_equal(map_count(rig->ingest.nodes), 1);
    rig_disconnect(&first);
    rig_disconnect(&again);
}

static struct rig_peer greeted_at(struct rig *rig, int64_t time_us)
{
    struct rig_peer peer = rig_connect(rig);
    struct msg_hello hello = sample_hello();
    hello.time_us = time_us;
    rig_give_message(rig, &peer, FRAME_HELLO, &msg_hello_type, &hello, 0);
    rig_turn(rig);
    return peer;
}

/* Nothing of it could be believed, and queue would not hear of it: its lease must not be extended. */
static void hello__clock_too_far_ahead__refused_with_words(void **state)
{
    struct rig *rig = *state;
    struct rig_peer peer = greeted_at(rig, clock_realtime_us() + 7205000000);
    struct str words = rig_last(&peer, FRAME_REJECT).payload;
    assert_non_null(strstr(words.data, "the clock of this node is 720"));
    assert_non_null(strstr(words.data, " s ahead of ingest's"));
    assert_int_equal(map_count(rig->ingest.nodes), 0);
    assert_true(metric_value(rig->ingest.counters.closed[CLOSE_CLOCK]) == 1);
    rig_disconnect(&peer);
}

static void hello__clock_never_set__refused_with_words(void **state)
{
    struct rig *rig = *state;
    struct rig_peer peer = greeted_at(rig, 1000000);
    assert_non_null(strstr(rig_last(&peer, FRAME_REJECT).payload.data, " s behind ingest's"));
    rig_disconnect(&peer);
}

static void hello__clock_differs_a_little__welcomed_and_counted(void **state)
{
    struct rig *rig = *state;
    struct rig_peer peer = greeted_at(rig, clock_realtime_us() - 60000000);
    (void)rig_last(&peer, FRAME_WELCOME);
    assert_true(metric_value(rig->ingest.counters.clocks_differ) == 1);
    rig_disconnect(&peer);
}

/* It was right when the node came: what it sends is not put aside one after the other. */
static void clock_set_far_ahead_while_connected__told(void **state)
{
    struct rig *rig = *state;
    struct rig_peer peer = greeted_at(rig, clock_realtime_us());
    struct msg_node_status status = sample_status();
    (void)rig_last(&peer, FRAME_WELCOME);
    status.time_us = clock_realtime_us() + 7205000000;
    rig_give_message(rig, &peer, FRAME_STATUS, &msg_node_status_type, &status, 0);
    rig_turn(rig);
    assert_non_null(strstr(rig_last(&peer, FRAME_REJECT).payload.data, "the clock of this node is 720"));
    assert_int_equal(map_count(rig->ingest.nodes), 0);
    rig_disconnect(&peer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(half_a_frame__kept_and_completed),
        TEST(two_gibibytes_prefix__rejected_at_once),
        TEST(garbage_flood__quarantine_bounded_and_counted),
        TEST(peer_that_does_not_read__closed_at_the_output_limit),
        TEST(connections__past_their_limit__refused_with_words),
        TEST(hello__clock_too_far_ahead__refused_with_words),
        TEST(hello__clock_never_set__refused_with_words),
        TEST(hello__clock_differs_a_little__welcomed_and_counted),
        TEST(clock_set_far_ahead_while_connected__told),
        TEST(same_incarnation_again__replaces_and_old_reports_reach_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
