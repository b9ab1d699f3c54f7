/* What cannot be written is told with what to do about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "common/unwritable.h"

static void unwritable_say__space_or_rights__says_what_to_do(void **state)
{
    static const struct {
        int error;
        const char *advice;
    } cases[] = {{ENOSPC, "free space"},
                 {EDQUOT, "free space"},
                 {EROFS, "mount it writable"},
                 {EACCES, "let user "},
                 {EPERM, "let user "}};
    (void)state;
    for (size_t i = 0; i < FS_COUNT(cases); i++) {
        char error[256];
        assert_int_equal(unwritable_say(-cases[i].error, "cannot make /x", "a.place", error, sizeof error),
                         -cases[i].error);
        assert_ptr_equal(strstr(error, "cannot make /x: "), error);
        assert_non_null(strstr(error, strerror(cases[i].error)));
        assert_non_null(strstr(error, cases[i].advice));
        assert_non_null(strstr(error, "or set a.place to "));
    }
}

static void unwritable_say__other_errors__no_advice(void **state)
{
    char error[256];
    (void)state;
    assert_int_equal(unwritable_say(-EIO, "cannot make /x", "a.place", error, sizeof error), -EIO);
    assert_string_equal(error, "cannot make /x: Input/output error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unwritable_say__space_or_rights__says_what_to_do),
        cmocka_unit_test(unwritable_say__other_errors__no_advice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
