/* Schemas learned from the topic `schemas`: what another version wrote is waited for, then read, or given up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/embedded_broker.h"
#include "common/topics.h"
#include "schemas/resolve.h"
#include "schemas/schema_record.h"
#include "schemas/topic_codec.h"

struct fixture {
    struct embedded_broker *broker;
    struct stream *stream;
    struct topic_codec *codec;
    struct arena *arena;
    struct buffer value;
    char *writer_json; /* a CodePolicy with one more field at its front */
    struct msg_type writer;
};

/* The same record as ours with a long in front: another fingerprint, other bytes. */
static char *extended_json(const char *json)
{
    static const char mark[] = "\"fields\":[", more[] = "{\"name\": \"more\", \"type\": \"long\"}, ";
    const char *place = strstr(json, mark);
    assert_non_null(place);
    size_t head = (size_t)(place - json) + sizeof mark - 1, size = strlen(json) + sizeof more;
    char *out = malloc(size);
    assert_non_null(out);
    snprintf(out, size, "%.*s%s%s", (int)head, json, more, json + head);
    return out;
}

static int set_up(void **state)
{
    char error[512];
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct embedded_broker_options options = {.partitions = 1};
    *state = fixture;
    fixture->broker = embedded_broker_open(&options, error, sizeof error);
    assert_non_null(fixture->broker);
    struct stream_options stream = {.brokers = embedded_broker_bootstrap(fixture->broker),
                                    .client_id = "test"};
    fixture->stream = stream_open(&stream, error, sizeof error);
    assert_non_null(fixture->stream);
    fixture->codec = topic_codec_create(fixture->stream);
    fixture->arena = arena_create(65536, 1 << 20);
    buffer_init(&fixture->value, 0);
    fixture->writer_json = extended_json(msg_code_policy_type.json);
    struct writer_schema *schema;
    assert_int_equal(writer_schema_create(str_of(fixture->writer_json), &schema), 0);
    fixture->writer = msg_code_policy_type;
    fixture->writer.json = fixture->writer_json;
    fixture->writer.fingerprint = writer_schema_fingerprint(schema);
    writer_schema_destroy(schema);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    topic_codec_destroy(fixture->codec);
    stream_close(fixture->stream);
    embedded_broker_close(fixture->broker);
    arena_destroy(fixture->arena);
    buffer_fini(&fixture->value);
    free(fixture->writer_json);
    free(fixture);
    return 0;
}

/* A CodePolicy as that other version writes it. */
static struct stream_message foreign_message(struct fixture *fixture)
{
    struct msg_code_policy policy = {.code = str_of("xz"), .held_out_permille = 7, .author = str_of("me")};
    struct buffer plain;
    buffer_init(&plain, 0);
    assert_int_equal(codec_encode(&msg_code_policy_type, &policy, &plain), 0);
    buffer_reset(&fixture->value);
    buffer_append(&fixture->value, "\xc3\x01", 2);
    for (int i = 0; i < 8; i++)
        buffer_append(&fixture->value, &(uint8_t){(uint8_t)(fixture->writer.fingerprint >> (8 * i))}, 1);
    buffer_append(&fixture->value, "\x54", 1); /* more = 42 */
    buffer_append(&fixture->value, plain.data + 10, plain.size - 10);
    buffer_fini(&plain);
    return (struct stream_message){
        .topic = str_of(TOPIC_POLICIES), .value = fixture->value.data, .value_size = fixture->value.size};
}

static enum stream_outcome decode(struct fixture *fixture, const struct stream_message *message,
                                  int64_t now_ms, struct msg_code_policy *out)
{
    arena_reset(fixture->arena);
    return topic_codec_decode(fixture->codec, &msg_code_policy_type, message, fixture->arena, out, now_ms);
}

static void topic_codec_decode__announced_later__waits_then_reads(void **state)
{
    struct fixture *fixture = *state;
    struct stream_message message = foreign_message(fixture);
    const struct msg_type *types[] = {&fixture->writer};
    struct msg_code_policy policy;
    assert_int_equal(decode(fixture, &message, 1000, &policy), STREAM_RETRY);
    char error[512];
    assert_int_equal(topic_codec_announce(fixture->stream, types, 1, error, sizeof error), 0);
    assert_int_equal(decode(fixture, &message, 1500, &policy),
                     STREAM_RETRY); /* looked up less than a second ago */
    assert_int_equal(topic_codec_counters(fixture->codec)->lookups, 1);
    assert_int_equal(decode(fixture, &message, 2100, &policy), STREAM_DONE);
    assert_true(str_equal(policy.code, str_of("xz")));
    assert_int_equal(policy.held_out_permille, 7);
    assert_int_equal(topic_codec_counters(fixture->codec)->learned, 1);
}

static void topic_codec_decode__never_announced__quarantine_after_30_s(void **state)
{
    struct fixture *fixture = *state;
    struct stream_message message = foreign_message(fixture);
    struct msg_code_policy policy;
    assert_int_equal(decode(fixture, &message, 1000, &policy), STREAM_RETRY);
    assert_int_equal(decode(fixture, &message, 1000 + TOPIC_CODEC_LOOKUP_MS - 1, &policy), STREAM_RETRY);
    assert_int_equal(decode(fixture, &message, 1000 + TOPIC_CODEC_LOOKUP_MS, &policy), STREAM_QUARANTINE);
    assert_int_equal(topic_codec_counters(fixture->codec)->unknown_given_up, 1);
}

/* Else each of them would hold its partition for as long. */
static void topic_codec_decode__more_of_a_writer_given_up__no_second_wait(void **state)
{
    struct fixture *fixture = *state;
    struct stream_message message = foreign_message(fixture);
    struct msg_code_policy policy;
    assert_int_equal(decode(fixture, &message, 1000, &policy), STREAM_RETRY);
    int64_t now_ms = 1000 + TOPIC_CODEC_LOOKUP_MS;
    for (int i = 0; i < 3; i++, now_ms += 10000)
        assert_int_equal(decode(fixture, &message, now_ms, &policy), STREAM_QUARANTINE);
    assert_int_equal(topic_codec_counters(fixture->codec)->unknown_given_up, 3);
    const struct msg_type *types[] = {&fixture->writer};
    char error[512];
    assert_int_equal(topic_codec_announce(fixture->stream, types, 1, error, sizeof error), 0);
    assert_int_equal(decode(fixture, &message, now_ms, &policy), STREAM_DONE);
}

/* Much later it is waited for again. */
static void topic_codec_decode__given_up_long_ago__waits_again(void **state)
{
    struct fixture *fixture = *state;
    struct stream_message message = foreign_message(fixture);
    struct msg_code_policy policy;
    assert_int_equal(decode(fixture, &message, 1000, &policy), STREAM_RETRY);
    assert_int_equal(decode(fixture, &message, 1000 + TOPIC_CODEC_LOOKUP_MS, &policy), STREAM_QUARANTINE);
    assert_int_equal(
        decode(fixture, &message, 1000 + TOPIC_CODEC_LOOKUP_MS + TOPIC_CODEC_GIVEN_UP_MS, &policy),
        STREAM_RETRY);
}

static void topic_codec_measure__given_up__in_the_services_metrics(void **state)
{
    struct fixture *fixture = *state;
    struct stream_message message = foreign_message(fixture);
    struct msg_code_policy policy;
    struct metrics *metrics = metrics_create("unit_");
    struct buffer out;
    buffer_init(&out, 0);
    topic_codec_measure(&fixture->codec, 1, metrics);
    assert_int_equal(decode(fixture, &message, 1000, &policy), STREAM_RETRY);
    assert_int_equal(decode(fixture, &message, 1000 + TOPIC_CODEC_LOOKUP_MS, &policy), STREAM_QUARANTINE);
    metrics_render(metrics, &out);
    buffer_append(&out, "", 1);
    assert_non_null(strstr((const char *)out.data, "\nunit_schema_lookups_total 2\n"));
    assert_non_null(strstr((const char *)out.data, "\nunit_schemas_given_up_total 1\n"));
    buffer_fini(&out);
    metrics_destroy(metrics);
}

/* A registry that nobody was told of this schema; producing does not ask it. */
static void topic_codec_measure__schema_not_registered__unframed_values_counted(void **state)
{
    struct fixture *fixture = *state;
    struct msg_code_policy policy = {.code = str_of("gcc")};
    struct stream_options options = {.brokers = embedded_broker_bootstrap(fixture->broker),
                                     .client_id = "framed",
                                     .schema_registry = "http://127.0.0.1:1"};
    struct metrics *metrics = metrics_create("unit_");
    struct buffer out;
    char error[512];
    struct stream *stream = stream_open(&options, error, sizeof error);
    struct topic_codec *codec = stream ? topic_codec_create(stream) : NULL;
    assert_non_null(codec);
    buffer_init(&out, 0);
    topic_codec_measure(&codec, 1, metrics);
    buffer_reset(&fixture->value);
    assert_int_equal(codec_encode(&msg_code_policy_type, &policy, &fixture->value), 0);
    struct str schema = str_of(msg_code_policy_type.json);
    assert_int_equal(stream_produce(stream, TOPIC_POLICIES, "gcc", 3, fixture->value.data,
                                    fixture->value.size, NULL, NULL),
                     0);
    assert_int_equal(stream_produce(stream, TOPIC_SCHEMAS, "key", 3, schema.data, schema.size, NULL, NULL),
                     0); /* no message: it is never framed */
    metrics_render(metrics, &out);
    buffer_append(&out, "", 1);
    assert_non_null(strstr((const char *)out.data, "\nunit_values_unframed_total 1\n"));
    buffer_fini(&out);
    topic_codec_destroy(codec);
    stream_close(stream);
    metrics_destroy(metrics);
}

static void topic_codec_decode__own_schema_or_damage__no_look_up(void **state)
{
    struct fixture *fixture = *state;
    struct msg_code_policy policy = {.code = str_of("gcc")}, out;
    buffer_reset(&fixture->value);
    assert_int_equal(codec_encode(&msg_code_policy_type, &policy, &fixture->value), 0);
    struct stream_message message = {.value = fixture->value.data, .value_size = fixture->value.size};
    assert_int_equal(decode(fixture, &message, 0, &out), STREAM_DONE);
    assert_true(str_equal(out.code, str_of("gcc")));
    message.value_size--;
    assert_int_equal(decode(fixture, &message, 0, &out), STREAM_QUARANTINE);
    assert_int_equal(decode(fixture, &(struct stream_message){0}, 0, &out), STREAM_QUARANTINE);
    assert_int_equal(topic_codec_counters(fixture->codec)->unknown_given_up, 0);
}

static void topic_codec_decode__id_of_a_registry__looked_up_as_a_fingerprint_is(void **state)
{
    struct fixture *fixture = *state;
    struct msg_code_policy policy = {.code = str_of("gcc"), .held_out_permille = 3}, out;
    char key[SCHEMA_KEY_SIZE];
    struct stream_message message = {0};
    buffer_reset(&fixture->value);
    buffer_append(&fixture->value, "\0\0\0\1\7", 5);
    msg_code_policy_type.encode(&policy, &fixture->value);
    message.value = fixture->value.data;
    message.value_size = fixture->value.size;
    assert_int_equal(decode(fixture, &message, 1000, &out), STREAM_RETRY);
    assert_int_equal(stream_produce(fixture->stream, TOPIC_SCHEMAS, key, schema_record_id_key(0x107, key),
                                    msg_code_policy_type.json, strlen(msg_code_policy_type.json), NULL, NULL),
                     0);
    assert_int_equal(stream_flush(fixture->stream, 10000), 0);
    assert_int_equal(decode(fixture, &message, 2000, &out), STREAM_DONE);
    assert_true(str_equal(out.code, str_of("gcc")));
    assert_int_equal(out.held_out_permille, 3);
}

static void topic_codec_decode__id_that_nobody_knows__quarantine_after_30_s(void **state)
{
    struct fixture *fixture = *state;
    struct msg_code_policy out;
    struct stream_message message = {.value = "\0\0\0\0\1x", .value_size = 6};
    assert_int_equal(decode(fixture, &message, 1000, &out), STREAM_RETRY);
    assert_int_equal(decode(fixture, &message, 1000 + TOPIC_CODEC_LOOKUP_MS, &out), STREAM_QUARANTINE);
    assert_non_null(strstr(stream_reason(fixture->stream), "id 1 of a schema registry"));
    assert_int_equal(topic_codec_counters(fixture->codec)->unknown_given_up, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(topic_codec_decode__announced_later__waits_then_reads, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(topic_codec_decode__never_announced__quarantine_after_30_s, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(topic_codec_decode__more_of_a_writer_given_up__no_second_wait, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(topic_codec_decode__given_up_long_ago__waits_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(topic_codec_measure__given_up__in_the_services_metrics, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(topic_codec_measure__schema_not_registered__unframed_values_counted,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(topic_codec_decode__own_schema_or_damage__no_look_up, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(topic_codec_decode__id_of_a_registry__looked_up_as_a_fingerprint_is,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(topic_codec_decode__id_that_nobody_knows__quarantine_after_30_s,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
