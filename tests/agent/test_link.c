/* The agent's link against a socket of the test's own: what counts as contact with ingest. */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/link.h"
#include "common/clock.h"

#define DEADLINE_MS 10000

struct other_end {
    int listen_fd, fd, directory_fd;
    char directory[64], address[32];
    struct spool *spool;
    struct link *link;
    int64_t now_ms; /* of the link: its own clock, so that nothing has to be waited for */
};

static void greet(void *context, struct buffer *out)
{
    (void)context;
    buffer_append(out, "hello", 5);
}

static void welcomed(void *context, struct buffer *out)
{
    (void)context, (void)out;
}

static void order(void *context, struct str framed)
{
    (void)context, (void)framed;
}

static void note(void *context, const char *event, const char *reason)
{
    (void)context, (void)event, (void)reason;
}

static int set_up(void **state)
{
    static struct other_end end;
    struct link_handler handler = {NULL, greet, welcomed, order, order, note};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    struct spool_options options = {.limit_bytes = 64 << 20};
    end = (struct other_end){.fd = -1, .now_ms = 1000};
    (void)snprintf(end.directory, sizeof end.directory, "/tmp/forestall-link-XXXXXX");
    if (!mkdtemp(end.directory))
        return -1;
    end.directory_fd = open(end.directory, O_DIRECTORY | O_CLOEXEC);
    end.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (spool_open(end.directory_fd, &options, &end.spool) < 0 ||
        bind(end.listen_fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(end.listen_fd, 4) < 0 || getsockname(end.listen_fd, (struct sockaddr *)&address, &size) < 0)
        return -1;
    (void)snprintf(end.address, sizeof end.address, "127.0.0.1:%u", ntohs(address.sin_port));
    end.link = link_create(&(struct link_options){end.address, 1 << 20}, &handler, end.spool);
    *state = &end;
    return end.link ? 0 : -1;
}

static int tear_down(void **state)
{
    struct other_end *end = *state;
    char path[400];
    link_destroy(end->link);
    spool_close(end->spool);
    (void)close(end->fd);
    (void)close(end->listen_fd);
    (void)close(end->directory_fd);
    DIR *directory = opendir(end->directory);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        (void)snprintf(path, sizeof path, "%s/%s", end->directory, entry->d_name);
        (void)unlink(path); /* "." and ".." stay */
    }
    if (directory)
        (void)closedir(directory);
    return rmdir(end->directory);
}

/* Puts out a frame to the agent and lets its link take it. */
static void say(struct other_end *end, enum frame_type type, bool numbered)
{
    struct buffer out;
    buffer_init(&out, 0);
    if (numbered)
        frame_append_numbered(&out, type, 5, (struct str){0});
    else
        frame_append(&out, type, (struct str){0});
    assert_int_equal(send(end->fd, out.data, out.size, MSG_NOSIGNAL), out.size);
    buffer_fini(&out);
}

static void connect_up(struct other_end *end)
{
    link_step(end->link, end->now_ms);
    end->fd = accept(end->listen_fd, NULL, NULL);
    assert_true(end->fd >= 0);
    say(end, FRAME_WELCOME, false);
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (!link_up(end->link) && clock_monotonic_ms() < deadline_ms)
        link_step(end->link, end->now_ms);
    assert_true(link_up(end->link));
}

/* Steps until the answer to the ping (sent after what is asked about) has been put out: all before it was
 * taken. */
static void settle(struct other_end *end)
{
    uint8_t byte[64];
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    say(end, FRAME_PING, true);
    do
        link_step(end->link, end->now_ms);
    while (recv(end->fd, byte, sizeof byte, MSG_DONTWAIT) <= 0 && clock_monotonic_ms() < deadline_ms);
}

static void contact__welcome_pong_and_ack_count__pings_of_ingest_do_not(void **state)
{
    struct other_end *end = *state;
    uint8_t greeting[64];
    connect_up(end);
    assert_true(recv(end->fd, greeting, sizeof greeting, 0) > 0);
    assert_int_equal(link_contact_ms(end->link), 1000);
    end->now_ms = 1500;
    settle(end);
    assert_true(link_up(end->link));
    assert_int_equal(link_contact_ms(end->link), 1000);
    say(end, FRAME_PONG, true);
    settle(end);
    assert_int_equal(link_contact_ms(end->link), 1500);
    end->now_ms = 1800;
    say(end, FRAME_ACK, true);
    settle(end);
    assert_int_equal(link_contact_ms(end->link), 1800);
}

static void silence__pings_of_ingest_alone__keep_the_connection(void **state)
{
    struct other_end *end = *state;
    connect_up(end);
    for (end->now_ms = 2000; end->now_ms < 20000; end->now_ms += 1000)
        settle(end);
    assert_true(link_up(end->link));
    assert_int_equal(link_contact_ms(end->link), 1000);
    end->now_ms += LINK_SILENCE_MS;
    link_step(end->link, end->now_ms);
    assert_false(link_up(end->link));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(contact__welcome_pong_and_ack_count__pings_of_ingest_do_not, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(silence__pings_of_ingest_alone__keep_the_connection, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
