/* Output passed on while it is written, once, also when attempts repeat. */
#include "tests/cli/cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/relay.h"

struct bench {
    char directory[64], path[96];
    int pipe[2];
    struct relay relay;
};

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    assert_true(str_copy(bench->directory, sizeof bench->directory, str_of("/tmp/test_relay.XXXXXX")));
    assert_non_null(mkdtemp(bench->directory));
    (void)snprintf(bench->path, sizeof bench->path, "%s/out", bench->directory);
    assert_int_equal(pipe2(bench->pipe, O_CLOEXEC), 0);
    assert_int_equal(fcntl(bench->pipe[0], F_SETFL, O_NONBLOCK), 0);
    relay_init(&bench->relay, bench->path, bench->pipe[1]);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    char file[128];
    for (int32_t attempt = 1; attempt <= 4; attempt++) {
        relay_file(bench->path, attempt, file, sizeof file);
        (void)unlink(file);
    }
    (void)rmdir(bench->directory);
    relay_fini(&bench->relay);
    if (bench->pipe[0] >= 0)
        (void)close(bench->pipe[0]);
    (void)close(bench->pipe[1]);
    free(bench);
    return 0;
}

static void append(const struct bench *bench, int32_t attempt, const char *text)
{
    char file[128];
    relay_file(bench->path, attempt, file, sizeof file);
    int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}

static const char *received(const struct bench *bench)
{
    static char text[4096];
    ssize_t got = read(bench->pipe[0], text, sizeof text - 1);
    text[got > 0 ? got : 0] = '\0';
    return text;
}

static void step__file_grows__passed_on_as_it_comes(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(relay_step(&bench->relay, 1), 0); /* not there yet */
    append(bench, 1, "one\n");
    assert_int_equal(relay_step(&bench->relay, 1), 4);
    assert_string_equal(received(bench), "one\n");
    append(bench, 1, "two\n");
    assert_int_equal(relay_step(&bench->relay, 1), 4);
    assert_string_equal(received(bench), "two\n");
    assert_int_equal(relay_finish(&bench->relay, 1), 0);
    assert_false(relay_repeated(&bench->relay));
}

static void step__retry_writes_the_same__shown_once(void **state)
{
    struct bench *bench = *state;
    append(bench, 1, "line 1\nline 2\n");
    assert_true(relay_step(&bench->relay, 1) > 0);
    append(bench, 1, "li"); /* killed here; this much was not passed on yet */
    append(bench, 2, "line 1\nli");
    assert_true(relay_step(&bench->relay, 2) >= 0);
    append(bench, 2, "ne 2\nline 3\n");
    assert_true(relay_step(&bench->relay, 2) > 0);
    append(bench, 2, "line 4\n");
    assert_true(relay_finish(&bench->relay, 2) > 0);
    assert_string_equal(received(bench), "line 1\nline 2\nline 3\nline 4\n");
    assert_false(relay_repeated(&bench->relay));
}

static void step__retry_writes_other__all_of_it_follows_and_is_told(void **state)
{
    struct bench *bench = *state;
    append(bench, 1, "abc");
    assert_true(relay_step(&bench->relay, 1) > 0);
    append(bench, 2, "xyz!");
    assert_true(relay_finish(&bench->relay, 2) > 0);
    assert_string_equal(received(bench), "abcxyz!");
    assert_true(relay_repeated(&bench->relay));
}

static void finish__retry_writes_less__passed_on_whole(void **state)
{
    struct bench *bench = *state;
    append(bench, 1, "abcdef");
    assert_true(relay_step(&bench->relay, 1) > 0);
    append(bench, 2, "abc");
    assert_true(relay_step(&bench->relay, 2) > 0);
    assert_string_equal(received(bench), "abcdef");
    assert_true(relay_finish(&bench->relay, 2) > 0);
    assert_string_equal(received(bench), "abc");
    assert_true(relay_repeated(&bench->relay));
}

static void step__attempt_without_output__next_one_is_taken(void **state)
{
    struct bench *bench = *state;
    append(bench, 3, "third\n");
    assert_int_equal(relay_step(&bench->relay, 3), 6);
    assert_string_equal(received(bench), "third\n");
    assert_false(relay_repeated(&bench->relay));
}

/* A program that writes faster than it is read must not keep the caller from everything else. */
static void step__more_than_one_step__in_pieces_whose_blocks_go(void **state)
{
    struct bench *bench = *state;
    char file[128];
    int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct stat status;
    int64_t size = 3 * RELAY_STEP_BYTES + 5, passed = 0;
    static char block[65536];
    relay_init(&bench->relay, bench->path, null_fd);
    relay_file(bench->path, 1, file, sizeof file);
    int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    memset(block, 'x', sizeof block);
    for (int64_t written = 0; written < size; written += (int64_t)sizeof block)
        assert_true(write(fd, block, (size_t)FS_MIN(size - written, (int64_t)sizeof block)) > 0);
    assert_int_equal(fstat(fd, &status), 0);
    int64_t blocks = status.st_blocks, steps = 0, step;
    do {
        step = relay_finish(&bench->relay, 1);
        assert_true(step >= 0 && step < RELAY_STEP_BYTES + 65536);
        passed += step;
        if (steps++ == 0 && fstat(fd, &status) == 0 && blocks > 0)
            assert_true(status.st_blocks < blocks); /* before the whole was passed on */
    } while (step >= RELAY_STEP_BYTES);
    assert_int_equal(passed, size);
    assert_int_equal(steps, 4);
    assert_false(relay_repeated(&bench->relay));
    (void)close(fd);
    (void)close(null_fd);
}

static void step__reader_gone__broken_pipe(void **state)
{
    struct bench *bench = *state;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)close(bench->pipe[0]);
    bench->pipe[0] = -1;
    append(bench, 1, "nobody hears this");
    assert_int_equal(relay_step(&bench->relay, 1), -EPIPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(step__file_grows__passed_on_as_it_comes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(step__retry_writes_the_same__shown_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(step__retry_writes_other__all_of_it_follows_and_is_told, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(finish__retry_writes_less__passed_on_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(step__attempt_without_output__next_one_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(step__more_than_one_step__in_pieces_whose_blocks_go, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(step__reader_gone__broken_pipe, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
