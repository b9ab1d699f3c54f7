/* The life of one execution, input by input. */
#include "tests/queue/world.h"

static struct world w;

static int open_world(void **state)
{
    (void)state;
    world_open(&w);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    world_close(&w);
    return 0;
}

/* A node and one request of 64 MiB on it, offered. */
static struct sent offered(void)
{
    struct msg_node_status node = world_node(&w, "a");
    struct msg_execution_request request = world_request(1);
    world_hear(&w, &node);
    world_submit(&w, &request);
    world_work(&w);
    return *world_next(&w);
}

static struct msg_execution_state state_of(uint64_t number)
{
    struct msg_execution_state state;
    assert_true(world_state(&w, number, &state));
    return state;
}

static void submit__node_with_room__offered_accepted_finished(void **unused)
{
    (void)unused;
    struct sent sent = offered();
    assert_int_equal(sent.action, MSG_ACTION_RUN);
    assert_string_equal(sent.node, "a");
    assert_int_equal(sent.attempt, 1);
    assert_int_equal(sent.placement, 1);
    assert_int_equal(sent.limits.memory_bytes, 64 * MIB);
    assert_int_equal(sent.expires_us, w.at.now_us + 10 * SECOND);
    assert_int_equal(sent.revision, 0);
    assert_int_equal(sent.arm, MSG_ARM_TREATED);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_PLACED);
    world_accept(&w, &sent);
    world_work(&w);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_RUNNING);
    assert_int_equal(state_of(1).first_started_us, w.at.now_us);
    world_pass(&w, SECOND);
    world_end(&w, &sent, MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE);
    world_work(&w);
    struct msg_execution_state state = state_of(1);
    assert_int_equal(state.phase, MSG_EXECUTION_PHASE_DONE);
    assert_int_equal(state.outcome, MSG_OUTCOME_FINISHED);
    assert_int_equal(state.exit_status, 0);
    assert_int_equal(state.memory_peak_bytes, 10 * MIB);
    assert_false(world_more(&w));
    assert_int_equal(ledger_live(w.ledger), 0);
}

static void submit__no_node__waits_and_starts_when_one_comes(void **unused)
{
    (void)unused;
    struct msg_execution_request request = world_request(1);
    world_submit(&w, &request);
    world_run(&w, 60 * SECOND);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_WAITING);
    struct msg_node_status node = world_node(&w, "a");
    world_hear(&w, &node);
    world_work(&w);
    assert_string_equal(world_next(&w)->node, "a");
    assert_int_equal(w.last_wait_us, 60 * SECOND);
}

static void submit__same_id_again__run_once(void **unused)
{
    (void)unused;
    struct sent sent = offered();
    struct msg_execution_request request = world_request(1);
    world_submit(&w, &request);
    world_work(&w);
    assert_false(world_more(&w));
    world_end(&w, &sent, MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE);
    world_work(&w);
    world_submit(&w, &request);
    world_work(&w);
    assert_false(world_more(&w));
    assert_int_equal(w.counts.of[COUNT_DUPLICATES], 2);
    world_restart(&w);
    world_submit(&w, &request);
    world_work(&w);
    assert_int_equal(w.counts.of[COUNT_DUPLICATES], 3);
}

static void done__after_a_day__forgotten_with_a_tombstone(void **unused)
{
    (void)unused;
    struct sent sent = offered();
    world_end(&w, &sent, MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE);
    world_work(&w);
    world_pass(&w, 86400 * SECOND - 10 * SECOND);
    world_work(&w);
    assert_int_equal(w.forgotten, 0);
    world_restart(&w); /* what was done stays known */
    assert_int_equal(ledger_count(w.ledger, MSG_EXECUTION_PHASE_DONE), 1);
    world_pass(&w, 11 * SECOND);
    world_work(&w);
    assert_int_equal(w.forgotten, 1);
    assert_int_equal(ledger_count(w.ledger, MSG_EXECUTION_PHASE_DONE), 0);
}

static void done__more_than_remembered__oldest_forgotten_early(void **unused)
{
    (void)unused;
    w.config.max_done = 2;
    for (uint64_t i = 1; i <= 4; i++) {
        struct msg_execution_request request = world_request(i);
        world_submit(&w, &request);
        world_cancel(&w, i);
        world_work(&w);
        world_pass(&w, SECOND);
    }
    world_pass(&w, 2 * SECOND);
    world_work(&w);
    assert_int_equal(w.counts.of[COUNT_EVICTED], 2);
    struct msg_execution_state state;
    assert_false(world_state(&w, 1, &state));
    assert_true(world_state(&w, 4, &state));
}

static void invalid__every_fault__ended_with_the_reason_and_refused(void **unused)
{
    (void)unused;
    struct msg_execution_request requests[5];
    const char *fault = NULL;
    for (uint64_t i = 0; i < FS_COUNT(requests); i++)
        requests[i] = world_request(i + 1);
    requests[0].argv.count = 0;
    requests[1].code = str_of("a code with spaces");
    requests[2].max_attempts = 0;
    requests[3].priority = 1001;
    requests[4].limits.memory_bytes = -1;
    for (uint64_t i = 0; i < FS_COUNT(requests); i++) {
        assert_int_equal(ledger_request(w.ledger, &requests[i], w.at, &fault), -22);
        assert_non_null(fault);
        struct msg_execution_state state = state_of(i + 1);
        assert_int_equal(state.phase, MSG_EXECUTION_PHASE_DONE);
        assert_int_equal(state.outcome, MSG_OUTCOME_NONE);
        assert_int_equal(state.cause, MSG_CAUSE_OTHER);
        assert_true(str_equal(state.reason, str_of(fault)));
    }
    assert_int_equal(w.counts.of[COUNT_INVALID], 5);
    world_submit(&w, &requests[0]); /* known by now */
    assert_int_equal(w.counts.of[COUNT_DUPLICATES], 1);
}

static void invalid__larger_than_taken__ended(void **unused)
{
    (void)unused;
    static char argument[300 << 10];
    struct str argv[] = {{"/bin/true", 9}, {argument, sizeof argument}};
    struct msg_execution_request request = world_request(1);
    const char *fault = NULL;
    memset(argument, 'x', sizeof argument);
    request.argv = (struct msg_str_array){argv, 2};
    assert_int_equal(ledger_request(w.ledger, &request, w.at, &fault), -22);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_DONE);
    assert_int_equal(ledger_live(w.ledger), 0);
    assert_int_equal(ledger_request_bytes(w.ledger), 0);
}

/* --- answers that do not come, or late --- */

static void placed__unanswered__same_number_again_until_answered(void **unused)
{
    (void)unused;
    struct sent sent = offered();
    size_t again = 0;
    for (int i = 0; i < 9; i++) {
        world_run(&w, SECOND);
        struct msg_node_status node = world_node(&w, "a");
        world_hear(&w, &node);
        while (world_more(&w)) {
            const struct sent *repeated = world_next(&w);
            assert_int_equal(repeated->placement, sent.placement);
            assert_int_equal(repeated->expires_us, sent.expires_us);
            assert_int_equal(repeated->attempt, 1);
            again++;
        }
    }
    assert_in_range(again, 2, 4);
    world_accept(&w, &sent);
    world_run(&w, 4 * SECOND);
    assert_false(world_more(&w));
}

static void placed__node_silent__nothing_sent_until_it_is_heard(void **unused)
{
    (void)unused;
    (void)offered();
    world_run(&w, 8 * SECOND);
    while (world_more(&w))
        (void)world_next(&w);
    world_run(&w, 60 * SECOND);
    assert_false(world_more(&w));
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_PLACED); /* and not offered to anybody else */
    struct msg_node_status node = world_node(&w, "a"), other = world_node(&w, "b");
    world_hear(&w, &node);
    world_hear(&w, &other);
    world_work(&w);
    assert_string_equal(world_next(&w)->node, "a");
}

static void refused__expired__offered_elsewhere_under_the_next_number(void **unused)
{
    (void)unused;
    struct sent sent = offered();
    world_pass(&w, 11 * SECOND);
    struct msg_node_status node = world_node(&w, "b");
    world_hear(&w, &node);
    struct msg_execution_event refusal = world_answer(&w, &sent, MSG_EVENT_KIND_REFUSED);
    refusal.reason = str_of("expired 1000 ms ago");
    world_tell(&w, &refusal);
    world_work(&w);
    const struct sent *second = world_next(&w);
    while (second->placement == 1)
        second = world_next(&w);
    assert_string_equal(second->node, "b");
    assert_int_equal(second->placement, 2);
    assert_int_equal(second->attempt, 1);
    world_tell(&w, &refusal); /* twice: it is about an old number */
    world_work(&w);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_PLACED);
}

static void refused__by_another_incarnation__says_nothing(void **unused)
{
    (void)unused;
    struct sent sent = offered();
    struct msg_execution_event refusal = world_answer(&w, &sent, MSG_EVENT_KIND_REFUSED);
    memset(refusal.incarnation, 9, 16);
    world_tell(&w, &refusal);
    world_work(&w);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_PLACED);
    assert_int_equal(w.counts.of[COUNT_EVENTS_STALE], 1);
    world_accept(&w, &sent);
    world_work(&w);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_RUNNING);
}

static void refused__no_room__node_gets_nothing_until_its_next_status(void **unused)
{
    (void)unused;
    struct sent sent = offered();
    struct msg_execution_event refusal = world_answer(&w, &sent, MSG_EVENT_KIND_REFUSED);
    refusal.short_of = MSG_CAUSE_MEMORY;
    world_tell(&w, &refusal);
    world_run(&w, SECOND);
    assert_false(world_more(&w));
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_WAITING);
    struct msg_node_status node = world_node(&w, "a");
    world_hear(&w, &node);
    world_work(&w);
    assert_int_equal(world_next(&w)->placement, 2);
}

static void refused__for_a_fault_again_and_again__ended_in_the_end(void **unused)
{
    (void)unused;
    struct sent sent = offered();
    int64_t began_us = w.at.now_us;
    for (int i = 1; i < 50; i++) {
        struct msg_execution_event refusal = world_answer(&w, &sent, MSG_EVENT_KIND_REFUSED);
        refusal.reason = str_of("cannot make its cgroup");
        world_tell(&w, &refusal);
        while (!world_more(&w)) {
            struct msg_node_status node = world_node(&w, "a");
            world_hear(&w, &node);
            world_run(&w, SECOND);
        }
        sent = *world_next(&w);
    }
    assert_true(w.at.now_us - began_us > 300 * SECOND); /* with ever longer waits */
    struct msg_execution_event refusal = world_answer(&w, &sent, MSG_EVENT_KIND_REFUSED);
    refusal.reason = str_of("cannot make its cgroup");
    world_tell(&w, &refusal);
    world_work(&w);
    struct msg_execution_state state = state_of(1);
    assert_int_equal(state.phase, MSG_EXECUTION_PHASE_DONE);
    assert_int_equal(state.outcome, MSG_OUTCOME_NONE);
    assert_non_null(memmem(state.reason.data, state.reason.size, "cgroup", 6));
}

static void finished__before_accepted__done(void **unused)
{
    (void)unused;
    struct sent sent = offered();
    world_end(&w, &sent, MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE);
    world_accept(&w, &sent);
    world_work(&w);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_DONE);
    assert_int_equal(w.counts.of[COUNT_DONE_FINISHED], 1);
}

/* --- failures and verdicts --- */

static void failed__verdict_with_more__again_with_it_after_the_back_off(void **unused)
{
    (void)unused;
    struct sent sent = offered();
    world_accept(&w, &sent);
    world_end(&w, &sent, MSG_OUTCOME_OOM_KILLED, MSG_CAUSE_MEMORY);
    world_work(&w);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_JUDGED);
    struct msg_verdict verdict = world_verdict(&sent, MSG_CAUSE_MEMORY, true, 96 * MIB);
    world_judge(&w, &verdict);
    world_judge(&w, &verdict); /* and once more: counted once */
    world_work(&w);
    struct msg_execution_state state = state_of(1);
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
    struct sent sent = offered();
    world_accept(&w, &sent);
    struct msg_verdict verdict = world_verdict(&sent, MSG_CAUSE_MEMORY, true, 96 * MIB);
    world_judge(&w, &verdict);
    world_judge(&w, &verdict);
    world_work(&w);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_RUNNING);
    assert_true(state_of(1).has_verdict);
    world_restart(&w);
    world_end(&w, &sent, MSG_OUTCOME_OOM_KILLED, MSG_CAUSE_MEMORY);
    world_work(&w);
    struct msg_execution_state state = state_of(1);
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
    struct sent sent = offered();
    world_accept(&w, &sent);
    struct msg_verdict verdict = world_verdict(&sent, MSG_CAUSE_MEMORY, false, 0);
    verdict.dead_lettered = true;
    world_judge(&w, &verdict);
    world_run(&w, 12 * SECOND);
    struct msg_execution_state state = state_of(1);
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
    struct sent sent = offered();
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
    struct sent sent = offered();
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
    struct sent sent = offered();
    world_accept(&w, &sent);
    world_end(&w, &sent, MSG_OUTCOME_OOM_KILLED, MSG_CAUSE_MEMORY);
    world_run(&w, 11 * SECOND);
    struct msg_execution_state state = state_of(1);
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
        struct msg_verdict verdict = world_verdict(&sent, MSG_CAUSE_MEMORY, true, 100 * attempt * MIB);
        world_judge(&w, &verdict);
        world_work(&w);
    }
    struct msg_execution_state state = state_of(1);
    assert_int_equal(state.phase, MSG_EXECUTION_PHASE_DONE);
    assert_int_equal(state.outcome, MSG_OUTCOME_OOM_KILLED);
    assert_int_equal(state.attempt, 3);
    assert_int_equal(w.counts.of[COUNT_RETRIES], 2);
}

static void failed__cause_other__not_again_unless_asked_for(void **unused)
{
    (void)unused;
    struct sent sent = offered();
    world_accept(&w, &sent);
    world_end(&w, &sent, MSG_OUTCOME_CRASHED, MSG_CAUSE_OTHER);
    world_work(&w);
    assert_int_equal(state_of(1).outcome, MSG_OUTCOME_CRASHED);
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
    struct sent sent = offered();
    world_accept(&w, &sent);
    world_end(&w, &sent, MSG_OUTCOME_KILLED, MSG_CAUSE_NONE); /* its agent lost contact, or was stopped */
    world_run(&w, SECOND);
    assert_int_equal(world_next(&w)->attempt, 2);
}

/* --- cancelling --- */

static void cancel__waiting__done_at_once(void **unused)
{
    (void)unused;
    struct msg_execution_request request = world_request(1);
    world_submit(&w, &request);
    world_cancel(&w, 1);
    world_work(&w);
    struct msg_execution_state state = state_of(1);
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
    struct sent sent = offered();
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
    struct msg_execution_state state = state_of(1);
    assert_int_equal(state.phase, MSG_EXECUTION_PHASE_DONE);
    assert_int_equal(state.outcome, MSG_OUTCOME_KILLED);
}

static void cancel__running_with_a_restart__asked_again_until_it_ends(void **unused)
{
    (void)unused;
    struct sent sent = offered();
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
    assert_int_equal(state_of(1).outcome, MSG_OUTCOME_KILLED);
}

static void cancel__running_that_fails_first__not_again(void **unused)
{
    (void)unused;
    struct sent sent = offered();
    world_accept(&w, &sent);
    world_cancel(&w, 1);
    world_end(&w, &sent, MSG_OUTCOME_OOM_KILLED, MSG_CAUSE_MEMORY);
    world_work(&w);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_DONE);
    assert_int_equal(state_of(1).outcome, MSG_OUTCOME_OOM_KILLED);
}

static void cancel__judged_or_in_back_off__done_at_once(void **unused)
{
    (void)unused;
    struct sent sent = offered();
    world_accept(&w, &sent);
    world_end(&w, &sent, MSG_OUTCOME_OOM_KILLED, MSG_CAUSE_MEMORY);
    world_cancel(&w, 1);
    world_work(&w);
    assert_int_equal(state_of(1).outcome, MSG_OUTCOME_KILLED);
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
    assert_int_equal(state_of(2).outcome, MSG_OUTCOME_KILLED);
    assert_false(world_more(&w));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(submit__node_with_room__offered_accepted_finished),
        TEST(submit__no_node__waits_and_starts_when_one_comes),
        TEST(submit__same_id_again__run_once),
        TEST(done__after_a_day__forgotten_with_a_tombstone),
        TEST(done__more_than_remembered__oldest_forgotten_early),
        TEST(invalid__every_fault__ended_with_the_reason_and_refused),
        TEST(invalid__larger_than_taken__ended),
        TEST(placed__unanswered__same_number_again_until_answered),
        TEST(placed__node_silent__nothing_sent_until_it_is_heard),
        TEST(refused__expired__offered_elsewhere_under_the_next_number),
        TEST(refused__by_another_incarnation__says_nothing),
        TEST(refused__no_room__node_gets_nothing_until_its_next_status),
        TEST(refused__for_a_fault_again_and_again__ended_in_the_end),
        TEST(finished__before_accepted__done),
        TEST(failed__verdict_with_more__again_with_it_after_the_back_off),
        TEST(failed__verdict_before_the_event_and_a_restart__kept),
        TEST(failed__verdict_and_no_event__ended_by_the_verdict),
        TEST(failed__no_verdict__half_as_much_again_after_ten_seconds),
        TEST(failed__no_verdict_and_blind_meanwhile__waits_for_what_it_could_not_see),
        TEST(failed__no_verdict_at_the_ceiling__ended),
        TEST(failed__attempts_used_up__ended_with_the_last_failure),
        TEST(failed__cause_other__not_again_unless_asked_for),
        TEST(killed__nobody_asked__again),
        TEST(cancel__waiting__done_at_once),
        TEST(cancel__placed__asked_of_the_node_and_done_when_it_answers),
        TEST(cancel__running_with_a_restart__asked_again_until_it_ends),
        TEST(cancel__running_that_fails_first__not_again),
        TEST(cancel__judged_or_in_back_off__done_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
