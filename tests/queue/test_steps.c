/* What is set while executions wait and run: the clock, and the pool of a node. */
#include "tests/queue/world.h"

#define HOUR (3600 * SECOND)

static void hear(const char *pool, int64_t capacity_mib, const struct sent *running)
{
    struct msg_node_status node = world_node(&w, "a");
    struct msg_running_attempt entry;
    node.pool = str_of(pool);
    node.capacity.memory_bytes = capacity_mib * MIB;
    if (running) {
        entry = (struct msg_running_attempt){
            .attempt = running->attempt, .placement = running->placement, .limits = running->limits};
        memcpy(entry.execution, running->execution, 16);
        node.running = (struct msg_running_attempt_array){&entry, 1};
        node.committed = running->limits;
    }
    world_hear(&w, &node);
}

static void submit(uint64_t number, const char *pool, int priority, int64_t memory_mib)
{
    struct msg_execution_request request = world_request(number);
    request.pool = str_of(pool);
    request.priority = priority;
    request.limits.memory_bytes = memory_mib * MIB;
    world_submit(&w, &request);
    world_pass(&w, 1000); /* none came at the same time */
}

/* --- the clock --- */

static void fail_once(void)
{
    struct sent sent = world_offered(&w);
    world_accept(&w, &sent);
    world_end(&w, &sent, MSG_OUTCOME_OOM_KILLED, MSG_CAUSE_MEMORY);
    struct msg_verdict verdict = world_verdict(&sent, MSG_CAUSE_MEMORY, true, 96 * MIB);
    world_judge(&w, &verdict);
    world_work(&w);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_BACKOFF);
}

static void expect_next_attempt(void)
{
    int64_t most_us = w.config.backoff_max_us + 2 * SECOND;
    for (int64_t us = 0; us < most_us && !world_more(&w); us += SECOND) {
        struct msg_node_status node = world_node(&w, "a");
        world_hear(&w, &node);
        world_run(&w, SECOND);
    }
    assert_int_equal(world_next(&w)->attempt, 2);
}

static void clock__set_back_during_a_back_off__the_next_attempt_comes(void **unused)
{
    (void)unused;
    fail_once();
    w.at.now_us -= HOUR;
    expect_next_attempt();
    assert_int_equal(w.counts.of[COUNT_CLOCK_SET_BACK], 1);
}

static void clock__set_back_while_queue_was_away__the_next_attempt_comes(void **unused)
{
    (void)unused;
    fail_once();
    w.at.now_us -= HOUR;
    world_restart(&w);
    expect_next_attempt();
}

static void clock__set_back_while_one_ages__it_stays_the_oldest(void **unused)
{
    (void)unused;
    submit(1, "pool", 0, 100);
    world_run(&w, w.config.ageing_us + SECOND);
    w.at.now_us -= HOUR;
    world_work(&w);
    submit(2, "pool", 1000, 100);
    hear("pool", 150, NULL);
    world_run(&w, 2 * SECOND);
    assert_int_equal(world_number(world_next(&w)->execution), 1);
}

/* --- the pool of a node --- */

static void pool__of_a_node_that_is_kept_free__serves_its_new_pool(void **unused)
{
    (void)unused;
    struct sent small;
    submit(1, "pool", 1000, 100);
    hear("pool", 200, NULL);
    world_work(&w);
    small = *world_next(&w);
    world_accept(&w, &small);
    submit(2, "pool", 0, 150); /* fits when the other has ended */
    for (int64_t us = 0; us < w.config.ageing_us + 5 * SECOND; us += SECOND) {
        hear("pool", 200, &small);
        world_run(&w, SECOND);
    }
    submit(3, "pool", 1000, 50);
    hear("pool", 200, &small);
    world_run(&w, SECOND);
    assert_false(world_more(&w)); /* kept free for 2 */
    submit(4, "other", 0, 50);
    for (int second = 0; second < 3; second++) {
        hear("other", 200, &small);
        world_run(&w, SECOND);
    }
    struct sent other = *world_next(&w);
    assert_int_equal(world_number(other.execution), 4);
    world_accept(&w, &other);
    struct msg_node_status next = world_node(&w, "b");
    next.capacity.memory_bytes = 200 * MIB;
    world_hear(&w, &next);
    world_run(&w, SECOND);
    while (world_number(world_next(&w)->execution) != 2) /* fails when there is none */
        continue;
}

static void pool__of_a_node_with_an_attempt__attempt_goes_on_and_its_room_comes_back(void **unused)
{
    (void)unused;
    submit(1, "pool", 0, 100);
    hear("pool", 200, NULL);
    world_work(&w);
    struct sent running = *world_next(&w);
    world_accept(&w, &running);
    for (int64_t us = 0; us < 2 * w.config.lost_us; us += 4 * SECOND) {
        hear("other", 200, &running);
        world_run(&w, 4 * SECOND);
    }
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_RUNNING);
    submit(2, "other", 0, 150);
    world_run(&w, SECOND);
    assert_false(world_more(&w)); /* the attempt of before has its room */
    world_end(&w, &running, MSG_OUTCOME_FINISHED, MSG_CAUSE_NONE);
    hear("other", 200, NULL);
    world_run(&w, SECOND);
    assert_int_equal(world_phase(&w, 1), MSG_EXECUTION_PHASE_DONE);
    assert_int_equal(world_number(world_next(&w)->execution), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(clock__set_back_during_a_back_off__the_next_attempt_comes),
        TEST(clock__set_back_while_queue_was_away__the_next_attempt_comes),
        TEST(clock__set_back_while_one_ages__it_stays_the_oldest),
        TEST(pool__of_a_node_that_is_kept_free__serves_its_new_pool),
        TEST(pool__of_a_node_with_an_attempt__attempt_goes_on_and_its_room_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
