/* The real agent and its supervisors against a test's own ingest. Needs root and cgroups. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "tests/agent/peer.h"

#define MIB (1ll << 20)
#define WAIT_MS 20000

static struct str shell_argv[3] = {{"/bin/sh", 7}, {"-c", 2}, {NULL, 0}};
static struct str python_argv[3] = {{"/usr/bin/python3", 16}, {"-c", 2}, {NULL, 0}};

static struct msg_admission shell(struct peer *peer, const char *script, int64_t memory_bytes)
{
    shell_argv[2] = str_of(script);
    return peer_admission(peer, shell_argv, 3, memory_bytes);
}

static struct msg_admission python(struct peer *peer, const char *script, int64_t memory_bytes)
{
    python_argv[2] = str_of(script);
    return peer_admission(peer, python_argv, 3, memory_bytes);
}

/* Grows to 80 MiB, 2 MiB every 20 ms. */
#define GROW                                                                                                 \
    "import time\n"                                                                                          \
    "a=[]\n"                                                                                                 \
    "for i in range(40):\n"                                                                                  \
    " a.append(bytearray(b'x')*(2<<20))\n"                                                                   \
    " time.sleep(0.02)\n"

static int set_up(void **state)
{
    if (geteuid() != 0) {
        print_message("SKIPPED: these tests need root to make cgroups; run them with sudo\n");
        return 0;
    }
    *state = peer_create();
    return 0;
}

static int tear_down(void **state)
{
    if (*state)
        peer_destroy(*state);
    return 0;
}

static struct peer *started(void **state, const char *const *arguments)
{
    struct peer *peer = *state;
    if (!peer)
        skip();
    peer_start_agent(peer, arguments);
    assert_true(peer_wait_connected(peer));
    return peer;
}

struct wanted {
    const uint8_t *execution;
    enum msg_event_kind kind;
    size_t count;
};

static bool has_events(struct peer *peer, void *context)
{
    const struct wanted *wanted = context;
    return peer_events(peer, wanted->execution, wanted->kind, NULL) >= wanted->count;
}

static struct msg_execution_event *wait_event(struct peer *peer, const struct msg_admission *admission,
                                              enum msg_event_kind kind)
{
    struct wanted wanted = {admission->request.execution, kind, 1};
    struct msg_execution_event *event = NULL;
    assert_true(peer_wait(peer, has_events, &wanted, WAIT_MS));
    (void)peer_events(peer, admission->request.execution, kind, &event);
    return event;
}

static bool has_record(struct peer *peer, void *execution)
{
    return peer_records(peer, execution, NULL) > 0;
}

static struct msg_execution_record *wait_record(struct peer *peer, struct msg_admission *admission)
{
    struct msg_execution_record *record = NULL;
    assert_true(peer_wait(peer, has_record, admission->request.execution, WAIT_MS));
    assert_int_equal(peer_records(peer, admission->request.execution, &record), 1);
    return record;
}

static bool has_sample(struct peer *peer, void *execution)
{
    return peer_sample(peer, execution) != NULL;
}

static bool in_brake(struct peer *peer, void *execution)
{
    struct msg_sample *sample = peer_sample(peer, execution);
    return sample && sample->counters.brake_engaged;
}

static bool uses_20_mib(struct peer *peer, void *execution)
{
    struct msg_sample *sample = peer_sample(peer, execution);
    return sample && sample->counters.memory_bytes > 20 * MIB;
}

static bool node_is_empty(struct peer *peer, void *context)
{
    (void)context;
    return peer->status && peer->status->running.count == 0 && peer->status->committed.memory_bytes == 0;
}

static void agent__program_that_ends__is_reported_and_cleaned_up(void **state)
{
    struct peer *peer = started(state, NULL);
    char path[300], text[64] = "";
    (void)snprintf(path, sizeof path, "%s/out.txt", peer->state_dir);
    struct msg_admission admission = shell(
        peer, "echo hello $FORESTALL_ATTEMPT; cat $FORESTALL_LIMITS | head -1; pwd >&2; exit 3", 64 * MIB);
    admission.request.stdout_path = str_of(path);
    peer_send_admission(peer, &admission);
    struct msg_execution_event *finished = wait_event(peer, &admission, MSG_EVENT_KIND_FINISHED);
    assert_int_equal(finished->outcome, MSG_OUTCOME_CRASHED);
    assert_int_equal(finished->cause, MSG_CAUSE_OTHER);
    assert_int_equal(finished->exit_status, 3);
    assert_int_equal(peer_events(peer, admission.request.execution, MSG_EVENT_KIND_ACCEPTED, NULL), 1);
    assert_int_equal(peer_events(peer, admission.request.execution, MSG_EVENT_KIND_STARTED, NULL), 1);
    struct msg_execution_record *record = wait_record(peer, &admission);
    assert_int_equal(record->outcome, MSG_OUTCOME_CRASHED);
    assert_true(record->series.count >= 1);
    assert_true(record->totals.cpu_usage_us > 0);
    assert_int_equal(record->first_limits.memory_bytes, 64 * MIB);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
    (void)close(fd);
    assert_string_equal(text, "hello 1\nmemory_bytes=67108864\n");
    assert_true(peer_wait(peer, node_is_empty, NULL, WAIT_MS));
    assert_int_equal(peer_stop_agent(peer), 0);
    assert_false(peer_cgroups_left(peer));
}

static void agent__program_not_there__is_a_crash_with_the_reason(void **state)
{
    struct peer *peer = started(state, NULL);
    struct str argv[] = {str_of("/no/such/program")};
    struct msg_admission admission = peer_admission(peer, argv, 1, 0);
    peer_send_admission(peer, &admission);
    struct msg_execution_event *finished = wait_event(peer, &admission, MSG_EVENT_KIND_FINISHED);
    assert_int_equal(finished->outcome, MSG_OUTCOME_CRASHED);
    assert_int_equal(finished->exit_status, 127);
    assert_non_null(memmem(finished->reason.data, finished->reason.size, "/no/such/program", 16));
    assert_int_equal(peer_events(peer, admission.request.execution, MSG_EVENT_KIND_STARTED, NULL), 0);
}

static void agent__stdout_that_cannot_be_opened__is_told(void **state)
{
    struct peer *peer = started(state, NULL);
    struct msg_admission admission = shell(peer, "true", 0);
    admission.request.stdout_path = str_of("/no/such/folder/out");
    peer_send_admission(peer, &admission);
    struct msg_execution_event *finished = wait_event(peer, &admission, MSG_EVENT_KIND_FINISHED);
    assert_int_equal(finished->outcome, MSG_OUTCOME_CRASHED);
    assert_non_null(memmem(finished->reason.data, finished->reason.size, "/no/such/folder/out", 19));
}

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

static void agent__timeout_without_cpu__names_cpu(void **state)
{
    struct peer *peer = started(state, NULL);
    struct msg_admission admission = shell(peer, "while :; do :; done", 64 * MIB);
    admission.limits.cpu_millicores = 100;
    admission.request.timeout_ms = 1500;
    peer_send_admission(peer, &admission);
    struct msg_execution_record *record = wait_record(peer, &admission);
    assert_int_equal(record->outcome, MSG_OUTCOME_TIMED_OUT);
    assert_int_equal(record->cause, MSG_CAUSE_CPU);
    assert_in_range(record->ended_us - record->started_us, 1400000, 4000000);
}

static void agent__cancel__kills_the_whole_tree(void **state)
{
    struct peer *peer = started(state, NULL);
    struct msg_admission admission = shell(peer, "sleep 300 & setsid sleep 300 & wait", 64 * MIB);
    peer_send_admission(peer, &admission);
    assert_true(peer_wait(peer, has_sample, admission.request.execution, WAIT_MS));
    admission.action = MSG_ACTION_CANCEL;
    peer_send_admission(peer, &admission);
    struct msg_execution_event *finished = wait_event(peer, &admission, MSG_EVENT_KIND_FINISHED);
    assert_int_equal(finished->outcome, MSG_OUTCOME_KILLED);
    assert_true(peer_wait(peer, node_is_empty, NULL, WAIT_MS));
    assert_int_equal(peer_stop_agent(peer), 0);
    assert_false(peer_cgroups_left(peer));
}

static bool file_exists(struct peer *peer, void *path)
{
    (void)peer;
    return access(path, F_OK) == 0;
}

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
    peer_kill_agent(peer);
    peer_start_agent(peer, NULL);
    assert_true(peer_wait_connected(peer));
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
    assert_true(peer_wait(peer, has_sample, treated.request.execution, WAIT_MS));
    assert_true(peer_wait(peer, has_sample, held.request.execution, WAIT_MS));
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
        struct wanted wanted = {treated.request.execution, MSG_EVENT_KIND_ADJUSTED, i + 1};
        struct msg_execution_event *event = NULL;
        peer_send_adjustment(peer, steps[i].adjustment);
        assert_true(peer_wait(peer, has_events, &wanted, WAIT_MS));
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
    assert_true(peer_wait(peer, has_sample, admission.request.execution, WAIT_MS));
    struct msg_adjustment large = peer_adjustment(peer, &admission, 2048 * MIB);
    peer_send_adjustment(peer, &large);
    assert_true(peer_wait(peer, is_short, NULL, WAIT_MS));
    assert_int_equal(peer->status->short_.items[0].resource, MSG_CAUSE_MEMORY);
    assert_int_equal(peer->status->short_.items[0].wanted, 2048 * MIB);
}

static void agent__killed_while_an_attempt_runs__adopts_it(void **state)
{
    struct peer *peer = started(state, NULL);
    struct msg_admission admission = shell(peer, "sleep 1.5; exit 7", 64 * MIB);
    peer_send_admission(peer, &admission);
    assert_true(peer_wait(peer, has_sample, admission.request.execution, WAIT_MS));
    int64_t epoch = peer->hello.epoch;
    peer_kill_agent(peer);
    peer_start_agent(peer, NULL);
    assert_true(peer_wait_connected(peer));
    assert_int_equal(peer->hello.epoch, epoch + 1);
    struct msg_execution_record *record = wait_record(peer, &admission);
    assert_int_equal(record->exit_status, 7);
    assert_true(record->series.count > 1);
    assert_int_equal(peer_events(peer, admission.request.execution, MSG_EVENT_KIND_STARTED, NULL), 1);
    assert_int_equal(peer_stop_agent(peer), 0);
    assert_false(peer_cgroups_left(peer));
    assert_int_equal(peer_records(peer, admission.request.execution, NULL), 1);
}

static void agent__killed_while_an_attempt_is_in_the_brake__can_still_save_it(void **state)
{
    struct peer *peer = started(state, NULL);
    struct msg_admission admission = python(peer, GROW, 40 * MIB);
    peer_send_admission(peer, &admission);
    assert_true(peer_wait(peer, in_brake, admission.request.execution, 5000));
    peer_kill_agent(peer);
    peer_start_agent(peer, NULL);
    assert_true(peer_wait_connected(peer));
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
    assert_true(peer_wait(peer, has_sample, admission.request.execution, WAIT_MS));
    peer_kill_agent(peer);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    char name[80], status[500];
    for (int i = 0; i < 16; i++)
        (void)snprintf(name + 2 * i, 3, "%02x", admission.request.execution[i]);
    (void)snprintf(status, sizeof status, "%s/a/%s.1/status", peer->state_dir, name);
    assert_true(peer_wait(peer, file_exists, status, WAIT_MS));
    peer_start_agent(peer, NULL);
    assert_true(peer_wait_connected(peer));
    assert_int_equal(wait_record(peer, &admission)->exit_status, 5);
    assert_true(peer_wait(peer, node_is_empty, NULL, WAIT_MS));
    peer_kill_agent(peer);
    peer_start_agent(peer, NULL);
    assert_true(peer_wait_connected(peer));
    assert_int_equal(peer_stop_agent(peer), 0);
    assert_int_equal(peer_records(peer, admission.request.execution, NULL), 1);
    assert_int_equal(peer_events(peer, admission.request.execution, MSG_EVENT_KIND_FINISHED, NULL), 1);
}

static void agent__supervisor_killed__ends_the_attempt_as_lost(void **state)
{
    struct peer *peer = started(state, NULL);
    struct msg_admission admission = shell(peer, "sleep 300", 64 * MIB);
    peer_send_admission(peer, &admission);
    assert_true(peer_wait(peer, has_sample, admission.request.execution, WAIT_MS));
    char name[80], path[500], text[64] = "";
    for (int i = 0; i < 16; i++)
        (void)snprintf(name + 2 * i, 3, "%02x", admission.request.execution[i]);
    (void)snprintf(path, sizeof path, "%s/a/%s.1/supervisor", peer->state_dir, name);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
    (void)close(fd);
    assert_int_equal(kill((pid_t)strtol(text, NULL, 10), SIGKILL), 0);
    assert_int_equal(wait_event(peer, &admission, MSG_EVENT_KIND_LOST)->outcome, MSG_OUTCOME_LOST);
    assert_int_equal(wait_record(peer, &admission)->outcome, MSG_OUTCOME_LOST);
    assert_int_equal(peer_stop_agent(peer), 0);
    assert_false(peer_cgroups_left(peer));
}

static void agent__sigterm__leaves_attempts_for_the_next_agent(void **state)
{
    static const char *const ends[] = {"--end_attempts=yes", NULL};
    struct peer *peer = started(state, NULL);
    struct msg_admission admission = shell(peer, "sleep 300", 64 * MIB);
    peer_send_admission(peer, &admission);
    assert_true(peer_wait(peer, has_sample, admission.request.execution, WAIT_MS));
    assert_int_equal(peer_stop_agent(peer), 0);
    assert_int_equal(peer_events(peer, admission.request.execution, MSG_EVENT_KIND_FINISHED, NULL), 0);
    peer->tick = NULL;
    peer_start_agent(peer, ends);
    assert_true(peer_wait_connected(peer));
    assert_true(peer_wait(peer, has_sample, admission.request.execution, WAIT_MS));
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
    assert_true(peer_wait(peer, has_sample, admission.request.execution, WAIT_MS));
    peer_kill_agent(peer);
    char name[80], status[500];
    for (int i = 0; i < 16; i++)
        (void)snprintf(name + 2 * i, 3, "%02x", admission.request.execution[i]);
    (void)snprintf(status, sizeof status, "%s/a/%s.1/status", peer->state_dir, name);
    assert_true(peer_wait(peer, file_exists, status, WAIT_MS));
    peer_start_agent(peer, arguments);
    assert_true(peer_wait_connected(peer));
    struct msg_execution_record *record = wait_record(peer, &admission);
    assert_int_equal(record->outcome, MSG_OUTCOME_KILLED);
    assert_non_null(memmem(record->detail.data, record->detail.size, "lease", 5));
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

static void agent__gauges_of_the_program__are_in_samples(void **state)
{
    struct peer *peer = started(state, NULL);
    struct msg_admission admission = python(peer,
                                            "import os,socket,time\n"
                                            "s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\n"
                                            "for i in range(30):\n"
                                            " s.sendto(b'rows:%d|g' % i,os.environ['FORESTALL_METRICS'])\n"
                                            " time.sleep(0.05)\n",
                                            64 * MIB);
    peer_send_admission(peer, &admission);
    struct msg_execution_record *record = wait_record(peer, &admission);
    assert_int_equal(record->outcome, MSG_OUTCOME_FINISHED);
    assert_int_equal(record->totals.custom.count, 1);
    assert_true(str_equal(record->totals.custom.items[0].name, str_of("rows")));
    assert_true(record->totals.custom.items[0].value > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(agent__program_that_ends__is_reported_and_cleaned_up, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(agent__program_not_there__is_a_crash_with_the_reason, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(agent__stdout_that_cannot_be_opened__is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(agent__held_out_growth__is_oom_killed_though_it_exits_well, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(agent__raise_while_growing__saves_the_program, set_up, tear_down),
        cmocka_unit_test_setup_teardown(agent__raise_in_the_brake__saves_the_program, set_up, tear_down),
        cmocka_unit_test_setup_teardown(agent__brake_deadline__leaves_the_truth_to_the_kernel, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(agent__timeout_without_cpu__names_cpu, set_up, tear_down),
        cmocka_unit_test_setup_teardown(agent__cancel__kills_the_whole_tree, set_up, tear_down),
        cmocka_unit_test_setup_teardown(agent__placement_delivered_twice_and_late__runs_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(agent__not_for_it_or_expired_or_too_large__is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(agent__adjustments_it_must_not_apply__are_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(agent__refused_raise__shows_as_short, set_up, tear_down),
        cmocka_unit_test_setup_teardown(agent__killed_while_an_attempt_runs__adopts_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(agent__killed_while_an_attempt_is_in_the_brake__can_still_save_it,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(agent__killed_while_an_attempt_exits__reports_it_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(agent__supervisor_killed__ends_the_attempt_as_lost, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(agent__sigterm__leaves_attempts_for_the_next_agent, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(agent__no_contact_for_the_lease__ends_attempts_without_an_agent,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(agent__unacknowledged_records__come_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(agent__gauges_of_the_program__are_in_samples, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
