/* See scenario.h. */
#include "tests/agent/scenario.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/attempt_files.h"
#include "agent/remover.h"

static struct str shell_argv[3] = {{"/bin/sh", 7}, {"-c", 2}, {NULL, 0}};
static struct str python_argv[3] = {{"/usr/bin/python3", 16}, {"-c", 2}, {NULL, 0}};

int scenario_set_up(void **state)
{
    if (geteuid() != 0) {
        print_message("SKIPPED: these tests need root to make cgroups; run them with sudo\n");
        return 0;
    }
    *state = peer_create();
    return 0;
}

int scenario_tear_down(void **state)
{
    if (*state)
        peer_destroy(*state);
    return 0;
}

struct peer *started(void **state, const char *const *arguments)
{
    struct peer *peer = *state;
    if (!peer)
        skip();
    peer_start_agent(peer, arguments);
    assert_true(peer_wait_connected(peer));
    return peer;
}

void restarted(struct peer *peer, const char *const *arguments)
{
    peer_kill_agent(peer);
    peer_start_agent(peer, arguments);
    assert_true(peer_wait_connected(peer));
}

struct msg_admission shell(struct peer *peer, const char *script, int64_t memory_bytes)
{
    shell_argv[2] = str_of(script);
    return peer_admission(peer, shell_argv, 3, memory_bytes);
}

struct msg_admission python(struct peer *peer, const char *script, int64_t memory_bytes)
{
    python_argv[2] = str_of(script);
    return peer_admission(peer, python_argv, 3, memory_bytes);
}

void attempt_file(const struct peer *peer, const struct msg_admission *admission, const char *name, char *out,
                  size_t size)
{
    char attempt[ATTEMPT_NAME_SIZE];
    attempt_name(admission->request.execution, admission->attempt, attempt);
    int used = snprintf(out, size, "%s/" ATTEMPTS_DIRECTORY "/%s/%s", peer->state_dir, attempt, name);
    assert_in_range(used, 1, size - 1);
}

void gone_directory(const struct peer *peer, const struct msg_admission *admission, char *out, size_t size)
{
    char attempt[ATTEMPT_NAME_SIZE];
    attempt_name(admission->request.execution, admission->attempt, attempt);
    int used = snprintf(out, size, "%s/" REMOVER_DIRECTORY "/%s", peer->state_dir, attempt);
    assert_in_range(used, 1, size - 1);
}

void let_end(const char *go)
{
    int fd = open(go, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
}

void read_text(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t got = read(fd, out, size - 1);
    (void)close(fd);
    assert_true(got >= 0);
    out[got] = '\0';
    if (got > 0 && out[got - 1] == '\n')
        out[got - 1] = '\0';
}

bool scenario_has_events(struct peer *peer, void *context)
{
    const struct scenario_wanted *wanted = context;
    return peer_events(peer, wanted->execution, wanted->kind, NULL) >= wanted->count;
}

bool has_record(struct peer *peer, void *execution)
{
    return peer_records(peer, execution, NULL) > 0;
}

bool has_sample(struct peer *peer, void *execution)
{
    return peer_sample(peer, execution) != NULL;
}

bool in_brake(struct peer *peer, void *execution)
{
    const struct msg_sample *sample = peer_sample(peer, execution);
    return sample && sample->counters.brake_engaged;
}

bool uses_20_mib(struct peer *peer, void *execution)
{
    const struct msg_sample *sample = peer_sample(peer, execution);
    return sample && sample->counters.memory_bytes > 20 * MIB;
}

bool node_is_empty(struct peer *peer, void *nothing)
{
    (void)nothing;
    return peer->status && peer->status->running.count == 0 && peer->status->committed.memory_bytes == 0;
}

bool file_exists(struct peer *peer, void *path)
{
    (void)peer;
    return access(path, F_OK) == 0;
}

bool file_is_gone(struct peer *peer, void *path)
{
    return !file_exists(peer, path);
}

bool was_logged(struct peer *peer, void *text)
{
    return peer_logged(peer, text);
}

struct msg_execution_event *wait_event(struct peer *peer, const struct msg_admission *admission,
                                       enum msg_event_kind kind)
{
    struct scenario_wanted wanted = {admission->request.execution, kind, 1};
    struct msg_execution_event *event = NULL;
    assert_true(peer_wait(peer, scenario_has_events, &wanted, WAIT_MS));
    (void)peer_events(peer, admission->request.execution, kind, &event);
    return event;
}

struct msg_execution_record *wait_record(struct peer *peer, struct msg_admission *admission)
{
    struct msg_execution_record *record = NULL;
    assert_true(peer_wait(peer, has_record, admission->request.execution, WAIT_MS));
    assert_int_equal(peer_records(peer, admission->request.execution, &record), 1);
    return record;
}

void wait_running(struct peer *peer, struct msg_admission *admission)
{
    (void)wait_event(peer, admission, MSG_EVENT_KIND_STARTED);
    assert_true(peer_wait(peer, has_sample, admission->request.execution, WAIT_MS));
}

void stop_cleanly(struct peer *peer)
{
    assert_int_equal(peer_stop_agent(peer), 0);
    assert_false(peer_cgroups_left(peer));
}
