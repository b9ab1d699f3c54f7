/* An agent, a supervisor or the connection that goes away at the wrong moment. */
#include "tests/agent/scenario.h"

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/attempt_files.h"
#include "agent/track.h"
#include "schemas/hints.h"

static void agent__killed_while_an_attempt_runs__adopts_it(void **state)
{
    struct peer *peer = started(state, NULL);
    struct msg_admission admission = shell(peer, "sleep 1.5; exit 7", 64 * MIB);
    peer_send_admission(peer, &admission);
    wait_running(peer, &admission);
    int64_t epoch = peer->hello.epoch;
    restarted(peer, NULL);
    assert_int_equal(peer->hello.epoch, epoch + 1);
    struct msg_execution_record *record = wait_record(peer, &admission);
    assert_int_equal(record->exit_status, 7);
    assert_true(record->series.count > 1);
    assert_int_equal(peer_events(peer, admission.request.execution, MSG_EVENT_KIND_STARTED, NULL), 1);
    stop_cleanly(peer);
    assert_int_equal(peer_records(peer, admission.request.execution, NULL), 1);
}

static bool has_read(struct peer *peer, void *execution)
{
    const struct msg_sample *sample = peer_sample(peer, execution);
    return sample && peer_gauge(&sample->counters, GAUGE_INPUT_READ) >= 300000;
}

/* What read it ends while nobody waits for it in the cgroup: the kernel's count falls, and the next agent
 * knows no other. */
static void agent__killed_while_an_attempt_reads__what_was_read_never_falls(void **state)
{
    struct peer *peer = started(state, NULL);
    struct msg_str_entry hint = {str_of(HINT_INPUT_BYTES), str_of("1000000")};
    char path[300], script[500];
    (void)snprintf(path, sizeof path, "%s/read", peer->state_dir);
    (void)snprintf(script, sizeof script,
                   "(sh -c 'head -c 300000 /dev/zero > /dev/null; sleep 0.4; : > %s' &); sleep 2", path);
    struct msg_admission admission = shell(peer, script, 64 * MIB);
    admission.request.hints = (struct msg_str_map){&hint, 1};
    peer_send_admission(peer, &admission);
    assert_true(peer_wait(peer, has_read, admission.request.execution, WAIT_MS));
    peer_kill_agent(peer);
    assert_true(peer_wait(peer, file_exists, path, WAIT_MS));
    peer_start_agent(peer, NULL);
    assert_true(peer_wait_connected(peer));
    struct msg_execution_record *record = wait_record(peer, &admission);
    double before = 0;
    for (size_t i = 0; i < record->series.count; i++) {
        double value = peer_gauge(&record->series.items[i].counters, GAUGE_INPUT_READ);
        if (isnan(value))
            continue; /* sampled before it was there to be asked */
        assert_true(value >= before);
        before = value;
    }
    assert_true(before >= 300000);
}

static void agent__killed_while_an_attempt_is_in_the_brake__can_still_save_it(void **state)
{
    struct peer *peer = started(state, NULL);
    struct msg_admission admission = python(peer, GROW, 40 * MIB);
    peer_send_admission(peer, &admission);
    assert_true(peer_wait(peer, in_brake, admission.request.execution, 5000));
    restarted(peer, NULL);
    struct msg_adjustment adjustment = peer_adjustment(peer, &admission, 200 * MIB);
    peer_send_adjustment(peer, &adjustment);
    struct msg_execution_record *record = wait_record(peer, &admission);
    assert_int_equal(record->outcome, MSG_OUTCOME_FINISHED);
    assert_true(record->brakes.count >= 1);
    assert_int_equal(record->adjustments.count, 1);
}

/* The supervisor is stopped and continued, so that the program ends for certain while no agent lives. */
static void agent__killed_while_an_attempt_exits__reports_it_once(void **state)
{
    struct peer *peer = started(state, NULL);
    char path[300], script[400];
    (void)snprintf(path, sizeof path, "%s/go", peer->state_dir);
    (void)snprintf(script, sizeof script, "while [ ! -e %s ]; do sleep 0.05; done; exit 5", path);
    struct msg_admission admission = shell(peer, script, 64 * MIB);
    peer_send_admission(peer, &admission);
    wait_running(peer, &admission);
    peer_kill_agent(peer);
    let_end(path);
    char status[500];
    attempt_file(peer, &admission, "status", status, sizeof status);
    assert_true(peer_wait(peer, file_exists, status, WAIT_MS));
    peer_start_agent(peer, NULL);
    assert_true(peer_wait_connected(peer));
    assert_int_equal(wait_record(peer, &admission)->exit_status, 5);
    assert_true(peer_wait(peer, node_is_empty, NULL, WAIT_MS));
    restarted(peer, NULL);
    assert_int_equal(peer_stop_agent(peer), 0);
    assert_int_equal(peer_records(peer, admission.request.execution, NULL), 1);
    assert_int_equal(peer_events(peer, admission.request.execution, MSG_EVENT_KIND_FINISHED, NULL), 1);
}

static void agent__supervisor_killed__ends_the_attempt_as_lost(void **state)
{
    struct peer *peer = started(state, NULL);
    struct msg_admission admission = shell(peer, "sleep 300", 64 * MIB);
    peer_send_admission(peer, &admission);
    wait_running(peer, &admission);
    char path[500], text[64] = "";
    attempt_file(peer, &admission, "supervisor", path, sizeof path);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
    (void)close(fd);
    assert_int_equal(kill((pid_t)strtol(text, NULL, 10), SIGKILL), 0);
    assert_int_equal(wait_event(peer, &admission, MSG_EVENT_KIND_LOST)->outcome, MSG_OUTCOME_LOST);
    assert_int_equal(wait_record(peer, &admission)->outcome, MSG_OUTCOME_LOST);
    stop_cleanly(peer);
}

/* Cancelled while nobody knows its supervisor: the agent was killed just after it started it. */
static struct msg_admission cancel_unknown(struct peer *peer, char supervisor[500], char aside[500])
{
    char reason[500];
    struct msg_admission admission = shell(peer, "sleep 300", 64 * MIB);
    peer_send_admission(peer, &admission);
    wait_running(peer, &admission);
    peer_kill_agent(peer);
    attempt_file(peer, &admission, "supervisor", supervisor, 500);
    attempt_file(peer, &admission, "aside", aside, 500);
    assert_int_equal(rename(supervisor, aside), 0);
    peer_start_agent(peer, NULL);
    assert_true(peer_wait_connected(peer));
    admission.action = MSG_ACTION_CANCEL;
    peer_send_admission(peer, &admission);
    attempt_file(peer, &admission, "kill", reason, sizeof reason);
    assert_true(peer_wait(peer, file_exists, reason, WAIT_MS));
    return admission;
}

static void expect_cancelled(struct peer *peer, struct msg_admission *admission)
{
    struct msg_execution_record *record = wait_record(peer, admission);
    assert_int_equal(record->outcome, MSG_OUTCOME_KILLED);
    assert_non_null(memmem(record->detail.data, record->detail.size, "cancelled", 9));
    stop_cleanly(peer);
}

static void agent__cancel_before_the_supervisor_is_known__ends_it_then(void **state)
{
    struct peer *peer = started(state, NULL);
    char supervisor[500], aside[500];
    struct msg_admission admission = cancel_unknown(peer, supervisor, aside);
    assert_int_equal(rename(aside, supervisor), 0);
    expect_cancelled(peer, &admission);
}

static void agent__killed_before_it_passed_on_a_cancel__the_next_one_does(void **state)
{
    struct peer *peer = started(state, NULL);
    char supervisor[500], aside[500];
    struct msg_admission admission = cancel_unknown(peer, supervisor, aside);
    peer_kill_agent(peer);
    assert_int_equal(rename(aside, supervisor), 0);
    peer_start_agent(peer, NULL);
    assert_true(peer_wait_connected(peer));
    expect_cancelled(peer, &admission);
}

static void agent__sigterm__leaves_attempts_for_the_next_agent(void **state)
{
    static const char *const ends[] = {"--end_attempts=yes", NULL};
    struct peer *peer = started(state, NULL);
    struct msg_admission admission = shell(peer, "sleep 300", 64 * MIB);
    peer_send_admission(peer, &admission);
    wait_running(peer, &admission);
    assert_int_equal(peer_stop_agent(peer), 0);
    assert_int_equal(peer_events(peer, admission.request.execution, MSG_EVENT_KIND_FINISHED, NULL), 0);
    peer_forget_samples(peer);
    peer_start_agent(peer, ends);
    assert_true(peer_wait_connected(peer));
    wait_running(peer, &admission);
    assert_int_equal(peer_stop_agent(peer), 0);
    assert_int_equal(wait_event(peer, &admission, MSG_EVENT_KIND_FINISHED)->outcome, MSG_OUTCOME_KILLED);
    assert_false(peer_cgroups_left(peer));
}

static void agent__no_contact_for_the_lease__ends_attempts_without_an_agent(void **state)
{
    static const char *const arguments[] = {"--lease=1500ms", NULL};
    struct peer *peer = started(state, arguments);
    struct msg_admission admission = shell(peer, "sleep 300", 64 * MIB);
    peer_send_admission(peer, &admission);
    wait_running(peer, &admission);
    peer_kill_agent(peer);
    char status[500];
    attempt_file(peer, &admission, "status", status, sizeof status);
    assert_true(peer_wait(peer, file_exists, status, WAIT_MS));
    peer_start_agent(peer, arguments);
    assert_true(peer_wait_connected(peer));
    struct msg_execution_record *record = wait_record(peer, &admission);
    assert_int_equal(record->outcome, MSG_OUTCOME_KILLED);
    assert_non_null(memmem(record->detail.data, record->detail.size, "lease", 5));
}

static void agent__killed_in_the_brake_and_not_back__kernel_decides(void **state)
{
    static const char *const arguments[] = {"--brake_deadline=500ms", NULL};
    struct peer *peer = started(state, arguments);
    struct msg_admission admission = python(peer, GROW, 40 * MIB);
    peer_send_admission(peer, &admission);
    assert_true(peer_wait(peer, in_brake, admission.request.execution, WAIT_MS));
    peer_kill_agent(peer);
    char status[500];
    attempt_file(peer, &admission, "status", status, sizeof status);
    assert_true(peer_wait(peer, file_exists, status, WAIT_MS));
    peer_start_agent(peer, arguments);
    assert_true(peer_wait_connected(peer));
    struct msg_execution_record *record = wait_record(peer, &admission);
    assert_int_equal(record->outcome, MSG_OUTCOME_OOM_KILLED);
    assert_true(record->totals.oom_kills >= 1);
    stop_cleanly(peer);
    assert_int_equal(peer_records(peer, admission.request.execution, NULL), 1);
    assert_int_equal(peer_events(peer, admission.request.execution, MSG_EVENT_KIND_FINISHED, NULL), 1);
}

/* The agent lives, its network does not. */
static void agent__cut_off_past_the_lease__ends_attempts_and_tells_later(void **state)
{
    static const char *const arguments[] = {"--lease=3s", NULL};
    struct peer *peer = started(state, arguments);
    struct msg_admission admission = shell(peer, "sleep 300", 64 * MIB);
    peer_send_admission(peer, &admission);
    wait_running(peer, &admission);
    char status[500];
    attempt_file(peer, &admission, "", status, sizeof status);
    peer->mute = true;
    assert_true(peer_wait(peer, file_is_gone, status, WAIT_MS));
    peer->mute = false;
    struct msg_execution_record *record = wait_record(peer, &admission);
    assert_int_equal(record->outcome, MSG_OUTCOME_KILLED);
    assert_non_null(memmem(record->detail.data, record->detail.size, "lease", 5));
    assert_int_equal(peer_events(peer, admission.request.execution, MSG_EVENT_KIND_FINISHED, NULL), 1);
}

static void agent__back_before_the_lease_ends__attempts_go_on(void **state)
{
    static const char *const arguments[] = {"--lease=4s", NULL};
    struct peer *peer = started(state, arguments);
    struct msg_admission admission = shell(peer, "sleep 6; exit 9", 64 * MIB);
    peer_send_admission(peer, &admission);
    wait_running(peer, &admission);
    peer->mute = true;
    assert_false(peer_wait(peer, has_record, admission.request.execution, 2000)); /* the length is the case */
    peer->mute = false;
    struct msg_execution_record *record = wait_record(peer, &admission);
    assert_int_equal(record->outcome, MSG_OUTCOME_CRASHED);
    assert_int_equal(record->exit_status, 9);
}

static void agent__unacknowledged_records__come_again(void **state)
{
    struct peer *peer = started(state, NULL);
    struct msg_admission admission = shell(peer, "true", 64 * MIB);
    peer->hold_acks = true;
    peer_send_admission(peer, &admission);
    (void)wait_record(peer, &admission);
    assert_true(peer->acks_held > 0);
    peer_kill_agent(peer);
    peer->kept_count = 0;
    peer->hold_acks = false;
    peer_start_agent(peer, NULL);
    assert_true(peer_wait_connected(peer));
    (void)wait_record(peer, &admission);
    (void)wait_event(peer, &admission, MSG_EVENT_KIND_ACCEPTED);
    (void)wait_event(peer, &admission, MSG_EVENT_KIND_FINISHED);
}

#define OTHERS 6

/* The number of the spool's newest entry, as the agent's frames told it. */
static uint64_t newest_number(const struct peer *peer)
{
    uint64_t newest = 0;
    for (size_t i = 0; i < peer->kept_count; i++)
        newest = FS_MAX(newest, peer->kept[i].number);
    return newest;
}

static bool all_recorded(struct peer *peer, void *admissions)
{
    const struct msg_admission *all = admissions;
    size_t recorded = 0;
    for (size_t i = 0; i < OTHERS; i++)
        recorded += peer_records(peer, all[i].request.execution, NULL);
    return recorded == OTHERS;
}

/* Killed between the claim of a number and the entry it was for: the others that ended meanwhile get it. */
static void agent__killed_before_it_spooled_what_it_claimed__reports_it_once(void **state)
{
    struct peer *peer = started(state, NULL);
    struct msg_admission all[OTHERS + 1], *claimed = &all[OTHERS];
    char path[500], go[300], script[400], text[32];
    (void)snprintf(go, sizeof go, "%s/go", peer->state_dir);
    (void)snprintf(script, sizeof script, "while [ ! -e %s ]; do sleep 0.05; done; exit 3", go);
    for (size_t i = 0; i < FS_COUNT(all); i++) {
        all[i] = shell(peer, script, 16 * MIB);
        peer_send_admission(peer, &all[i]);
        wait_running(peer, &all[i]);
    }
    peer_kill_agent(peer);
    attempt_file(peer, claimed, "reporting", path, sizeof path);
    int size = snprintf(text, sizeof text, "%" PRIu64 "\n", newest_number(peer) + 1);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, (size_t)size), size);
    (void)close(fd);
    fd = open(go, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    for (size_t i = 0; i < FS_COUNT(all); i++) {
        attempt_file(peer, &all[i], "status", path, sizeof path);
        assert_true(peer_wait(peer, file_exists, path, WAIT_MS));
    }
    peer_start_agent(peer, NULL);
    assert_true(peer_wait(peer, all_recorded, all, WAIT_MS));
    assert_int_equal(wait_record(peer, claimed)->exit_status, 3);
    (void)wait_event(peer, claimed, MSG_EVENT_KIND_FINISHED);
    stop_cleanly(peer);
    assert_int_equal(peer_records(peer, claimed->request.execution, NULL), 1);
    assert_int_equal(peer_events(peer, claimed->request.execution, MSG_EVENT_KIND_FINISHED, NULL), 1);
}

/* Rewrites a few bytes of a file in the attempt's directory; cut: so many less at its end. */
static void rewrite(const struct peer *peer, const struct msg_admission *admission, const char *name,
                    off_t offset, const void *bytes, size_t size, off_t cut)
{
    char path[500];
    struct stat status;
    attempt_file(peer, admission, name, path, sizeof path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, offset), size);
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(ftruncate(fd, status.st_size - cut), 0);
    (void)close(fd);
}

/* As the version before `memory_most_bytes` wrote it: without that byte at its end. */
static void agent__upgraded_over_an_admission_of_before__adopts_it(void **state)
{
    static const uint8_t before[] = {0xc4, 0x40, 0xaf, 0x88, 0x98, 0xe5, 0x45, 0x88};
    struct peer *peer = started(state, NULL);
    char go[300], script[400];
    (void)snprintf(go, sizeof go, "%s/go", peer->state_dir);
    (void)snprintf(script, sizeof script, "while [ ! -e %s ]; do sleep 0.05; done; exit 9", go);
    struct msg_admission admission = shell(peer, script, 64 * MIB);
    peer_send_admission(peer, &admission);
    wait_running(peer, &admission);
    peer_kill_agent(peer);
    rewrite(peer, &admission, "admission", 2, before, sizeof before, 1);
    peer_start_agent(peer, NULL);
    assert_true(peer_wait_connected(peer));
    let_end(go);
    assert_int_equal(wait_record(peer, &admission)->exit_status, 9);
}

/* Of a version that is still to come: nothing can be reported of it but that it is so. */
static void agent__downgraded_over_an_admission_of_later__says_what_is_lost(void **state)
{
    static const uint8_t later[] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct peer *peer = started(state, NULL);
    struct msg_admission admission = shell(peer, "sleep 300", 64 * MIB);
    char text[100] = "event=attempt_not_taken_over attempt=";
    peer_send_admission(peer, &admission);
    wait_running(peer, &admission);
    peer_kill_agent(peer);
    rewrite(peer, &admission, "admission", 2, later, sizeof later, 0);
    peer_start_agent(peer, NULL);
    assert_true(peer_wait_connected(peer));
    attempt_name(admission.request.execution, admission.attempt, text + strlen(text));
    assert_true(peer_logged(peer, text));
    stop_cleanly(peer);
}

/* Its supervisor is the one of before: contact has to reach it by the file that it knows. */
static void agent__upgraded_over_another_track__attempt_outlives_its_lease(void **state)
{
    static const char *const arguments[] = {"--lease=2s", NULL};
    static const uint64_t another = 1;
    struct peer *peer = started(state, arguments);
    struct msg_admission admission = shell(peer, "sleep 6; exit 9", 64 * MIB);
    peer_send_admission(peer, &admission);
    wait_running(peer, &admission);
    peer_kill_agent(peer);
    rewrite(peer, &admission, ATTEMPT_TRACK, offsetof(struct track, layout), &another, sizeof another, 100);
    peer_start_agent(peer, arguments);
    assert_true(peer_wait_connected(peer));
    struct msg_execution_record *record = wait_record(peer, &admission);
    assert_int_equal(record->outcome, MSG_OUTCOME_CRASHED);
    assert_int_equal(record->exit_status, 9);
    assert_true(record->series.count > 0);
    assert_true(peer_logged(peer, "event=track_of_another_version"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO(agent__killed_while_an_attempt_runs__adopts_it),
        SCENARIO(agent__killed_while_an_attempt_reads__what_was_read_never_falls),
        SCENARIO(agent__killed_while_an_attempt_is_in_the_brake__can_still_save_it),
        SCENARIO(agent__killed_while_an_attempt_exits__reports_it_once),
        SCENARIO(agent__killed_before_it_spooled_what_it_claimed__reports_it_once),
        SCENARIO(agent__supervisor_killed__ends_the_attempt_as_lost),
        SCENARIO(agent__cancel_before_the_supervisor_is_known__ends_it_then),
        SCENARIO(agent__killed_before_it_passed_on_a_cancel__the_next_one_does),
        SCENARIO(agent__upgraded_over_an_admission_of_before__adopts_it),
        SCENARIO(agent__downgraded_over_an_admission_of_later__says_what_is_lost),
        SCENARIO(agent__upgraded_over_another_track__attempt_outlives_its_lease),
        SCENARIO(agent__sigterm__leaves_attempts_for_the_next_agent),
        SCENARIO(agent__no_contact_for_the_lease__ends_attempts_without_an_agent),
        SCENARIO(agent__unacknowledged_records__come_again),
        SCENARIO(agent__killed_in_the_brake_and_not_back__kernel_decides),
        SCENARIO(agent__cut_off_past_the_lease__ends_attempts_and_tells_later),
        SCENARIO(agent__back_before_the_lease_ends__attempts_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
