/* What comes from queue and allocate: placements and adjustments that must not be run or applied. */
#include "tests/agent/scenario.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"

static void agent__placement_delivered_twice_and_late__runs_once(void **state)
{
    struct peer *peer = started(state, NULL);
    char path[300], script[400], text[16] = "";
    (void)snprintf(path, sizeof path, "%s/runs", peer->state_dir);
    (void)snprintf(script, sizeof script, "printf x >> %s", path);
    struct msg_admission admission = shell(peer, script, 64 * MIB);
    peer_send_admission(peer, &admission);
    peer_send_admission(peer, &admission);
    (void)wait_record(peer, &admission);
    peer_send_admission(peer, &admission); /* late, after its end */
    restarted(peer, NULL);
    peer_send_admission(peer, &admission); /* and after a restart */
    struct msg_admission again = admission;
    again.placement = ++peer->placement; /* a new number does not make it a new attempt */
    peer_send_admission(peer, &again);
    struct msg_execution_event *refused = wait_event(peer, &again, MSG_EVENT_KIND_REFUSED);
    assert_int_equal(refused->placement, again.placement);
    assert_true(file_exists(peer, path));
    int fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, text, sizeof text), 1);
    (void)close(fd);
    assert_int_equal(peer_records(peer, admission.request.execution, NULL), 1);
    assert_int_equal(peer_events(peer, admission.request.execution, MSG_EVENT_KIND_FINISHED, NULL), 1);
}

static void agent__another_placement_of_what_runs__is_refused(void **state)
{
    struct peer *peer = started(state, NULL);
    struct msg_admission admission = shell(peer, "sleep 300", 64 * MIB), again;
    peer_send_admission(peer, &admission);
    wait_running(peer, &admission);
    again = admission;
    again.placement = ++peer->placement;
    peer_send_admission(peer, &again);
    assert_int_equal(wait_event(peer, &again, MSG_EVENT_KIND_REFUSED)->placement, again.placement);
    admission.action = MSG_ACTION_CANCEL;
    peer_send_admission(peer, &admission);
    (void)wait_record(peer, &admission);
    assert_int_equal(peer_events(peer, admission.request.execution, MSG_EVENT_KIND_ACCEPTED, NULL), 1);
    assert_int_equal(peer_events(peer, admission.request.execution, MSG_EVENT_KIND_STARTED, NULL), 1);
    assert_int_equal(peer_events(peer, admission.request.execution, MSG_EVENT_KIND_REFUSED, NULL), 1);
}

static void agent__adjustment_of_nothing_it_runs__is_named(void **state)
{
    struct peer *peer = started(state, NULL);
    struct msg_admission unknown = shell(peer, "true", 64 * MIB);
    struct msg_adjustment adjustment = peer_adjustment(peer, &unknown, 128 * MIB);
    peer_send_adjustment(peer, &adjustment);
    assert_int_equal(wait_event(peer, &unknown, MSG_EVENT_KIND_ADJUSTED)->adjusted.result,
                     MSG_ADJUSTMENT_RESULT_IGNORED_UNKNOWN);
}

static void agent__not_for_it_or_expired_or_too_large__is_refused(void **state)
{
    static const char *const arguments[] = {"--capacity_memory=1G", NULL};
    struct peer *peer = started(state, arguments);
    struct msg_admission other = shell(peer, "true", 64 * MIB), late = shell(peer, "true", 64 * MIB),
                         large = shell(peer, "true", 1000 * MIB);
    other.incarnation[0] ^= 1;
    late.expires_us = clock_realtime_us() - 1;
    peer_send_admission(peer, &other);
    peer_send_admission(peer, &late);
    peer_send_admission(peer, &large);
    assert_non_null(
        memmem(wait_event(peer, &other, MSG_EVENT_KIND_REFUSED)->reason.data, 40, "another incarnation", 19));
    assert_memory_equal(wait_event(peer, &late, MSG_EVENT_KIND_REFUSED)->reason.data, "expired", 7);
    assert_int_equal(wait_event(peer, &large, MSG_EVENT_KIND_REFUSED)->short_of, MSG_CAUSE_MEMORY);
}

static void agent__adjustments_it_must_not_apply__are_named(void **state)
{
    static const char *const arguments[] = {"--capacity_memory=1G", NULL};
    struct peer *peer = started(state, arguments);
    struct msg_admission treated = shell(peer, "sleep 300", 64 * MIB),
                         held = shell(peer, "sleep 301", 64 * MIB);
    held.arm = MSG_ARM_HELD_OUT;
    peer_send_admission(peer, &treated);
    peer_send_admission(peer, &held);
    wait_running(peer, &treated);
    wait_running(peer, &held);
    struct msg_adjustment on_held = peer_adjustment(peer, &held, 100 * MIB),
                          expired = peer_adjustment(peer, &treated, 100 * MIB),
                          old = peer_adjustment(peer, &treated, 100 * MIB),
                          good = peer_adjustment(peer, &treated, 128 * MIB),
                          large = peer_adjustment(peer, &treated, 2048 * MIB);
    expired.expires_us = clock_realtime_us() - 1;
    peer_send_adjustment(peer, &on_held);
    assert_int_equal(wait_event(peer, &held, MSG_EVENT_KIND_ADJUSTED)->adjusted.result,
                     MSG_ADJUSTMENT_RESULT_IGNORED_HELD_OUT);
    const struct {
        const struct msg_adjustment *adjustment;
        enum msg_adjustment_result result;
    } steps[] = {{&expired, MSG_ADJUSTMENT_RESULT_IGNORED_EXPIRED},
                 {&good, MSG_ADJUSTMENT_RESULT_APPLIED},
                 {&old, MSG_ADJUSTMENT_RESULT_IGNORED_OLD},
                 {&large, MSG_ADJUSTMENT_RESULT_REFUSED_CAPACITY}};
    for (size_t i = 0; i < FS_COUNT(steps); i++) {
        struct scenario_wanted wanted = {treated.request.execution, MSG_EVENT_KIND_ADJUSTED, i + 1};
        struct msg_execution_event *event = NULL;
        peer_send_adjustment(peer, steps[i].adjustment);
        assert_true(peer_wait(peer, scenario_has_events, &wanted, WAIT_MS));
        (void)peer_events(peer, treated.request.execution, MSG_EVENT_KIND_ADJUSTED, &event);
        assert_int_equal(event->adjusted.result, steps[i].result);
    }
}

static bool is_short(struct peer *peer, void *context)
{
    (void)context;
    return peer->status && peer->status->short_.count > 0;
}

static void agent__refused_raise__shows_as_short(void **state)
{
    static const char *const arguments[] = {"--capacity_memory=1G", NULL};
    struct peer *peer = started(state, arguments);
    struct msg_admission admission = shell(peer, "sleep 300", 64 * MIB);
    peer_send_admission(peer, &admission);
    wait_running(peer, &admission);
    struct msg_adjustment large = peer_adjustment(peer, &admission, 2048 * MIB);
    peer_send_adjustment(peer, &large);
    assert_true(peer_wait(peer, is_short, NULL, WAIT_MS));
    assert_int_equal(peer->status->short_.items[0].resource, MSG_CAUSE_MEMORY);
    assert_int_equal(peer->status->short_.items[0].wanted, 2048 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO(agent__placement_delivered_twice_and_late__runs_once),
        SCENARIO(agent__not_for_it_or_expired_or_too_large__is_refused),
        SCENARIO(agent__adjustments_it_must_not_apply__are_named),
        SCENARIO(agent__refused_raise__shows_as_short),
        SCENARIO(agent__another_placement_of_what_runs__is_refused),
        SCENARIO(agent__adjustment_of_nothing_it_runs__is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
