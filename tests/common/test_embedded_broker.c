/* The embedded broker: what it keeps over a restart, and that other processes can use it (groups,
 * transactions). */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/broker_state.h"
#include "common/clock.h"
#include "common/embedded_broker.h"
#include "common/stream.h"
#include "common/topics.h"

#define DEADLINE_MS 20000

extern char **environ;
static char directory[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/forestall-broker-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path_of("topics.state"));
    unlink(path_of("topics.state.new"));
    unlink(path_of("bootstrap"));
    unlink(path_of("broker.lock"));
    return rmdir(directory);
}

static struct embedded_broker *open_broker(int32_t partitions)
{
    char error[512];
    struct embedded_broker_options options = {.state_dir = directory, .partitions = partitions};
    struct embedded_broker *broker = embedded_broker_open(&options, error, sizeof error);
    if (!broker)
        fail_msg("%s", error);
    return broker;
}

static struct stream *open_stream(const char *bootstrap, const char *transactional_id)
{
    char error[512];
    struct stream_options options = {
        .brokers = bootstrap, .client_id = "test", .transactional_id = transactional_id};
    struct stream *stream = stream_open(&options, error, sizeof error);
    if (!stream)
        fprintf(stderr, "%s\n", error);
    return stream;
}

static void put(struct stream *stream, const char *topic, int32_t partition, const char *key,
                const char *value)
{
    assert_int_equal(stream_produce_to(stream, topic, partition, key, strlen(key), value,
                                       value ? strlen(value) : 0, NULL, NULL),
                     0);
}

static void wait_for_keys(struct embedded_broker *broker, size_t wanted)
{
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (embedded_broker_key_count(broker) != wanted && clock_monotonic_ms() < deadline_ms)
        assert_int_equal(embedded_broker_poll(broker, 50), 0);
    assert_int_equal(embedded_broker_key_count(broker), wanted);
}

struct found {
    char value[64];
    int count;
};

static int remember(void *context, const struct stream_message *message)
{
    struct found *found = context;
    found->count++;
    (void)str_copy(found->value, sizeof found->value, (struct str){message->value, message->value_size});
    return 0;
}

static void reopen__compacted_topics__newest_values_are_back(void **state)
{
    (void)state;
    struct embedded_broker *broker = open_broker(4);
    struct stream *stream = open_stream(embedded_broker_bootstrap(broker), NULL);
    assert_non_null(stream);
    char error[512];
    struct stream_topic topics[TOPIC_COUNT];
    topics_fill(topics, 4);
    assert_int_equal(stream_topics_ensure(stream, topics, TOPIC_COUNT, error, sizeof error), 0);
    put(stream, TOPIC_ALLOCATIONS, 3, "xz", "old");
    put(stream, TOPIC_ALLOCATIONS, 3, "xz", "new");
    put(stream, TOPIC_ALLOCATIONS, 2, "gone", "x");
    put(stream, TOPIC_ALLOCATIONS, 2, "gone", NULL);
    put(stream, TOPIC_EXECUTIONS_STATE, 1, "id", "running");
    put(stream, TOPIC_EXECUTIONS_FINISHED, 1, "xz", "not compacted");
    assert_int_equal(stream_flush(stream, DEADLINE_MS), 0);
    wait_for_keys(broker, 2);
    stream_close(stream);
    embedded_broker_close(broker);

    broker = open_broker(4);
    stream = open_stream(embedded_broker_bootstrap(broker), NULL);
    struct found found = {"", 0};
    assert_int_equal(stream_restore(stream, TOPIC_ALLOCATIONS, 3, remember, &found, DEADLINE_MS), 0);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.value, "new");
    assert_int_equal(stream_restore(stream, TOPIC_ALLOCATIONS, 2, remember, &found, DEADLINE_MS), 0);
    assert_int_equal(stream_restore(stream, TOPIC_EXECUTIONS_FINISHED, 1, remember, &found, DEADLINE_MS), 0);
    assert_int_equal(found.count, 1);
    assert_int_equal(stream_restore(stream, TOPIC_EXECUTIONS_STATE, 1, remember, &found, DEADLINE_MS), 0);
    assert_string_equal(found.value, "running");
    put(stream, TOPIC_EXECUTIONS_STATE, 1, "id", NULL);
    assert_int_equal(stream_flush(stream, DEADLINE_MS), 0);
    stream_close(stream);
    embedded_broker_close(broker); /* takes in what nobody polled */

    broker = open_broker(4);
    wait_for_keys(broker, 1);
    embedded_broker_close(broker);
}

static struct str renew_codes(void *context, const char *topic, struct str value)
{
    ++*(int *)context;
    return strcmp(topic, TOPIC_CODES) == 0 ? str_of("renewed") : value;
}

static void reopen__with_renew__other_values_in_the_topics_and_kept(void **state)
{
    (void)state;
    char error[512] = "";
    int asked = 0;
    struct embedded_broker *broker = open_broker(4);
    struct stream *stream = open_stream(embedded_broker_bootstrap(broker), NULL);
    put(stream, TOPIC_CODES, 3, "xz", "old");
    put(stream, TOPIC_ALLOCATIONS, 3, "xz", "stays");
    assert_int_equal(stream_flush(stream, DEADLINE_MS), 0);
    stream_close(stream);
    wait_for_keys(broker, 2);
    embedded_broker_close(broker);

    struct embedded_broker_options options = {
        .state_dir = directory, .partitions = 4, .renew = renew_codes, .renew_context = &asked};
    broker = embedded_broker_open(&options, error, sizeof error);
    assert_non_null(broker);
    assert_int_equal(asked, 2);
    embedded_broker_close(broker);

    broker = open_broker(4);
    stream = open_stream(embedded_broker_bootstrap(broker), NULL);
    struct found found = {"", 0};
    assert_int_equal(stream_restore(stream, TOPIC_CODES, 3, remember, &found, DEADLINE_MS), 0);
    assert_string_equal(found.value, "renewed");
    assert_int_equal(stream_restore(stream, TOPIC_ALLOCATIONS, 3, remember, &found, DEADLINE_MS), 0);
    assert_string_equal(found.value, "stays");
    stream_close(stream);
    embedded_broker_close(broker);
}

static void open__in_use_or_fewer_partitions_or_damaged__error(void **state)
{
    (void)state;
    char error[512] = "";
    struct embedded_broker *broker = open_broker(4);
    struct embedded_broker_options options = {.state_dir = directory, .partitions = 4};
    assert_null(embedded_broker_open(&options, error, sizeof error));
    assert_non_null(strstr(error, "in use"));
    struct stream *stream = open_stream(embedded_broker_bootstrap(broker), NULL);
    put(stream, TOPIC_CODES, 3, "xz", "profile");
    assert_int_equal(stream_flush(stream, DEADLINE_MS), 0);
    stream_close(stream);
    wait_for_keys(broker, 1);
    embedded_broker_close(broker);

    options.partitions = 2;
    assert_null(embedded_broker_open(&options, error, sizeof error));
    assert_non_null(strstr(error, "more partitions"));
    options.partitions = 4;

    int fd = open(path_of("topics.state"), O_WRONLY);
    assert_true(fd >= 0 && pwrite(fd, "?", 1, 20) == 1);
    close(fd);
    assert_null(embedded_broker_open(&options, error, sizeof error));
    assert_non_null(strstr(error, "damaged"));
}

static void bootstrap_file__while_open__names_the_address(void **state)
{
    (void)state;
    struct embedded_broker *broker = open_broker(1);
    char content[64] = "";
    int fd = open(path_of("bootstrap"), O_RDONLY);
    assert_true(fd >= 0 && read(fd, content, sizeof content - 1) > 0);
    close(fd);
    assert_string_equal(content, embedded_broker_bootstrap(broker));
    assert_memory_equal(content, "127.0.0.1:", 10);
    embedded_broker_close(broker);
    assert_int_equal(access(path_of("bootstrap"), F_OK), -1);
}

/* Another process: consumes `wanted` requests in a group and answers each in a transaction. */
static int child_main(const char *bootstrap, int wanted)
{
    char error[512];
    struct stream *stream = open_stream(bootstrap, "child-1");
    const char *topic = TOPIC_EXECUTIONS_REQUESTED;
    if (!stream || stream_subscribe(stream, "child", NULL, &topic, 1, NULL, NULL, error, sizeof error) < 0)
        return 2;
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    int handled = 0;
    while (handled < wanted && clock_monotonic_ms() < deadline_ms) {
        struct stream_batch batch;
        if (stream_poll(stream, &batch, 100) < 0 || (batch.count > 0 && stream_begin(stream) < 0))
            return 3;
        for (size_t i = 0; i < batch.count; i++) {
            const struct stream_message *message = &batch.messages[i];
            if (stream_produce(stream, TOPIC_VERDICTS, message->key, message->key_size, message->value,
                               message->value_size, NULL, NULL) < 0)
                return 4;
            struct stream_position position = {topic, message->partition, message->offset + 1};
            if (i + 1 == batch.count && stream_commit_transaction(stream, &position, 1) < 0)
                return 5;
            handled++;
        }
        stream_batch_release(&batch);
    }
    stream_close(stream);
    return handled == wanted ? 0 : 6;
}

static void other_process__group_and_transaction__reaches_and_works(void **state)
{
    (void)state;
    struct embedded_broker *broker = open_broker(1);
    char *argv[] = {"/proc/self/exe", "child", (char *)(uintptr_t)embedded_broker_bootstrap(broker), "50",
                    NULL};
    pid_t child;
    assert_int_equal(posix_spawn(&child, argv[0], NULL, NULL, argv, environ), 0);
    struct stream *stream = open_stream(embedded_broker_bootstrap(broker), NULL);
    const char *topic = TOPIC_VERDICTS;
    char error[512];
    assert_int_equal(stream_assign_all(stream, &topic, 1, STREAM_FROM_END, true, error, sizeof error), 0);
    for (int i = 0; i < 50; i++)
        put(stream, TOPIC_EXECUTIONS_REQUESTED, 0, "pool", "request");
    int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    size_t got = 0;
    while (got < 50 && clock_monotonic_ms() < deadline_ms) {
        struct stream_batch batch;
        assert_true(stream_poll(stream, &batch, 100) >= 0);
        got += batch.count;
        stream_batch_release(&batch);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(got, 50);
    stream_close(stream);
    embedded_broker_close(broker);
}

static struct broker_value value_of(const char *key, const char *value)
{
    return (struct broker_value){
        .topic = "codes", .partition = 0, .key = str_of(key), .value = str_of(value)};
}

static void state__limit__older_value_is_not_kept_as_newest(void **state)
{
    (void)state;
    struct broker_state *kept = broker_state_create(64);
    struct broker_value value = value_of("a", "small");
    assert_int_equal(broker_state_put(kept, &value), 0);
    value = value_of("a", "a value that does not fit into the sixty-four bytes that are allowed");
    assert_int_equal(broker_state_put(kept, &value), -ENOSPC);
    assert_int_equal(broker_state_count(kept), 0);
    value = value_of("a", "");
    assert_int_equal(broker_state_put(kept, &value), 0); /* an empty value is a value */
    assert_int_equal(broker_state_count(kept), 1);
    broker_state_destroy(kept);
}

static void state__truncated_or_mutated_file__error_never_beyond_it(void **state)
{
    (void)state;
    char error[256], path[128], content[4096];
    snprintf(path, sizeof path, "%s", path_of("topics.state"));
    struct broker_state *kept = broker_state_create(1 << 20);
    struct broker_value values[] = {value_of("a", "first"), value_of("b", "second")};
    for (size_t i = 0; i < FS_COUNT(values); i++)
        assert_int_equal(broker_state_put(kept, &values[i]), 0);
    assert_int_equal(broker_state_save(kept, path), 0);
    broker_state_destroy(kept);
    int fd = open(path, O_RDONLY);
    ssize_t size = read(fd, content, sizeof content);
    close(fd);
    for (ssize_t cut = 0; cut < size; cut++) {
        struct str part = {content, (size_t)cut};
        assert_int_equal(broker_state_write_file(path, &part, 1), 0);
        kept = broker_state_create(1 << 20);
        assert_int_equal(broker_state_load(kept, path, error, sizeof error), -EBADMSG);
        broker_state_destroy(kept);
    }
    for (ssize_t at = 0; at < size; at++) {
        content[at] ^= 0x41;
        struct str whole = {content, (size_t)size};
        assert_int_equal(broker_state_write_file(path, &whole, 1), 0);
        kept = broker_state_create(1 << 20);
        assert_int_equal(broker_state_load(kept, path, error, sizeof error), -EBADMSG);
        broker_state_destroy(kept);
        content[at] ^= 0x41;
    }
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN); /* as service_open() does */
    if (argc == 4 && strcmp(argv[1], "child") == 0)
        return child_main(argv[2], (int)strtol(argv[3], NULL, 10));
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(reopen__compacted_topics__newest_values_are_back),
        TEST(reopen__with_renew__other_values_in_the_topics_and_kept),
        TEST(open__in_use_or_fewer_partitions_or_damaged__error),
        TEST(bootstrap_file__while_open__names_the_address),
        TEST(other_process__group_and_transaction__reaches_and_works),
        TEST(state__limit__older_value_is_not_kept_as_newest),
        TEST(state__truncated_or_mutated_file__error_never_beyond_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
