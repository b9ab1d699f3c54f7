/* Orders from Kafka: they reach the connection of their node, and only that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/topics.h"
#include "tests/ingest/rig.h"

static void adjustment__for_a_node_here_or_not__only_where_it_belongs(void **state)
{
    struct rig *rig = *state;
    struct frame frame;
    struct rig_peer peer = rig_greeted(rig);
    struct msg_adjustment adjustment = {.node = str_of("n1"), .attempt = 1, .code = str_of("xz")};
    struct buffer framed;
    buffer_init(&framed, 0);
    assert_int_equal(codec_encode(&msg_adjustment_type, &adjustment, &framed), 0);
    struct stream_message message = rig_order(TOPIC_ADJUSTMENTS, "n2", buffer_str(&framed));
    downlink_take(&rig->ingest, &message);
    rig_turn(rig);
    assert_false(rig_take(&peer, &frame));
    message = rig_order(TOPIC_ADJUSTMENTS, "n1", buffer_str(&framed));
    downlink_take(&rig->ingest, &message);
    rig_turn(rig);
    frame = rig_last(&peer, FRAME_ADJUSTMENT);
    assert_int_equal(frame.payload.size, framed.size);
    assert_memory_equal(frame.payload.data, framed.data, framed.size);
    message = rig_order(TOPIC_EXECUTIONS_ADMITTED, "n1", buffer_str(&framed)); /* not an admission */
    downlink_take(&rig->ingest, &message);
    message.value = NULL;
    downlink_take(&rig->ingest, &message);
    rig_turn(rig);
    assert_false(rig_take(&peer, &frame));
    assert_string_equal(fake_stream_message(0)->topic, TOPIC_QUARANTINE);
    buffer_fini(&framed);
    rig_disconnect(&peer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(adjustment__for_a_node_here_or_not__only_where_it_belongs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
