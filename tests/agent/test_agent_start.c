/* Starts that do not come: the working directory or an output lies on a file system that does not answer. */
#include "tests/agent/scenario.h"

#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/agent/hung_fs.h"

struct place {
    struct hung_fs fs;
    char directory[300];
};

static void make_place(const struct peer *peer, struct place *place)
{
    (void)snprintf(place->directory, sizeof place->directory, "%s.hung", peer->state_dir);
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mkdir(place->directory, 0755) < 0 || hung_fs_open(place->directory, &place->fs) < 0) {
        print_message("SKIPPED: no mount namespaces or no FUSE here: hung file systems were not tested\n");
        (void)rmdir(place->directory);
        skip();
    }
}

static void end_place(const struct place *place)
{
    hung_fs_close(&place->fs, place->directory);
    (void)rmdir(place->directory);
}

static bool says(struct str text, const char *what)
{
    return memmem(text.data, text.size, what, strlen(what)) != NULL;
}

static bool runs_nothing(struct peer *peer, void *nothing)
{
    (void)nothing;
    return peer->status && peer->status->running.count == 0;
}

/* Its process cannot be killed: it is told all the same, others go on, and what it had committed is not given
 * to others before it is gone. */
static void agent__directory_that_does_not_answer__start_failed(void **state)
{
    static const char *const arguments[] = {"--start_timeout=2s", NULL};
    struct peer *peer = *state;
    struct place place;
    if (!peer) {
        skip();
        return;
    }
    make_place(peer, &place);
    (void)started(state, arguments);
    struct msg_admission admission = shell(peer, "true", 64 * MIB);
    admission.request.cwd = str_of(place.directory);
    peer_send_admission(peer, &admission);
    bool asked =
        peer_wait(peer, has_sample, admission.request.execution, WAIT_MS) && hung_fs_take(&place.fs, WAIT_MS);
    struct msg_admission other = shell(peer, "exit 5", 64 * MIB);
    peer_send_admission(peer, &other);
    struct scenario_wanted finished = {admission.request.execution, MSG_EVENT_KIND_FINISHED, 1};
    bool recorded = peer_wait(peer, has_record, other.request.execution, WAIT_MS),
         told = peer_wait(peer, scenario_has_events, &finished, WAIT_MS);
    peer->status = NULL; /* the next one */
    bool ended = peer_wait(peer, runs_nothing, NULL, 5000);
    int64_t committed = ended ? peer->status->committed.memory_bytes : 0;
    restarted(peer, arguments);
    bool kept = peer_wait(peer, was_logged, (void *)(uintptr_t) "event=processes_left", WAIT_MS);
    end_place(&place);
    assert_true(asked && recorded && told && ended && kept);
    assert_int_equal(committed, 64 * MIB);
    struct msg_execution_record *record = wait_record(peer, &admission);
    assert_int_equal(record->outcome, MSG_OUTCOME_CRASHED);
    assert_int_equal(record->exit_status, 126);
    assert_true(says(record->detail, "cannot enter the directory"));
    assert_true(says(record->detail, place.directory));
    assert_true(says(record->detail, "no answer"));
    assert_true(peer_wait(peer, node_is_empty, NULL, WAIT_MS));
    stop_cleanly(peer);
    assert_int_equal(peer_records(peer, admission.request.execution, NULL), 1);
    assert_int_equal(peer_events(peer, admission.request.execution, MSG_EVENT_KIND_FINISHED, NULL), 1);
    assert_int_equal(peer_events(peer, admission.request.execution, MSG_EVENT_KIND_STARTED, NULL), 0);
}

/* Long before the deadline of a start. */
static void agent__cancel_while_its_output_does_not_answer__ends_it(void **state)
{
    struct peer *peer = *state;
    struct place place;
    char path[320];
    if (!peer) {
        skip();
        return;
    }
    make_place(peer, &place);
    (void)started(state, NULL);
    (void)snprintf(path, sizeof path, "%s/output", place.directory);
    struct msg_admission admission = shell(peer, "true", 64 * MIB);
    admission.request.stdout_path = str_of(path);
    peer_send_admission(peer, &admission);
    bool sampled = peer_wait(peer, has_sample, admission.request.execution, WAIT_MS);
    admission.action = MSG_ACTION_CANCEL;
    peer_send_admission(peer, &admission);
    bool told = peer_wait(peer, has_record, admission.request.execution, WAIT_MS);
    end_place(&place);
    assert_true(sampled && told);
    assert_int_equal(wait_record(peer, &admission)->outcome, MSG_OUTCOME_KILLED);
    stop_cleanly(peer);
}

/* The execution's own time counts from the start on. */
static void agent__timeout_while_its_directory_does_not_answer__timed_out(void **state)
{
    struct peer *peer = *state;
    struct place place;
    if (!peer) {
        skip();
        return;
    }
    make_place(peer, &place);
    (void)started(state, NULL);
    struct msg_admission admission = shell(peer, "true", 64 * MIB);
    admission.request.cwd = str_of(place.directory);
    admission.request.timeout_ms = 500;
    peer_send_admission(peer, &admission);
    bool told = peer_wait(peer, has_record, admission.request.execution, WAIT_MS);
    end_place(&place);
    assert_true(told);
    assert_int_equal(wait_record(peer, &admission)->outcome, MSG_OUTCOME_TIMED_OUT);
    stop_cleanly(peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO(agent__directory_that_does_not_answer__start_failed),
        SCENARIO(agent__cancel_while_its_output_does_not_answer__ends_it),
        SCENARIO(agent__timeout_while_its_directory_does_not_answer__timed_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
