/* The small decisions: which tick is new, when a risk is told, where reading begins, when an offset may move.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "predict/feed.h"
#include "predict/ledger.h"
#include "predict/order.h"
#include "predict/publish.h"

/* --- order --- */

static struct msg_tick tick_of(uint8_t incarnation, int64_t epoch, int64_t sequence, int64_t time_us)
{
    struct msg_tick tick = {.epoch = epoch, .sequence = sequence, .time_us = time_us};
    memset(tick.incarnation, incarnation, sizeof tick.incarnation);
    return tick;
}

static bool takes(struct order *order, uint8_t incarnation, int64_t epoch, int64_t sequence, int64_t time_us)
{
    struct msg_tick tick = tick_of(incarnation, epoch, sequence, time_us);
    return order_take(order, &tick);
}

static void order__repeats_and_gaps__only_repeats_dropped(void **state)
{
    (void)state;
    struct order order = {0};
    assert_true(takes(&order, 1, 1, 5, 500));
    assert_false(takes(&order, 1, 1, 5, 500));
    assert_false(takes(&order, 1, 1, 4, 400));
    assert_true(takes(&order, 1, 1, 9, 900));  /* a gap */
    assert_true(takes(&order, 1, 2, 0, 1000)); /* the agent was restarted */
    assert_false(takes(&order, 1, 1, 10, 1001));
    assert_true(takes(&order, 1, 2, 1, 90)); /* its clock was set back */
}

static void order__another_agent__taken_when_later(void **state)
{
    (void)state;
    struct order order = {0};
    assert_true(takes(&order, 1, 5, 100, 1000));
    assert_true(takes(&order, 2, 1, 0, 2000));
    assert_false(takes(&order, 1, 5, 101, 1100)); /* left behind by the old one */
    assert_true(takes(&order, 2, 1, 1, 2100));
}

/* --- publish --- */

static const struct publish_rules rules = {.refresh_us = 5000000, .change = 0.02};

static struct publish_view quiet(int64_t time_us)
{
    return (struct publish_view){.time_us = time_us,
                                 .cause = MSG_CAUSE_MEMORY,
                                 .limits = {.memory_bytes = 100},
                                 .memory_bytes = 1000,
                                 .demand = {2000, 100, 100, 100}};
}

/* -1: not told. */
static int told_as(const struct publish_view *last, const struct publish_view *now)
{
    struct publish_memory memory = {0};
    enum msg_risk_kind kind;
    if (last)
        publish_told(&memory, last);
    return publish_due(&rules, &memory, now, &kind) ? (int)kind : -1;
}

static void publish__first__refresh_or_crossing(void **state)
{
    (void)state;
    struct publish_view now = quiet(0);
    assert_int_equal(told_as(NULL, &now), MSG_RISK_KIND_REFRESH);
    now.above = true;
    assert_int_equal(told_as(NULL, &now), MSG_RISK_KIND_CROSSING);
}

static void publish__time__refresh_at_its_end_and_when_it_goes_back(void **state)
{
    (void)state;
    struct publish_view last = quiet(10000000), now = quiet(14999999);
    assert_int_equal(told_as(&last, &now), -1);
    now.time_us = 15000000;
    assert_int_equal(told_as(&last, &now), MSG_RISK_KIND_REFRESH);
    now.time_us = 9999999;
    assert_int_equal(told_as(&last, &now), MSG_RISK_KIND_REFRESH);
    now.time_us = INT64_MIN;
    assert_int_equal(told_as(&last, &now), MSG_RISK_KIND_REFRESH);
}

static void publish__crossing__up_and_down(void **state)
{
    (void)state;
    struct publish_view below = quiet(0), above = quiet(1);
    above.above = true;
    assert_int_equal(told_as(&below, &above), MSG_RISK_KIND_CROSSING);
    assert_int_equal(told_as(&above, &below), MSG_RISK_KIND_CROSSING);
}

static void publish__brake_limits_kills__change(void **state)
{
    (void)state;
    struct publish_view last = quiet(0), now = quiet(1);
    now.brake_engaged = true;
    assert_int_equal(told_as(&last, &now), MSG_RISK_KIND_CHANGE);
    assert_int_equal(told_as(&now, &last), MSG_RISK_KIND_CHANGE);
    now = quiet(1);
    now.oom_kills = 1;
    assert_int_equal(told_as(&last, &now), MSG_RISK_KIND_CHANGE);
    now = quiet(1);
    now.limits.net_priority = 2;
    assert_int_equal(told_as(&last, &now), MSG_RISK_KIND_CHANGE);
}

static void publish__stalled__told_once_a_second(void **state)
{
    (void)state;
    struct publish_view last = quiet(0), now = quiet(1000000);
    assert_int_equal(told_as(&last, &now), -1);
    now.stalled = true;
    assert_int_equal(told_as(&last, &now), MSG_RISK_KIND_CHANGE);
    now.time_us = 999999;
    assert_int_equal(told_as(&last, &now), -1);
}

static void publish__movement__told_only_above_the_threshold(void **state)
{
    (void)state;
    struct publish_view last = quiet(0), now = quiet(1);
    now.memory_bytes = 1020;
    assert_int_equal(told_as(&last, &now), -1);
    last.above = now.above = true;
    assert_int_equal(told_as(&last, &now), MSG_RISK_KIND_CHANGE);
    now.memory_bytes = 1019;
    assert_int_equal(told_as(&last, &now), -1);
    now.demand[0] = 1950;
    assert_int_equal(told_as(&last, &now), MSG_RISK_KIND_CHANGE);
    now = last;
    now.demand[1] = 200; /* of a resource that is not the probable cause */
    assert_int_equal(told_as(&last, &now), -1);
    now.cause = MSG_CAUSE_CPU;
    assert_int_equal(told_as(&last, &now), MSG_RISK_KIND_CHANGE);
}

/* --- feed --- */

static const struct feed_rules feeding = {.ticks = 10, .nodes = 4, .records_max = 1000, .stale_ms = 10000};

static void feed__nothing_committed__from_the_beginning_and_told_once_fresh(void **state)
{
    (void)state;
    struct feed feed = {.next = -1};
    int64_t start;
    assert_false(feed_assign(&feed, &feeding, -1, &start));
    assert_int_equal(start, 0);
    assert_int_equal(feed_take(&feed, &feeding, 0, 60000, false, 10), FEED_BUILD);
    assert_int_equal(feed_take(&feed, &feeding, 1, 9999, false, 10), FEED_TELL);
    assert_int_equal(feed_take(&feed, &feeding, 2, 60000, false, 10), FEED_TELL); /* live once and for all */
}

static void feed__clock_of_another_machine__caught_up_ends_the_silence(void **state)
{
    (void)state;
    struct feed feed = {.next = -1};
    int64_t start;
    assert_false(feed_assign(&feed, &feeding, 0, &start));
    assert_int_equal(feed_take(&feed, &feeding, 0, 3600000, true, 10), FEED_TELL);
}

static void feed__committed__rewinds_and_tells_nothing_before_it(void **state)
{
    (void)state;
    struct feed feed = {.next = -1};
    int64_t start;
    assert_false(feed_assign(&feed, &feeding, 100, &start));
    assert_int_equal(start, 60);
    for (int64_t offset = start; offset < 100; offset++) {
        assert_int_equal(feed_take(&feed, &feeding, offset, 0, false, 0), FEED_BUILD);
        feed_handled(&feed, offset);
    }
    assert_int_equal(feed_take(&feed, &feeding, 100, 0, false, 10), FEED_TELL);
}

static enum feed_action replay(struct feed *feed, uint32_t least_ticks)
{
    for (int64_t offset = feed->start; offset < feed->committed; offset++) {
        assert_int_equal(feed_take(feed, &feeding, offset, 0, false, 0), FEED_BUILD);
        feed_handled(feed, offset);
    }
    assert_true(feed_ends_pass(feed, feed->committed));
    return feed_take(feed, &feeding, feed->committed, 0, false, least_ticks);
}

static void feed__more_nodes_than_assumed__goes_further_back(void **state)
{
    (void)state;
    struct feed feed = {.next = -1};
    int64_t start;
    assert_false(feed_assign(&feed, &feeding, 2000, &start));
    assert_int_equal(start, 1960);
    assert_int_equal(replay(&feed, 2),
                     FEED_REWIND); /* 40 records gave 2 ticks to each: 200 give 10, and a quarter more */
    assert_int_equal(feed.start, 2000 - 250);
    assert_int_equal(replay(&feed, 12), FEED_TELL);
}

static void feed__nobody_runs__once_is_enough(void **state)
{
    (void)state;
    struct feed feed = {.next = -1};
    int64_t start;
    assert_false(feed_assign(&feed, &feeding, 2000, &start));
    assert_int_equal(replay(&feed, UINT32_MAX), FEED_TELL);
}

static void feed__far_more_nodes__bounded(void **state)
{
    (void)state;
    struct feed feed = {.next = -1};
    int64_t start;
    assert_false(feed_assign(&feed, &feeding, 5000, &start));
    assert_int_equal(replay(&feed, 1), FEED_REWIND);
    assert_int_equal(feed.start, 4500);
    assert_int_equal(replay(&feed, 0), FEED_REWIND);
    assert_int_equal(feed.start, 4000);
    assert_int_equal(replay(&feed, 1), FEED_TELL);
}

static void feed__back_before_anybody_went_further__keeps_its_state(void **state)
{
    (void)state;
    struct feed feed = {.next = -1};
    int64_t start;
    assert_false(feed_assign(&feed, &feeding, 0, &start));
    assert_int_equal(feed_take(&feed, &feeding, 0, 0, false, 10), FEED_TELL);
    feed_handled(&feed, 0);
    feed_leave(&feed);
    assert_true(feed_assign(&feed, &feeding, 1, &start));
    assert_int_equal(start, 1);
    feed_leave(&feed);
    assert_true(feed_assign(&feed, &feeding, 0, &start)); /* cut off before its offset was committed */
    assert_int_equal(start, 1);
    feed_leave(&feed);
    assert_false(feed_assign(&feed, &feeding, 2, &start)); /* somebody else read one */
    feed_leave(&feed);                                     /* before anything was built */
    assert_false(feed_assign(&feed, &feeding, 2, &start));
}

/* --- ledger --- */

struct stored {
    int64_t offsets[2][4]; /* by topic letter, partition */
    int calls;
};

static void keep(void *context, const char *topic, int32_t partition, int64_t offset)
{
    struct stored *stored = context;
    stored->offsets[topic[0] - 'a'][partition] = offset;
    stored->calls++;
}

static void ledger__reports_out_of_order__offsets_in_order(void **state)
{
    (void)state;
    struct ledger *ledger = ledger_create(4, 8);
    struct stored stored = {0};
    assert_int_equal(ledger_note(ledger, "a", 1, 10), 0);
    void *first = ledger_expect(ledger);
    assert_int_equal(ledger_note(ledger, "b", 2, 5), 0);
    assert_int_equal(ledger_note(ledger, "a", 1, 11), 0);
    ledger_settle(ledger, keep, &stored); /* open: nothing */
    ledger_close_batch(ledger);
    assert_int_equal(ledger_note(ledger, "a", 1, 12), 0);
    void *second = ledger_expect(ledger);
    ledger_close_batch(ledger);
    ledger_delivered(second, 0);
    ledger_settle(ledger, keep, &stored);
    assert_int_equal(stored.calls, 0);
    ledger_delivered(first, 0);
    ledger_settle(ledger, keep, &stored);
    assert_int_equal(stored.calls, 3);
    assert_int_equal(stored.offsets[0][1], 12);
    assert_int_equal(stored.offsets[1][2], 5);
    assert_int_equal(ledger_open_batches(ledger), 0);
    ledger_destroy(ledger);
}

static void ledger__full_forgotten_failed__as_promised(void **state)
{
    (void)state;
    struct ledger *ledger = ledger_create(2, 1);
    struct stored stored = {0};
    assert_int_equal(ledger_note(ledger, "a", 0, 1), 0);
    assert_int_equal(ledger_note(ledger, "a", 1, 1), -ENOSPC);
    void *first = ledger_expect(ledger);
    ledger_close_batch(ledger);
    assert_int_equal(ledger_note(ledger, "a", 0, 2), 0);
    assert_false(ledger_full(ledger)); /* the open one still takes */
    void *second = ledger_expect(ledger), *third = ledger_expect(ledger);
    ledger_withdraw(third);
    ledger_close_batch(ledger);
    assert_true(ledger_full(ledger));
    ledger_forget(ledger, "a", 0);
    ledger_delivered(first, -EMSGSIZE);
    ledger_settle(ledger, keep, &stored);
    assert_int_equal(stored.calls, 0);
    assert_int_equal(ledger_oversized(ledger), 1);
    assert_int_equal(ledger_open_batches(ledger), 1);
    ledger_delivered(second, -EIO);
    ledger_settle(ledger, keep, &stored);
    assert_int_equal(ledger_failure(ledger), -EIO);
    assert_int_equal(stored.calls, 0);
    ledger_destroy(ledger);
}

static void ledger__canceled__never_settled(void **state)
{
    (void)state;
    struct ledger *ledger = ledger_create(2, 1);
    struct stored stored = {0};
    assert_int_equal(ledger_note(ledger, "a", 0, 1), 0);
    ledger_delivered(ledger_expect(ledger), -ECANCELED);
    ledger_close_batch(ledger);
    ledger_settle(ledger, keep, &stored);
    assert_int_equal(stored.calls, 0);
    assert_int_equal(ledger_failure(ledger), 0);
    ledger_destroy(ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order__repeats_and_gaps__only_repeats_dropped),
        cmocka_unit_test(order__another_agent__taken_when_later),
        cmocka_unit_test(publish__first__refresh_or_crossing),
        cmocka_unit_test(publish__time__refresh_at_its_end_and_when_it_goes_back),
        cmocka_unit_test(publish__crossing__up_and_down),
        cmocka_unit_test(publish__brake_limits_kills__change),
        cmocka_unit_test(publish__stalled__told_once_a_second),
        cmocka_unit_test(publish__movement__told_only_above_the_threshold),
        cmocka_unit_test(feed__nothing_committed__from_the_beginning_and_told_once_fresh),
        cmocka_unit_test(feed__clock_of_another_machine__caught_up_ends_the_silence),
        cmocka_unit_test(feed__committed__rewinds_and_tells_nothing_before_it),
        cmocka_unit_test(feed__more_nodes_than_assumed__goes_further_back),
        cmocka_unit_test(feed__nobody_runs__once_is_enough),
        cmocka_unit_test(feed__far_more_nodes__bounded),
        cmocka_unit_test(feed__back_before_anybody_went_further__keeps_its_state),
        cmocka_unit_test(ledger__reports_out_of_order__offsets_in_order),
        cmocka_unit_test(ledger__full_forgotten_failed__as_promised),
        cmocka_unit_test(ledger__canceled__never_settled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
