/* The form of a line, its cut, quoting and the limiter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <unistd.h>

#include "common/log.h"

static void log_event__longer_than_a_line__cut(void **state)
{
    static char line[8192], event[5000];
    int ends[2];
    (void)state;
    memset(event, 'e', sizeof event - 1);
    assert_int_equal(pipe(ends), 0);
    log_open("unit", LOG_LEVEL_INFO, ends[1]);
    log_debug("hidden", "a=%d", 1);
    log_info("seen", "a=%d", 1);
    ssize_t size = read(ends[0], line, sizeof line - 1);
    assert_true(size > 0);
    assert_non_null(strstr(line, " level=info service=unit event=seen a=1\n"));
    log_info(event, "a=%d", 1);
    size = read(ends[0], line, sizeof line - 1);
    assert_int_equal(size, 4096);
    assert_int_equal(line[4095], '\n');
    close(ends[0]);
    close(ends[1]);
}

static void log_quote__each_kind__one_token(void **state)
{
    char out[16];
    (void)state;
    assert_string_equal(log_quote(out, sizeof out, str_of("plain")), "plain");
    assert_string_equal(log_quote(out, sizeof out, str_of("a \"b\"\n")), "\"a \\\"b\\\" \"");
    assert_string_equal(log_quote(out, sizeof out, str_of("")), "\"\"");
}

static void log_limited__burst_used__suppressed_until_next_second(void **state)
{
    struct log_limiter limiter = {.burst = 1};
    (void)state;
    assert_false(log_limited(&limiter, 1000));
    assert_true(log_limited(&limiter, 1999));
    assert_false(log_limited(&limiter, 2000));
    assert_int_equal(limiter.suppressed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_event__longer_than_a_line__cut),
        cmocka_unit_test(log_quote__each_kind__one_token),
        cmocka_unit_test(log_limited__burst_used__suppressed_until_next_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
