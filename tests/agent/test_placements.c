/* The journal of answers, small enough to be full: what goes, what stays, and what a restart finds. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/placements.h"

#define MAX 16

struct fixture {
    char directory[64];
    int directory_fd;
    int here; /* this attempt is still here; -1: none is */
    size_t asked;
    struct placements *placements;
};

static bool nth_here(void *context, size_t index, uint8_t execution[16], int32_t *attempt)
{
    struct fixture *fixture = context;
    fixture->asked++;
    if (fixture->here < 0 || index > 0)
        return false;
    memset(execution, 0, 16);
    execution[0] = (uint8_t)fixture->here;
    *attempt = 1;
    return true;
}

static int begin(struct fixture *fixture)
{
    return placements_open(fixture->directory_fd, MAX, nth_here, fixture, &fixture->placements);
}

static void begin_anew(struct fixture *fixture)
{
    placements_close(fixture->placements);
    fixture->placements = NULL;
    assert_int_equal(begin(fixture), 0);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    (void)snprintf(fixture.directory, sizeof fixture.directory, "/tmp/forestall-placements-XXXXXX");
    if (!mkdtemp(fixture.directory))
        return -1;
    fixture.here = -1;
    fixture.asked = 0;
    fixture.directory_fd = open(fixture.directory, O_DIRECTORY | O_CLOEXEC);
    *state = &fixture;
    return begin(&fixture);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    placements_close(fixture->placements);
    (void)unlinkat(fixture->directory_fd, "placements", 0);
    (void)close(fixture->directory_fd);
    return rmdir(fixture->directory);
}

static int answer(const struct fixture *fixture, int number)
{
    struct placement placement = {.execution = {(uint8_t)number},
                                  .attempt = 1,
                                  .number = 7,
                                  .answered_us = 1000 + number,
                                  .answer = PLACEMENT_RAN};
    return placements_answer(fixture->placements, &placement);
}

static void answer_up_to(const struct fixture *fixture, int count)
{
    for (int i = 0; i < count; i++)
        assert_int_equal(answer(fixture, i), 0);
}

static const struct placement *find(const struct fixture *fixture, int number)
{
    const uint8_t execution[16] = {(uint8_t)number};
    return placements_find(fixture->placements, execution, 1);
}

static void placements__restart__all_known(void **state)
{
    struct fixture *fixture = *state;
    answer_up_to(fixture, MAX);
    begin_anew(fixture);
    for (int i = 0; i < MAX; i++)
        assert_int_equal(find(fixture, i)->number, 7);
    assert_null(find(fixture, MAX));
}

static void placements__full__the_oldest_quarter_goes(void **state)
{
    struct fixture *fixture = *state;
    answer_up_to(fixture, MAX + 1);
    for (int restarts = 0; restarts < 2; restarts++) {
        for (int i = 0; i <= MAX; i++)
            assert_int_equal(find(fixture, i) != NULL, i >= MAX / 4);
        begin_anew(fixture);
    }
}

/* A long program must be known as accepted by whoever starts next, however many came after it. */
static void placements__full__whose_attempt_is_here_stays(void **state)
{
    struct fixture *fixture = *state;
    fixture->here = 2;
    answer_up_to(fixture, 10 * MAX);
    assert_non_null(find(fixture, 2));
    assert_null(find(fixture, 3));
    begin_anew(fixture);
    assert_int_equal(find(fixture, 2)->answer, PLACEMENT_RAN);
    assert_non_null(find(fixture, 10 * MAX - 1));
}

/* Not once for each answer that may go: with thousands of both that would take longer than a tick. */
static void placements__full__asks_for_what_is_here_and_no_more(void **state)
{
    struct fixture *fixture = *state;
    fixture->here = 2;
    answer_up_to(fixture, MAX);
    assert_int_equal(fixture->asked, 0);
    assert_int_equal(answer(fixture, MAX), 0);
    assert_in_range(fixture->asked, 2, 4); /* the one and the end, to mark and to unmark */
    fixture->here = -1;                    /* it has ended, and is as old as any */
    answer_up_to(fixture, 10 * MAX);
    assert_null(find(fixture, 2));
}

/* The file still has all of them: more must not be added than a restart can take. */
static void placements__full_and_not_to_be_written__nothing_forgotten_and_nothing_added(void **state)
{
    struct fixture *fixture = *state;
    struct rlimit limit, none;
    answer_up_to(fixture, MAX);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int results[MAX];
    for (int i = 0; i < MAX; i++)
        results[i] = answer(fixture, MAX + i);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int i = 0; i < MAX; i++)
        assert_int_equal(results[i], -EMFILE);
    for (int restarts = 0; restarts < 2; restarts++) {
        for (int i = 0; i < 2 * MAX; i++)
            assert_int_equal(find(fixture, i) != NULL, i < MAX);
        begin_anew(fixture);
    }
    assert_int_equal(answer(fixture, MAX), 0);
}

static void placements__torn_tail__cut_off(void **state)
{
    struct fixture *fixture = *state;
    answer_up_to(fixture, 3);
    int fd = openat(fixture->directory_fd, "placements", O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(fd, "torn", 4), 4);
    assert_int_equal(close(fd), 0);
    begin_anew(fixture);
    assert_int_equal(answer(fixture, 3), 0);
    begin_anew(fixture);
    for (int i = 0; i <= 4; i++)
        assert_int_equal(find(fixture, i) != NULL, i < 4);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(placements__restart__all_known),
        TEST(placements__full__the_oldest_quarter_goes),
        TEST(placements__full__whose_attempt_is_here_stays),
        TEST(placements__full__asks_for_what_is_here_and_no_more),
        TEST(placements__full_and_not_to_be_written__nothing_forgotten_and_nothing_added),
        TEST(placements__torn_tail__cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
