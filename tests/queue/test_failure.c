/* What follows a failure: verdicts, attempts again, and the end of them. */
#include "tests/queue/world.h"

static void failed__verdict_with_more__again_with_it_after_the_back_off(void **unused)
{
    (void)unused;
    struct sent sent = world_offered(&w);
    world_accept(&w, &sent);
    world_end(&w, &sent, MSG_OUTCOME_OOM_KILLED, MSG_CAUSE_MEMORY);
    world_work(&w);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_JUDGED);
    struct msg_verdict verdict = world_verdict(&sent, MSG_CAUSE_MEMORY, true, 96 * MIB);
    world_judge(&w, &verdict);
    world_judge(&w, &verdict); /* and once more: counted once */
    world_work(&w);
    struct msg_execution_state state = world_state_of(&w, 1);
    assert_int_equal(state.phase, MSG_EXECUTION_PHASE_BACKOFF);
    assert_int_equal(state.attempt, 2);
    assert_int_equal(state.limits.memory_bytes, 96 * MIB);
    assert_int_equal(w.counts.of[COUNT_VERDICTS], 1);
    assert_int_equal(w.counts.of[COUNT_VERDICTS_IDLE], 1);
    assert_false(world_more(&w));
    world_run(&w, SECOND);
    const struct sent *second = world_next(&w);
    assert_int_equal(second->attempt, 2);
    assert_int_equal(second->placement, 2);
    assert_int_equal(second->limits.memory_bytes, 96 * MIB);
    assert_int_equal(second->raised, CAUSE_BIT(MSG_CAUSE_MEMORY));
    assert_int_equal(second->revision, 7);
}

static void failed__verdict_before_the_event_and_a_restart__kept(void **unused)
{
    (void)unused;
    struct sent sent = world_offered(&w);
    world_accept(&w, &sent);
    struct msg_verdict verdict = world_verdict(&sent, MSG_CAUSE_MEMORY, true, 96 * MIB);
    world_judge(&w, &verdict);
    world_judge(&w, &verdict);
    world_work(&w);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_RUNNING);
    assert_true(world_state_of(&w, 1).has_verdict);
    world_restart(&w);
    world_end(&w, &sent, MSG_OUTCOME_OOM_KILLED, MSG_CAUSE_MEMORY);
    world_work(&w);
    struct msg_execution_state state = world_state_of(&w, 1);
    assert_int_equal(state.phase, MSG_EXECUTION_PHASE_BACKOFF);
    assert_int_equal(state.limits.memory_bytes, 96 * MIB);
    assert_false(state.has_verdict);
    world_restart(&w);
    struct msg_node_status node = world_node(&w, "a");
    world_hear(&w, &node);
    world_run(&w, SECOND);
    const struct sent *second = world_next(&w);
    assert_int_equal(second->attempt, 2);
    assert_int_equal(second->limits.memory_bytes, 96 * MIB);
    assert_int_equal(second->raised, CAUSE_BIT(MSG_CAUSE_MEMORY));
}

static void failed__verdict_and_no_event__ended_by_the_verdict(void **unused)
{
    (void)unused;
    struct sent sent = world_offered(&w);
    world_accept(&w, &sent);
    struct msg_verdict verdict = world_verdict(&sent, MSG_CAUSE_MEMORY, false, 0);
    verdict.dead_lettered = true;
    world_judge(&w, &verdict);
    world_run(&w, 12 * SECOND);
    struct msg_execution_state state = world_state_of(&w, 1);
    assert_int_equal(state.phase, MSG_EXECUTION_PHASE_DONE);
    assert_int_equal(state.outcome, MSG_OUTCOME_OOM_KILLED);
    assert_true(state.dead_lettered);
    world_end(&w, &sent, MSG_OUTCOME_OOM_KILLED, MSG_CAUSE_MEMORY); /* after all */
    world_work(&w);
    assert_int_equal(w.counts.of[COUNT_DONE_FAILED], 1);
}

static void failed__no_verdict__half_as_much_again_after_ten_seconds(void **unused)
{
    (void)unused;
    struct sent sent = world_offered(&w);
    world_accept(&w, &sent);
    world_end(&w, &sent, MSG_OUTCOME_OOM_KILLED, MSG_CAUSE_MEMORY);
    world_run(&w, 9 * SECOND);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_JUDGED);
    world_run(&w, 2 * SECOND);
    struct msg_node_status node = world_node(&w, "a");
    world_hear(&w, &node);
    world_run(&w, SECOND);
    const struct sent *second = world_next(&w);
    assert_int_equal(second->attempt, 2);
    assert_int_equal(second->limits.memory_bytes, 96 * MIB);
    struct msg_verdict verdict = world_verdict(&sent, MSG_CAUSE_MEMORY, true, 900 * MIB);
    world_judge(&w, &verdict); /* too late */
    world_work(&w);
    assert_int_equal(w.counts.of[COUNT_VERDICTS_IDLE], 1);
    assert_int_equal(w.counts.of[COUNT_NO_VERDICT], 1);
    assert_false(world_more(&w));
}

static void failed__no_verdict_and_blind_meanwhile__waits_for_what_it_could_not_see(void **unused)
{
    (void)unused;
    struct sent sent = world_offered(&w);
    world_accept(&w, &sent);
    world_end(&w, &sent, MSG_OUTCOME_OOM_KILLED, MSG_CAUSE_MEMORY);
    w.at.now_us += 3600 * SECOND; /* nothing was seen in this time */
    world_run(&w, 9 * SECOND);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_JUDGED);
}

static void failed__no_verdict_at_the_ceiling__ended(void **unused)
{
    (void)unused;
    struct allocation allocation = {.exists = true,
                                    .revision = 3,
                                    .limits = {.memory_bytes = 64 * MIB},
                                    .ceiling = {.memory_bytes = 64 * MIB}};
    world_allocate(&w, "code", &allocation);
    struct sent sent = world_offered(&w);
    world_accept(&w, &sent);
    world_end(&w, &sent, MSG_OUTCOME_OOM_KILLED, MSG_CAUSE_MEMORY);
    world_run(&w, 11 * SECOND);
    struct msg_execution_state state = world_state_of(&w, 1);
    assert_int_equal(state.phase, MSG_EXECUTION_PHASE_DONE);
    assert_int_equal(state.outcome, MSG_OUTCOME_OOM_KILLED);
    assert_int_equal(state.attempt, 1);
}

static void failed__attempts_used_up__ended_with_the_last_failure(void **unused)
{
    (void)unused;
    struct msg_node_status node = world_node(&w, "a");
    struct msg_execution_request request = world_request(1);
    world_hear(&w, &node);
    world_submit(&w, &request);
    for (int attempt = 1; attempt <= 3; attempt++) {
        node = world_node(&w, "a");
        world_hear(&w, &node);
        world_run(&w, 2 * SECOND);
        struct sent sent = *world_next(&w);
        assert_int_equal(sent.attempt, attempt);
        world_accept(&w, &sent);
        world_end(&w, &sent, MSG_OUTCOME_OOM_KILLED, MSG_CAUSE_MEMORY);
        struct msg_verdict verdict = world_verdict(&sent, MSG_CAUSE_MEMORY, true, attempt * MIB * 100);
        world_judge(&w, &verdict);
        world_work(&w);
    }
    struct msg_execution_state state = world_state_of(&w, 1);
    assert_int_equal(state.phase, MSG_EXECUTION_PHASE_DONE);
    assert_int_equal(state.outcome, MSG_OUTCOME_OOM_KILLED);
    assert_int_equal(state.attempt, 3);
    assert_int_equal(w.counts.of[COUNT_RETRIES], 2);
}

static void failed__cause_other__not_again_unless_asked_for(void **unused)
{
    (void)unused;
    struct sent sent = world_offered(&w);
    world_accept(&w, &sent);
    world_end(&w, &sent, MSG_OUTCOME_CRASHED, MSG_CAUSE_OTHER);
    world_work(&w);
    assert_int_equal(world_state_of(&w, 1).outcome, MSG_OUTCOME_CRASHED);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_DONE);
    struct msg_execution_request request = world_request(2);
    request.retry_other = true;
    world_submit(&w, &request);
    world_work(&w);
    sent = *world_next(&w);
    world_end(&w, &sent, MSG_OUTCOME_CRASHED, MSG_CAUSE_OTHER);
    world_work(&w);
    assert_int_equal(world_phase(&w, 2), MSG_EXECUTION_PHASE_JUDGED);
    struct msg_verdict verdict = world_verdict(&sent, MSG_CAUSE_OTHER, true, 0);
    world_judge(&w, &verdict);
    world_run(&w, SECOND);
    const struct sent *second = world_next(&w);
    assert_int_equal(second->attempt, 2);
    assert_int_equal(second->raised, 0);
    assert_int_equal(second->limits.memory_bytes, 64 * MIB);
}

static void killed__nobody_asked__again(void **unused)
{
    (void)unused;
    struct sent sent = world_offered(&w);
    world_accept(&w, &sent);
    world_end(&w, &sent, MSG_OUTCOME_KILLED, MSG_CAUSE_NONE); /* its agent lost contact, or was stopped */
    world_run(&w, SECOND);
    assert_int_equal(world_next(&w)->attempt, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(failed__verdict_with_more__again_with_it_after_the_back_off),
        TEST(failed__verdict_before_the_event_and_a_restart__kept),
        TEST(failed__verdict_and_no_event__ended_by_the_verdict),
        TEST(failed__no_verdict__half_as_much_again_after_ten_seconds),
        TEST(failed__no_verdict_and_blind_meanwhile__waits_for_what_it_could_not_see),
        TEST(failed__no_verdict_at_the_ceiling__ended),
        TEST(failed__attempts_used_up__ended_with_the_last_failure),
        TEST(failed__cause_other__not_again_unless_asked_for),
        TEST(killed__nobody_asked__again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
