/* What a schema registry that cannot be used is told as: its address, never the password in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "schemas/registry.h"

static void registry_open__no_url__told_without_password(void **state)
{
    struct registry *registry;
    char error[512];
    (void)state;
    assert_int_equal(registry_open("me:hunter2@there:8081", &registry, error, sizeof error), -EINVAL);
    assert_non_null(strstr(error, "service.schema_registry=(set)@there:8081 is no URL"));
    assert_null(strstr(error, "hunter2"));
}

static void registry_fetch__nobody_there__told_without_password(void **state)
{
    static const char *const urls[] = {"http://me:hunter2@127.0.0.1:1", "http://me:x@hunter2@127.0.0.1:1",
                                       "http://me:x/hunter2@127.0.0.1:1"};
    (void)state;
    for (size_t i = 0; i < FS_COUNT(urls); i++) {
        struct registry *registry;
        struct buffer json;
        char error[512];
        buffer_init(&json, 0);
        assert_int_equal(registry_open(urls[i], &registry, error, sizeof error), 0);
        assert_int_equal(registry_fetch(registry, 1, &json, error, sizeof error), -EHOSTDOWN);
        assert_non_null(strstr(error, "127.0.0.1:1"));
        if (strstr(error, "hunter2"))
            fail_msg("\"%s\" shows the password", error);
        registry_close(registry);
        buffer_fini(&json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registry_open__no_url__told_without_password),
        cmocka_unit_test(registry_fetch__nobody_there__told_without_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
