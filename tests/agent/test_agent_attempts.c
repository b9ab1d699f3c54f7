/* What becomes of an attempt: its end, its output, its time, its tree, its gauges. */
#include "tests/agent/scenario.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schemas/hints.h"

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
    stop_cleanly(peer);
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

static void agent__stdout_is_a_fifo_that_nobody_reads__is_told(void **state)
{
    struct peer *peer = started(state, NULL);
    char path[300];
    (void)snprintf(path, sizeof path, "%s/fifo", peer->state_dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    struct msg_admission admission = shell(peer, "true", 0);
    admission.request.stdout_path = str_of(path);
    peer_send_admission(peer, &admission);
    struct msg_execution_event *finished = wait_event(peer, &admission, MSG_EVENT_KIND_FINISHED);
    assert_int_equal(finished->outcome, MSG_OUTCOME_CRASHED);
    assert_int_equal(finished->exit_status, 126);
    assert_non_null(memmem(finished->reason.data, finished->reason.size, path, strlen(path)));
    stop_cleanly(peer);
}

static void agent__stdout_is_a_fifo_with_a_reader__blocks_when_full(void **state)
{
    struct peer *peer = started(state, NULL);
    char path[300], text[8] = "";
    (void)snprintf(path, sizeof path, "%s/fifo", peer->state_dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    struct msg_admission admission =
        python(peer, "import os\nos.write(1,b'%d' % os.get_blocking(1))\n", 64 * MIB);
    admission.request.stdout_path = str_of(path);
    peer_send_admission(peer, &admission);
    assert_int_equal(wait_record(peer, &admission)->outcome, MSG_OUTCOME_FINISHED);
    assert_int_equal(read(fd, text, sizeof text - 1), 1);
    (void)close(fd);
    assert_string_equal(text, "1");
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
    wait_running(peer, &admission);
    admission.action = MSG_ACTION_CANCEL;
    peer_send_admission(peer, &admission);
    struct msg_execution_event *finished = wait_event(peer, &admission, MSG_EVENT_KIND_FINISHED);
    assert_int_equal(finished->outcome, MSG_OUTCOME_KILLED);
    assert_true(peer_wait(peer, node_is_empty, NULL, WAIT_MS));
    stop_cleanly(peer);
}

/* A given-up attempt that still runs is ended by queue; the execution's next one may be on the same node by
 * then. */
static void agent__cancel_of_another_attempt__leaves_this_one(void **state)
{
    struct peer *peer = started(state, NULL);
    struct msg_admission second = shell(peer, "sleep 300", 64 * MIB);
    second.attempt = 2;
    peer_send_admission(peer, &second);
    wait_running(peer, &second);
    struct msg_admission first = second;
    first.action = MSG_ACTION_CANCEL;
    first.attempt = 1;
    peer_send_admission(peer, &first);
    (void)wait_event(peer, &first, MSG_EVENT_KIND_REFUSED); /* answered, so it was read */
    assert_int_equal(peer_events(peer, second.request.execution, MSG_EVENT_KIND_FINISHED, NULL), 0);
    second.action = MSG_ACTION_CANCEL;
    peer_send_admission(peer, &second);
    assert_int_equal(wait_event(peer, &second, MSG_EVENT_KIND_FINISHED)->outcome, MSG_OUTCOME_KILLED);
    stop_cleanly(peer);
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
    assert_true(peer_gauge(&record->totals, "rows") > 10);
}

/* How far it is in an input of known size: 100,000 bytes at a time, by children that it waits for. */
static void agent__input_of_known_size__samples_tell_what_was_read(void **state)
{
    struct peer *peer = started(state, NULL);
    struct msg_str_entry hint = {str_of(HINT_INPUT_BYTES), str_of("1000000")};
    struct msg_admission admission =
        shell(peer, "for i in 1 2 3; do head -c 100000 /dev/zero > /dev/null; sleep 0.3; done", 64 * MIB);
    admission.request.hints = (struct msg_str_map){&hint, 1};
    peer_send_admission(peer, &admission);
    struct msg_execution_record *record = wait_record(peer, &admission);
    double before = 0, steps = 0;
    for (size_t i = 0; i < record->series.count; i++) {
        double value = peer_gauge(&record->series.items[i].counters, GAUGE_INPUT_READ);
        if (isnan(value))
            continue; /* sampled before it was there to be asked */
        assert_true(value >= before);
        steps += value >= before + 90000;
        before = value;
    }
    assert_true(before >= 300000 && before < 500000 && steps >= 2);
}

static double data_of(struct peer *peer, const uint8_t *execution)
{
    const struct msg_sample *sample = peer_sample(peer, execution);
    return sample ? peer_gauge(&sample->counters, GAUGE_DATA) : (double)NAN;
}

static bool has_asked(struct peer *peer, void *execution)
{
    return data_of(peer, execution) >= 400.0 * MIB;
}

/* 400 MiB under a limit of 64: asked for, and not used. */
static void agent__memory_asked_for__is_in_samples(void **state)
{
    struct peer *peer = started(state, NULL);
    struct msg_admission admission =
        python(peer,
               "import mmap,signal\n"
               "m=mmap.mmap(-1,400<<20,flags=mmap.MAP_PRIVATE|mmap.MAP_ANONYMOUS)\n"
               "signal.pause()\n",
               64 * MIB);
    peer_send_admission(peer, &admission);
    assert_true(peer_wait(peer, has_asked, admission.request.execution, WAIT_MS));
    assert_true(data_of(peer, admission.request.execution) < 600.0 * MIB);
    admission.action = MSG_ACTION_CANCEL;
    peer_send_admission(peer, &admission);
    assert_true(wait_record(peer, &admission)->totals.memory_peak_bytes < 64 * MIB);
}

static bool tells(struct peer *peer, void *execution)
{
    return data_of(peer, execution) > 0;
}

static bool crowded_and_not_told(struct peer *peer, void *execution)
{
    const struct msg_sample *sample = peer_sample(peer, execution);
    return sample && sample->counters.tasks == 71 && data_of(peer, execution) == 0;
}

/* Nobody asks so many; what they had asked for before is not told as if it were so now. */
static void agent__more_processes_than_are_asked__samples_do_not_tell(void **state)
{
    struct peer *peer = started(state, NULL);
    char path[300], script[500];
    (void)snprintf(path, sizeof path, "%s/many", peer->state_dir);
    (void)snprintf(script, sizeof script,
                   "import os,signal,time\n"
                   "while not os.path.exists('%s'): time.sleep(0.01)\n"
                   "for i in range(70):\n"
                   " if os.fork() == 0: signal.pause()\n"
                   "signal.pause()\n",
                   path);
    struct msg_admission admission = python(peer, script, 256 * MIB);
    peer_send_admission(peer, &admission);
    assert_true(peer_wait(peer, tells, admission.request.execution, WAIT_MS));
    FILE *file = fopen(path, "w");
    assert_true(file && fclose(file) == 0);
    assert_true(peer_wait(peer, crowded_and_not_told, admission.request.execution, WAIT_MS));
    admission.action = MSG_ACTION_CANCEL;
    peer_send_admission(peer, &admission);
    assert_int_equal(wait_record(peer, &admission)->outcome, MSG_OUTCOME_KILLED);
}

static void agent__adjustment__rewrites_the_limits_file(void **state)
{
    struct peer *peer = started(state, NULL);
    char path[300], text[64];
    (void)snprintf(path, sizeof path, "%s/out.txt", peer->state_dir);
    struct msg_admission admission =
        shell(peer,
              "while grep -qx memory_bytes=67108864 $FORESTALL_LIMITS; do sleep 0.02; done\n"
              "head -1 $FORESTALL_LIMITS",
              64 * MIB);
    admission.request.stdout_path = str_of(path);
    peer_send_admission(peer, &admission);
    wait_running(peer, &admission);
    struct msg_adjustment adjustment = peer_adjustment(peer, &admission, 128 * MIB);
    peer_send_adjustment(peer, &adjustment);
    assert_int_equal(wait_record(peer, &admission)->outcome, MSG_OUTCOME_FINISHED);
    read_text(path, text, sizeof text);
    assert_string_equal(text, "memory_bytes=134217728");
}

/* Arguments alone exceed what a record may have: it gives them up, not the outcome. */
static void agent__request_larger_than_a_record__is_reduced(void **state)
{
    enum { SIZE = 100000, COUNT = 9 };
    struct peer *peer = started(state, NULL);
    static char filler[SIZE];
    struct str argv[3 + COUNT] = {str_of("/bin/sh"), str_of("-c"), str_of("exit 4")};
    memset(filler, 'x', sizeof filler);
    for (size_t i = 0; i < COUNT; i++)
        argv[3 + i] = (struct str){filler, sizeof filler};
    struct msg_admission admission = peer_admission(peer, argv, FS_COUNT(argv), 64 * MIB);
    peer_send_admission(peer, &admission);
    struct msg_execution_record *record = wait_record(peer, &admission);
    assert_int_equal(record->exit_status, 4);
    assert_in_range(record->request.argv.count, 1, COUNT);
    assert_true(str_equal(record->request.argv.items[0], str_of("/bin/sh")));
    assert_int_equal(wait_event(peer, &admission, MSG_EVENT_KIND_FINISHED)->exit_status, 4);
}

static bool is_gone(struct peer *peer, void *pid)
{
    (void)peer;
    return kill(*(pid_t *)pid, 0) < 0 && errno == ESRCH;
}

static void agent__stopped__leaves_nothing_behind(void **state)
{
    static const char *const arguments[] = {"--end_attempts=yes", NULL};
    struct peer *peer = started(state, arguments);
    char path[500], text[64];
    struct msg_admission admission =
        shell(peer, "trap '' TERM; sleep 300 & setsid sleep 301 & wait", 64 * MIB);
    peer_send_admission(peer, &admission);
    wait_running(peer, &admission);
    attempt_file(peer, &admission, "supervisor", path, sizeof path);
    read_text(path, text, sizeof text);
    pid_t supervisor = (pid_t)strtol(text, NULL, 10);
    stop_cleanly(peer);
    assert_true(peer_wait(peer, is_gone, &supervisor, WAIT_MS));
    attempt_file(peer, &admission, "", path, sizeof path);
    assert_int_equal(access(path, F_OK), -1);
    (void)snprintf(path, sizeof path, "%s/agent.sock", peer->state_dir);
    assert_int_equal(access(path, F_OK), -1);
}

/* Programs that use select(2) break with more. */
static void agent__few_descriptors_at_start__agent_raises_its_own_only(void **state)
{
    enum { FEW = 512 };
    struct rlimit limit, agent = {0};
    char path[300], text[64], expected[64];
    if (!*state)
        skip();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(limit.rlim_max > FEW);
    struct rlimit few = {.rlim_cur = FEW, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    struct peer *peer = started(state, NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(prlimit(peer->agent, RLIMIT_NOFILE, NULL, &agent), 0);
    assert_int_equal(agent.rlim_cur, limit.rlim_max);
    (void)snprintf(path, sizeof path, "%s/out.txt", peer->state_dir);
    struct msg_admission admission = shell(peer, "echo $(ulimit -Sn) $(ulimit -Hn)", 64 * MIB);
    admission.request.stdout_path = str_of(path);
    peer_send_admission(peer, &admission);
    assert_int_equal(wait_record(peer, &admission)->outcome, MSG_OUTCOME_FINISHED);
    (void)snprintf(expected, sizeof expected, "%d %ju", FEW, (uintmax_t)limit.rlim_max);
    read_text(path, text, sizeof text);
    assert_string_equal(text, expected);
}

struct removal {
    int fd;         /* inotify, of the attempt's directory */
    char first[64]; /* what was deleted first */
};

static bool has_begun(struct peer *peer, void *context)
{
    struct removal *removal = context;
    union {
        struct inotify_event event;
        char bytes[4096];
    } read_in;
    (void)peer;
    if (read(removal->fd, &read_in, sizeof read_in) <= 0)
        return false;
    (void)snprintf(removal->first, sizeof removal->first, "%.60s", read_in.event.name);
    return true;
}

/* With the admission still there and less of the rest, an agent that is killed now would be followed by one
 * that reports the attempt again. */
static void agent__attempt_removed__its_admission_goes_first(void **state)
{
    struct peer *peer = started(state, NULL);
    char path[500];
    struct removal removal = {.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
    struct msg_admission admission = shell(peer, "sleep 300", 64 * MIB);
    peer_send_admission(peer, &admission);
    wait_running(peer, &admission);
    attempt_file(peer, &admission, "", path, sizeof path);
    assert_true(removal.fd >= 0 && inotify_add_watch(removal.fd, path, IN_DELETE) >= 0);
    admission.action = MSG_ACTION_CANCEL;
    peer_send_admission(peer, &admission);
    assert_true(peer_wait(peer, has_begun, &removal, WAIT_MS));
    (void)close(removal.fd);
    assert_string_equal(removal.first, "admission");
    stop_cleanly(peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO(agent__program_that_ends__is_reported_and_cleaned_up),
        SCENARIO(agent__program_not_there__is_a_crash_with_the_reason),
        SCENARIO(agent__stdout_that_cannot_be_opened__is_told),
        SCENARIO(agent__stdout_is_a_fifo_that_nobody_reads__is_told),
        SCENARIO(agent__stdout_is_a_fifo_with_a_reader__blocks_when_full),
        SCENARIO(agent__timeout_without_cpu__names_cpu),
        SCENARIO(agent__cancel__kills_the_whole_tree),
        SCENARIO(agent__cancel_of_another_attempt__leaves_this_one),
        SCENARIO(agent__gauges_of_the_program__are_in_samples),
        SCENARIO(agent__input_of_known_size__samples_tell_what_was_read),
        SCENARIO(agent__memory_asked_for__is_in_samples),
        SCENARIO(agent__more_processes_than_are_asked__samples_do_not_tell),
        SCENARIO(agent__adjustment__rewrites_the_limits_file),
        SCENARIO(agent__request_larger_than_a_record__is_reduced),
        SCENARIO(agent__few_descriptors_at_start__agent_raises_its_own_only),
        SCENARIO(agent__attempt_removed__its_admission_goes_first),
        SCENARIO(agent__stopped__leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
