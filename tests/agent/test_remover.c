/* Removal beside the caller, in a directory of the test's own. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/disk.h"
#include "agent/remover.h"
#include "tests/support/wait.h"

#define MANY 3000 /* more than wait at a time */

struct place {
    char path[64];
    int fd;
    struct remover *remover;
};

static int set_up(void **state)
{
    static struct place place;
    (void)snprintf(place.path, sizeof place.path, "/tmp/forestall-remover-XXXXXX");
    if (!mkdtemp(place.path))
        return -1;
    place.fd = open(place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    place.remover = NULL;
    *state = &place;
    return place.fd < 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    remover_close(place->remover);
    (void)close(place->fd);
    return disk_remove_tree(AT_FDCWD, place->path, NULL);
}

static void unexpected(const char *name, int error)
{
    (void)fprintf(stderr, "%s was not removed: %s\n", name, strerror(-error));
    abort();
}

static void start(struct place *place)
{
    assert_int_equal(remover_open(place->fd, unexpected, &place->remover), 0);
}

static void make_directory(const struct place *place, const char *name)
{
    char file[REMOVER_NAME_SIZE + 8];
    assert_int_equal(mkdirat(place->fd, name, 0700), 0);
    (void)snprintf(file, sizeof file, "%s/file", name);
    assert_int_equal(mknodat(place->fd, file, S_IFREG | 0600, 0), 0);
}

static bool none_waits(void *place)
{
    return remover_waiting(((struct place *)place)->remover) == 0;
}

static bool left_is_gone(void *place)
{
    return faccessat(((struct place *)place)->fd, REMOVER_DIRECTORY "/left", F_OK, 0) < 0;
}

static void remover_take__directory__moved_at_once_and_removed(void **state)
{
    struct place *place = *state;
    start(place);
    make_directory(place, "one");
    assert_int_equal(remover_take(place->remover, place->fd, "one"), 0);
    assert_int_equal(faccessat(place->fd, "one", F_OK, 0), -1);
    assert_true(wait_until(none_waits, place, 20000));
    assert_int_equal(faccessat(place->fd, REMOVER_DIRECTORY "/one", F_OK, 0), -1);
}

static void remover_take__not_there__is_fine(void **state)
{
    struct place *place = *state;
    start(place);
    assert_int_equal(remover_take(place->remover, place->fd, "nothing"), 0);
    assert_int_equal(remover_waiting(place->remover), 0);
}

static void remover_take__name_too_long__stays(void **state)
{
    struct place *place = *state;
    char name[REMOVER_NAME_SIZE + 1];
    start(place);
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    make_directory(place, name);
    assert_int_equal(remover_take(place->remover, place->fd, name), -ENAMETOOLONG);
    assert_int_equal(faccessat(place->fd, name, F_OK, 0), 0);
}

/* Those that are not taken are still there, and taken later. */
static void remover_take__more_than_wait__bounded_and_all_removed(void **state)
{
    struct place *place = *state;
    char name[REMOVER_NAME_SIZE];
    start(place);
    for (int i = 0; i < MANY; i++) {
        int result;
        (void)snprintf(name, sizeof name, "d%d", i);
        make_directory(place, name);
        while ((result = remover_take(place->remover, place->fd, name)) == -EAGAIN)
            assert_int_equal(faccessat(place->fd, name, F_OK, 0), 0);
        assert_int_equal(result, 0);
    }
    assert_true(wait_until(none_waits, place, 20000));
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof name, REMOVER_DIRECTORY "/d%d", i);
        assert_int_equal(faccessat(place->fd, name, F_OK, 0), -1);
    }
}

static void remover_open__left_by_an_earlier_one__removed(void **state)
{
    struct place *place = *state;
    assert_int_equal(mkdirat(place->fd, REMOVER_DIRECTORY, 0700), 0);
    make_directory(place, REMOVER_DIRECTORY "/left");
    start(place);
    assert_true(wait_until(left_is_gone, place, 20000));
}

int main(void)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(remover_take__directory__moved_at_once_and_removed),
        CASE(remover_take__not_there__is_fine),
        CASE(remover_take__name_too_long__stays),
        CASE(remover_take__more_than_wait__bounded_and_all_removed),
        CASE(remover_open__left_by_an_earlier_one__removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
