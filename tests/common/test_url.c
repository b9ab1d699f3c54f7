/* What of an address is shown: no part of a password, whatever the address looks like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/url.h"

static void url_split_user__user_and_password__left_out(void **state)
{
    static const struct {
        const char *address, *before, *after;
    } cases[] = {
        {"https://me:hunter2@there:8081/path", "https://", "there:8081/path"},
        {"http://me:hun@ter2@there", "http://", "there"},
        {"http://me:hun/ter2@there/path", "http://", "there/path"},
        {"me:hunter2@there:1", "", "there:1"},
        {"me:hun://ter2@there:1", "", "there:1"},
        {"http://:hunter2@", "http://", ""},
    };
    (void)state;
    for (size_t i = 0; i < FS_COUNT(cases); i++) {
        struct str before, after;
        assert_true(url_split_user(cases[i].address, &before, &after));
        assert_true(str_equal(before, str_of(cases[i].before)));
        assert_true(str_equal(after, str_of(cases[i].after)));
    }
}

static void url_split_user__none__all_behind(void **state)
{
    static const char *const cases[] = {"", "there:6379", "http://there:8081/path", "/run/a@b.sock"};
    (void)state;
    for (size_t i = 0; i < FS_COUNT(cases); i++) {
        struct str before, after;
        assert_false(url_split_user(cases[i], &before, &after));
        assert_int_equal(before.size, 0);
        assert_true(str_equal(after, str_of(cases[i])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(url_split_user__user_and_password__left_out),
        cmocka_unit_test(url_split_user__none__all_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
