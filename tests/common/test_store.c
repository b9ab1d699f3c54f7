/* The store against a real redis-server on a unix socket in a temporary directory. Skips loudly without one.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/arena.h"
#include "common/clock.h"
#include "common/store.h"
#include "tests/support/wait.h"

#define DEADLINE_MS 10000
#define KEY "forestall:allocation:{xz}"

static char directory[64], socket_path[96];
static pid_t server;
static bool missing;

static void start_server(const char *password)
{
    server = fork();
    if (server == 0) {
        if (!freopen("/dev/null", "w", stdout))
            _exit(126);
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket_path, "--dir", directory,
               "--save", "", "--appendonly", "no", password ? "--requirepass" : NULL, password, NULL);
        _exit(127);
    }
}

/* It has ended, or somebody can connect to it. */
static bool answers_or_ended(void *context)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)context;
    if (waitpid(server, NULL, WNOHANG) == server) {
        server = 0;
        missing = true;
        return true;
    }
    snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return ok;
}

static void wait_for_server(void)
{
    if (!wait_until(answers_or_ended, NULL, DEADLINE_MS))
        fail_msg("redis-server does not answer at %s", socket_path);
}

static void stop_server(int signal_number)
{
    if (server > 0) {
        kill(server, signal_number);
        kill(server, SIGCONT);
        waitpid(server, NULL, 0);
    }
    server = 0;
    unlink(socket_path);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/forestall-store-XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(socket_path, sizeof socket_path, "%s/redis.sock", directory);
    start_server(NULL);
    wait_for_server();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stop_server(SIGTERM);
    return rmdir(directory);
}

static void need_server(void)
{
    if (missing) {
        fprintf(stderr,
                "SKIPPED: redis-server is not installed (package redis-server); the store is not tested\n");
        skip();
    }
}

static struct store *open_store(void)
{
    char error[256];
    struct store_options options = {.address = socket_path};
    struct store *store = store_open(&options, error, sizeof error);
    if (!store)
        fail_msg("%s", error);
    return store;
}

static struct store_field field(const char *name, const char *value)
{
    return (struct store_field){str_of(name), str_of(value)};
}

static int set(struct store *store, const char *key, int64_t revision, const char *name, const char *value)
{
    struct store_field fields[] = {field(name, value)};
    return store_set_if_newer(store, key, revision, fields, 1);
}

static void assert_field(struct store *store, const char *key, const char *name, const char *wanted)
{
    struct arena *arena = arena_create(4096, 65536);
    struct store_field fields[8];
    int count = store_get(store, key, fields, FS_COUNT(fields), arena);
    assert_true(count > 0);
    struct str value = store_field_get(fields, (size_t)count, name);
    if (wanted)
        assert_true(str_equal(value, str_of(wanted)));
    else
        assert_null(value.data);
    arena_destroy(arena);
}

static void set_if_newer__newer_older_equal__only_newer_is_kept(void **state)
{
    (void)state;
    need_server();
    struct store *store = open_store();
    assert_int_equal(set(store, KEY, 7, "memory_bytes", "100"), 1);
    assert_int_equal(set(store, KEY, 6, "memory_bytes", "50"), 0);
    assert_int_equal(set(store, KEY, 7, "memory_bytes", "70"), 0);
    assert_field(store, KEY, "memory_bytes", "100");
    assert_int_equal(set(store, KEY, 10, "memory_bytes", "200"), 1);
    assert_field(store, KEY, "memory_bytes", "200");
    assert_field(store, KEY, "revision", "10");
    assert_int_equal(store_delete(store, KEY), 1);
    store_close(store);
}

static void set_if_newer__beyond_double__compared_exactly(void **state)
{
    (void)state;
    need_server();
    struct store *store = open_store();
    assert_int_equal(set(store, KEY, INT64_MAX - 1, "a", "1"), 1);
    assert_int_equal(set(store, KEY, INT64_MAX, "a", "2"), 1);
    assert_int_equal(set(store, KEY, INT64_MAX - 1, "a", "3"), 0);
    assert_field(store, KEY, "a", "2");
    assert_int_equal(store_delete(store, KEY), 1);
    assert_int_equal(store_delete(store, KEY), 0);
    store_close(store);
}

static void set_if_newer__field_gone__is_removed(void **state)
{
    (void)state;
    need_server();
    struct store *store = open_store();
    struct store_field both[] = {field("a", "1"), {str_of("b"), {"\0\r\n$", 4}}};
    assert_int_equal(store_set_if_newer(store, KEY, 1, both, 2), 1);
    assert_int_equal(set(store, KEY, 2, "a", "2"), 1);
    assert_field(store, KEY, "b", NULL);
    assert_int_equal(set(store, KEY, -1, "a", "1"), -EINVAL);
    assert_int_equal(set(store, KEY, 3, "revision", "1"), -EINVAL);
    assert_int_equal(store_delete(store, KEY), 1);
    store_close(store);
}

static void get__missing_or_too_many__says_so(void **state)
{
    (void)state;
    need_server();
    struct store *store = open_store();
    struct arena *arena = arena_create(4096, 65536);
    struct store_field fields[2];
    assert_int_equal(store_get(store, "forestall:allocation:{none}", fields, 2, arena), -ENOENT);
    struct store_field two[] = {field("a", "1"), field("b", "2")};
    assert_int_equal(store_set_if_newer(store, KEY, 1, two, 2), 1);
    assert_int_equal(store_get(store, KEY, fields, 2, arena), -E2BIG);
    assert_int_equal(store_delete(store, KEY), 1);
    arena_destroy(arena);
    store_close(store);
}

struct seen {
    int statuses[1024];
    size_t count;
};

static void remember(void *context, size_t index, int status, const struct store_field *fields, size_t count)
{
    struct seen *seen = context;
    assert_int_equal(index, seen->count);
    assert_int_equal(count, status > 1 ? status : 0);
    if (count > 0)
        assert_true(fields[0].name.size > 0);
    seen->statuses[seen->count++] = status;
}

static void flush__many_commands__replies_in_order(void **state)
{
    (void)state;
    need_server();
    struct store *store = open_store();
    char key[32];
    struct store_field fields[] = {field("memory_bytes", "1")};
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "k:{%d}", i);
        assert_int_equal(store_queue_set_if_newer(store, key, i, fields, 1), 0);
        assert_int_equal(store_queue_get(store, key), 0);
    }
    struct seen seen = {0};
    assert_int_equal(store_flush(store, remember, &seen), 0);
    assert_int_equal(seen.count, 1000);
    for (size_t i = 0; i < seen.count; i++)
        assert_int_equal(seen.statuses[i], i % 2 == 0 ? 1 : 2);
    for (size_t i = 0; i < 1024; i++)
        assert_int_equal(store_queue_delete(store, "k:{0}"), 0);
    assert_int_equal(store_queue_delete(store, "k:{0}"), -EAGAIN);
    assert_int_equal(store_flush(store, NULL, NULL), 0);
    store_close(store);
}

static void flush__script_forgotten__is_loaded_again(void **state)
{
    (void)state;
    need_server();
    struct store *store = open_store();
    assert_int_equal(set(store, KEY, 1, "a", "1"), 1);
    char command[160];
    snprintf(command, sizeof command, "redis-cli -s %s script flush >/dev/null", socket_path);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a test's own words, nothing from outside */
    struct store_field fields[] = {field("a", "2")};
    assert_int_equal(store_queue_set_if_newer(store, KEY, 2, fields, 1), 0);
    assert_int_equal(store_queue_delete(store, "other"), 0);
    assert_int_equal(store_queue_set_if_newer(store, KEY "2", 1, fields, 1), 0);
    assert_int_equal(store_flush(store, NULL, NULL), 0);
    assert_field(store, KEY, "a", "2");
    assert_int_equal(store_delete(store, KEY "2"), 1);
    assert_int_equal(store_delete(store, KEY), 1);
    store_close(store);
}

/* One write, and what came of it the last time it was tried. */
struct write {
    struct store *store;
    int64_t revision;
    int result;
};

/* Something else than "Redis is away" came of it. */
static bool is_answered(void *context)
{
    struct write *write = context;
    write->result = set(write->store, KEY, write->revision, "a", "1");
    return write->result != -EHOSTDOWN;
}

static void server__gone_and_back__host_down_then_works(void **state)
{
    (void)state;
    need_server();
    struct store *store = open_store();
    uint64_t generation = store_generation(store);
    stop_server(SIGKILL);
    int64_t begin_ms = clock_monotonic_ms();
    assert_int_equal(set(store, KEY, 1, "a", "1"), -EHOSTDOWN);
    for (int i = 0; i < 100; i++)
        assert_int_equal(set(store, KEY, 1, "a", "1"), -EHOSTDOWN);
    assert_true(clock_monotonic_ms() - begin_ms < 1000); /* 100 calls: fails at once, does not wait */
    char error[256];
    assert_int_equal(store_ping(store, error, sizeof error), -EHOSTDOWN);
    assert_non_null(strstr(error, socket_path));
    start_server(NULL);
    wait_for_server();
    struct write write = {store, 1, 0};
    assert_true(wait_until(is_answered, &write, DEADLINE_MS));
    assert_int_equal(write.result, 1);
    assert_true(store_generation(store) > generation);
    assert_int_equal(store_delete(store, KEY), 1);
    store_close(store);
}

static void server__hangs__time_out_holds(void **state)
{
    (void)state;
    need_server();
    struct store *store = open_store();
    assert_int_equal(kill(server, SIGSTOP), 0);
    int64_t begin_ms = clock_monotonic_ms();
    assert_int_equal(set(store, KEY, 1, "a", "1"), -EHOSTDOWN);
    int64_t took_ms = clock_monotonic_ms() - begin_ms;
    assert_int_equal(kill(server, SIGCONT), 0);
    assert_in_range(took_ms, 400, 900);
    assert_non_null(strstr(store_error(store), "in time"));
    struct write write = {store, 2, 0};
    assert_true(wait_until(is_answered, &write, DEADLINE_MS));
    assert_int_equal(write.result, 1); /* no late reply of the first command is taken for this one's */
    assert_field(store, KEY, "revision", "2");
    assert_int_equal(store_delete(store, KEY), 1);
    store_close(store);
}

static void server__password__needed_and_used(void **state)
{
    (void)state;
    need_server();
    stop_server(SIGKILL);
    start_server("secret");
    wait_for_server();
    char error[256];
    const struct {
        const char *password;
        int result;
    } cases[] = {{NULL, -EACCES}, {"wrong", -EACCES}, {"secret", 0}};
    for (size_t i = 0; i < FS_COUNT(cases); i++) {
        struct store_options options = {.address = socket_path, .password = cases[i].password};
        struct store *store = store_open(&options, error, sizeof error);
        assert_non_null(store);
        assert_int_equal(store_ping(store, error, sizeof error), cases[i].result);
        store_close(store);
    }
}

static void open__malformed_address__error(void **state)
{
    (void)state;
    const char *const addresses[] = {
        "", "localhost", "localhost:", ":6379", "localhost:0", "localhost:70000", "h:1x"};
    for (size_t i = 0; i < FS_COUNT(addresses); i++) {
        char error[256] = "";
        struct store_options options = {.address = addresses[i]};
        assert_null(store_open(&options, error, sizeof error));
        assert_non_null(strstr(error, "host:port"));
    }
    char error[256];
    struct store_options with_password = {.address = "redis://me:hunter2@127.0.0.1:1"};
    assert_null(store_open(&with_password, error, sizeof error));
    assert_non_null(strstr(error, "redis_password"));
    assert_null(strstr(error, "hunter2"));
    struct store_options options = {.address = "127.0.0.1:1"}; /* nobody listens there */
    struct store *store = store_open(&options, error, sizeof error);
    assert_non_null(store);
    assert_int_equal(store_ping(store, error, sizeof error), -EHOSTDOWN);
    assert_non_null(strstr(error, "127.0.0.1:1"));
    store_close(store);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as service_open() does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_if_newer__newer_older_equal__only_newer_is_kept),
        cmocka_unit_test(set_if_newer__beyond_double__compared_exactly),
        cmocka_unit_test(set_if_newer__field_gone__is_removed),
        cmocka_unit_test(get__missing_or_too_many__says_so),
        cmocka_unit_test(flush__many_commands__replies_in_order),
        cmocka_unit_test(flush__script_forgotten__is_loaded_again),
        cmocka_unit_test(server__gone_and_back__host_down_then_works),
        cmocka_unit_test(server__hangs__time_out_holds),
        cmocka_unit_test(server__password__needed_and_used),
        cmocka_unit_test(open__malformed_address__error),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
