/* What happens to a tick that Kafka or memory cannot take: the tick is lost and counted, its connection goes
 * on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/topics.h"
#include "tests/ingest/rig.h"

#define SMALL 10 /* bytes: no tick fits */

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

static void give_tick(struct rig *rig, const struct rig_peer *peer, int64_t sequence)
{
    struct msg_tick tick = sample_tick();
    tick.sequence = sequence;
    rig_give_message(rig, peer, FRAME_TICK, &msg_tick_type, &tick, 0);
}

static void tick__larger_than_kafka_takes__quarantined_and_the_next_goes_on(void **state)
{
    struct rig *rig = *state;
    struct rig_peer peer = rig_greeted(rig);
    fake_stream_limit(SMALL);
    give_tick(rig, &peer, 1);
    struct msg_node_status status = sample_status();
    rig_give_message(rig, &peer, FRAME_STATUS, &msg_node_status_type, &status, 0);
    fake_stream_limit(0);
    assert_int_equal(rig->ingest.lists[LIST_ALL].count, 1);
    assert_int_equal(rig->ingest.lists[LIST_CLOSED].count, 0);
    assert_true(metric_value(rig->ingest.counters.quarantined) == 2);
    assert_int_equal(fake_stream_count(), 2);
    assert_string_equal(fake_stream_message(0)->topic, TOPIC_QUARANTINE);
    give_tick(rig, &peer, 2);
    assert_string_equal(fake_stream_message(2)->topic, TOPIC_TELEMETRY);
    fake_stream_report_all(0);
    rig_disconnect(&peer);
}

/* One that is held when there is no memory for the next: the list of those who hold has to come to its end.
 */
static void held_tick__no_memory_for_the_next__both_dropped_and_the_gate_opens(void **state)
{
    struct rig *rig = *state;
    struct rig_peer peer = rig_greeted(rig);
    int64_t sequence = 0;
    while (rig->ingest.gate == GATE_OPEN) {
        give_tick(rig, &peer, ++sequence);
        uplink_look(&rig->ingest);
    }
    give_tick(rig, &peer, ++sequence);
    assert_int_equal(rig->ingest.lists[LIST_HELD].count, 1);
    peer.connection->held.limit = SMALL;
    give_tick(rig, &peer, ++sequence);
    assert_int_equal(rig->ingest.lists[LIST_HELD].count, 0);
    assert_true(metric_value(rig->ingest.counters.ticks_dropped) == 2);
    peer.connection->held.limit = 0;
    fake_stream_report_all(0);
    rig_turn(rig);
    assert_int_equal(rig->ingest.gate, GATE_OPEN);
    rig_disconnect(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tick__larger_than_kafka_takes__quarantined_and_the_next_goes_on,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(held_tick__no_memory_for_the_next__both_dropped_and_the_gate_opens,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
