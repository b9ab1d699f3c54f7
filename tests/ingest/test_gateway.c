/* The gateway between a socket and a Kafka that the test holds in its hands: what is confirmed when, and what
 * waits while Kafka is behind. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/topics.h"
#include "tests/ingest/rig.h"

static int64_t sequence_of(struct rig *rig, size_t index)
{
    struct msg_tick tick;
    const struct fake_message *message = fake_stream_message(index);
    arena_reset(rig->ingest.arena);
    assert_int_equal(codec_decode(rig->ingest.codec, &msg_tick_type,
                                  (struct str){(char *)message->value, message->value_size},
                                  rig->ingest.arena, &tick),
                     0);
    return tick.sequence;
}

static void event__acknowledged_only_after_the_report(void **state)
{
    struct rig *rig = *state;
    struct frame frame;
    struct rig_peer peer = rig_greeted(rig);
    rig_give_event(rig, &peer, 41);
    rig_give_event(rig, &peer, 42);
    rig_turn(rig);
    assert_false(rig_take(&peer, &frame));
    assert_int_equal(fake_stream_count(), 2);
    assert_string_equal(fake_stream_message(0)->topic, TOPIC_EXECUTIONS_EVENTS);
    assert_string_equal(fake_stream_message(0)->key, "p1");
    fake_stream_report(1, 0); /* each by itself, in any order */
    rig_turn(rig);
    assert_int_equal(rig_number(rig_last(&peer, FRAME_ACK)), 42);
    fake_stream_report(0, 0);
    rig_turn(rig);
    assert_int_equal(rig_number(rig_last(&peer, FRAME_ACK)), 41);
    rig_disconnect(&peer);
}

static void event__not_taken_by_kafka__connection_closed_so_that_it_comes_again(void **state)
{
    struct rig *rig = *state;
    struct rig_peer peer = rig_greeted(rig);
    rig_give_event(rig, &peer, 7);
    rig_give_event(rig, &peer, 8);
    fake_stream_report(0, -EIO);
    rig_turn(rig);
    (void)rig_last(&peer, FRAME_REJECT);
    fake_stream_report(1, 0); /* nobody is there to be told: it comes again and is a repeat */
    rig_turn(rig);
    struct rig_peer again = rig_greeted(rig);
    rig_disconnect(&peer);
    rig_disconnect(&again);
}

static void event__absurd__acknowledged_after_it_is_in_quarantine(void **state)
{
    struct rig *rig = *state;
    struct frame frame;
    struct rig_peer peer = rig_greeted(rig);
    struct msg_execution_event event = sample_event();
    event.attempt = 0;
    rig_give_message(rig, &peer, FRAME_EVENT, &msg_execution_event_type, &event, 3);
    rig_turn(rig);
    assert_false(rig_take(&peer, &frame));
    assert_string_equal(fake_stream_message(0)->topic, TOPIC_QUARANTINE);
    assert_non_null(strstr(fake_stream_message(0)->reason, "attempt"));
    assert_non_null(strstr(fake_stream_message(0)->origin, "n1 at 127.0.0.1:"));
    fake_stream_report(0, 0);
    rig_turn(rig);
    assert_int_equal(rig_number(rig_last(&peer, FRAME_ACK)), 3);
    rig_disconnect(&peer);
}

static void
record__refused_for_its_size__readable_without_series_in_quarantine_then_acknowledged(void **state)
{
    struct rig *rig = *state;
    struct frame frame;
    struct rig_peer peer = rig_greeted(rig);
    struct msg_execution_record record = sample_record();
    struct msg_series_point point = record.series.items[0];
    record.series.items = malloc(3000 * sizeof point);
    record.series.count = 3000;
    for (size_t i = 0; i < record.series.count; i++)
        record.series.items[i] = point;
    rig_give_message(rig, &peer, FRAME_RECORD, &msg_execution_record_type, &record, 11);
    free(record.series.items);
    assert_true(fake_stream_message(0)->value_size > DELIVERY_SMALL_BYTES);
    fake_stream_report(0, -EMSGSIZE);
    rig_turn(rig);
    assert_false(rig_take(&peer, &frame));
    const struct fake_message *kept = fake_stream_message(1);
    assert_string_equal(kept->topic, TOPIC_QUARANTINE);
    assert_true(kept->value_size <= DELIVERY_SMALL_BYTES);
    assert_non_null(strstr(kept->reason, "more than the broker takes"));
    struct msg_execution_record reduced;
    assert_int_equal(codec_decode(rig->ingest.codec, &msg_execution_record_type,
                                  (struct str){(char *)kept->value, kept->value_size}, rig->ingest.arena,
                                  &reduced),
                     0);
    assert_int_equal(reduced.series.count, 0);
    assert_int_equal(reduced.totals.memory_peak_bytes, 31 << 20);
    fake_stream_report(1, 0);
    rig_turn(rig);
    assert_int_equal(rig_number(rig_last(&peer, FRAME_ACK)), 11);
    rig_disconnect(&peer);
}

static void event__small_but_in_a_refused_batch__sent_again(void **state)
{
    struct rig *rig = *state;
    struct rig_peer peer = rig_greeted(rig);
    rig_give_event(rig, &peer, 5);
    fake_stream_report(0, -EMSGSIZE);
    assert_int_equal(fake_stream_count(), 2);
    assert_string_equal(fake_stream_message(1)->topic, TOPIC_EXECUTIONS_EVENTS);
    assert_string_equal(fake_stream_message(1)->key, "p1");
    assert_memory_equal(fake_stream_message(1)->value, fake_stream_message(0)->value,
                        fake_stream_message(0)->value_size);
    fake_stream_report(1, 0);
    rig_turn(rig);
    assert_int_equal(rig_number(rig_last(&peer, FRAME_ACK)), 5);
    rig_disconnect(&peer);
}

static void queue_full__blocked_then_goes_on_and_nothing_lost(void **state)
{
    struct rig *rig = *state;
    struct frame frame;
    struct rig_peer peer = rig_greeted(rig);
    rig_give_event(rig, &peer, 1);
    fake_stream_refuse(-EAGAIN);
    rig_give_event(rig, &peer, 2);
    assert_false(peers_reading(peer.connection));
    rig_turn(rig);
    assert_false(peers_reading(peer.connection));
    fake_stream_refuse(0);
    fake_stream_report(0, 0);
    rig_turn(rig);
    assert_true(peers_reading(peer.connection));
    assert_int_equal(fake_stream_count(), 2);
    fake_stream_report_all(0);
    rig_turn(rig);
    size_t acks = 0;
    while (rig_take(&peer, &frame))
        acks += frame.type == FRAME_ACK;
    assert_int_equal(acks, 2);
    rig_disconnect(&peer);
}

static void unacknowledged_bytes__past_their_limit__this_agent_waits_others_do_not(void **state)
{
    struct rig *rig = *state;
    struct rig_peer peer = rig_greeted(rig);
    uint64_t number = 0;
    while (peers_reading(peer.connection) && number < 10000)
        rig_give_event(rig, &peer, ++number);
    assert_true(number > 10 && number < 10000);
    rig_turn(rig);
    assert_false(peers_reading(peer.connection));
    assert_int_equal(rig->ingest.gate, GATE_OPEN);
    size_t sent = fake_stream_count();
    fake_stream_report_all(0);
    rig_turn(rig);
    assert_true(peers_reading(peer.connection));
    assert_int_equal(fake_stream_count(), sent + 1); /* the frame it was blocked at */
    rig_disconnect(&peer);
}

static void gate_narrow__newest_tick_held_older_dropped_and_counted_events_go_on(void **state)
{
    struct rig *rig = *state;
    struct rig_peer peer = rig_greeted(rig);
    int64_t sequence = 0;
    while (rig->ingest.gate == GATE_OPEN) {
        rig_give_tick(rig, &peer, ++sequence);
        uplink_look(&rig->ingest);
    }
    assert_int_equal(rig->ingest.gate, GATE_NARROW);
    size_t sent = fake_stream_count();
    for (int i = 0; i < 5; i++)
        rig_give_tick(rig, &peer, ++sequence);
    rig_give_event(rig, &peer, 1);
    assert_int_equal(fake_stream_count(), sent + 1);
    assert_true(metric_value(rig->ingest.counters.ticks_dropped) == 4);
    fake_stream_report_all(0);
    rig_turn(rig);
    assert_int_equal(fake_stream_count(), sent + 2);
    assert_true(sequence_of(rig, sent + 1) == sequence);
    rig_give_tick(rig, &peer, sequence + 1);
    assert_true(sequence_of(rig, sent + 2) == sequence + 1);
    rig_disconnect(&peer);
}

static void kafka_silent__nobody_read_newcomers_refused_pings_go_on(void **state)
{
    struct rig *rig = *state;
    struct frame frame;
    struct rig_peer peer = rig_greeted(rig);
    rig_give_event(rig, &peer, 1);
    rig_later(rig, 4900);
    assert_int_equal(rig->ingest.gate, GATE_OPEN);
    rig_give_frame(rig, &peer, FRAME_PING, (struct str){"12345678", 8});
    rig_later(rig, 200);
    assert_int_equal(rig->ingest.gate, GATE_CLOSED);
    while (rig_take(&peer, &frame))
        ;
    rig_give_event(rig, &peer, 2);
    assert_false(peers_reading(peer.connection));
    rig_later(rig, 30000); /* silent, because it is not read: kept, and pinged */
    assert_int_equal(rig->ingest.lists[LIST_ALL].count, 1);
    (void)rig_last(&peer, FRAME_PING);
    struct rig_peer other = rig_connect(rig);
    struct msg_hello hello = sample_hello();
    hello.node = str_of("n2");
    rig_give_message(rig, &other, FRAME_HELLO, &msg_hello_type, &hello, 0);
    rig_turn(rig);
    assert_non_null(strstr(rig_last(&other, FRAME_REJECT).payload.data, "Kafka"));
    fake_stream_report_all(0);
    rig_turn(rig);
    assert_int_equal(rig->ingest.gate, GATE_OPEN);
    assert_int_equal(fake_stream_count(), 2);
    rig_disconnect(&peer);
    rig_disconnect(&other);
}

static void kafka_silent_for_too_long__agents_sent_away(void **state)
{
    struct rig *rig = *state;
    struct rig_peer peer = rig_greeted(rig);
    rig_give_event(rig, &peer, 1);
    rig_later(rig, 4000);
    rig_give_frame(rig, &peer, FRAME_PING, (struct str){"12345678", 8});
    rig_later(rig, 1000);
    rig_give_event(rig, &peer, 2); /* it still speaks, and is not read */
    for (int i = 0; i < 60; i++)
        rig_later(rig, 1000);
    assert_non_null(strstr(rig_last(&peer, FRAME_REJECT).payload.data, "try another"));
    rig_disconnect(&peer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(event__acknowledged_only_after_the_report),
        TEST(event__not_taken_by_kafka__connection_closed_so_that_it_comes_again),
        TEST(event__absurd__acknowledged_after_it_is_in_quarantine),
        TEST(record__refused_for_its_size__readable_without_series_in_quarantine_then_acknowledged),
        TEST(event__small_but_in_a_refused_batch__sent_again),
        TEST(queue_full__blocked_then_goes_on_and_nothing_lost),
        TEST(unacknowledged_bytes__past_their_limit__this_agent_waits_others_do_not),
        TEST(gate_narrow__newest_tick_held_older_dropped_and_counted_events_go_on),
        TEST(kafka_silent__nobody_read_newcomers_refused_pings_go_on),
        TEST(kafka_silent_for_too_long__agents_sent_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
