/* What ended attempts left is removed beside everything else that the agent does, and across its restarts. */
#include "tests/agent/scenario.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES 20000 /* take far longer than TICKS ticks */
#define TICKS 5

static const char *const quick[] = {"--tick=10ms", NULL};

/* An attempt that waits until `go` is there and leaves many files in its scratch directory. */
static struct msg_admission leave_many_files(struct peer *peer, char go[300])
{
    char script[400], scratch[500], name[16];
    (void)snprintf(go, 300, "%s/go", peer->state_dir);
    (void)snprintf(script, sizeof script, "while [ ! -e %s ]; do sleep 0.05; done", go);
    struct msg_admission admission = shell(peer, script, 64 * MIB);
    peer_send_admission(peer, &admission);
    wait_running(peer, &admission);
    attempt_file(peer, &admission, "scratch", scratch, sizeof scratch);
    int fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (int i = 0; i < FILES; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        assert_int_equal(mknodat(fd, name, S_IFREG | 0600, 0), 0);
    }
    (void)close(fd);
    return admission;
}

static bool ticked(struct peer *peer, void *until)
{
    return peer->ticks >= *(size_t *)until;
}

static void agent__many_files_to_remove__samples_go_on(void **state)
{
    struct peer *peer = started(state, quick);
    char go[300], directory[500], gone[500];
    struct msg_admission other = shell(peer, "sleep 300", 64 * MIB);
    peer_send_admission(peer, &other);
    wait_running(peer, &other);
    struct msg_admission admission = leave_many_files(peer, go);
    attempt_file(peer, &admission, "", directory, sizeof directory);
    gone_directory(peer, &admission, gone, sizeof gone);
    let_end(go);
    (void)wait_event(peer, &admission, MSG_EVENT_KIND_FINISHED);
    size_t until = peer->ticks + TICKS;
    assert_true(peer_wait(peer, ticked, &until, WAIT_MS));
    assert_true(file_exists(peer, directory) || file_exists(peer, gone)); /* it is still at it */
    assert_true(peer_wait(peer, file_is_gone, directory, WAIT_MS));
    assert_true(peer_wait(peer, file_is_gone, gone, 3 * WAIT_MS));
    assert_false(peer_logged(peer, "event=directory_not_removed"));
}

static void agent__ended_while_it_removes__the_next_one_goes_on(void **state)
{
    struct peer *peer = started(state, quick);
    char go[300], directory[500], gone[500];
    struct msg_admission admission = leave_many_files(peer, go);
    attempt_file(peer, &admission, "", directory, sizeof directory);
    gone_directory(peer, &admission, gone, sizeof gone);
    let_end(go);
    (void)wait_event(peer, &admission, MSG_EVENT_KIND_FINISHED);
    assert_true(peer_wait(peer, file_is_gone, directory, WAIT_MS));
    peer_kill_agent(peer);
    assert_true(file_exists(peer, gone));
    peer_start_agent(peer, quick);
    assert_true(peer_wait_connected(peer));
    assert_int_equal(peer_stop_agent(peer), 0); /* stopped, it does not wait for it */
    peer_start_agent(peer, quick);
    assert_true(peer_wait_connected(peer));
    assert_true(peer_wait(peer, file_is_gone, gone, 3 * WAIT_MS));
    stop_cleanly(peer);
    assert_int_equal(peer_records(peer, admission.request.execution, NULL), 1);
    assert_int_equal(peer_events(peer, admission.request.execution, MSG_EVENT_KIND_LOST, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO(agent__many_files_to_remove__samples_go_on),
        SCENARIO(agent__ended_while_it_removes__the_next_one_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
