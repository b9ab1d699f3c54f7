/* Cancelling, in every phase. */
#include "tests/queue/world.h"

static void cancel__waiting__done_at_once(void **unused)
{
    (void)unused;
    struct msg_execution_request request = world_request(1);
    world_submit(&w, &request);
    world_cancel(&w, 1);
    world_work(&w);
    struct msg_execution_state state = world_state_of(&w, 1);
    assert_int_equal(state.phase, MSG_EXECUTION_PHASE_DONE);
    assert_int_equal(state.outcome, MSG_OUTCOME_KILLED);
    world_cancel(&w, 1);
    world_cancel(&w, 99);
    assert_int_equal(w.counts.of[COUNT_CANCELS_IDLE], 2);
    assert_false(world_more(&w));
}

static void cancel__placed__asked_of_the_node_and_done_when_it_answers(void **unused)
{
    (void)unused;
    struct sent sent = world_offered(&w);
    world_cancel(&w, 1);
    world_work(&w);
    const struct sent *cancel = world_next(&w);
    assert_int_equal(cancel->action, MSG_ACTION_CANCEL);
    assert_int_equal(cancel->placement, sent.placement);
    assert_memory_equal(cancel->incarnation, sent.incarnation, 16);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_PLACED);
    struct msg_execution_event refusal = world_answer(&w, &sent, MSG_EVENT_KIND_REFUSED);
    refusal.reason = str_of("cancelled before it ran here");
    world_tell(&w, &refusal);
    world_work(&w);
    struct msg_execution_state state = world_state_of(&w, 1);
    assert_int_equal(state.phase, MSG_EXECUTION_PHASE_DONE);
    assert_int_equal(state.outcome, MSG_OUTCOME_KILLED);
}

static void cancel__running_with_a_restart__asked_again_until_it_ends(void **unused)
{
    (void)unused;
    struct sent sent = world_offered(&w);
    world_accept(&w, &sent);
    world_cancel(&w, 1);
    world_work(&w);
    assert_int_equal(world_next(&w)->action, MSG_ACTION_CANCEL);
    world_restart(&w);
    struct msg_node_status node = world_node(&w, "a");
    world_hear(&w, &node);
    world_run(&w, 2 * SECOND);
    assert_int_equal(world_next(&w)->action, MSG_ACTION_CANCEL);
    world_end(&w, &sent, MSG_OUTCOME_KILLED, MSG_CAUSE_NONE);
    world_work(&w);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_DONE);
    assert_int_equal(world_state_of(&w, 1).outcome, MSG_OUTCOME_KILLED);
}

static void cancel__running_that_fails_first__not_again(void **unused)
{
    (void)unused;
    struct sent sent = world_offered(&w);
    world_accept(&w, &sent);
    world_cancel(&w, 1);
    world_end(&w, &sent, MSG_OUTCOME_OOM_KILLED, MSG_CAUSE_MEMORY);
    world_work(&w);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_DONE);
    assert_int_equal(world_state_of(&w, 1).outcome, MSG_OUTCOME_OOM_KILLED);
}

static void cancel__judged_or_in_back_off__done_at_once(void **unused)
{
    (void)unused;
    struct sent sent = world_offered(&w);
    world_accept(&w, &sent);
    world_end(&w, &sent, MSG_OUTCOME_OOM_KILLED, MSG_CAUSE_MEMORY);
    world_cancel(&w, 1);
    world_work(&w);
    assert_int_equal(world_state_of(&w, 1).outcome, MSG_OUTCOME_KILLED);
    struct msg_execution_request request = world_request(2);
    world_submit(&w, &request);
    world_work(&w);
    assert_int_equal(world_number(world_next(&w)->execution), 2);
    sent = w.sent[w.sent_read - 1];
    world_end(&w, &sent, MSG_OUTCOME_OOM_KILLED, MSG_CAUSE_MEMORY);
    struct msg_verdict verdict = world_verdict(&sent, MSG_CAUSE_MEMORY, true, 96 * MIB);
    world_judge(&w, &verdict);
    world_cancel(&w, 2);
    world_run(&w, 2 * SECOND);
    assert_int_equal(world_state_of(&w, 2).outcome, MSG_OUTCOME_KILLED);
    assert_false(world_more(&w));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cancel__waiting__done_at_once),
        TEST(cancel__placed__asked_of_the_node_and_done_when_it_answers),
        TEST(cancel__running_with_a_restart__asked_again_until_it_ends),
        TEST(cancel__running_that_fails_first__not_again),
        TEST(cancel__judged_or_in_back_off__done_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
