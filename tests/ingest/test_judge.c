/* What agents say, judged: whose it is, whether it can be true, in which version it was written. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/topics.h"
#include "ingest/judge.h"
#include "ingest/validate.h"
#include "schemas/request.h"
#include "schemas/resolve.h"
#include "tests/ingest/sample_messages.h"

#define LATEST_US (SAMPLE_NOW_US + 3600000000)

static struct codec *codec;
static struct arena *arena;

static int set_up(void **state)
{
    (void)state;
    codec = codec_create();
    arena = arena_create(1u << 16, 64u << 20);
    return codec && arena ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    codec_destroy(codec);
    arena_destroy(arena);
    return 0;
}

static struct judged judge(enum frame_type frame, const struct msg_type *type, const void *message)
{
    struct identity sender = sample_identity();
    struct buffer framed;
    buffer_init(&framed, 0);
    assert_int_equal(codec_encode(type, message, &framed), 0);
    arena_reset(arena);
    struct judged judged = judge_message(codec, &sender, frame, buffer_str(&framed), arena, LATEST_US);
    buffer_fini(&framed);
    judged.key.data = NULL; /* borrowed from what is gone */
    return judged;
}

static void assert_invalid(struct judged judged, const char *words)
{
    if (judged.judgement != JUDGED_INVALID || !strstr(judged.reason, words))
        print_error("judgement %d, reason \"%s\", wanted \"%s\"\n", judged.judgement, judged.reason, words);
    assert_int_equal(judged.judgement, JUDGED_INVALID);
    assert_non_null(strstr(judged.reason, words));
}

static void assert_forward(struct judged judged, const char *topic, size_t key_size)
{
    if (judged.judgement != JUDGED_FORWARD)
        print_error("%s\n", judged.reason);
    assert_int_equal(judged.judgement, JUDGED_FORWARD);
    assert_string_equal(judged.topic, topic);
    assert_int_equal(judged.key.size, key_size);
}

static void judge__valid_messages__to_their_topic_under_their_key(void **state)
{
    (void)state;
    struct msg_tick tick = sample_tick();
    struct msg_node_status status = sample_status();
    struct msg_execution_event event = sample_event();
    struct msg_execution_record record = sample_record();
    assert_forward(judge(FRAME_TICK, &msg_tick_type, &tick), TOPIC_TELEMETRY, 2);
    assert_forward(judge(FRAME_STATUS, &msg_node_status_type, &status), TOPIC_NODES, 2);
    assert_forward(judge(FRAME_EVENT, &msg_execution_event_type, &event), TOPIC_EXECUTIONS_EVENTS, 2);
    assert_forward(judge(FRAME_RECORD, &msg_execution_record_type, &record), TOPIC_EXECUTIONS_FINISHED, 2);
}

static void judge__somebody_elses__invalid(void **state)
{
    (void)state;
    struct msg_tick tick = sample_tick();
    tick.node = str_of("n2");
    assert_invalid(judge(FRAME_TICK, &msg_tick_type, &tick), "another node");
    tick = sample_tick();
    tick.incarnation[3]++;
    assert_invalid(judge(FRAME_TICK, &msg_tick_type, &tick), "another incarnation");
    tick = sample_tick();
    tick.pool = str_of("p2");
    assert_invalid(judge(FRAME_TICK, &msg_tick_type, &tick), "another pool");
    tick = sample_tick();
    tick.epoch--;
    assert_invalid(judge(FRAME_TICK, &msg_tick_type, &tick), "another epoch");
    struct msg_node_status status = sample_status();
    status.boot_id = str_of("boot-2");
    assert_invalid(judge(FRAME_STATUS, &msg_node_status_type, &status), "another boot");
}

static void judge__spooled_before_a_restart__older_epoch_and_other_pool_pass(void **state)
{
    (void)state;
    struct msg_execution_event event = sample_event();
    event.epoch = 1;
    event.pool = str_of("former");
    assert_forward(judge(FRAME_EVENT, &msg_execution_event_type, &event), TOPIC_EXECUTIONS_EVENTS, 6);
    event.epoch = sample_identity().epoch + 1;
    assert_invalid(judge(FRAME_EVENT, &msg_execution_event_type, &event), "still to come");
    event.epoch = 0;
    assert_invalid(judge(FRAME_EVENT, &msg_execution_event_type, &event), "still to come");
}

static void judge__refusal_of_an_absurd_offer__passes(void **state)
{
    (void)state;
    struct msg_execution_event event = sample_event();
    event.kind = MSG_EVENT_KIND_REFUSED;
    event.attempt = -3;
    event.code = str_of("not a code!");
    event.limits.memory_bytes = -1;
    assert_forward(judge(FRAME_EVENT, &msg_execution_event_type, &event), TOPIC_EXECUTIONS_EVENTS, 2);
}

static void judge__wrong_bytes__invalid_never_read_outside(void **state)
{
    (void)state;
    struct identity sender = sample_identity();
    struct msg_tick tick = sample_tick();
    struct buffer framed;
    buffer_init(&framed, 0);
    assert_int_equal(codec_encode(&msg_tick_type, &tick, &framed), 0);
    for (size_t size = 0; size < framed.size; size++) {
        struct buffer exact; /* of its own, so that the sanitizer sees a read behind it */
        buffer_init(&exact, 0);
        buffer_append(&exact, framed.data, size);
        arena_reset(arena);
        struct judged judged =
            judge_message(codec, &sender, FRAME_TICK, buffer_str(&exact), arena, LATEST_US);
        assert_int_equal(judged.judgement, JUDGED_INVALID);
        buffer_fini(&exact);
    }
    /* a status where a tick belongs */
    arena_reset(arena);
    struct judged judged = judge_message(codec, &sender, FRAME_STATUS, buffer_str(&framed), arena, LATEST_US);
    assert_invalid(judged, "not a readable NodeStatus");
    uint8_t registry[] = {0, 0, 0, 0, 1, 2};
    judged = judge_message(codec, &sender, FRAME_TICK, (struct str){(const char *)registry, sizeof registry},
                           arena, LATEST_US);
    assert_invalid(judged, "registry");
    buffer_fini(&framed);
}

static void judge__another_version__unknown_then_resolved(void **state)
{
    (void)state;
    /* a Tick of a later version, with one more field in front */
    struct identity sender = sample_identity();
    struct msg_tick tick = sample_tick();
    const char *json = msg_tick_type.json, *fields = strstr(json, "\"fields\"");
    char *longer = malloc(strlen(json) + 200);
    const char *bracket = strchr(fields, '[');
    int size = sprintf(longer, "%.*s{\"name\":\"zone\",\"type\":\"string\",\"default\":\"\"},%s",
                       (int)(bracket + 1 - json), json, bracket + 1);
    struct writer_schema *schema;
    assert_int_equal(writer_schema_create((struct str){longer, (size_t)size}, &schema), 0);
    uint64_t fingerprint = writer_schema_fingerprint(schema);
    writer_schema_destroy(schema);
    struct buffer framed;
    uint8_t head[2] = {0xc3, 0x01};
    buffer_init(&framed, 0);
    buffer_append(&framed, head, 2);
    for (int i = 0; i < 8; i++) {
        uint8_t byte = (uint8_t)(fingerprint >> (8 * i));
        buffer_append(&framed, &byte, 1);
    }
    buffer_append(&framed,
                  "\x06"
                  "eu1",
                  4); /* zone = "eu1" */
    msg_tick_type.encode(&tick, &framed);
    struct judged judged = judge_message(codec, &sender, FRAME_TICK, buffer_str(&framed), arena, LATEST_US);
    assert_int_equal(judged.judgement, JUDGED_UNKNOWN_SCHEMA);
    assert_true(judged.fingerprint == fingerprint);
    assert_int_equal(codec_learn(codec, fingerprint, (struct str){longer, (size_t)size}), 0);
    judged = judge_message(codec, &sender, FRAME_TICK, buffer_str(&framed), arena, LATEST_US);
    assert_forward(judged, TOPIC_TELEMETRY, 2);
    buffer_fini(&framed);
    free(longer);
}

/* --- absurd values --- */

#define SPOIL(make, validate, words, spoil)                                                                  \
    do {                                                                                                     \
        struct {                                                                                             \
            typeof(make()) m;                                                                                \
        } it = {make()};                                                                                     \
        assert_null(validate(&it.m, LATEST_US));                                                             \
        spoil;                                                                                               \
        const char *fault = validate(&it.m, LATEST_US);                                                      \
        assert_non_null(fault);                                                                              \
        if (!strstr(fault, words))                                                                           \
            print_error("%s\n", fault);                                                                      \
        assert_non_null(strstr(fault, words));                                                               \
    } while (0)

#define SPOIL_TICK(words, spoil) SPOIL(sample_tick, validate_tick, words, spoil)
#define SAMPLE it.m.samples.items[0]

static void validate__tick__each_absurdity_named(void **state)
{
    (void)state;
    SPOIL_TICK("sequence", it.m.sequence = -1);
    SPOIL_TICK("sequence", it.m.dropped = INT64_MIN);
    SPOIL_TICK("time_us", it.m.time_us = LATEST_US + 1);
    SPOIL_TICK("time_us", it.m.time_us = 0);
    SPOIL_TICK("4096 samples", it.m.samples.count = 4097);
    SPOIL_TICK("attempt", SAMPLE.attempt = 0);
    SPOIL_TICK("code", SAMPLE.code = str_of(""));
    SPOIL_TICK("code", SAMPLE.code = str_of("a\\b"));
    SPOIL_TICK("started_us", SAMPLE.started_us = INT64_MAX);
    SPOIL_TICK("timeout_ms", SAMPLE.timeout_ms = -1);
    SPOIL_TICK("adjusted_sequence", SAMPLE.adjusted_sequence = -1);
    SPOIL_TICK("command", SAMPLE.command = -1);
    SPOIL_TICK("input_bytes", SAMPLE.input_bytes = -1);
    SPOIL_TICK("input_bytes", SAMPLE.input_bytes = INPUT_BYTES_MAX + 1);
    SPOIL_TICK("limit", SAMPLE.limits.memory_bytes = -1);
    SPOIL_TICK("limit", SAMPLE.limits.net_egress_bps = -1);
    SPOIL_TICK("weight", SAMPLE.limits.cpu_weight = 10001);
    SPOIL_TICK("net_priority", SAMPLE.limits.net_priority = 8);
    SPOIL_TICK("counter", SAMPLE.counters.cpu_usage_us = -1);
    SPOIL_TICK("counter", SAMPLE.counters.oom_kills = VALID_COUNTER_MAX + 1);
    SPOIL_TICK("counter", SAMPLE.counters.brake_us = INT64_MIN);
    SPOIL_TICK("memory", SAMPLE.counters.memory_bytes = -1);
    SPOIL_TICK("memory", SAMPLE.counters.memory_peak_bytes = VALID_BYTES_MAX + 1);
    SPOIL_TICK("tasks", SAMPLE.counters.tasks = -1);
    SPOIL_TICK("custom", SAMPLE.counters.custom.count = 17);
    SPOIL_TICK("custom", SAMPLE.counters.custom.items[0].value = (double)NAN);
    SPOIL_TICK("custom", SAMPLE.counters.custom.items[0].value = (double)INFINITY);
    SPOIL_TICK("custom", SAMPLE.counters.custom.items[0].name = str_of(""));
}

#define SPOIL_STATUS(words, spoil) SPOIL(sample_status, validate_status, words, spoil)

static void validate__status__each_absurdity_named(void **state)
{
    (void)state;
    SPOIL_STATUS("time_us", it.m.time_us = -1);
    SPOIL_STATUS("limit", it.m.capacity.cpu_millicores = -1);
    SPOIL_STATUS("limit", it.m.committed.io_read_bps = -1);
    SPOIL_STATUS("limit", it.m.free.memory_bytes = -1);
    SPOIL_STATUS("4 PiB", it.m.capacity.memory_bytes = INT64_MAX);
    SPOIL_STATUS("too many", it.m.running.count = 4097);
    SPOIL_STATUS("too many", it.m.capabilities.count = 65);
    SPOIL_STATUS("running", it.m.running.items[0].attempt = 0);
    SPOIL_STATUS("running", it.m.running.items[0].placement = -1);
    SPOIL_STATUS("running", it.m.running.items[0].code = str_of(" "));
    SPOIL_STATUS("running", it.m.running.items[0].memory_bytes = -5);
    SPOIL_STATUS("weight", it.m.running.items[0].limits.io_weight = -1);
    SPOIL_STATUS("less than nothing", it.m.short_.items[0].wanted = -1);
}

#define SPOIL_EVENT(words, spoil) SPOIL(sample_event, validate_event, words, spoil)

static void validate__event__each_absurdity_named(void **state)
{
    (void)state;
    SPOIL_EVENT("pool", it.m.pool = str_of(""));
    SPOIL_EVENT("time_us", it.m.time_us = 1);
    SPOIL_EVENT("attempt", it.m.attempt = 0);
    SPOIL_EVENT("placement", it.m.placement = -1);
    SPOIL_EVENT("code", it.m.code = str_of("ä"));
    SPOIL_EVENT("memory_peak", it.m.memory_peak_bytes = -1);
    SPOIL_EVENT("exit_status", it.m.exit_status = 256);
    SPOIL_EVENT("signal", it.m.signal = 129);
    SPOIL_EVENT("limit", it.m.limits.memory_bytes = -1);
}

#define SPOIL_RECORD(words, spoil) SPOIL(sample_record, validate_record, words, spoil)

static void validate__record__each_absurdity_named(void **state)
{
    (void)state;
    SPOIL_RECORD("code", it.m.code = str_of(""));
    SPOIL_RECORD("pool", it.m.pool = str_of(""));
    SPOIL_RECORD("attempt", it.m.attempt = -1);
    SPOIL_RECORD("started_us", it.m.started_us = -1);
    SPOIL_RECORD("ended_us", it.m.ended_us = LATEST_US + 1);
    SPOIL_RECORD("exit_status", it.m.exit_status = -2);
    SPOIL_RECORD("peak", it.m.peak_cpu_millicores = -1);
    SPOIL_RECORD("peak", it.m.peak_io_bps = INT64_MAX);
    SPOIL_RECORD("propensity", it.m.propensity = NAN);
    SPOIL_RECORD("propensity", it.m.series_inclusion = 1.5f);
    SPOIL_RECORD("series_stride", it.m.series_stride = -1);
    SPOIL_RECORD("more adjustments", it.m.adjustments.count = 257);
    SPOIL_RECORD("more adjustments", it.m.brakes.count = 65);
    SPOIL_RECORD("more adjustments", it.m.raised.count = MSG_CAUSE_COUNT + 1);
    SPOIL_RECORD("limit", it.m.highest_limits.memory_bytes = -1);
    SPOIL_RECORD("memory", it.m.totals.memory_usage_bytes = -1);
    SPOIL_RECORD("series", it.m.series.items[1].time_us = 3);
    SPOIL_RECORD("counter", it.m.series.items[1].counters.page_faults = -1);
    struct msg_execution_record never = sample_record();
    never.started_us = 0; /* an attempt that was lost before it began */
    assert_null(validate_record(&never, LATEST_US));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judge__valid_messages__to_their_topic_under_their_key),
        cmocka_unit_test(judge__somebody_elses__invalid),
        cmocka_unit_test(judge__spooled_before_a_restart__older_epoch_and_other_pool_pass),
        cmocka_unit_test(judge__refusal_of_an_absurd_offer__passes),
        cmocka_unit_test(judge__wrong_bytes__invalid_never_read_outside),
        cmocka_unit_test(judge__another_version__unknown_then_resolved),
        cmocka_unit_test(validate__tick__each_absurdity_named),
        cmocka_unit_test(validate__status__each_absurdity_named),
        cmocka_unit_test(validate__event__each_absurdity_named),
        cmocka_unit_test(validate__record__each_absurdity_named),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
