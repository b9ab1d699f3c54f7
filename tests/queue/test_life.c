/* The life of one execution, input by input: asked for, placed, refused, ended. */
#include "tests/queue/world.h"

static void submit__node_with_room__offered_accepted_finished(void **unused)
{
    (void)unused;
    struct sent sent = world_offered(&w);
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
    assert_int_equal(world_state_of(&w, 1).first_started_us, w.at.now_us);
    world_pass(&w, SECOND);
    world_end(&w, &sent, MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE);
    world_work(&w);
    struct msg_execution_state state = world_state_of(&w, 1);
    assert_int_equal(state.phase, MSG_EXECUTION_PHASE_DONE);
    assert_int_equal(state.outcome, MSG_OUTCOME_FINISHED);
    assert_int_equal(state.exit_status, 0);
    assert_int_equal(state.memory_peak_bytes, 10 * MIB);
    assert_false(world_more(&w));
    assert_int_equal(ledger_live(w.ledger), 0);
}

/* The agent may give more at once where nobody fixed anything, up to a ceiling, and not at all while that is
 * not known or to who is held out. */
static void submit__what_may_be_given_at_once__as_redis_says(void **unused)
{
    (void)unused;
    struct sent sent = world_offered(&w);
    assert_true(sent.memory_most_bytes == INT64_MAX);
    world_end(&w, &sent, MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE);
    world_work(&w);
    struct allocation allocation = {.exists = true, .revision = 1, .memory_most_bytes = 80 * MIB};
    struct msg_execution_request request = world_request(2);
    world_allocate(&w, "code", &allocation);
    world_submit(&w, &request);
    world_work(&w);
    sent = *world_next(&w);
    assert_int_equal(sent.memory_most_bytes, 80 * MIB);
    world_end(&w, &sent, MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE);
    world_work(&w);
    allocation.revision = 2;
    allocation.held_out_permille = 1000;
    request = world_request(3);
    world_allocate(&w, "code", &allocation);
    world_submit(&w, &request);
    world_work(&w);
    sent = *world_next(&w);
    assert_int_equal(sent.arm, MSG_ARM_HELD_OUT);
    assert_int_equal(sent.memory_most_bytes, 0);
}

static void submit__redis_never_reached__nothing_given_at_once(void **unused)
{
    (void)unused;
    w.redis_away = true;
    struct sent sent = world_offered(&w);
    assert_int_equal(sent.memory_most_bytes, 0);
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
    struct sent sent = world_offered(&w);
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
    struct sent sent = world_offered(&w);
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
        struct msg_execution_state state = world_state_of(&w, i + 1);
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
    struct sent sent = world_offered(&w);
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
    (void)world_offered(&w);
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
    struct sent sent = world_offered(&w);
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
    struct sent sent = world_offered(&w);
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
    struct sent sent = world_offered(&w);
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

/* Until node a, which is heard of each second, is offered request 1 again. */
static struct sent offered_again(void)
{
    while (!world_more(&w)) {
        struct msg_node_status node = world_node(&w, "a");
        world_hear(&w, &node);
        world_run(&w, SECOND);
    }
    return *world_next(&w);
}

/* It runs as many attempts as it takes, for hours. */
static void refused__full_in_another_way__waits_as_long_as_it_takes(void **unused)
{
    (void)unused;
    struct sent sent = world_offered(&w);
    int64_t began_us = w.at.now_us;
    for (int i = 0; i < 200; i++) {
        struct msg_execution_event refusal = world_answer(&w, &sent, MSG_EVENT_KIND_REFUSED);
        refusal.short_of = MSG_CAUSE_OTHER;
        world_tell(&w, &refusal);
        world_work(&w);
        assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_WAITING);
        sent = offered_again();
    }
    assert_true(w.at.now_us - began_us > 800 * SECOND); /* not all that wait, each second */
    world_accept(&w, &sent);
    world_work(&w);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_RUNNING);
}

/* The node's clock is so far ahead that every offer has expired when it comes. */
static void refused__expired_by_the_clock_of_the_node_alone__not_given_up(void **unused)
{
    (void)unused;
    struct sent sent = world_offered(&w);
    for (int i = 0; i < 100; i++) {
        struct msg_execution_event refusal = world_answer(&w, &sent, MSG_EVENT_KIND_REFUSED);
        refusal.time_us = sent.expires_us + SECOND;
        refusal.reason = str_of("expired 1000 ms ago");
        world_tell(&w, &refusal);
        sent = offered_again();
    }
    assert_int_equal(w.counts.of[COUNT_REFUSED_EARLY], 100);
    world_accept(&w, &sent);
    world_work(&w);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_RUNNING);
}

static void refused__for_a_fault_again_and_again__ended_in_the_end(void **unused)
{
    (void)unused;
    struct sent sent = world_offered(&w);
    int64_t began_us = w.at.now_us;
    for (int i = 1; i < 50; i++) {
        struct msg_execution_event refusal = world_answer(&w, &sent, MSG_EVENT_KIND_REFUSED);
        refusal.reason = str_of("cannot make its cgroup");
        world_tell(&w, &refusal);
        sent = offered_again();
    }
    assert_true(w.at.now_us - began_us > 300 * SECOND); /* with ever longer waits */
    struct msg_execution_event refusal = world_answer(&w, &sent, MSG_EVENT_KIND_REFUSED);
    refusal.reason = str_of("cannot make its cgroup");
    world_tell(&w, &refusal);
    world_work(&w);
    struct msg_execution_state state = world_state_of(&w, 1);
    assert_int_equal(state.phase, MSG_EXECUTION_PHASE_DONE);
    assert_int_equal(state.outcome, MSG_OUTCOME_NONE);
    assert_non_null(memmem(state.reason.data, state.reason.size, "cgroup", 6));
}

static void finished__before_accepted__done(void **unused)
{
    (void)unused;
    struct sent sent = world_offered(&w);
    world_end(&w, &sent, MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE);
    world_accept(&w, &sent);
    world_work(&w);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_DONE);
    assert_int_equal(w.counts.of[COUNT_DONE_FINISHED], 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

/* More end in a second than are forgotten at a time: the bound holds all the same. */
static void done__many_end_at_once__never_above_the_bound_for_long(void **unused)
{
    (void)unused;
    w.config.max_done = 2;
    for (uint64_t i = 1; i <= 1500; i++) {
        struct msg_execution_request request = world_request(i);
        world_submit(&w, &request);
        world_cancel(&w, i);
    }
    world_run(&w, 2 * SECOND);
    assert_int_equal(ledger_count(w.ledger, MSG_EXECUTION_PHASE_DONE), 2);
    assert_int_equal(w.counts.of[COUNT_EVICTED], 1498);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(submit__node_with_room__offered_accepted_finished),
        TEST(submit__what_may_be_given_at_once__as_redis_says),
        TEST(submit__redis_never_reached__nothing_given_at_once),
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
        TEST(refused__full_in_another_way__waits_as_long_as_it_takes),
        TEST(refused__expired_by_the_clock_of_the_node_alone__not_given_up),
        TEST(refused__for_a_fault_again_and_again__ended_in_the_end),
        TEST(finished__before_accepted__done),
        TEST(done__many_end_at_once__never_above_the_bound_for_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
