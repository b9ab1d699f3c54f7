/* Memory that runs out: raises, the brake, and the OOM kill as the truth. */
#include <unistd.h>

#include "schemas/request.h"
#include "tests/agent/scenario.h"

static void agent__held_out_growth__is_oom_killed_though_it_exits_well(void **state)
{
    struct peer *peer = started(state, NULL);
    struct msg_admission admission = shell(peer, "/usr/bin/python3 -c \"$P\"; exit 0", 40 * MIB);
    struct str env[] = {str_of("PATH=/usr/bin:/bin"), str_of("P=" GROW)};
    admission.request.env.items = env;
    admission.request.env.count = 2;
    admission.arm = MSG_ARM_HELD_OUT;
    peer_send_admission(peer, &admission);
    struct msg_execution_record *record = wait_record(peer, &admission);
    assert_int_equal(record->outcome, MSG_OUTCOME_OOM_KILLED);
    assert_int_equal(record->cause, MSG_CAUSE_MEMORY);
    assert_true(record->totals.oom_kills >= 1);
    assert_int_equal(record->exit_status, 0);
    assert_int_equal(record->brakes.count, 0);
}

static void agent__raise_while_growing__saves_the_program(void **state)
{
    struct peer *peer = started(state, NULL);
    struct msg_admission admission = python(peer, GROW, 48 * MIB);
    peer_send_admission(peer, &admission);
    assert_true(peer_wait(peer, uses_20_mib, admission.request.execution, WAIT_MS));
    struct msg_adjustment adjustment = peer_adjustment(peer, &admission, 200 * MIB);
    peer_send_adjustment(peer, &adjustment);
    struct msg_execution_event *adjusted = wait_event(peer, &admission, MSG_EVENT_KIND_ADJUSTED);
    assert_true(adjusted->has_adjusted);
    assert_int_equal(adjusted->adjusted.result, MSG_ADJUSTMENT_RESULT_APPLIED);
    assert_int_equal(adjusted->adjusted.before.memory_bytes, 48 * MIB);
    assert_int_equal(adjusted->adjusted.after.memory_bytes, 200 * MIB);
    struct msg_execution_record *record = wait_record(peer, &admission);
    assert_int_equal(record->outcome, MSG_OUTCOME_FINISHED);
    assert_int_equal(record->adjustments.count, 1);
    assert_int_equal(record->highest_limits.memory_bytes, 200 * MIB);
    assert_int_equal(record->raised.count, 1);
    assert_int_equal(record->raised.items[0], MSG_CAUSE_MEMORY);
    assert_true(record->totals.memory_peak_bytes > 70 * MIB);
}

static void agent__raise_in_the_brake__saves_the_program(void **state)
{
    struct peer *peer = started(state, NULL);
    struct msg_admission admission = python(peer, GROW, 40 * MIB);
    peer_send_admission(peer, &admission);
    if (!peer_wait(peer, in_brake, admission.request.execution, 5000)) {
        print_message("the brake was not seen: this kernel has none?\n");
        fail();
    }
    struct msg_adjustment adjustment = peer_adjustment(peer, &admission, 200 * MIB);
    peer_send_adjustment(peer, &adjustment);
    struct msg_execution_record *record = wait_record(peer, &admission);
    assert_int_equal(record->outcome, MSG_OUTCOME_FINISHED);
    assert_true(record->brakes.count >= 1);
    assert_true(record->brakes.items[0].by_raise);
    assert_true(record->totals.brake_us > 0);
}

static void agent__brake_deadline__leaves_the_truth_to_the_kernel(void **state)
{
    static const char *const arguments[] = {"--brake_deadline=300ms", NULL};
    struct peer *peer = started(state, arguments);
    struct msg_admission admission = python(peer, GROW, 40 * MIB);
    peer_send_admission(peer, &admission);
    struct msg_execution_record *record = wait_record(peer, &admission);
    assert_int_equal(record->outcome, MSG_OUTCOME_OOM_KILLED);
    assert_true(record->totals.oom_kills >= 1);
    assert_int_equal(record->brakes.count, 1);
    assert_false(record->brakes.items[0].by_raise);
    assert_true(record->brakes.items[0].end_us - record->brakes.items[0].start_us >= 250000);
}

/* A raise that the node has no room for, sent while the program is held. */
static struct msg_admission held_without_room(struct peer *peer)
{
    struct msg_admission admission = python(peer, GROW, 40 * MIB);
    peer_send_admission(peer, &admission);
    assert_true(peer_wait(peer, in_brake, admission.request.execution, WAIT_MS));
    struct msg_adjustment adjustment = peer_adjustment(peer, &admission, 140 * MIB);
    peer_send_adjustment(peer, &adjustment);
    struct msg_execution_event *adjusted = wait_event(peer, &admission, MSG_EVENT_KIND_ADJUSTED);
    assert_int_equal(adjusted->adjusted.result, MSG_ADJUSTMENT_RESULT_REFUSED_CAPACITY);
    return admission;
}

static void agent__no_room_while_a_neighbour_goes_on__waits_past_its_deadline(void **state)
{
    static const char *const arguments[] = {"--brake_deadline=1s", "--capacity_memory=150M", NULL};
    struct peer *peer = started(state, arguments);
    struct msg_admission other = shell(peer, "sleep 7", 70 * MIB);
    peer_send_admission(peer, &other);
    wait_running(peer, &other);
    struct msg_admission admission = held_without_room(peer);
    (void)wait_record(peer, &other);
    for (int i = 0; i < 20; i++) { /* what it had is given back with or just after its record */
        struct msg_adjustment adjustment = peer_adjustment(peer, &admission, 140 * MIB);
        peer_send_adjustment(peer, &adjustment);
        if (peer_wait(peer, has_record, admission.request.execution, 500))
            break;
    }
    struct msg_execution_record *record = wait_record(peer, &admission);
    assert_int_equal(record->outcome, MSG_OUTCOME_FINISHED);
    assert_true(record->brakes.items[0].by_raise);
    assert_true(record->totals.brake_us > 1500000);
}

static void agent__no_room_and_nobody_goes_on__deadline_stands(void **state)
{
    static const char *const arguments[] = {"--brake_deadline=1s", "--capacity_memory=100M", NULL};
    struct peer *peer = started(state, arguments);
    struct msg_admission admission = held_without_room(peer);
    struct msg_execution_record *record = wait_record(peer, &admission);
    assert_int_equal(record->outcome, MSG_OUTCOME_OOM_KILLED);
    assert_true(record->totals.brake_us < 5000000);
}

static void agent__neighbour_that_stays__patience_ends(void **state)
{
    static const char *const arguments[] = {"--brake_deadline=500ms", "--brake_patience=4s",
                                            "--capacity_memory=150M", NULL};
    struct peer *peer = started(state, arguments);
    struct msg_admission other = shell(peer, "sleep 300", 70 * MIB);
    peer_send_admission(peer, &other);
    wait_running(peer, &other);
    struct msg_admission admission = held_without_room(peer);
    struct msg_execution_record *record = wait_record(peer, &admission);
    assert_int_equal(record->outcome, MSG_OUTCOME_OOM_KILLED);
    assert_true(record->totals.brake_us > 1500000 && record->totals.brake_us < 10000000);
}

struct brake_watch {
    const uint8_t *execution;
    int64_t last_sequence;
    bool in_order;
    const struct msg_tick *engaged_tick, *raised_tick;
    int32_t braked; /* samples in the brake under the new limit, far above what it has */
};

static void watch_brake(struct peer *peer, const struct msg_tick *tick)
{
    struct brake_watch *watch = peer->context;
    watch->in_order =
        watch->in_order && (watch->last_sequence == 0 || tick->sequence == watch->last_sequence + 1);
    watch->last_sequence = tick->sequence;
    for (size_t i = 0; i < tick->samples.count; i++) {
        const struct msg_sample *sample = &tick->samples.items[i];
        if (memcmp(sample->execution, watch->execution, 16) != 0)
            continue;
        if (sample->counters.brake_engaged && !watch->engaged_tick)
            watch->engaged_tick = tick;
        if (sample->limits.memory_bytes == 200 * MIB && !watch->raised_tick)
            watch->raised_tick = tick;
        watch->braked += sample->limits.memory_bytes == 200 * MIB && sample->counters.brake_engaged;
    }
}

/* Both are told at once by a tick of their own, with that attempt alone. */
static void agent__brake_and_raise__samples_out_of_the_cycle(void **state)
{
    static const char *const arguments[] = {"--tick=1s", NULL};
    struct peer *peer = started(state, arguments);
    struct msg_admission other = shell(peer, "sleep 300", 64 * MIB);
    peer_send_admission(peer, &other);
    wait_running(peer, &other);
    struct msg_admission admission = python(peer, GROW, 40 * MIB);
    struct brake_watch watch = {.execution = admission.request.execution, .in_order = true};
    peer->context = &watch;
    peer->on_tick = watch_brake;
    peer_send_admission(peer, &admission);
    assert_true(peer_wait(peer, in_brake, admission.request.execution, WAIT_MS));
    struct msg_adjustment adjustment = peer_adjustment(peer, &admission, 200 * MIB);
    peer_send_adjustment(peer, &adjustment);
    struct msg_execution_record *record = wait_record(peer, &admission);
    peer->on_tick = NULL;
    assert_int_equal(record->outcome, MSG_OUTCOME_FINISHED);
    assert_true(watch.in_order);
    assert_non_null(watch.raised_tick);
    assert_int_equal(watch.engaged_tick->samples.items[0].command, request_command(&admission.request));
    assert_int_equal(watch.braked, 0);
    assert_true(watch.engaged_tick->extra && watch.engaged_tick->samples.count == 1);
    assert_true(watch.raised_tick->extra && watch.raised_tick->samples.count == 1);
    print_message("brake to sample %.2f ms, decision to sample with the new limit %.2f ms\n",
                  (double)(watch.engaged_tick->time_us - record->brakes.items[0].start_us) / 1e3,
                  (double)(watch.raised_tick->time_us - adjustment.decided_us) / 1e3);
    assert_true(watch.engaged_tick->time_us - record->brakes.items[0].start_us < 500000);
}

struct near_watch {
    const uint8_t *execution;
    const struct msg_sample *first; /* out of the cycle and above half of the limit */
};

static void watch_near(struct peer *peer, const struct msg_tick *tick)
{
    struct near_watch *watch = peer->context;
    for (size_t i = 0; tick->extra && i < tick->samples.count && !watch->first; i++) {
        const struct msg_sample *sample = &tick->samples.items[i];
        if (memcmp(sample->execution, watch->execution, 16) == 0 && sample->counters.memory_bytes > 28 * MIB)
            watch->first = sample;
    }
}

static bool seen_near(struct peer *peer, void *nothing)
{
    (void)nothing;
    return ((struct near_watch *)peer->context)->first != NULL;
}

/* Without a brake nothing waits for the next tick: each tenth of the limit from half of it makes a sample of
 * its own. */
static void agent__no_brake__sampled_near_the_limit_and_raised_in_time(void **state)
{
    static const char *const arguments[] = {"--tick=1s", "--brake=no", NULL};
    struct peer *peer = started(state, arguments);
    struct msg_admission admission = python(peer, GROW, 60 * MIB);
    struct near_watch watch = {.execution = admission.request.execution};
    peer->context = &watch;
    peer->on_tick = watch_near;
    peer_send_admission(peer, &admission);
    assert_true(peer_wait(peer, seen_near, NULL, WAIT_MS));
    assert_true(watch.first->counters.memory_bytes < 60 * MIB);
    struct msg_adjustment adjustment = peer_adjustment(peer, &admission, 200 * MIB);
    peer_send_adjustment(peer, &adjustment);
    struct msg_execution_record *record = wait_record(peer, &admission);
    peer->on_tick = NULL;
    assert_int_equal(record->outcome, MSG_OUTCOME_FINISHED);
    assert_int_equal(record->brakes.count, 0);
}

/* And before anybody can decide, the agent itself gives more, in steps, and tells of each. */
static void agent__no_brake__more_at_once_and_told(void **state)
{
    static const char *const arguments[] = {"--brake=no", NULL};
    struct peer *peer = started(state, arguments);
    struct msg_admission admission = python(peer, GROW, 40 * MIB);
    admission.memory_most_bytes = INT64_MAX;
    peer_send_admission(peer, &admission);
    struct msg_execution_record *record = wait_record(peer, &admission);
    assert_int_equal(record->outcome, MSG_OUTCOME_FINISHED);
    assert_int_equal(record->totals.oom_kills, 0);
    assert_true(record->totals.memory_peak_bytes > 40 * MIB);
    assert_true(record->highest_limits.memory_bytes > record->totals.memory_peak_bytes);
    assert_true(record->highest_limits.memory_bytes < record->totals.memory_peak_bytes * 3 / 2 + 16 * MIB);
    assert_true(record->adjustments.count > 0);
    int64_t before = 40 * MIB, decision = 0;
    for (size_t i = 0; i < record->adjustments.count; i++) {
        const struct msg_applied_adjustment *given = &record->adjustments.items[i];
        assert_true(given->result == MSG_ADJUSTMENT_RESULT_APPLIED && given->after.memory_bytes > before);
        assert_true(str_equal(given->adjustment.model_version, str_of("agent")));
        assert_true(given->adjustment.decision > decision);
        before = given->after.memory_bytes;
        decision = given->adjustment.decision;
    }
}

/* Not past what a person allowed, and not past so many times what was decided last. */
static void agent__no_brake__no_more_than_allowed(void **state)
{
    static const char *const arguments[] = {"--brake=no", "--advance=1.5", NULL};
    struct peer *peer = started(state, arguments);
    struct msg_admission bounded = python(peer, GROW, 40 * MIB), told = python(peer, GROW, 40 * MIB);
    bounded.memory_most_bytes = INT64_MAX;
    told.memory_most_bytes = 45 * MIB;
    const struct {
        struct msg_admission *admission;
        int64_t most;
    } cases[] = {{&bounded, 60 * MIB}, {&told, 45 * MIB}};
    for (size_t i = 0; i < FS_COUNT(cases); i++) {
        peer_send_admission(peer, cases[i].admission);
        struct msg_execution_record *record = wait_record(peer, cases[i].admission);
        assert_int_equal(record->outcome, MSG_OUTCOME_OOM_KILLED);
        assert_int_equal(record->highest_limits.memory_bytes, cases[i].most);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO(agent__held_out_growth__is_oom_killed_though_it_exits_well),
        SCENARIO(agent__raise_while_growing__saves_the_program),
        SCENARIO(agent__raise_in_the_brake__saves_the_program),
        SCENARIO(agent__brake_and_raise__samples_out_of_the_cycle),
        SCENARIO(agent__no_brake__sampled_near_the_limit_and_raised_in_time),
        SCENARIO(agent__no_brake__more_at_once_and_told),
        SCENARIO(agent__no_brake__no_more_than_allowed),
        SCENARIO(agent__brake_deadline__leaves_the_truth_to_the_kernel),
        SCENARIO(agent__no_room_while_a_neighbour_goes_on__waits_past_its_deadline),
        SCENARIO(agent__no_room_and_nobody_goes_on__deadline_stands),
        SCENARIO(agent__neighbour_that_stays__patience_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
