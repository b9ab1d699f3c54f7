/* The rendered text, line by line, and the same text through the HTTP pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/http.h"

#define ADDS 20000

static void expect_rendered(const struct metrics *metrics, const char *expected)
{
    struct buffer out;
    buffer_init(&out, 0);
    metrics_render(metrics, &out);
    buffer_append(&out, "", 1);
    assert_int_equal(buffer_error(&out), 0);
    assert_string_equal((const char *)out.data, expected);
    buffer_fini(&out);
}

static void metrics_render__each_kind__text(void **state)
{
    static const double bounds[] = {0.5, 1048576, 1048577}; /* two that only differ in the seventh digit */
    struct metrics *metrics = metrics_create("unit_");
    (void)state;
    metric_add(metrics_counter(metrics, "in_total", "taken in", "kind", "a\"b\\c\nd"), 2);
    metric_set(metrics_gauge(metrics, "level", "how high", NULL, NULL), -1.5);
    struct metric *sizes = metrics_histogram(metrics, "size_bytes", "how big", bounds, FS_COUNT(bounds));
    metric_observe(sizes, 0.5);
    metric_observe(sizes, 1048577);
    metric_observe(sizes, 2000000);
    expect_rendered(metrics,
                    "# HELP unit_in_total taken in\n# TYPE unit_in_total counter\n"
                    "unit_in_total{kind=\"a\\\"b\\\\c\\nd\"} 2\n"
                    "# HELP unit_level how high\n# TYPE unit_level gauge\nunit_level -1.5\n"
                    "# HELP unit_size_bytes how big\n# TYPE unit_size_bytes histogram\n"
                    "unit_size_bytes_bucket{le=\"0.5\"} 1\nunit_size_bytes_bucket{le=\"1048576\"} 1\n"
                    "unit_size_bytes_bucket{le=\"1048577\"} 2\nunit_size_bytes_bucket{le=\"+Inf\"} 3\n"
                    "unit_size_bytes_sum 3048577.5\nunit_size_bytes_count 3\n");
    metrics_destroy(metrics);
}

static void metrics_register__rows_of_each_kind__in_their_places(void **state)
{
    static const double bounds[] = {1};
    struct owner {
        struct metric *level, *spans, *taken;
    } owner = {0};
    static const struct metrics_row rows[] = {
        {METRICS_COUNTER, offsetof(struct owner, taken), "taken_total", "taken"},
        {METRICS_GAUGE, offsetof(struct owner, level), "level", "how high"},
        {METRICS_HISTOGRAM, offsetof(struct owner, spans), "span_seconds", "how long"},
    };
    struct metrics *metrics = metrics_create("unit_");
    (void)state;
    metrics_register(metrics, rows, FS_COUNT(rows), bounds, FS_COUNT(bounds), &owner);
    metric_follow(owner.taken, 5);
    metric_follow(owner.taken, 7);
    metric_set(owner.level, 3);
    metric_observe(owner.spans, 0.5);
    expect_rendered(metrics,
                    "# HELP unit_taken_total taken\n# TYPE unit_taken_total counter\nunit_taken_total 7\n"
                    "# HELP unit_level how high\n# TYPE unit_level gauge\nunit_level 3\n"
                    "# HELP unit_span_seconds how long\n# TYPE unit_span_seconds histogram\n"
                    "unit_span_seconds_bucket{le=\"1\"} 1\nunit_span_seconds_bucket{le=\"+Inf\"} 1\n"
                    "unit_span_seconds_sum 0.5\nunit_span_seconds_count 1\n");
    metrics_destroy(metrics);
}

static void metrics_counter__past_the_most__spare(void **state)
{
    struct metrics *metrics = metrics_create("unit_");
    (void)state;
    for (int i = 0; i < METRICS_MAX + 2; i++)
        metric_add(metrics_counter(metrics, "x_total", "x", NULL, NULL), 1);
    metric_observe(metrics_histogram(metrics, "y", "y", NULL, 0), 1);
    metrics_destroy(metrics);
}

struct rendering {
    const struct metrics *metrics;
    atomic_bool stopping;
    size_t bare; /* labelled ones that were seen without their label */
};

static void *keep_rendering(void *context)
{
    struct rendering *rendering = context;
    struct buffer out;
    buffer_init(&out, 0);
    while (!atomic_load(&rendering->stopping)) {
        buffer_reset(&out);
        metrics_render(rendering->metrics, &out);
        buffer_append(&out, "", 1);
        rendering->bare += strstr((const char *)out.data, "_total 0") != NULL;
    }
    buffer_fini(&out);
    return NULL;
}

/* The pages are served before a service has registered all it counts. */
static void metrics_counter__while_rendered__never_seen_half_made(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        struct metrics *metrics = metrics_create("unit_");
        struct rendering rendering = {.metrics = metrics};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, keep_rendering, &rendering), 0);
        for (int i = 0; i < METRICS_MAX; i++)
            (void)metrics_counter(metrics, "x_total", "x", "kind", "k");
        atomic_store(&rendering.stopping, true);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(rendering.bare, 0);
        metrics_destroy(metrics);
    }
}

static void ask(uint16_t port, const char *request, char *answer, size_t size)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct timeval most = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(write(fd, request, strlen(request)), (ssize_t)strlen(request));
    size_t used = 0;
    for (ssize_t got; used + 1 < size && (got = read(fd, answer + used, size - used - 1)) > 0;)
        used += (size_t)got;
    answer[used] = '\0';
    close(fd);
}

#define GET(page) "GET " page " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static void *keep_adding(void *context)
{
    for (int i = 0; i < ADDS; i++)
        metric_add(context, 1);
    return NULL;
}

static void http_open__each_page__answers(void **state)
{
    char error[256] = "", answer[4096];
    struct metrics *metrics = metrics_create("unit_");
    struct metric *counter = metrics_counter(metrics, "in_total", "taken in", NULL, NULL);
    struct http_server *server = http_open("127.0.0.1", 0, metrics, error, sizeof error);
    pthread_t thread;
    (void)state;
    assert_non_null(server);
    uint16_t port = http_port(server);
    assert_int_equal(pthread_create(&thread, NULL, keep_adding, counter), 0);
    ask(port, GET("/metrics"), answer, sizeof answer);
    assert_non_null(strstr(answer, "200 OK"));
    assert_non_null(strstr(answer, "version=0.0.4"));
    assert_int_equal(pthread_join(thread, NULL), 0);
    ask(port, GET("/metrics"), answer, sizeof answer);
    assert_non_null(strstr(answer, "\nunit_in_total 20000\n"));
    ask(port, GET("/readyz"), answer, sizeof answer);
    assert_non_null(strstr(answer, " 503 "));
    assert_non_null(strstr(answer, "starting"));
    http_set_ready(server, true, "caught up\n");
    ask(port, GET("/readyz"), answer, sizeof answer);
    assert_non_null(strstr(answer, "200 OK"));
    assert_non_null(strstr(answer, "caught up"));
    ask(port, GET("/healthz"), answer, sizeof answer);
    assert_non_null(strstr(answer, "200 OK"));
    ask(port, GET("/none"), answer, sizeof answer);
    assert_non_null(strstr(answer, " 404 "));
    ask(port, "DELETE /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", answer, sizeof answer);
    assert_non_null(strstr(answer, " 405 "));
    assert_null(http_open("127.0.0.1", port, metrics, error, sizeof error));
    assert_non_null(strstr(error, "http_port"));
    assert_null(http_open("nowhere", 0, metrics, error, sizeof error));
    http_close(server);
    metrics_destroy(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metrics_render__each_kind__text),
        cmocka_unit_test(metrics_register__rows_of_each_kind__in_their_places),
        cmocka_unit_test(metrics_counter__past_the_most__spare),
        cmocka_unit_test(metrics_counter__while_rendered__never_seen_half_made),
        cmocka_unit_test(http_open__each_page__answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
