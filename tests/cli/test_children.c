/* Processes that are kept running. */
#include "tests/cli/cmocka_all.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/children.h"
#include "common/clock.h"

#define DEADLINE_MS 20000

static void pause__ends__grows_to_a_bound_and_is_forgiven(void **state)
{
    (void)state;
    assert_int_equal(child_pause_ms(0, 10), CHILD_PAUSE_MIN_MS);
    assert_int_equal(child_pause_ms(CHILD_PAUSE_MIN_MS, 10), 2 * CHILD_PAUSE_MIN_MS);
    assert_int_equal(child_pause_ms(CHILD_PAUSE_MAX_MS, 10), CHILD_PAUSE_MAX_MS);
    assert_int_equal(child_pause_ms(CHILD_PAUSE_MAX_MS, CHILD_STEADY_MS), CHILD_PAUSE_MIN_MS);
}

static struct child *add_shell(struct children *children, const char *log, const char *script)
{
    struct child *child = children_add(children, "shell", "/bin/sh", log);
    assert_non_null(child);
    assert_int_equal(child_argument(child, "-c"), 0);
    assert_int_equal(child_argument(child, "%s", script), 0);
    return child;
}

static void make_log(char path[64])
{
    assert_true(str_copy(path, 64, str_of("/tmp/test_children.XXXXXX")));
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
}

static void await_starts(struct children *children, const struct child *child, int64_t starts)
{
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (child->starts < starts && clock_monotonic_ms() < deadline_ms) {
        int64_t before = child->starts;
        int changed = children_poll(children, clock_monotonic_ms(), NULL, NULL);
        assert_true(child->starts == before || changed > 0); /* else nobody tells others its pid */
        (void)poll(NULL, 0, 5);
    }
    assert_true(child->starts >= starts);
}

static void poll__one_that_ends__started_again_and_log_kept(void **state)
{
    struct children children;
    char log[64], text[256] = "", end[64];
    (void)state;
    make_log(log);
    children_init(&children);
    struct child *child = add_shell(&children, log, "echo begun $FORESTALL_SECRET; exit 3");
    (void)setenv("FORESTALL_SECRET", "told", 1);
    assert_int_equal(child_start(child, clock_monotonic_ms()), 0);
    await_starts(&children, child, 3);
    child->wanted = false;
    assert_true(child_stop_wait(child, DEADLINE_MS));
    child_describe_end(child, end, sizeof end);
    assert_true(strcmp(end, "exited with status 3") == 0 || strcmp(end, "was killed by signal 15") == 0);
    FILE *file = fopen(log, "re");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    (void)fclose(file);
    assert_int_equal(strncmp(text, "begun\nbegun\n", 12), 0); /* and no variable of ours */
    children_fini(&children);
    (void)unlink(log);
    (void)unsetenv("FORESTALL_SECRET");
}

static void stop_wait__deaf_child__killed_in_time(void **state)
{
    struct children children;
    char log[64];
    (void)state;
    make_log(log);
    children_init(&children);
    struct child *child = add_shell(&children, log, "trap '' TERM; echo deaf; while :; do sleep 1; done");
    assert_int_equal(child_start(child, clock_monotonic_ms()), 0);
    for (int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS; clock_monotonic_ms() < deadline_ms;) {
        FILE *file = fopen(log, "re");
        assert_non_null(file);
        int first = fgetc(file);
        (void)fclose(file);
        if (first == 'd')
            break;
        (void)poll(NULL, 0, 5);
    }
    assert_false(child_stop_wait(child, 50));
    assert_false(child_running(child));
    assert_int_equal(
        children_poll(&children, clock_monotonic_ms() + INT64_C(2) * CHILD_PAUSE_MAX_MS, NULL, NULL), 0);
    assert_false(child_running(child)); /* not wanted: not started again */
    children_fini(&children);
    (void)unlink(log);
}

static void start__program_missing__told_in_the_log(void **state)
{
    struct children children;
    char log[64], text[256] = "";
    (void)state;
    make_log(log);
    children_init(&children);
    struct child *child = children_add(&children, "none", "/nonexistent/program", log);
    assert_int_equal(child_start(child, clock_monotonic_ms()), 0);
    (void)waitid(P_PID, (id_t)child->pid, NULL, WEXITED | WNOWAIT);
    assert_true(child_stop_wait(child, DEADLINE_MS));
    assert_int_equal(WEXITSTATUS(child->last_status), 127);
    FILE *file = fopen(log, "re");
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    (void)fclose(file);
    assert_non_null(strstr(text, "cannot execute /nonexistent/program: No such file or directory"));
    children_fini(&children);
    (void)unlink(log);
}

/* The parent is killed with SIGKILL: the kernel tells its children. */
static void parent_killed__children_end(void **state)
{
    int pipe_fds[2];
    char log[64], byte;
    (void)state;
    make_log(log);
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t parent = fork();
    if (parent == 0) {
        struct children children;
        children_init(&children);
        struct child *child = add_shell(&children, log, "exec sleep 1000");
        if (child_start(child, clock_monotonic_ms()) < 0 ||
            write(pipe_fds[1], &child->pid, sizeof child->pid) != sizeof child->pid)
            _exit(1);
        for (;;)
            (void)pause();
    }
    pid_t grandchild = 0;
    assert_int_equal(read(pipe_fds[0], &grandchild, sizeof grandchild), sizeof grandchild);
    (void)close(pipe_fds[1]);
    assert_int_equal(kill(parent, SIGKILL), 0);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/cmdline", (int)grandchild);
    bool alive = true;
    while (alive && clock_monotonic_ms() < deadline_ms) {
        FILE *file = fopen(path, "re"); /* a zombie has an empty one */
        alive = file && fread(&byte, 1, 1, file) == 1;
        if (file)
            (void)fclose(file);
        (void)poll(NULL, 0, 5);
    }
    assert_false(alive);
    (void)close(pipe_fds[0]);
    (void)unlink(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pause__ends__grows_to_a_bound_and_is_forgiven),
        cmocka_unit_test(poll__one_that_ends__started_again_and_log_kept),
        cmocka_unit_test(stop_wait__deaf_child__killed_in_time),
        cmocka_unit_test(start__program_missing__told_in_the_log),
        cmocka_unit_test(parent_killed__children_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
