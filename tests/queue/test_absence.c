/* Nodes that fall silent, come back, come back as somebody else, and what becomes of their attempts. */
#include "tests/queue/world.h"

#include <string.h>

static struct sent first; /* the attempt that runs on node a */

static int64_t clock_off_us; /* of the nodes */

static struct msg_node_status hear(const char *name, unsigned char incarnation, const char *boot_id,
                                   const struct sent *running)
{
    static struct msg_running_attempt entry;
    struct msg_node_status node = world_node(&w, name);
    if (incarnation)
        memset(node.incarnation, incarnation, sizeof node.incarnation);
    node.boot_id = str_of(boot_id);
    node.time_us += clock_off_us;
    if (running) {
        entry = (struct msg_running_attempt){.attempt = running->attempt,
                                             .placement = running->placement,
                                             .code = str_of(running->code),
                                             .limits = running->limits};
        memcpy(entry.execution, running->execution, 16);
        node.running = (struct msg_running_attempt_array){&entry, 1};
        node.committed = running->limits;
    }
    world_hear(&w, &node);
    return node;
}

static int open_world(void **state)
{
    (void)state;
    world_open(&w);
    clock_off_us = 0;
    w.config.lost_us = 100 * SECOND;
    hear("a", 1, "boot-1", NULL);
    struct msg_execution_request request = world_request(1);
    request.max_attempts = 2;
    world_submit(&w, &request);
    world_work(&w);
    first = *world_next(&w);
    world_accept(&w, &first);
    world_work(&w);
    hear("a", 1, "boot-1", &first);
    return 0;
}

static int32_t attempt_now(void)
{
    struct msg_execution_state state;
    assert_true(world_state(&w, 1, &state));
    return state.attempt;
}

static void skip_sent(void)
{
    while (world_more(&w))
        (void)world_next(&w);
}

static void silent__less_than_lease_and_margin__not_lost(void **unused)
{
    (void)unused;
    world_run(&w, 99 * SECOND);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_RUNNING);
    hear("a", 1, "boot-1", &first); /* back in time */
    world_run(&w, 99 * SECOND);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_RUNNING);
    assert_int_equal(attempt_now(), 1);
}

static void silent__not_at_all_but_its_clock_was_set_back__not_lost(void **unused)
{
    (void)unused;
    clock_off_us = -600 * SECOND;
    for (int i = 0; i < 150; i++) {
        hear("a", 1, "boot-1", &first);
        world_run(&w, SECOND);
    }
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_RUNNING);
    assert_int_equal(attempt_now(), 1);
}

static void silent__lease_and_margin__lost_and_tried_again_elsewhere(void **unused)
{
    (void)unused;
    world_run(&w, 102 * SECOND);
    assert_int_equal(attempt_now(), 2);
    assert_int_equal(w.counts.of[COUNT_LOST], 1);
    hear("b", 2, "boot-1", NULL);
    world_run(&w, SECOND);
    const struct sent *second = world_next(&w);
    assert_string_equal(second->node, "b");
    assert_int_equal(second->attempt, 2);
    assert_int_equal(second->placement, 2);
    struct msg_execution_event late = world_answer(&w, &first, MSG_EVENT_KIND_FINISHED);
    late.outcome = MSG_OUTCOME_FINISHED;
    world_tell(&w, &late); /* from the cut-off node, when it is back: about an attempt that is over */
    world_work(&w);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_PLACED);
    assert_int_equal(w.counts.of[COUNT_EVENTS_STALE], 1);
}

static void silent__queue_itself_saw_nothing__that_time_does_not_count(void **unused)
{
    (void)unused;
    for (int i = 0; i < 50; i++) {
        w.at.now_us += 3600 * SECOND; /* paused, or the broker away */
        world_run(&w, SECOND);
    }
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_RUNNING);
    world_restart(&w);
    world_run(&w, 99 * SECOND); /* 50 + 99 s altogether, but not after the restart */
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_RUNNING);
    world_run(&w, 3 * SECOND);
    assert_int_equal(attempt_now(), 2);
}

static void silent__last_attempt__ended_as_lost(void **unused)
{
    (void)unused;
    struct msg_execution_state state;
    world_run(&w, 102 * SECOND);
    hear("b", 2, "boot-1", NULL);
    world_run(&w, SECOND);
    struct sent second = *world_next(&w);
    world_accept(&w, &second);
    world_run(&w, 102 * SECOND);
    assert_true(world_state(&w, 1, &state));
    assert_int_equal(state.phase, MSG_EXECUTION_PHASE_DONE);
    assert_int_equal(state.outcome, MSG_OUTCOME_LOST);
    assert_int_equal(state.attempt, 2);
    assert_non_null(memmem(state.reason.data, state.reason.size, "lost on b", 9));
}

static void alive__but_the_attempt_is_not_listed__lost_after_the_same_time(void **unused)
{
    (void)unused;
    for (int i = 0; i < 99; i++) {
        hear("a", 1, "boot-1", NULL);
        world_run(&w, SECOND);
    }
    assert_int_equal(world_phase(&w, 1),
                     MSG_EXECUTION_PHASE_RUNNING); /* its FINISHED event may be on the way */
    for (int i = 0; i < 4; i++) {
        hear("a", 1, "boot-1", NULL);
        world_run(&w, SECOND);
    }
    assert_int_equal(attempt_now(), 2);
}

static void back__other_boot__lost_once_it_had_time_to_tell(void **unused)
{
    (void)unused;
    world_run(&w, 20 * SECOND);
    hear("a", 1, "boot-2", NULL);
    world_run(&w, 2 * SECOND);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_RUNNING);
    world_run(&w, 2 * SECOND);
    assert_int_equal(attempt_now(), 2);
}

static void back__other_boot_and_its_event_comes__the_event_decides(void **unused)
{
    (void)unused;
    struct msg_execution_state state;
    hear("a", 1, "boot-2", NULL);
    world_run(&w, SECOND);
    world_end(&w, &first, MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE); /* it had finished before the reboot */
    world_run(&w, 10 * SECOND);
    assert_true(world_state(&w, 1, &state));
    assert_int_equal(state.outcome, MSG_OUTCOME_FINISHED);
    assert_int_equal(state.attempt, 1);
}

static void back__other_incarnation__lost_once_the_first_is_silent(void **unused)
{
    (void)unused;
    for (int i = 0; i < 9; i++) {
        hear("a", 7, "boot-1", NULL);
        world_run(&w, SECOND);
    }
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_RUNNING);
    for (int i = 0; i < 3; i++) {
        hear("a", 7, "boot-1", NULL);
        world_run(&w, SECOND);
    }
    assert_int_equal(attempt_now(), 2);
    assert_int_equal(w.counts.of[COUNT_TAKEOVERS], 1);
    world_run(&w, SECOND);
    unsigned char seven[16];
    memset(seven, 7, sizeof seven);
    assert_memory_equal(world_next(&w)->incarnation, seven, 16); /* the new one is used from now on */
}

static void two_incarnations__both_alive__only_the_first_gets_work_and_nothing_is_lost(void **unused)
{
    (void)unused;
    unsigned char one[16];
    memset(one, 1, sizeof one);
    for (uint64_t i = 10; i < 200; i++) {
        hear("a", 1, "boot-1", &first);
        hear("a", 7, "boot-9", NULL);
        world_run(&w, SECOND);
        if (i % 20 == 0) {
            struct msg_execution_request request = world_request(i);
            world_submit(&w, &request);
            world_work(&w);
        }
        while (world_more(&w)) {
            struct sent sent = *world_next(&w);
            assert_memory_equal(sent.incarnation, one, 16);
            world_accept(&w, &sent);
            world_end(&w, &sent, MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE);
        }
    }
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_RUNNING);
    assert_int_equal(w.counts.of[COUNT_LOST], 0);
    assert_int_equal(w.counts.of[COUNT_TAKEOVERS], 0);
    assert_int_equal(w.counts.of[COUNT_DONE_FINISHED], 9);
}

static void placed__node_gone_before_it_answered__counts_as_run(void **unused)
{
    (void)unused;
    struct msg_execution_request request = world_request(2);
    world_submit(&w, &request);
    world_work(&w);
    struct sent offer = *world_next(&w);
    world_run(&w, 50 * SECOND);
    hear("b", 2, "boot-1", NULL);
    world_run(&w, SECOND);
    assert_int_equal(world_phase(&w, 2), MSG_EXECUTION_PHASE_PLACED); /* nobody knows whether it ran */
    world_run(&w, 51 * SECOND);
    skip_sent();
    hear("b", 2, "boot-1", NULL);
    world_run(&w, 2 * SECOND);
    struct msg_execution_state state;
    assert_true(world_state(&w, 2, &state));
    assert_int_equal(state.attempt, 2);
    assert_true(state.placement > offer.placement);
}

static void placed__node_rebooted__its_answer_is_awaited(void **unused)
{
    (void)unused;
    struct msg_execution_request request = world_request(2);
    world_submit(&w, &request);
    world_work(&w);
    struct sent offer = *world_next(&w);
    for (int i = 0; i < 12; i++) { /* its journal is on disk: it will say whether it had accepted */
        hear("a", 1, "boot-2", NULL);
        world_run(&w, SECOND);
    }
    assert_int_equal(world_phase(&w, 2), MSG_EXECUTION_PHASE_PLACED);
    struct msg_execution_event refusal = world_answer(&w, &offer, MSG_EVENT_KIND_REFUSED);
    world_tell(&w, &refusal);
    skip_sent();
    hear("a", 1, "boot-2", NULL);
    world_run(&w, SECOND);
    struct msg_execution_state state;
    assert_true(world_state(&w, 2, &state));
    assert_int_equal(state.attempt, 1); /* it never ran */
    assert_int_equal(state.placement, 2);
}

static void stray__given_up_but_running__ended(void **unused)
{
    (void)unused;
    world_run(&w, 102 * SECOND);
    hear("b", 2, "boot-1", NULL);
    world_run(&w, SECOND);
    struct sent second = *world_next(&w);
    world_accept(&w, &second);
    hear("a", 1, "boot-1", &first); /* it was only cut off, and its clock had stood still */
    world_work(&w);
    const struct sent *cancel = world_next(&w);
    assert_int_equal(cancel->action, MSG_ACTION_CANCEL);
    assert_string_equal(cancel->node, "a");
    assert_int_equal(cancel->attempt, 1);
    assert_int_equal(w.counts.of[COUNT_STRAYS], 1);
    hear("a", 1, "boot-1", &first);
    world_work(&w);
    assert_false(world_more(&w)); /* not at every status */
    world_end(&w, &second, MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE);
    world_run(&w, 6 * SECOND);
    hear("a", 1, "boot-1", &first);
    world_work(&w);
    assert_int_equal(world_next(&w)->action, MSG_ACTION_CANCEL); /* also when the execution is done by now */
}

static void stray__newer_attempt_on_the_same_node__only_the_old_one_ended(void **unused)
{
    (void)unused;
    world_run(&w, 102 * SECOND);
    hear("a", 1, "boot-1", NULL);
    world_run(&w, SECOND);
    struct sent second = *world_next(&w);
    assert_string_equal(second.node, "a");
    world_accept(&w, &second);
    hear("a", 1, "boot-1", &first);
    world_work(&w);
    const struct sent *cancel = world_next(&w);
    assert_int_equal(cancel->action, MSG_ACTION_CANCEL);
    assert_int_equal(cancel->attempt, 1);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_RUNNING);
}

static void status__lists_the_offered_attempt__as_good_as_an_answer(void **unused)
{
    (void)unused;
    struct msg_execution_request request = world_request(2);
    world_submit(&w, &request);
    world_work(&w);
    struct sent offer = *world_next(&w);
    hear("a", 1, "boot-1", &offer);
    world_work(&w);
    assert_int_equal(world_phase(&w, 2), MSG_EXECUTION_PHASE_RUNNING);
}

static void status__more_nodes_than_taken__counted_and_without_work(void **unused)
{
    (void)unused;
    w.config.max_nodes = 2;
    hear("b", 2, "boot-1", NULL);
    hear("c", 3, "boot-1", NULL);
    assert_int_equal(ledger_node_count(w.ledger), 2);
    assert_int_equal(w.counts.of[COUNT_NODES_REFUSED], 1);
    world_end(&w, &first, MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE);
    world_work(&w);
    world_run(&w, 105 * SECOND); /* the silent ones without work are forgotten */
    assert_int_equal(ledger_node_count(w.ledger), 0);
    hear("c", 3, "boot-1", NULL);
    assert_int_equal(ledger_node_count(w.ledger), 1);
}

static void status__absurd__refused_with_the_reason(void **unused)
{
    (void)unused;
    const char *fault = NULL;
    struct msg_node_status node = world_node(&w, "x");
    node.capacity.memory_bytes = -5;
    assert_int_equal(ledger_status(w.ledger, &node, w.at.now_us, w.at, &fault), -22);
    assert_non_null(fault);
    node = world_node(&w, "");
    assert_int_equal(ledger_status(w.ledger, &node, w.at.now_us, w.at, &fault), -22);
    node = world_node(&w, "x");
    node.pool = str_of("no pool");
    assert_int_equal(ledger_status(w.ledger, &node, w.at.now_us, w.at, &fault), -22);
    assert_int_equal(ledger_node_count(w.ledger), 1);
}

static void cancel__node_lost__done(void **unused)
{
    (void)unused;
    struct msg_execution_state state;
    world_cancel(&w, 1);
    world_run(&w, 102 * SECOND);
    assert_true(world_state(&w, 1, &state));
    assert_int_equal(state.phase, MSG_EXECUTION_PHASE_DONE);
    assert_int_equal(state.outcome, MSG_OUTCOME_LOST);
    assert_int_equal(state.attempt, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(silent__less_than_lease_and_margin__not_lost),
        TEST(silent__not_at_all_but_its_clock_was_set_back__not_lost),
        TEST(silent__lease_and_margin__lost_and_tried_again_elsewhere),
        TEST(silent__queue_itself_saw_nothing__that_time_does_not_count),
        TEST(silent__last_attempt__ended_as_lost),
        TEST(alive__but_the_attempt_is_not_listed__lost_after_the_same_time),
        TEST(back__other_boot__lost_once_it_had_time_to_tell),
        TEST(back__other_boot_and_its_event_comes__the_event_decides),
        TEST(back__other_incarnation__lost_once_the_first_is_silent),
        TEST(two_incarnations__both_alive__only_the_first_gets_work_and_nothing_is_lost),
        TEST(placed__node_gone_before_it_answered__counts_as_run),
        TEST(placed__node_rebooted__its_answer_is_awaited),
        TEST(stray__given_up_but_running__ended),
        TEST(stray__newer_attempt_on_the_same_node__only_the_old_one_ended),
        TEST(status__lists_the_offered_attempt__as_good_as_an_answer),
        TEST(status__more_nodes_than_taken__counted_and_without_work),
        TEST(status__absurd__refused_with_the_reason),
        TEST(cancel__node_lost__done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
