/* The spool on a directory of the test's own: what can no longer be read, and having somebody else wait for
 * the disk. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/spool.h"
#include "agent/syncer.h"

#define PAYLOAD 1000
#define SEGMENT 2500 /* closed with the third entry */

struct fixture {
    char directory[64];
    int directory_fd;
    struct spool *spool;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    struct spool_options options = {.limit_bytes = 1 << 20, .segment_bytes = SEGMENT};
    (void)snprintf(fixture.directory, sizeof fixture.directory, "/tmp/forestall-spool-XXXXXX");
    if (!mkdtemp(fixture.directory))
        return -1;
    fixture.directory_fd = open(fixture.directory, O_DIRECTORY | O_CLOEXEC);
    *state = &fixture;
    return spool_open(fixture.directory_fd, &options, &fixture.spool);
}

/* Segments' names; their count. */
static size_t list(const struct fixture *fixture, char names[8][64])
{
    size_t count = 0;
    DIR *directory = opendir(fixture->directory);
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        if (strstr(entry->d_name, ".log") && count < 8)
            (void)snprintf(names[count++], 64, "%.63s", entry->d_name);
    if (directory)
        (void)closedir(directory);
    return count;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    char names[8][64];
    spool_close(fixture->spool);
    for (size_t i = list(fixture, names); i-- > 0;)
        (void)unlinkat(fixture->directory_fd, names[i], 0);
    (void)unlinkat(fixture->directory_fd, "acks", 0);
    (void)close(fixture->directory_fd);
    return rmdir(fixture->directory);
}

static void append(struct fixture *fixture, size_t count)
{
    static const char payload[PAYLOAD];
    uint64_t number;
    for (size_t i = 0; i < count; i++)
        assert_int_equal(spool_append(fixture->spool, 1, (struct str){payload, sizeof payload}, &number), 0);
    assert_int_equal(spool_sync(fixture->spool), 0);
}

/* One bit of the second entry of the oldest segment. */
static void damage(const struct fixture *fixture)
{
    uint8_t byte;
    int fd = openat(fixture->directory_fd, "00000000000000000001.log", O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, PAYLOAD + 500), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, PAYLOAD + 500), 1);
    (void)close(fd);
}

static void spool_next__damaged_entry__given_up_and_its_segment_goes(void **state)
{
    struct fixture *fixture = *state;
    struct spool_entry entry;
    char names[8][64];
    uint64_t cursor = 0;
    append(fixture, 4);
    damage(fixture);
    assert_int_equal(spool_next(fixture->spool, &cursor, &entry), 1);
    assert_int_equal(spool_next(fixture->spool, &cursor, &entry), -EBADMSG);
    assert_int_equal(cursor, 2);
    assert_int_equal(spool_next(fixture->spool, &cursor, &entry), 1);
    assert_int_equal(entry.number, 3);
    assert_int_equal(spool_next(fixture->spool, &cursor, &entry), 1);
    assert_int_equal(spool_damaged(fixture->spool), 1);
    assert_int_equal(spool_waiting(fixture->spool), 3);
    assert_int_equal(list(fixture, names), 2);
    assert_true(spool_ack(fixture->spool, 1));
    assert_true(spool_ack(fixture->spool, 3));
    assert_int_equal(list(fixture, names), 1);
    assert_true(spool_ack(fixture->spool, 4));
    assert_int_equal(spool_waiting(fixture->spool), 0);
}

/* Waits for what was begun. */
static int taken(struct syncer *syncer)
{
    int result = 1;
    struct pollfd done = {.fd = syncer_fd(syncer), .events = POLLIN};
    assert_int_equal(poll(&done, 1, 10000), 1);
    assert_true(syncer_take(syncer, &result));
    return result;
}

static void spool_sync_begin__in_two_halves__handed_out_up_to_there(void **state)
{
    struct fixture *fixture = *state;
    struct syncer *syncer;
    struct spool_entry entry;
    uint64_t cursor = 0, through, number;
    int nothing;
    assert_int_equal(syncer_open(&syncer), 0);
    assert_int_equal(spool_sync_begin(fixture->spool, &through), -1);
    assert_int_equal(spool_append(fixture->spool, 1, str_of("one"), &number), 0);
    int fd = spool_sync_begin(fixture->spool, &through);
    assert_int_equal(syncer_begin(syncer, fd), 0);
    assert_int_equal(syncer_begin(syncer, fd), -EBUSY);
    assert_int_equal(spool_append(fixture->spool, 1, str_of("two"), &number), 0);
    assert_int_equal(spool_next(fixture->spool, &cursor, &entry), 0);
    assert_int_equal(taken(syncer), 0);
    assert_false(syncer_take(syncer, &nothing));
    spool_synced(fixture->spool, through);
    assert_int_equal(spool_next(fixture->spool, &cursor, &entry), 1);
    assert_int_equal(entry.number, 1);
    assert_int_equal(spool_next(fixture->spool, &cursor, &entry), 0);
    assert_true(spool_sync_begin(fixture->spool, &through) >= 0);
    assert_int_equal(through, 2);
    assert_int_equal(syncer_begin(syncer, fd), 0);
    syncer_close(syncer); /* waits */
}

/* A segment that is begun meanwhile has synced the one before it. */
static void spool_synced__another_segment_since__takes_nothing_back(void **state)
{
    struct fixture *fixture = *state;
    struct spool_entry entry;
    uint64_t cursor = 0, through, number;
    assert_int_equal(spool_append(fixture->spool, 1, str_of("one"), &number), 0);
    assert_true(spool_sync_begin(fixture->spool, &through) >= 0);
    append(fixture, 4);
    spool_synced(fixture->spool, through);
    for (uint64_t i = 1; i <= 5; i++)
        assert_int_equal(spool_next(fixture->spool, &cursor, &entry), 1);
    assert_int_equal(spool_sync_begin(fixture->spool, &through), -1);
}

static void syncer__what_cannot_be_synced__told(void **state)
{
    (void)state;
    struct syncer *syncer;
    int ends[2];
    assert_int_equal(syncer_open(&syncer), 0);
    assert_int_equal(syncer_begin(syncer, -1), -EBADF);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(syncer_begin(syncer, ends[1]), 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
    assert_int_equal(taken(syncer), -EINVAL);
    syncer_close(syncer);
}

static void spool_next__no_descriptor_left__the_same_entry_later(void **state)
{
    struct fixture *fixture = *state;
    struct spool_entry entry;
    struct rlimit limit, none;
    uint64_t cursor = 0;
    append(fixture, 4);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int result = spool_next(fixture->spool, &cursor, &entry);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(result, -EMFILE);
    assert_int_equal(cursor, 0);
    assert_int_equal(spool_damaged(fixture->spool), 0);
    assert_int_equal(spool_next(fixture->spool, &cursor, &entry), 1);
    assert_int_equal(entry.number, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(spool_next__damaged_entry__given_up_and_its_segment_goes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(spool_sync_begin__in_two_halves__handed_out_up_to_there, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(spool_synced__another_segment_since__takes_nothing_back, set_up,
                                        tear_down),
        cmocka_unit_test(syncer__what_cannot_be_synced__told),
        cmocka_unit_test_setup_teardown(spool_next__no_descriptor_left__the_same_entry_later, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
