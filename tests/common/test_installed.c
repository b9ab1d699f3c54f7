/* Paths of what lies beside the running program. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/installed.h"

static void installed_path__own_directory__holds_this_program(void **state)
{
    char path[4200], directory[4200];
    (void)state;
    assert_int_equal(installed_path("test_installed", path, sizeof path), 0);
    assert_int_equal(access(path, X_OK), 0);
    assert_int_equal(installed_path("", directory, sizeof directory), 0);
    assert_int_equal(access(directory, X_OK), 0);
    assert_int_not_equal(directory[strlen(directory) - 1], '/');
    assert_int_equal(strncmp(path, directory, strlen(directory)), 0);
}

static void installed_path__no_room__refused(void **state)
{
    char path[4];
    (void)state;
    assert_int_equal(installed_path("x", path, sizeof path), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(installed_path__own_directory__holds_this_program),
        cmocka_unit_test(installed_path__no_room__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
