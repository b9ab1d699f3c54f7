/* What a request to run must be, fault by fault; names and limits with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schemas/limits.h"
#include "schemas/name.h"
#include "schemas/request.h"

static struct str argv[] = {{"/bin/true", 9}, {"x", 1}};
static struct str env[] = {{"A=", 2}};

static struct msg_execution_request good(void)
{
    struct msg_execution_request request = {.code = str_of("xz"),
                                            .pool = str_of("default"),
                                            .argv = {argv, FS_COUNT(argv)},
                                            .env = {env, FS_COUNT(env)},
                                            .priority = 1000,
                                            .max_attempts = 100};
    request.execution[15] = 1;
    return request;
}

static void name__every_byte__those_of_the_alphabet_only(void **state)
{
    char longest[NAME_SIZE_MAX + 1];
    unsigned allowed = 0;
    (void)state;
    for (int c = 0; c < 256; c++)
        allowed += name_char_valid((char)c);
    assert_int_equal(allowed, 26 + 26 + 10 + 7);
    memset(longest, 'a', sizeof longest);
    assert_true(name_valid((struct str){longest, NAME_SIZE_MAX}, NAME_SIZE_MAX));
    assert_false(name_valid((struct str){longest, NAME_SIZE_MAX + 1}, NAME_SIZE_MAX));
    assert_false(name_valid(str_of(""), NAME_SIZE_MAX));
    assert_true(name_valid(str_of("A-Z._:+@/0"), NAME_SIZE_MAX));
    assert_false(name_valid((struct str){"a\0b", 3}, NAME_SIZE_MAX));
    assert_false(name_valid(str_of("a b"), NAME_SIZE_MAX));
}

static void limits_fault__each__named(void **state)
{
    const struct {
        struct msg_limits limits;
        const char *word;
    } cases[] = {
        {{.memory_bytes = -1}, "memory_bytes"},     {{.cpu_millicores = -1}, "cpu_millicores"},
        {{.cpu_weight = 10001}, "cpu_weight"},      {{.io_read_bps = -1}, "io_read_bps"},
        {{.io_write_bps = -1}, "io_write_bps"},     {{.io_weight = -1}, "io_weight"},
        {{.net_egress_bps = -1}, "net_egress_bps"}, {{.net_priority = 8}, "net_priority"},
    };
    (void)state;
    for (size_t i = 0; i < FS_COUNT(cases); i++)
        assert_non_null(strstr(limits_fault(&cases[i].limits), cases[i].word));
    const struct msg_limits none = {0}, most = {.memory_bytes = INT64_MAX,
                                                .cpu_millicores = INT32_MAX,
                                                .cpu_weight = 10000,
                                                .io_weight = 10000,
                                                .net_priority = 7};
    assert_null(limits_fault(&none));
    assert_null(limits_fault(&most));
}

#define FAULT(change, word)                                                                                  \
    do {                                                                                                     \
        struct msg_execution_request request = good();                                                       \
        change;                                                                                              \
        const char *fault = request_fault(&request);                                                         \
        assert_non_null(fault);                                                                              \
        assert_non_null(strstr(fault, word));                                                                \
    } while (0)

static void request_fault__who_and_how__each_named(void **state)
{
    struct msg_execution_request fine = good();
    (void)state;
    assert_null(request_fault(&fine));
    FAULT(request.execution[15] = 0, "execution");
    FAULT(request.pool = str_of(""), "pool");
    FAULT(request.code = str_of("a code"), "code");
    FAULT(request.limits.memory_bytes = -1, "memory_bytes");
    FAULT(request.priority = 1001, "priority");
    FAULT(request.priority = -1, "priority");
    FAULT(request.max_attempts = 0, "max_attempts");
    FAULT(request.max_attempts = 101, "max_attempts");
    FAULT(request.timeout_ms = -1, "timeout_ms");
    FAULT(request.timeout_ms = INT64_C(367) * 86400 * 1000, "timeout_ms");
}

static void request_fault__the_program__each_named(void **state)
{
    static char text[5000];
    struct str none = {"", 0}, split = {"a\0b", 3}, nameless[] = {{"=x", 2}}, bare[] = {{"NAME", 4}};
    (void)state;
    memset(text, '/', sizeof text);
    FAULT(request.argv.count = 0, "argv");
    FAULT(request.argv.items = &none, "argv");
    FAULT(request.argv = ((struct msg_str_array){&split, 1}), "zero byte");
    FAULT(request.env = ((struct msg_str_array){&split, 1}), "zero byte");
    FAULT(request.env = ((struct msg_str_array){nameless, 1}), "NAME=value");
    FAULT(request.env = ((struct msg_str_array){bare, 1}), "NAME=value");
    FAULT(request.cwd = str_of("relative"), "path");
    FAULT(request.stdout_path = ((struct str){text, sizeof text}), "path");
    FAULT(request.stderr_path = ((struct str){"/a\0", 3}), "path");
    FAULT(request.user = split, "zero byte");
    FAULT(request.user = ((struct str){text, 65}), "user");
}

static int32_t command_of(struct str *arguments, size_t count)
{
    struct msg_execution_request request = good();
    request.argv = (struct msg_str_array){arguments, count};
    return request_command(&request);
}

static void request_command__program_and_arguments__tell_commands_apart(void **state)
{
    (void)state;
    static char text[8192];
    struct str sort[] = {str_of("sort"), str_of("-n"), str_of("data")};
    struct str other[] = {str_of("sort"), str_of("-n"), str_of("date")};
    struct str joined[] = {str_of("sort"), str_of("-ndata"), str_of("")};
    int32_t command = command_of(sort, 3);
    assert_true(command > 0);
    assert_int_equal(command, command_of(sort, 3));
    assert_int_equal(command, 1339255524); /* kept in profiles: a change forgets them */
    assert_int_not_equal(command, command_of(sort, 2));
    assert_int_not_equal(command, command_of(other, 3));
    assert_int_not_equal(command, command_of(joined, 3));
    assert_int_equal(command_of(NULL, 0), 0);
    memset(text, 'x', sizeof text);
    struct str large[100];
    for (size_t i = 0; i < FS_COUNT(large); i++)
        large[i] = (struct str){text, sizeof text};
    int32_t first = command_of(large, FS_COUNT(large));
    large[0].size--; /* beyond what is read: sizes still tell them apart */
    assert_int_not_equal(first, command_of(large, FS_COUNT(large)));
    large[0].size++;
    assert_int_equal(first, command_of(large, 64)); /* the rest does not count */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(name__every_byte__those_of_the_alphabet_only),
        cmocka_unit_test(limits_fault__each__named),
        cmocka_unit_test(request_fault__who_and_how__each_named),
        cmocka_unit_test(request_fault__the_program__each_named),
        cmocka_unit_test(request_command__program_and_arguments__tell_commands_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
