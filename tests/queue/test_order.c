/* Whom and where: the order, its bound, and room. */
#include "tests/queue/world.h"

#include <stdio.h>

/* Heard just now; `running` (may be NULL) is what the node lists, its limits committed. */
static void hear(const char *name, int64_t capacity_mib, const struct sent *running)
{
    struct msg_node_status node = world_node(&w, name);
    struct msg_running_attempt entry;
    node.capacity.memory_bytes = capacity_mib * MIB;
    if (running) {
        entry = (struct msg_running_attempt){
            .attempt = running->attempt, .placement = running->placement, .limits = running->limits};
        memcpy(entry.execution, running->execution, 16);
        node.running.items = &entry;
        node.running.count = 1;
        node.committed = running->limits;
    }
    world_hear(&w, &node);
}

static void submit(uint64_t number, const char *code, int priority, int64_t memory_mib)
{
    struct msg_execution_request request = world_request(number);
    request.code = str_of(code);
    request.priority = priority;
    request.limits.memory_bytes = memory_mib * MIB;
    world_submit(&w, &request);
    world_pass(&w, 1000); /* none came at the same time */
}

/* What runs next on node a, which has room for one at a time; it ends at once. */
static uint64_t serve_one(void)
{
    hear("a", 200, NULL);
    world_work(&w);
    struct sent sent = *world_next(&w);
    assert_int_equal(sent.action, MSG_ACTION_RUN);
    assert_false(world_more(&w)); /* only one fits */
    world_accept(&w, &sent);
    world_end(&w, &sent, MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE);
    return world_number(sent.execution);
}

static void order__marks_priorities_times__in_that_order(void **unused)
{
    (void)unused;
    struct allocation raised = {.exists = true,
                                .revision = 1,
                                .limits = {.memory_bytes = 150 * MIB},
                                .raised = CAUSE_BIT(MSG_CAUSE_MEMORY)};
    world_allocate(&w, "raised", &raised);
    submit(1, "plain", 0, 150);
    submit(2, "plain", 500, 150);
    submit(3, "raised", 0, 150);
    submit(4, "plain", 500, 150);
    submit(5, "raised", 9, 150);
    world_work(&w);
    const uint64_t wanted[] = {5, 3, 2, 4, 1};
    for (size_t i = 0; i < FS_COUNT(wanted); i++)
        assert_int_equal(serve_one(), wanted[i]);
}

static void order__code_raised_while_waiting__goes_first(void **unused)
{
    (void)unused;
    submit(1, "plain", 0, 150);
    submit(2, "other", 0, 150);
    submit(3, "other", 0, 150);
    world_work(&w);
    struct allocation raised = {.exists = true,
                                .revision = 1,
                                .limits = {.memory_bytes = 160 * MIB},
                                .raised = CAUSE_BIT(MSG_CAUSE_MEMORY)};
    world_allocate(&w, "other", &raised);
    world_run(&w, 2 * SECOND); /* marks of waiting codes are read once a second */
    assert_int_equal(serve_one(), 2);
    assert_int_equal(serve_one(), 3);
    raised = (struct allocation){.exists = true, .revision = 2, .limits = {.memory_bytes = 160 * MIB}};
    world_allocate(&w, "other", &raised);
    assert_int_equal(serve_one(), 1);
}

/* The bound: whoever has waited for `ageing` sees nobody go ahead who came later, whatever marks and
 * priorities the later ones have. Here: a stream of raised and urgent requests that alone fills the node. */
static void ageing__endless_stream_of_better_ones__waits_ageing_and_its_predecessors(void **unused)
{
    (void)unused;
    struct allocation raised = {.exists = true,
                                .revision = 1,
                                .limits = {.memory_bytes = 150 * MIB},
                                .raised = CAUSE_BIT(MSG_CAUSE_MEMORY)};
    world_allocate(&w, "raised", &raised);
    for (uint64_t i = 1; i <= 5; i++)
        submit(i, "plain", 0, 150);
    int64_t began_us = w.at.now_us, waited_us[6] = {0};
    for (uint64_t i = 1000; i < 2200; i++) { /* one a second comes, one a second is served */
        submit(i, "raised", 1000, 150);
        uint64_t served = serve_one();
        if (served <= 5)
            waited_us[served] = w.at.now_us - began_us;
        world_pass(&w, SECOND);
    }
    for (int i = 1; i <= 5; i++) {
        assert_true(waited_us[i] >= w.config.ageing_us - 10 * SECOND);
        assert_true(waited_us[i] <= w.config.ageing_us + 10 * SECOND); /* five turns of a second, and slack */
    }
    assert_true(w.counts.of[COUNT_ADMITTED_AGED] >= 5);
}

/* An aged one that is large: small ones must not take the room that becomes free for ever. */
static void ageing__large_one_among_small_ones__a_node_is_kept_free_for_it(void **unused)
{
    (void)unused;
    struct sent running[64];
    size_t count = 0;
    bool served = false;
    uint64_t next = 100;
    submit(1, "large", 0, 800);
    int64_t began_us = w.at.now_us;
    for (int second = 0; second < 700 && !served; second++) {
        for (int i = 0; i < 4; i++)
            submit(next++, "small", 1000, 100);
        struct msg_node_status node = world_node(&w, "a");
        struct msg_running_attempt entries[64];
        for (size_t i = 0; i < count; i++) {
            entries[i] = (struct msg_running_attempt){
                .attempt = 1, .placement = running[i].placement, .limits = running[i].limits};
            memcpy(entries[i].execution, running[i].execution, 16);
            node.committed.memory_bytes += running[i].limits.memory_bytes;
        }
        node.running = (struct msg_running_attempt_array){entries, count};
        world_hear(&w, &node);
        world_work(&w);
        while (world_more(&w)) {
            running[count] = *world_next(&w);
            assert_int_equal(running[count].action, MSG_ACTION_RUN);
            world_accept(&w, &running[count]);
            served |= world_number(running[count].execution) == 1;
            count++;
        }
        if (count > 0) { /* the small ones run 3 s each, one after the other ends */
            for (size_t i = 0; i < FS_MIN(count, 3); i++)
                world_end(&w, &running[i], MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE);
            size_t ended = FS_MIN(count, 3);
            memmove(running, running + ended, (count - ended) * sizeof *running);
            count -= ended;
        }
        world_pass(&w, SECOND);
    }
    assert_true(served);
    assert_true(w.at.now_us - began_us <= w.config.ageing_us + 10 * SECOND);
}

static void room__own_offers_not_yet_listed__counted(void **unused)
{
    (void)unused;
    for (uint64_t i = 1; i <= 4; i++)
        submit(i, "plain", 0, 300);
    hear("a", 1000, NULL); /* 900 for admissions */
    world_work(&w);
    for (int i = 0; i < 3; i++)
        (void)world_next(&w);
    assert_false(world_more(&w));
    hear("a", 1000, NULL); /* it has not met any of them yet */
    world_work(&w);
    assert_false(world_more(&w));
    world_end(&w, &w.sent[0], MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE);
    world_work(&w);
    assert_int_equal(world_number(world_next(&w)->execution), 4); /* without waiting for a status */
}

static void room__status_older_than_an_end__not_counted_twice(void **unused)
{
    (void)unused;
    submit(1, "plain", 0, 800);
    hear("a", 1000, NULL);
    world_work(&w);
    struct sent sent = *world_next(&w);
    world_accept(&w, &sent);
    hear("a", 1000, &sent);
    world_end(&w, &sent, MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE);
    world_work(&w);
    submit(2, "plain", 0, 800);
    hear("a", 1000, &sent); /* made before the end, read after it */
    world_work(&w);
    assert_int_equal(world_number(world_next(&w)->execution), 2);
    assert_int_equal(w.counts.of[COUNT_STRAYS], 0);
}

static void room__several_nodes__the_one_with_the_most_headroom(void **unused)
{
    (void)unused;
    hear("small", 500, NULL);
    hear("large", 4000, NULL);
    for (uint64_t i = 1; i <= 2; i++)
        submit(i, "plain", 0, 400);
    world_work(&w);
    assert_string_equal(world_next(&w)->node, "large");
    assert_string_equal(world_next(&w)->node, "large");
    submit(3, "plain", 0, 3500);
    submit(4, "plain", 0, 440);
    world_work(&w);
    const struct sent *sent = world_next(&w);
    assert_int_equal(world_number(sent->execution), 4); /* 3 fits nowhere now: it is passed over */
    assert_string_equal(sent->node, "large");
}

static void room__scarce_cpu__less_of_it_after_some_patience(void **unused)
{
    (void)unused;
    struct allocation allocation = {
        .exists = true, .revision = 1, .limits = {.memory_bytes = 50 * MIB, .cpu_millicores = 3000}};
    world_allocate(&w, "code", &allocation);
    hear("a", 1000, NULL);
    submit(1, "code", 0, 50);
    submit(2, "code", 0, 50);
    world_work(&w);
    struct sent sent = *world_next(&w);
    assert_int_equal(sent.limits.cpu_millicores, 3000);
    world_accept(&w, &sent);
    assert_false(world_more(&w)); /* 1000 of 4000 left, half of 3000 is 1500 */
    world_run(&w, 8 * SECOND);
    assert_false(world_more(&w));
    struct msg_execution_request request = world_request(3);
    request.limits = (struct msg_limits){.memory_bytes = 50 * MIB, .cpu_millicores = 800};
    world_submit(&w, &request);
    hear("a", 1000, &sent);
    world_run(&w, 4 * SECOND);
    assert_false(world_more(&w));
    hear("a", 1000, &sent);
    world_run(&w, 2 * SECOND);
    const struct sent *less = world_next(&w);
    assert_int_equal(world_number(less->execution), 3);
    assert_int_equal(less->limits.cpu_millicores, 1000);
    assert_int_equal(w.counts.of[COUNT_ADMITTED_LESS], 1);
}

static void room__draining_or_full_or_silent_node__gets_nothing(void **unused)
{
    (void)unused;
    struct msg_node_status node = world_node(&w, "a");
    node.draining = true;
    world_hear(&w, &node);
    submit(1, "plain", 0, 100);
    world_work(&w);
    assert_false(world_more(&w));
    node.draining = false;
    node.time_us++;
    world_hear(&w, &node);
    world_pass(&w, 6 * SECOND); /* silent since */
    world_work(&w);
    assert_false(world_more(&w));
    hear("a", 1000, NULL);
    world_work(&w);
    assert_true(world_more(&w));
}

static void room__status_from_the_backlog__no_sign_that_it_is_there_now(void **unused)
{
    (void)unused;
    struct msg_node_status node = world_node(&w, "a");
    const char *fault;
    submit(1, "plain", 0, 100);
    int64_t published_us = w.at.now_us - 60 * SECOND;
    assert_int_equal(ledger_status(w.ledger, &node, published_us, w.at, &fault), 0);
    world_work(&w);
    assert_false(world_more(&w));
}

static void never__no_node_could_hold_it__given_up_after_a_day_with_the_reason(void **unused)
{
    (void)unused;
    struct msg_execution_state state;
    submit(1, "plain", 0, 5000);
    submit(2, "plain", 0, 850); /* fits once the node is empty */
    for (int hour = 0; hour < 25; hour++) {
        for (int i = 0; i < 360; i++) {
            struct msg_node_status node = world_node(&w, "a");
            node.committed.memory_bytes = 500 * MIB;
            world_hear(&w, &node);
            world_pass(&w, 10 * SECOND);
            world_work(&w);
        }
    }
    assert_true(world_state(&w, 1, &state));
    assert_int_equal(state.phase, MSG_EXECUTION_PHASE_DONE);
    assert_int_equal(state.outcome, MSG_OUTCOME_NONE);
    assert_non_null(memmem(state.reason.data, state.reason.size, "could hold it", 13));
    assert_int_equal(world_phase(&w, 2), MSG_EXECUTION_PHASE_WAITING);
    assert_int_equal(w.counts.of[COUNT_UNPLACEABLE], 1);
}

static void redis__away__last_known_allocation_used(void **unused)
{
    (void)unused;
    struct allocation allocation = {.exists = true, .revision = 1, .limits = {.memory_bytes = 50 * MIB}};
    world_allocate(&w, "plain", &allocation);
    hear("a", 1000, NULL);
    submit(1, "plain", 0, 100);
    world_work(&w);
    assert_int_equal(world_next(&w)->limits.memory_bytes, 50 * MIB);
    w.redis_away = true;
    submit(2, "plain", 0, 100);
    submit(3, "unknown", 0, 100);
    world_work(&w);
    assert_int_equal(world_next(&w)->limits.memory_bytes, 50 * MIB);
    assert_int_equal(world_next(&w)->limits.memory_bytes, 100 * MIB);
}

static void redis__every_admission__its_code_was_read_in_that_round(void **unused)
{
    (void)unused;
    struct allocation allocation = {.exists = true, .revision = 1, .limits = {.memory_bytes = 100 * MIB}};
    hear("a", 1000, NULL);
    submit(1, "plain", 0, 100);
    world_work(&w);
    assert_int_equal(world_next(&w)->limits.memory_bytes, 100 * MIB);
    allocation.limits.memory_bytes = 70 * MIB; /* 100 ms later: the cached one would be wrong */
    world_allocate(&w, "plain", &allocation);
    submit(2, "plain", 0, 100);
    world_work(&w);
    assert_int_equal(world_next(&w)->limits.memory_bytes, 70 * MIB);
}

static void order__many_codes_at_once__all_admitted_in_one_step(void **unused)
{
    (void)unused;
    char code[32];
    hear("a", 100000, NULL);
    for (uint64_t i = 1; i <= 500; i++) {
        (void)snprintf(code, sizeof code, "code-%d", (int)i);
        submit(i, code, 0, 10);
    }
    world_work(&w);
    assert_int_equal(w.counts.of[COUNT_ADMISSIONS], 500);
    assert_in_range(w.redis_reads, 500, 1100); /* read once to be ranked, and once to be admitted */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

/* The clock of whoever writes the status is behind: nothing can be placed, and it is told why. */
static void room__status_always_late__counted_after_a_while(void **unused)
{
    (void)unused;
    const char *fault = NULL;
    struct msg_node_status late = world_node(&w, "late");
    for (int second = 0; second < 8; second++) {
        hear("good", 200, NULL);
        late.time_us = w.at.now_us - 20 * SECOND;
        assert_int_equal(ledger_status(w.ledger, &late, w.at.now_us - 20 * SECOND, w.at, &fault), 0);
        world_run(&w, SECOND);
        if (second == 1)
            assert_int_equal(ledger_late_nodes(w.ledger), 0); /* what comes after an outage is late as well */
    }
    assert_int_equal(ledger_node_count(w.ledger), 2);
    assert_int_equal(ledger_usable_nodes(w.ledger), 1);
    assert_int_equal(ledger_late_nodes(w.ledger), 1);
    late.time_us = w.at.now_us;
    world_hear(&w, &late);
    hear("good", 200, NULL);
    world_run(&w, SECOND);
    assert_int_equal(ledger_usable_nodes(w.ledger), 2);
    assert_int_equal(ledger_late_nodes(w.ledger), 0);
}

/* A batch that waits for a large node must not hide the small ones behind it. */
static void order__behind_thousands_that_do_not_fit__found_and_placed(void **unused)
{
    (void)unused;
    for (uint64_t i = 1; i <= 3000; i++)
        submit(i, "large", 500, 190);
    submit(5000, "small", 500, 50);
    hear("a", 200, NULL); /* 180 MiB of it for admissions: none of the large ones fits */
    hear("b", 400, NULL);
    world_work(&w);
    struct sent large = *world_next(&w);
    assert_string_equal(large.code, "large");
    assert_string_equal(large.node, "b");
    world_accept(&w, &large);
    for (int i = 0; i < 10 && !world_more(&w); i++) { /* nothing else happens: the choice goes on by itself */
        world_pass(&w, 10000);
        world_work(&w);
    }
    struct sent small = *world_next(&w);
    assert_string_equal(small.code, "small");
    assert_string_equal(small.node, "a");
    assert_true(w.counts.of[COUNT_SCANS_CUT] > 0);
    submit(6000, "urgent", 900, 50); /* the beginning of the line is looked at each time */
    world_work(&w);
    assert_string_equal(world_next(&w)->code, "urgent");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(order__marks_priorities_times__in_that_order),
        TEST(order__code_raised_while_waiting__goes_first),
        TEST(ageing__endless_stream_of_better_ones__waits_ageing_and_its_predecessors),
        TEST(ageing__large_one_among_small_ones__a_node_is_kept_free_for_it),
        TEST(room__own_offers_not_yet_listed__counted),
        TEST(room__status_older_than_an_end__not_counted_twice),
        TEST(room__several_nodes__the_one_with_the_most_headroom),
        TEST(room__scarce_cpu__less_of_it_after_some_patience),
        TEST(room__draining_or_full_or_silent_node__gets_nothing),
        TEST(room__status_from_the_backlog__no_sign_that_it_is_there_now),
        TEST(never__no_node_could_hold_it__given_up_after_a_day_with_the_reason),
        TEST(redis__away__last_known_allocation_used),
        TEST(redis__every_admission__its_code_was_read_in_that_round),
        TEST(order__many_codes_at_once__all_admitted_in_one_step),
        TEST(order__behind_thousands_that_do_not_fit__found_and_placed),
        TEST(room__status_always_late__counted_after_a_while),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
