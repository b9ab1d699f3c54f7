/* Messages of versions this ingest was not built with, up from agents and down to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/topics.h"
#include "schemas/resolve.h"
#include "tests/ingest/rig.h"

/* A later version of a message: one more field in front, its default given. Returns its fingerprint; json
 * takes the schema, framed the framing and the bytes of that field. */
static uint64_t later_version(const struct msg_type *type, const char *field, struct str value,
                              struct buffer *json, struct buffer *framed)
{
    const char *bracket = strchr(strstr(type->json, "\"fields\""), '[') + 1;
    struct writer_schema *schema;
    buffer_append(json, type->json, (size_t)(bracket - type->json));
    buffer_append_str(json, str_of(field));
    buffer_append_str(json, str_of(bracket));
    assert_int_equal(writer_schema_create(buffer_str(json), &schema), 0);
    uint64_t fingerprint = writer_schema_fingerprint(schema);
    writer_schema_destroy(schema);
    buffer_append(framed, "\xc3\x01", 2);
    for (int i = 0; i < 8; i++) {
        uint8_t byte = (uint8_t)(fingerprint >> (8 * i));
        buffer_append(framed, &byte, 1);
    }
    buffer_append_str(framed, value);
    return fingerprint;
}

static uint64_t later_event(const struct msg_execution_event *event, struct buffer *json,
                            struct buffer *framed)
{
    uint64_t fingerprint =
        later_version(&msg_execution_event_type, "{\"name\":\"zone\",\"type\":\"string\",\"default\":\"\"},",
                      str_of("\x02z"), json, framed);
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
    assert_int_equal(rig_number(rig_last(&peer, FRAME_ACK)), 6);
    buffer_fini(&json);
    buffer_fini(&framed);
    rig_disconnect(&peer);
}

static void adjustment__of_another_version__reaches_the_agent_in_ours(void **state)
{
    struct rig *rig = *state;
    struct rig_peer peer = rig_greeted(rig);
    struct msg_adjustment adjustment = {.node = str_of("n1"), .attempt = 4, .code = str_of("xz")}, read;
    struct buffer json, framed;
    char key[17];
    buffer_init(&json, 0);
    buffer_init(&framed, 0);
    uint64_t fingerprint =
        later_version(&msg_adjustment_type, "{\"name\":\"urgency\",\"type\":\"int\",\"default\":0},",
                      str_of("\x0e"), &json, &framed);
    msg_adjustment_type.encode(&adjustment, &framed);
    (void)snprintf(key, sizeof key, "%016llx", (unsigned long long)fingerprint);
    struct stream_message message = rig_order(TOPIC_ADJUSTMENTS, "n1", buffer_str(&framed));
    downlink_take(&rig->ingest, &message); /* its schema is not known yet: the sender repeats */
    struct stream_message taught = rig_order(TOPIC_SCHEMAS, key, buffer_str(&json));
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(unknown_schema__waits_then_goes_on_in_order_and_is_published_once),
        TEST(unknown_schema__never_learnt__quarantined_after_thirty_seconds_and_acknowledged),
        TEST(adjustment__of_another_version__reaches_the_agent_in_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
