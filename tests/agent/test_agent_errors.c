/* What goes wrong around the agent: no root, a state directory in use, an ingest that refuses or talks
 * nonsense, a full disk. Each is told clearly and loses nothing. */
#include "tests/agent/scenario.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOBODY 65534

static void agent__without_root__says_what_is_missing(void **state)
{
    struct peer *peer = *state;
    char text[4096];
    if (!peer) {
        skip();
        return;
    }
    assert_int_equal(peer_run_agent(peer, NOBODY, NULL, text, sizeof text), 1);
    assert_non_null(strstr(text, "cannot run executions"));
    assert_non_null(strstr(text, "root"));
    assert_non_null(strstr(text, "forestall-agent --check"));
}

static void agent__check__says_what_this_machine_allows(void **state)
{
    static const char *const plain[] = {"--check", NULL}, *const json[] = {"--check", "--json", NULL};
    struct peer *peer = *state;
    char text[8192];
    if (!peer) {
        skip();
        return;
    }
    assert_int_equal(peer_run_agent(peer, 0, plain, text, sizeof text), 0);
    assert_non_null(strstr(text, "memory_limit"));
    assert_int_equal(peer_run_agent(peer, 0, json, text, sizeof text), 0);
    assert_non_null(strstr(text, "{\"passed\": true, \"items\": ["));
    assert_int_equal(peer_run_agent(peer, NOBODY, json, text, sizeof text), 1);
    assert_non_null(strstr(text, "{\"passed\": false, \"items\": ["));
    assert_non_null(strstr(text, "\"advice\": \"needs root"));
}

static void agent__state_directory_in_use__says_so(void **state)
{
    struct peer *peer = started(state, NULL);
    char text[4096];
    assert_int_equal(peer_run_agent(peer, 0, NULL, text, sizeof text), 1);
    assert_non_null(strstr(text, "another agent uses this state directory"));
}

static void agent__settings_that_ingest_would_refuse__told_at_the_start(void **state)
{
    static const char *const wrong[][2] = {{"--agent.node=two words", "agent.node=two words"},
                                           {"--agent.pool=", "agent.pool="},
                                           {"--agent.ingest=127.0.0.1:7400, nowhere", "\"nowhere\" is not"}};
    struct peer *peer = *state;
    char text[4096];
    if (!peer)
        skip();
    for (size_t i = 0; i < FS_COUNT(wrong); i++) {
        const char *const arguments[] = {wrong[i][0], NULL};
        assert_int_equal(peer_run_agent(peer, 0, arguments, text, sizeof text), 1);
        assert_non_null(strstr(text, wrong[i][1]));
    }
}

static bool was_rejected_twice(struct peer *peer, void *nothing)
{
    (void)nothing;
    return peer->rejected >= 2;
}

static bool is_connected_again(struct peer *peer, void *hellos)
{
    return peer->hellos > *(size_t *)hellos;
}

/* What a second agent with the node id of a connected one is told. Its attempts are not its to end: they go
 * on. */
static void agent__rejected_by_ingest__says_why_and_tries_again(void **state)
{
    struct peer *peer = started(state, NULL);
    struct msg_admission admission = shell(peer, "sleep 300", 64 * MIB);
    peer_send_admission(peer, &admission);
    wait_running(peer, &admission);
    peer->reject = "node test-node is connected with another incarnation";
    peer_disconnect(peer);
    assert_true(peer_wait(peer, was_rejected_twice, NULL, WAIT_MS));
    assert_true(peer_logged(peer, "event=link_rejected"));
    assert_true(peer_logged(peer, peer->reject));
    size_t hellos = peer->hellos;
    peer->reject = NULL;
    peer_forget_samples(peer);
    assert_true(peer_wait(peer, is_connected_again, &hellos, WAIT_MS));
    assert_true(peer_wait(peer, has_sample, admission.request.execution, WAIT_MS));
    assert_int_equal(peer_events(peer, admission.request.execution, MSG_EVENT_KIND_FINISHED, NULL), 0);
}

static void agent__malformed_frames__connection_begun_anew(void **state)
{
    static const uint8_t frames[][16] = {
        {0, 0, 0, 0},                       /* no type */
        {0x7f, 0xff, 0xff, 0xff, 9},        /* 2 GiB to come */
        {0, 0, 0, 1, 99},                   /* a type nobody knows */
        {0, 0, 0, 1, 1},                    /* a HELLO, which only agents send */
        {0, 0, 0, 3, 8, 1, 2},              /* an ACK without its number */
        {0, 0, 0, 1, FRAME_TYPE_END},       /* one past the last */
        {0xff, 0xff, 0xff, 0xff, 255, 255}, /* noise */
    };
    struct peer *peer = started(state, NULL);
    struct msg_admission admission = shell(peer, "sleep 300", 64 * MIB);
    peer_send_admission(peer, &admission);
    wait_running(peer, &admission);
    for (size_t i = 0; i < FS_COUNT(frames); i++) {
        size_t hellos = peer->hellos;
        peer_send_bytes(peer, frames[i], i == 0 ? 4 : sizeof frames[i]);
        assert_true(peer_wait(peer, is_connected_again, &hellos, WAIT_MS));
    }
    assert_true(peer_logged(peer, "event=link_down"));
    static const uint8_t nonsense[] = {0, 0, 0, 4, FRAME_ADMISSION,
                                       1, 2, 3}; /* a whole frame, not a message */
    size_t hellos = peer->hellos;
    peer_send_bytes(peer, nonsense, sizeof nonsense);
    assert_true(peer_wait(peer, was_logged, (void *)(uintptr_t) "event=admission_not_read", WAIT_MS));
    admission.action = MSG_ACTION_CANCEL;
    peer_send_admission(peer, &admission);
    assert_int_equal(wait_record(peer, &admission)->outcome, MSG_OUTCOME_KILLED);
    assert_int_equal(peer->hellos, hellos);
    assert_int_equal(peer_events(peer, admission.request.execution, MSG_EVENT_KIND_STARTED, NULL), 1);
}

#define TEXT_SIZE 4096 /* of what the agent says */

/* --- a full disk: a small tmpfs that only this process sees --- */

static void need_own_mounts(const char *what)
{
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        print_message("SKIPPED: no mount namespaces here: %s was not tested\n", what);
        skip();
    }
}

static void mount_small(const struct peer *peer)
{
    need_own_mounts("the full disk");
    assert_int_equal(mkdir(peer->state_dir, 0755), 0);
    assert_int_equal(mount("small", peer->state_dir, "tmpfs", 0, "size=8m"), 0);
}

static void fill_disk(const struct peer *peer)
{
    static char piece[65536];
    char path[300];
    (void)snprintf(path, sizeof path, "%s/filler", peer->state_dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    for (size_t size = sizeof piece; size > 0;) {
        if (write(fd, piece, size) != (ssize_t)size)
            size /= 2;
    }
    (void)close(fd);
}

static void free_disk(const struct peer *peer)
{
    char path[300];
    (void)snprintf(path, sizeof path, "%s/filler", peer->state_dir);
    assert_int_equal(unlink(path), 0);
}

/* The agent ends at once; what it said, and the small disk is gone again. */
static void expect_no_start(struct peer *peer, char text[TEXT_SIZE])
{
    int status = peer_run_agent(peer, 0, NULL, text, TEXT_SIZE);
    (void)umount2(peer->state_dir, MNT_DETACH);
    assert_int_equal(status, 1);
}

static void agent__disk_full_at_start__says_so(void **state)
{
    struct peer *peer = *state;
    char text[TEXT_SIZE];
    if (!peer) {
        skip();
        return;
    }
    mount_small(peer);
    fill_disk(peer);
    expect_no_start(peer, text);
    assert_non_null(strstr(text, "No space left on device"));
    assert_non_null(strstr(text, peer->state_dir));
    assert_non_null(strstr(text, "free space"));
    assert_non_null(strstr(text, "or set service.state_dir"));
}

static void agent__state_directory_read_only_at_start__says_what_to_do(void **state)
{
    struct peer *peer = *state;
    char text[TEXT_SIZE];
    if (!peer) {
        skip();
        return;
    }
    mount_small(peer);
    assert_int_equal(mount("small", peer->state_dir, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL), 0);
    expect_no_start(peer, text);
    assert_non_null(strstr(text, "Read-only file system"));
    assert_non_null(strstr(text, "mount it writable, or set service.state_dir"));
}

/* max_attempts was lowered below what runs on. */
static void agent__more_attempts_than_may_be__says_what_to_raise(void **state)
{
    static const char *const one[] = {"--agent.max_attempts=1", NULL};
    struct peer *peer = started(state, NULL);
    char text[4096];
    for (int i = 0; i < 2; i++) {
        struct msg_admission admission = shell(peer, "sleep 300", 64 * MIB);
        peer_send_admission(peer, &admission);
        wait_running(peer, &admission);
    }
    peer_kill_agent(peer);
    assert_int_equal(peer_run_agent(peer, 0, one, text, sizeof text), 1);
    assert_non_null(strstr(text, "raise agent.max_attempts"));
    restarted(peer, NULL);
}

static void agent__disk_full_while_running__admits_nothing_and_loses_nothing(void **state)
{
    struct peer *peer = *state;
    char go[300], script[700];
    if (!peer) {
        skip();
        return;
    }
    (void)snprintf(go, sizeof go, "%s.go", peer->state_dir);
    (void)snprintf(script, sizeof script, "while [ ! -e %s ]; do sleep 0.05; done; rm %s; exit 6", go, go);
    mount_small(peer);
    (void)started(state, NULL);
    struct msg_admission running = shell(peer, script, 64 * MIB);
    peer_send_admission(peer, &running);
    wait_running(peer, &running);
    fill_disk(peer);
    struct msg_admission offered = shell(peer, "exit 5", 64 * MIB);
    peer_send_admission(peer, &offered);
    struct str reason = wait_event(peer, &offered, MSG_EVENT_KIND_REFUSED)->reason;
    assert_non_null(memmem(reason.data, reason.size, "No space left on device", 23));
    int fd = open(go, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_true(peer_wait(peer, file_is_gone, go, WAIT_MS));
    free_disk(peer);
    assert_int_equal(wait_record(peer, &running)->exit_status, 6);
    (void)wait_event(peer, &running, MSG_EVENT_KIND_FINISHED);
    assert_int_equal(peer_events(peer, offered.request.execution, MSG_EVENT_KIND_ACCEPTED, NULL), 0);
    offered.placement = ++peer->placement; /* offered again, it runs */
    peer_send_admission(peer, &offered);
    assert_int_equal(wait_record(peer, &offered)->exit_status, 5);
    stop_cleanly(peer);
    assert_int_equal(peer_records(peer, running.request.execution, NULL), 1);
    assert_int_equal(peer_events(peer, running.request.execution, MSG_EVENT_KIND_FINISHED, NULL), 1);
    (void)umount2(peer->state_dir, MNT_DETACH);
}

/* Waits for a file to appear, which it takes away, then ends. */
static void make_waiting(const struct peer *peer, const char *name, int status, char go[300],
                         char script[800])
{
    (void)snprintf(go, 300, "%s.%s", peer->state_dir, name);
    (void)snprintf(script, 800, "while [ ! -e %s ]; do sleep 0.05; done; rm %s; exit %d", go, go, status);
}

/* The record that does not fit any more waits, while smaller ones of others take the spool's next numbers. */
static void agent__record_does_not_fit__reported_once_there_is_room(void **state)
{
    static char large[2][100000];
    struct peer *peer = *state;
    char go[2][300], scripts[2][800], filler[300];
    if (!peer) {
        skip();
        return; /* it does not come back, which analysers do not know */
    }
    make_waiting(peer, "large", 6, go[0], scripts[0]);
    make_waiting(peer, "small", 7, go[1], scripts[1]);
    mount_small(peer);
    (void)started(state, NULL);
    for (size_t i = 0; i < FS_COUNT(large); i++) {
        memset(large[i], 'x', sizeof large[i] - 1);
        (void)memcpy(large[i], i == 0 ? "A=" : "B=", 2);
    }
    struct str env[] = {str_of(large[0]), str_of(large[1])};
    struct msg_admission heavy = shell(peer, scripts[0], 64 * MIB);
    heavy.request.env = (struct msg_str_array){env, FS_COUNT(env)};
    peer_send_admission(peer, &heavy);
    wait_running(peer, &heavy);
    struct msg_admission light = shell(peer, scripts[1], 64 * MIB);
    peer_send_admission(peer, &light);
    wait_running(peer, &light);
    fill_disk(peer);
    (void)snprintf(filler, sizeof filler, "%s/filler", peer->state_dir);
    struct stat status;
    assert_int_equal(stat(filler, &status), 0);
    assert_int_equal(truncate(filler, status.st_size - 98304), 0);
    let_end(go[0]);
    assert_true(peer_wait(peer, was_logged, (void *)(uintptr_t) "event=ending_not_spooled", WAIT_MS));
    let_end(go[1]);
    assert_int_equal(wait_record(peer, &light)->exit_status, 7);
    free_disk(peer);
    assert_int_equal(wait_record(peer, &heavy)->exit_status, 6);
    (void)wait_event(peer, &heavy, MSG_EVENT_KIND_FINISHED);
    stop_cleanly(peer);
    assert_int_equal(peer_records(peer, heavy.request.execution, NULL), 1);
    assert_int_equal(peer_events(peer, heavy.request.execution, MSG_EVENT_KIND_FINISHED, NULL), 1);
    (void)umount2(peer->state_dir, MNT_DETACH);
}

/* Something is mounted in its scratch: what it had committed is free all the same, and the next agent, to
 * which what is left is none of its attempts, removes it. */
static void agent__directory_cannot_be_removed__attempt_let_go(void **state)
{
    struct peer *peer = *state;
    char go[300], script[800], directory[500], scratch[500], gone[500], left[520], kept[520];
    if (!peer) {
        skip();
        return;
    }
    need_own_mounts("a mount in a scratch directory");
    make_waiting(peer, "mounted", 4, go, script);
    (void)started(state, NULL);
    struct msg_admission admission = shell(peer, script, 64 * MIB);
    peer_send_admission(peer, &admission);
    wait_running(peer, &admission);
    attempt_file(peer, &admission, "", directory, sizeof directory);
    attempt_file(peer, &admission, "scratch", scratch, sizeof scratch);
    gone_directory(peer, &admission, gone, sizeof gone);
    (void)snprintf(left, sizeof left, "%s/admission", gone);
    (void)snprintf(kept, sizeof kept, "%s/scratch", gone);
    assert_int_equal(mount("mounted", scratch, "tmpfs", 0, "size=1m"), 0);
    let_end(go);
    bool logged = peer_wait(peer, was_logged, (void *)(uintptr_t) "event=directory_not_removed", WAIT_MS);
    peer->status = NULL; /* the next one */
    bool let_go = peer_wait(peer, node_is_empty, NULL, 5000);
    bool still_there = access(kept, F_OK) == 0;
    peer_kill_agent(peer);
    assert_int_equal(umount2(kept, MNT_DETACH), 0);
    assert_true(logged && let_go && still_there);
    assert_int_equal(access(left, F_OK), -1);
    assert_int_equal(access(directory, F_OK), -1);
    restarted(peer, NULL);
    assert_true(peer_wait(peer, file_is_gone, gone, WAIT_MS));
    assert_int_equal(wait_record(peer, &admission)->exit_status, 4);
    stop_cleanly(peer);
    assert_int_equal(peer_records(peer, admission.request.execution, NULL), 1);
    assert_int_equal(peer_events(peer, admission.request.execution, MSG_EVENT_KIND_LOST, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO(agent__without_root__says_what_is_missing),
        SCENARIO(agent__check__says_what_this_machine_allows),
        SCENARIO(agent__state_directory_in_use__says_so),
        SCENARIO(agent__settings_that_ingest_would_refuse__told_at_the_start),
        SCENARIO(agent__rejected_by_ingest__says_why_and_tries_again),
        SCENARIO(agent__malformed_frames__connection_begun_anew),
        SCENARIO(agent__disk_full_at_start__says_so),
        SCENARIO(agent__state_directory_read_only_at_start__says_what_to_do),
        SCENARIO(agent__more_attempts_than_may_be__says_what_to_raise),
        SCENARIO(agent__disk_full_while_running__admits_nothing_and_loses_nothing),
        SCENARIO(agent__record_does_not_fit__reported_once_there_is_room),
        SCENARIO(agent__directory_cannot_be_removed__attempt_let_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
