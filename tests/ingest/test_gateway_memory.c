/* What passes through the gateway again and again takes no memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/topics.h"
#include "tests/ingest/rig.h"
#include "tests/support/allocations.h"

static void ticks_and_orders__steady__allocate_nothing(void **state)
{
    struct rig *rig = *state;
    struct rig_peer peer = rig_greeted(rig);
    struct msg_tick tick = sample_tick();
    struct msg_adjustment adjustment = {.node = str_of("n1"), .attempt = 1, .code = str_of("xz")};
    struct buffer payload, order, frame;
    size_t before = 0;
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
            before = allocations_count();
        /* in two pieces: also what is kept of half a frame */
        frames_take(&rig->ingest, peer.connection, frame.data, 20);
        frames_take(&rig->ingest, peer.connection, frame.data + 20, frame.size - 20);
        downlink_take(&rig->ingest, &message);
        if (i % 10 == 9)
            fake_stream_report_all(0);
        rig_turn(rig);
    }
    assert_int_equal(allocations_count() - before, 0);
    assert_int_equal(fake_stream_count(), 600);
    buffer_fini(&payload);
    buffer_fini(&order);
    buffer_fini(&frame);
    rig_disconnect(&peer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ticks_and_orders__steady__allocate_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
