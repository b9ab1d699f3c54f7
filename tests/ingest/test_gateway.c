/* The gateway as a whole, between a socket and a Kafka that the test holds in its hands. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/topics.h"
#include "schemas/resolve.h"
#include "tests/ingest/rig.h"

static int set_up(void **state)
{
    *state = rig_create();
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    rig_destroy(*state);
    return 0;
}

static void give_event(struct rig *rig, struct rig_peer *peer, uint64_t number)
{
    struct msg_execution_event event = sample_event();
    rig_give_message(rig, peer, FRAME_EVENT, &msg_execution_event_type, &event, number);
}

static void give_tick(struct rig *rig, struct rig_peer *peer, int64_t sequence)
{
    struct msg_tick tick = sample_tick();
    tick.sequence = sequence;
    rig_give_message(rig, peer, FRAME_TICK, &msg_tick_type, &tick, 0);
}

static uint64_t number_of(struct frame frame)
{
    uint64_t number = 0;
    struct str rest;
    assert_int_equal(frame_number(frame.payload, &number, &rest), 0);
    return number;
}

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
    give_event(rig, &peer, 41);
    give_event(rig, &peer, 42);
    rig_turn(rig);
    assert_false(rig_take(&peer, &frame));
    assert_int_equal(fake_stream_count(), 2);
    assert_string_equal(fake_stream_message(0)->topic, TOPIC_EXECUTIONS_EVENTS);
    assert_string_equal(fake_stream_message(0)->key, "p1");
    fake_stream_report(1, 0); /* each by itself, in any order */
    rig_turn(rig);
    assert_int_equal(number_of(rig_last(&peer, FRAME_ACK)), 42);
    fake_stream_report(0, 0);
    rig_turn(rig);
    assert_int_equal(number_of(rig_last(&peer, FRAME_ACK)), 41);
    rig_disconnect(&peer);
}

static void event__not_taken_by_kafka__connection_closed_so_that_it_comes_again(void **state)
{
    struct rig *rig = *state;
    struct rig_peer peer = rig_greeted(rig);
    give_event(rig, &peer, 7);
    give_event(rig, &peer, 8);
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
    assert_int_equal(number_of(rig_last(&peer, FRAME_ACK)), 3);
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
    assert_int_equal(number_of(rig_last(&peer, FRAME_ACK)), 11);
    rig_disconnect(&peer);
}

static void event__small_but_in_a_refused_batch__sent_again(void **state)
{
    struct rig *rig = *state;
    struct rig_peer peer = rig_greeted(rig);
    give_event(rig, &peer, 5);
    fake_stream_report(0, -EMSGSIZE);
    assert_int_equal(fake_stream_count(), 2);
    assert_string_equal(fake_stream_message(1)->topic, TOPIC_EXECUTIONS_EVENTS);
    assert_string_equal(fake_stream_message(1)->key, "p1");
    assert_memory_equal(fake_stream_message(1)->value, fake_stream_message(0)->value,
                        fake_stream_message(0)->value_size);
    fake_stream_report(1, 0);
    rig_turn(rig);
    assert_int_equal(number_of(rig_last(&peer, FRAME_ACK)), 5);
    rig_disconnect(&peer);
}

static void queue_full__blocked_then_goes_on_and_nothing_lost(void **state)
{
    struct rig *rig = *state;
    struct frame frame;
    struct rig_peer peer = rig_greeted(rig);
    give_event(rig, &peer, 1);
    fake_stream_refuse(-EAGAIN);
    give_event(rig, &peer, 2);
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
        give_event(rig, &peer, ++number);
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
        give_tick(rig, &peer, ++sequence);
        uplink_look(&rig->ingest);
    }
    assert_int_equal(rig->ingest.gate, GATE_NARROW);
    size_t sent = fake_stream_count();
    for (int i = 0; i < 5; i++)
        give_tick(rig, &peer, ++sequence);
    give_event(rig, &peer, 1);
    assert_int_equal(fake_stream_count(), sent + 1);
    assert_true(metric_value(rig->ingest.counters.ticks_dropped) == 4);
    fake_stream_report_all(0);
    rig_turn(rig);
    assert_int_equal(fake_stream_count(), sent + 2);
    assert_true(sequence_of(rig, sent + 1) == sequence);
    give_tick(rig, &peer, sequence + 1);
    assert_true(sequence_of(rig, sent + 2) == sequence + 1);
    rig_disconnect(&peer);
}

static void kafka_silent__nobody_read_newcomers_refused_pings_go_on(void **state)
{
    struct rig *rig = *state;
    struct frame frame;
    struct rig_peer peer = rig_greeted(rig);
    give_event(rig, &peer, 1);
    rig_later(rig, 4900);
    assert_int_equal(rig->ingest.gate, GATE_OPEN);
    rig_give_frame(rig, &peer, FRAME_PING, (struct str){"12345678", 8});
    rig_later(rig, 200);
    assert_int_equal(rig->ingest.gate, GATE_CLOSED);
    while (rig_take(&peer, &frame))
        ;
    give_event(rig, &peer, 2);
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
    give_event(rig, &peer, 1);
    rig_later(rig, 4000);
    rig_give_frame(rig, &peer, FRAME_PING, (struct str){"12345678", 8});
    rig_later(rig, 1000);
    give_event(rig, &peer, 2); /* it still speaks, and is not read */
    for (int i = 0; i < 60; i++)
        rig_later(rig, 1000);
    assert_non_null(strstr(rig_last(&peer, FRAME_REJECT).payload.data, "try another"));
    rig_disconnect(&peer);
}

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
    give_event(rig, &first, 9);
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

/* --- memory --- */

/* NOLINTBEGIN(cert-dcl37-c,bugprone-reserved-identifier): the names are those of the linker's --wrap */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static size_t allocations;

void *__wrap_malloc(size_t size)
{
    allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    allocations++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    allocations++;
    return __real_realloc(memory, size);
}
/* NOLINTEND(cert-dcl37-c,bugprone-reserved-identifier) */

static void ticks_and_orders__steady__allocate_nothing(void **state)
{
    struct rig *rig = *state;
    struct rig_peer peer = rig_greeted(rig);
    struct msg_tick tick = sample_tick();
    struct msg_adjustment adjustment = {.node = str_of("n1"), .attempt = 1, .code = str_of("xz")};
    struct buffer payload, order, frame;
    buffer_init(&payload, 0);
    buffer_init(&order, 0);
    buffer_init(&frame, 0);
    assert_int_equal(codec_encode(&msg_tick_type, &tick, &payload), 0);
    assert_int_equal(codec_encode(&msg_adjustment_type, &adjustment, &order), 0);
    frame_append(&frame, FRAME_TICK, buffer_str(&payload));
    struct stream_message message = {.topic = str_of(TOPIC_ADJUSTMENTS),
                                     .key = "n1",
                                     .key_size = 2,
                                     .value = order.data,
                                     .value_size = order.size};
    fake_stream_forget_values();
    for (int i = 0; i < 600; i++) {
        if (i == 300)
            allocations = 0;
        /* in two pieces: also what is kept of half a frame */
        frames_take(&rig->ingest, peer.connection, frame.data, 20);
        frames_take(&rig->ingest, peer.connection, frame.data + 20, frame.size - 20);
        downlink_take(&rig->ingest, &message);
        if (i % 10 == 9)
            fake_stream_report_all(0);
        rig_turn(rig);
    }
    assert_int_equal(allocations, 0);
    assert_int_equal(fake_stream_count(), 600);
    buffer_fini(&payload);
    buffer_fini(&order);
    buffer_fini(&frame);
    rig_disconnect(&peer);
}

/* --- schemas --- */

/* An event of a later version: one more field in front, "" by default. Returns its fingerprint. */
static uint64_t later_event(const struct msg_execution_event *event, struct buffer *json,
                            struct buffer *framed)
{
    const char *text = msg_execution_event_type.json;
    const char *bracket = strchr(strstr(text, "\"fields\""), '[') + 1;
    struct writer_schema *schema;
    buffer_append(json, text, (size_t)(bracket - text));
    buffer_append_str(json, str_of("{\"name\":\"zone\",\"type\":\"string\",\"default\":\"\"},"));
    buffer_append_str(json, str_of(bracket));
    assert_int_equal(writer_schema_create(buffer_str(json), &schema), 0);
    uint64_t fingerprint = writer_schema_fingerprint(schema);
    writer_schema_destroy(schema);
    buffer_append(framed, "\xc3\x01", 2);
    for (int i = 0; i < 8; i++) {
        uint8_t byte = (uint8_t)(fingerprint >> (8 * i));
        buffer_append(framed, &byte, 1);
    }
    buffer_append(framed, "\x02z", 2);
    msg_execution_event_type.encode(event, framed);
    return fingerprint;
}

static void give_numbered(struct rig *rig, struct rig_peer *peer, enum frame_type type, uint64_t number,
                          struct str rest)
{
    struct buffer payload;
    buffer_init(&payload, 0);
    buffer_append_u64be(&payload, number);
    buffer_append_str(&payload, rest);
    rig_give_frame(rig, peer, type, buffer_str(&payload));
    buffer_fini(&payload);
}

static void unknown_schema__waits_then_goes_on_in_order_and_is_published_once(void **state)
{
    struct rig *rig = *state;
    struct rig_peer peer = rig_greeted(rig);
    struct msg_execution_event event = sample_event();
    struct buffer json, framed;
    buffer_init(&json, 0);
    buffer_init(&framed, 0);
    uint64_t fingerprint = later_event(&event, &json, &framed);
    give_numbered(rig, &peer, FRAME_EVENT, 1, buffer_str(&framed));
    give_numbered(rig, &peer, FRAME_EVENT, 2, buffer_str(&framed));
    assert_int_equal(fake_stream_count(), 0);
    rig_later(rig, 29000);
    assert_int_equal(fake_stream_count(), 0);
    rig_disconnect(&peer); /* silent for too long: a new connection */
    peer = rig_greeted(rig);
    give_numbered(rig, &peer, FRAME_EVENT, 1, buffer_str(&framed));
    give_numbered(rig, &peer, FRAME_SCHEMA, fingerprint, buffer_str(&json));
    give_numbered(rig, &peer, FRAME_SCHEMA, fingerprint, buffer_str(&json));
    assert_int_equal(fake_stream_count(), 2);
    assert_string_equal(fake_stream_message(0)->topic, TOPIC_SCHEMAS);
    assert_int_equal(strlen(fake_stream_message(0)->key), 16);
    assert_string_equal(fake_stream_message(1)->topic, TOPIC_EXECUTIONS_EVENTS);
    assert_int_equal(fake_stream_message(1)->value_size, framed.size);
    assert_memory_equal(fake_stream_message(1)->value, framed.data, framed.size);
    buffer_fini(&json);
    buffer_fini(&framed);
    rig_disconnect(&peer);
}

static void unknown_schema__never_learnt__quarantined_after_thirty_seconds_and_acknowledged(void **state)
{
    struct rig *rig = *state;
    struct rig_peer peer = rig_greeted(rig);
    struct msg_execution_event event = sample_event();
    struct buffer json, framed;
    buffer_init(&json, 0);
    buffer_init(&framed, 0);
    (void)later_event(&event, &json, &framed);
    give_numbered(rig, &peer, FRAME_EVENT, 6, buffer_str(&framed));
    for (int i = 0; i < 31; i++) {
        rig_give_frame(rig, &peer, FRAME_PING, (struct str){"12345678", 8});
        rig_later(rig, 1000);
    }
    assert_int_equal(fake_stream_count(), 1);
    assert_string_equal(fake_stream_message(0)->topic, TOPIC_QUARANTINE);
    assert_non_null(strstr(fake_stream_message(0)->reason, "nobody put into the topic schemas"));
    fake_stream_report_all(0);
    rig_turn(rig);
    assert_int_equal(number_of(rig_last(&peer, FRAME_ACK)), 6);
    buffer_fini(&json);
    buffer_fini(&framed);
    rig_disconnect(&peer);
}

/* --- orders --- */

static struct stream_message order(const char *topic, const char *node, struct str value)
{
    return (struct stream_message){.topic = str_of(topic),
                                   .key = node,
                                   .key_size = strlen(node),
                                   .value = value.data,
                                   .value_size = value.size};
}

static void adjustment__for_a_node_here_or_not__only_where_it_belongs(void **state)
{
    struct rig *rig = *state;
    struct frame frame;
    struct rig_peer peer = rig_greeted(rig);
    struct msg_adjustment adjustment = {.node = str_of("n1"), .attempt = 1, .code = str_of("xz")};
    struct buffer framed;
    buffer_init(&framed, 0);
    assert_int_equal(codec_encode(&msg_adjustment_type, &adjustment, &framed), 0);
    struct stream_message message = order(TOPIC_ADJUSTMENTS, "n2", buffer_str(&framed));
    downlink_take(&rig->ingest, &message);
    rig_turn(rig);
    assert_false(rig_take(&peer, &frame));
    message = order(TOPIC_ADJUSTMENTS, "n1", buffer_str(&framed));
    downlink_take(&rig->ingest, &message);
    rig_turn(rig);
    frame = rig_last(&peer, FRAME_ADJUSTMENT);
    assert_int_equal(frame.payload.size, framed.size);
    assert_memory_equal(frame.payload.data, framed.data, framed.size);
    message = order(TOPIC_EXECUTIONS_ADMITTED, "n1", buffer_str(&framed)); /* not an admission */
    downlink_take(&rig->ingest, &message);
    message.value = NULL;
    downlink_take(&rig->ingest, &message);
    rig_turn(rig);
    assert_false(rig_take(&peer, &frame));
    assert_string_equal(fake_stream_message(0)->topic, TOPIC_QUARANTINE);
    buffer_fini(&framed);
    rig_disconnect(&peer);
}

static void adjustment__of_another_version__reaches_the_agent_in_ours(void **state)
{
    struct rig *rig = *state;
    struct rig_peer peer = rig_greeted(rig);
    struct msg_adjustment adjustment = {.node = str_of("n1"), .attempt = 4, .code = str_of("xz")}, read;
    const char *text = msg_adjustment_type.json, *bracket = strchr(strstr(text, "\"fields\""), '[') + 1;
    struct writer_schema *schema;
    struct buffer json, framed;
    char key[17];
    buffer_init(&json, 0);
    buffer_init(&framed, 0);
    buffer_append(&json, text, (size_t)(bracket - text));
    buffer_append_str(&json, str_of("{\"name\":\"urgency\",\"type\":\"int\",\"default\":0},"));
    buffer_append_str(&json, str_of(bracket));
    assert_int_equal(writer_schema_create(buffer_str(&json), &schema), 0);
    uint64_t fingerprint = writer_schema_fingerprint(schema);
    writer_schema_destroy(schema);
    buffer_append(&framed, "\xc3\x01", 2);
    for (int i = 0; i < 8; i++) {
        uint8_t byte = (uint8_t)(fingerprint >> (8 * i));
        buffer_append(&framed, &byte, 1);
    }
    buffer_append(&framed, "\x0e", 1);
    msg_adjustment_type.encode(&adjustment, &framed);
    (void)snprintf(key, sizeof key, "%016llx", (unsigned long long)fingerprint);
    struct stream_message message = order(TOPIC_ADJUSTMENTS, "n1", buffer_str(&framed));
    downlink_take(&rig->ingest, &message); /* its schema is not known yet: the sender repeats */
    struct stream_message taught = order(TOPIC_SCHEMAS, key, buffer_str(&json));
    downlink_take(&rig->ingest, &taught);
    assert_true(rig->ingest.learned);
    downlink_take(&rig->ingest, &message);
    rig_turn(rig);
    struct frame frame = rig_last(&peer, FRAME_ADJUSTMENT);
    assert_int_equal(
        codec_decode(rig->ingest.codec, &msg_adjustment_type, frame.payload, rig->ingest.arena, &read), 0);
    assert_int_equal(read.attempt, 4);
    assert_int_equal(codec_fingerprint(frame.payload, &fingerprint), 0);
    assert_true(fingerprint == msg_adjustment_type.fingerprint);
    buffer_fini(&json);
    buffer_fini(&framed);
    rig_disconnect(&peer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

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
        TEST(half_a_frame__kept_and_completed),
        TEST(two_gibibytes_prefix__rejected_at_once),
        TEST(garbage_flood__quarantine_bounded_and_counted),
        TEST(peer_that_does_not_read__closed_at_the_output_limit),
        TEST(connections__past_their_limit__refused_with_words),
        TEST(same_incarnation_again__replaces_and_old_reports_reach_nobody),
        TEST(ticks_and_orders__steady__allocate_nothing),
        TEST(unknown_schema__waits_then_goes_on_in_order_and_is_published_once),
        TEST(unknown_schema__never_learnt__quarantined_after_thirty_seconds_and_acknowledged),
        TEST(adjustment__for_a_node_here_or_not__only_where_it_belongs),
        TEST(adjustment__of_another_version__reaches_the_agent_in_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
