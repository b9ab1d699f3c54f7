/* Both ends of a stream in one process, on loopback. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/transport.h"

#define DEADLINE_MS 10000

struct ends {
    struct listener *listener;
    struct transport *near, *far;
    char peer[TRANSPORT_ADDRESS_MAX];
};

static void wait_for(int fd, short events)
{
    struct pollfd polled = {.fd = fd, .events = events};
    assert_int_equal(poll(&polled, 1, DEADLINE_MS), 1);
}

static int set_up(void **state)
{
    static struct ends ends;
    char error[256];
    ends = (struct ends){0};
    if (listener_open("127.0.0.1:0", error, sizeof error, &ends.listener) < 0 ||
        transport_connect(listener_address(ends.listener), error, sizeof error, &ends.near) < 0)
        return -1;
    wait_for(listener_fd(ends.listener), POLLIN);
    if (listener_accept(ends.listener, ends.peer, sizeof ends.peer, &ends.far) != 1)
        return -1;
    wait_for(transport_fd(ends.near), POLLOUT);
    *state = &ends;
    return 0;
}

static int tear_down(void **state)
{
    struct ends *ends = *state;
    transport_close(ends->near);
    transport_close(ends->far);
    listener_close(ends->listener);
    return 0;
}

static void transport__connected__bytes_both_ways(void **state)
{
    struct ends *ends = *state;
    char got[8];
    assert_int_equal(transport_establish(ends->near), 1);
    assert_memory_equal(ends->peer, "127.0.0.1:", 10);
    assert_int_equal(transport_read(ends->far, got, sizeof got), -EAGAIN);
    assert_int_equal(transport_write(ends->near, "there", 5), 5);
    wait_for(transport_fd(ends->far), POLLIN);
    assert_int_equal(transport_read(ends->far, got, sizeof got), 5);
    assert_memory_equal(got, "there", 5);
    assert_int_equal(transport_write(ends->far, "back", 4), 4);
    wait_for(transport_fd(ends->near), POLLIN);
    assert_int_equal(transport_read(ends->near, got, sizeof got), 4);
    assert_memory_equal(got, "back", 4);
}

static void transport_finish__bytes_before_it__delivered_then_the_end(void **state)
{
    struct ends *ends = *state;
    char got[8];
    assert_int_equal(transport_write(ends->far, "last", 4), 4);
    transport_finish(ends->far);
    assert_int_equal(transport_write(ends->far, "x", 1), -EPIPE);
    wait_for(transport_fd(ends->near), POLLIN);
    assert_int_equal(transport_read(ends->near, got, sizeof got), 4);
    wait_for(transport_fd(ends->near), POLLIN);
    assert_int_equal(transport_read(ends->near, got, sizeof got), 0);
}

static void transport_write__nobody_reads__again_instead_of_blocking(void **state)
{
    static char much[1 << 16];
    struct ends *ends = *state;
    ssize_t written;
    do
        written = transport_write(ends->near, much, sizeof much);
    while (written > 0);
    assert_int_equal(written, -EAGAIN);
}

static void listener_accept__nobody_waits__zero(void **state)
{
    struct ends *ends = *state;
    struct transport *none;
    assert_int_equal(listener_accept(ends->listener, ends->peer, sizeof ends->peer, &none), 0);
}

static void transport_connect__nobody_listens__refused(void **state)
{
    struct ends *ends = *state;
    char address[TRANSPORT_ADDRESS_MAX], error[256];
    struct transport *lost = NULL;
    assert_true(str_copy(address, sizeof address, str_of(listener_address(ends->listener))));
    listener_close(ends->listener);
    ends->listener = NULL;
    int result = transport_connect(address, error, sizeof error, &lost);
    if (result == 0) { /* it comes to know later */
        wait_for(transport_fd(lost), POLLOUT);
        result = transport_establish(lost);
        transport_close(lost);
    }
    assert_int_equal(result, -ECONNREFUSED);
}

static void address__malformed_or_taken__said_in_the_error(void **state)
{
    static const char *const addresses[] = {"", "host", "host:", ":7400"};
    struct ends *ends = *state;
    struct transport *transport;
    struct listener *listener;
    char error[256];
    for (size_t i = 0; i < FS_COUNT(addresses); i++) {
        assert_int_equal(transport_connect(addresses[i], error, sizeof error, &transport), -EINVAL);
        assert_non_null(strstr(error, "host:port"));
        assert_int_equal(listener_open(addresses[i], error, sizeof error, &listener), -EINVAL);
        assert_non_null(strstr(error, "host:port"));
    }
    const char *taken = listener_address(ends->listener);
    assert_int_equal(listener_open(taken, error, sizeof error, &listener), -EADDRINUSE);
    assert_non_null(strstr(error, taken));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(transport__connected__bytes_both_ways),
        TEST(transport_finish__bytes_before_it__delivered_then_the_end),
        TEST(transport_write__nobody_reads__again_instead_of_blocking),
        TEST(listener_accept__nobody_waits__zero),
        TEST(transport_connect__nobody_listens__refused),
        TEST(address__malformed_or_taken__said_in_the_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
