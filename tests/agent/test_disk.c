/* Removing what a program left, in a directory of the test's own. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/disk.h"

#define FILES 100 /* descriptors while it removes */

static int set_up(void **state)
{
    static char path[64];
    (void)snprintf(path, sizeof path, "/tmp/forestall-disk-XXXXXX");
    *state = path;
    return mkdtemp(path) ? 0 : -1;
}

static int tear_down(void **state)
{
    return rmdir(*state); /* nothing is left in it */
}

/* So many directories, each in the one before it and with a file and a directory beside it. */
static void nest(int directory_fd, int depth)
{
    int fd = dup(directory_fd);
    for (int i = 0; i < depth; i++) {
        assert_int_equal(mkdirat(fd, "nested", 0700), 0);
        assert_int_equal(mkdirat(fd, "beside", 0700), 0);
        assert_int_equal(symlinkat("nowhere", fd, "link"), 0);
        int next = openat(fd, "nested", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        (void)close(fd);
        fd = next;
    }
    (void)close(fd);
}

static void disk_remove_tree__deeper_than_there_are_descriptors__removed(void **state)
{
    struct rlimit limit, few;
    int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(mkdirat(fd, "tree", 0700), 0);
    int tree_fd = openat(fd, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    nest(tree_fd, 300);
    (void)close(tree_fd);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    few = (struct rlimit){.rlim_cur = FILES, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    int result = disk_remove_tree(fd, "tree", NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(result, 0);
    assert_int_equal(faccessat(fd, "tree", F_OK, 0), -1);
    (void)close(fd);
}

static void disk_remove_tree__not_there__is_fine(void **state)
{
    (void)state;
    assert_int_equal(disk_remove_tree(AT_FDCWD, "no/such/tree", NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(disk_remove_tree__deeper_than_there_are_descriptors__removed, set_up,
                                        tear_down),
        cmocka_unit_test(disk_remove_tree__not_there__is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
