/* Requests as they are built from the command line. */
#include "tests/cli/cmocka_all.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/submit.h"
#include "common/embedded_broker.h"
#include "common/topics.h"
#include "schemas/hints.h"

#define NOW_US 1700000000000000

static struct arena *arena;
static char error[256];

static int set_up(void **state)
{
    (void)state;
    arena = arena_create(4096, 1u << 20);
    return arena ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

static int build(const struct submit_options *options, const char *const *argv,
                 const char *const *environment, struct msg_execution_request *out)
{
    return submit_build(options, (char *const *)argv, (char *const *)environment, NOW_US, arena, out, error,
                        sizeof error);
}

static bool has_env(const struct msg_execution_request *request, const char *entry)
{
    for (size_t i = 0; i < request->env.count; i++)
        if (str_equal(request->env.items[i], str_of(entry)))
            return true;
    return false;
}

static void build__defaults__code_environment_and_directory(void **state)
{
    static const char *const argv[] = {"/usr/bin/xz", "-k", NULL}, *const env[] = {"A=1", "FORESTALL_X=2",
                                                                                   "B=3", NULL};
    struct submit_options options = SUBMIT_OPTIONS_DEFAULT;
    struct msg_execution_request request;
    (void)state;
    assert_int_equal(build(&options, argv, env, &request), 0);
    assert_true(str_equal(request.code, str_of("xz")));
    assert_true(str_equal(request.pool, str_of("default")));
    assert_int_equal(request.argv.count, 2);
    assert_int_equal(request.env.count, 2);
    assert_true(has_env(&request, "A=1"));
    assert_true(request.cwd.size > 0 && request.cwd.data[0] == '/');
    assert_int_equal(request.max_attempts, 3);
    assert_int_equal(request.submitted_us, NOW_US);
    assert_int_equal(request.execution[6] >> 4, 7); /* UUIDv7 */
    assert_int_equal(request.limits.memory_bytes, 0);
}

static void build__environment_options__set_kept_or_cleared(void **state)
{
    static const char *const argv[] = {"x", NULL}, *const env[] = {"A=1", "B=3", NULL};
    struct submit_options options = SUBMIT_OPTIONS_DEFAULT;
    struct msg_execution_request request;
    (void)state;
    options.env = (struct argument_list){{"A=9", "C=4"}, 2};
    assert_int_equal(build(&options, argv, env, &request), 0);
    assert_int_equal(request.env.count, 3);
    assert_true(has_env(&request, "A=9") && has_env(&request, "B=3") && has_env(&request, "C=4"));
    options.clear_env = true;
    options.env = (struct argument_list){{"B", "NOT_HERE", "C=4"}, 3};
    assert_int_equal(build(&options, argv, env, &request), 0);
    assert_int_equal(request.env.count, 2);
    assert_true(has_env(&request, "B=3") && has_env(&request, "C=4"));
}

static void build__limits_hints_and_code__in_the_request(void **state)
{
    static const char *const argv[] = {"x", NULL}, *const env[] = {NULL};
    struct submit_options options = SUBMIT_OPTIONS_DEFAULT;
    struct msg_execution_request request;
    (void)state;
    options.code = "team/nightly@2";
    options.memory_bytes = 64 << 20;
    options.cpu_millicores = 500;
    options.io_read_bps = 10;
    options.timeout_ms = 60000;
    options.hints = (struct argument_list){{"input_bytes=5", "note=a=b"}, 2};
    assert_int_equal(build(&options, argv, env, &request), 0);
    assert_true(str_equal(request.code, str_of("team/nightly@2")));
    assert_int_equal(request.limits.memory_bytes, 64 << 20);
    assert_int_equal(request.limits.cpu_millicores, 500);
    assert_true(str_equal(request.hints.items[1].key, str_of("note")));
    assert_true(str_equal(request.hints.items[1].value, str_of("a=b")));
}

static void build__files_among_the_arguments__measured_unless_told(void **state)
{
    static const char *const argv[] = {"x", "arguments.h", "--from=submit.h", "missing", ".", NULL},
                             *const env[] = {NULL};
    struct submit_options options = SUBMIT_OPTIONS_DEFAULT;
    struct msg_execution_request request;
    struct stat one = {0}, other = {0};
    char place[4096];
    (void)state;
    const char *source = getenv("FORESTALL_SOURCE");
    (void)snprintf(place, sizeof place, "%s/cli", source ? source : ".");
    options.cwd = place;
    assert_int_equal(build(&options, argv, env, &request), 0);
    assert_int_equal(request.hints.count, 1);
    assert_true(chdir(place) == 0 && stat("arguments.h", &one) == 0 && stat("submit.h", &other) == 0);
    assert_true(hints_input_bytes(&request.hints) == (double)(one.st_size + other.st_size));
    options.hints = (struct argument_list){{"input_bytes=5"}, 1};
    assert_int_equal(build(&options, argv, env, &request), 0);
    assert_int_equal(request.hints.count, 1);
    assert_true(hints_input_bytes(&request.hints) == 5);
    options.hints = (struct argument_list){{"input_bytes=many"}, 1}; /* the submitter's own business */
    assert_int_equal(build(&options, argv, env, &request), 0);
    assert_true(isnan(hints_input_bytes(&request.hints)));
}

/* Of this command's files only submit.h is input. */
static void expect_submit_h_alone(const char *const *argv)
{
    static const char *const env[] = {NULL};
    struct submit_options options = SUBMIT_OPTIONS_DEFAULT;
    struct msg_execution_request request;
    struct stat one = {0};
    char place[4096];
    const char *source = getenv("FORESTALL_SOURCE");
    (void)snprintf(place, sizeof place, "%s/cli", source ? source : ".");
    options.cwd = place;
    assert_int_equal(build(&options, argv, env, &request), 0);
    assert_true(chdir(place) == 0 && stat("submit.h", &one) == 0);
    assert_true(hints_input_bytes(&request.hints) == (double)one.st_size);
}

/* The output of the run before lies there: the same job has the same input. */
static void build__files_that_are_written__not_measured(void **state)
{
    static const char *const lines[][5] = {{"cc", "-o", "arguments.h", "submit.h", NULL},
                                           {"pandoc", "submit.h", "--output", "arguments.h", NULL},
                                           {"convert", "--output=arguments.h", "submit.h", NULL},
                                           {"dd", "of=arguments.h", "if=submit.h", NULL},
                                           {"gcc", "-O", "submit.h", NULL},
                                           {"cat", "output", "submit.h", NULL},
                                           {"cat", "of", "submit.h", NULL}};
    (void)state;
    for (size_t i = 0; i < FS_COUNT(lines); i++)
        expect_submit_h_alone(lines[i]);
}

/* Jobs are written as a line for a shell, or name a file within an argument. */
static void build__files_within_arguments__measured_but_for_what_is_written(void **state)
{
    static const char *const lines[] = {"sort submit.h >arguments.h",
                                        "sort 'submit.h' >\t\"arguments.h\"",
                                        "set output 'x.png'; plot \"submit.h\" with lines",
                                        "FILE:submit.h,rdonly",
                                        "sort -o arguments.h submit.h",
                                        "dd if=submit.h of=arguments.h; set output 'arguments.h'",
                                        "echo most of submit.h",
                                        "cat <submit.h>  arguments.h; test $? -le 1"};
    (void)state;
    for (size_t i = 0; i < FS_COUNT(lines); i++) {
        const char *const argv[] = {"sh", "-c", lines[i], NULL};
        expect_submit_h_alone(argv);
    }
}

static void build__wrong__refused_with_a_sentence(void **state)
{
    static const char *const argv[] = {"x", NULL}, *const nothing[] = {NULL}, *const env[] = {NULL};
    struct submit_options options = SUBMIT_OPTIONS_DEFAULT;
    struct msg_execution_request request;
    (void)state;
    assert_int_equal(build(&options, nothing, env, &request), -EINVAL);
    options.code = "a b";
    assert_int_equal(build(&options, argv, env, &request), -EINVAL);
    assert_non_null(strstr(error, "--code a b is not valid"));
    options.code = NULL;
    options.hints = (struct argument_list){{"=x"}, 1};
    assert_int_equal(build(&options, argv, env, &request), -EINVAL);
    options.hints.count = 0;
    options.cwd = "/nonexistent/place";
    assert_int_equal(build(&options, argv, env, &request), -EINVAL);
    assert_non_null(strstr(error, "/nonexistent/place"));
}

/* A dead letter may have 900 KiB and is written again when it is replayed; a request may not. */
static void publish__large__as_much_as_its_kind_may_have(void **state)
{
    (void)state;
    size_t size = 900u << 10;
    char *text = malloc(size + 1);
    assert_non_null(text);
    memset(text, 'x', size);
    text[size] = '\0';
    struct embedded_broker_options broker_options = {.partitions = 1};
    struct embedded_broker *broker = embedded_broker_open(&broker_options, error, sizeof error);
    assert_non_null(broker);
    struct stream_options options = {.brokers = embedded_broker_bootstrap(broker), .client_id = "test"};
    struct stream *stream = stream_open(&options, error, sizeof error);
    assert_non_null(stream);
    struct msg_dead_execution dead = {.record = {.detail = {text, size}}};
    assert_int_equal(submit_publish(stream, TOPIC_EXECUTIONS_DLQ, str_of("code"), &msg_dead_execution_type,
                                    &dead, error, sizeof error),
                     0);
    struct msg_execution_request request = {.cwd = {text, size}, .pool = str_of("default")};
    assert_int_equal(submit_send(stream, &request, error, sizeof error), -EMSGSIZE);
    assert_non_null(strstr(error, "environment"));
    stream_close(stream);
    embedded_broker_close(broker);
    free(text);
}

/* What is written to standard error while a request of this size is sent. */
static void send_and_hear(struct stream *stream, size_t size, char *heard, size_t heard_size)
{
    char *text = calloc(1, size + 1);
    FILE *file = tmpfile();
    int kept = dup(STDERR_FILENO);
    assert_true(text && file && kept >= 0);
    memset(text, 'x', size);
    struct msg_execution_request request = {.cwd = {text, size}, .pool = str_of("default")};
    assert_true(dup2(fileno(file), STDERR_FILENO) == STDERR_FILENO);
    int result = submit_send(stream, &request, error, sizeof error);
    assert_true(dup2(kept, STDERR_FILENO) == STDERR_FILENO);
    assert_int_equal(close(kept), 0);
    assert_int_equal(result, 0);
    rewind(file);
    heard[fread(heard, 1, heard_size - 1, file)] = '\0';
    (void)fclose(file);
    free(text);
}

/* Larger than queue takes by default: sent, and said in one whole line. */
static void send__more_than_usual__told_in_a_line(void **state)
{
    (void)state;
    char heard[1024];
    struct embedded_broker_options broker_options = {.partitions = 1};
    struct embedded_broker *broker = embedded_broker_open(&broker_options, error, sizeof error);
    assert_non_null(broker);
    struct stream_options options = {.brokers = embedded_broker_bootstrap(broker), .client_id = "test"};
    struct stream *stream = stream_open(&options, error, sizeof error);
    assert_non_null(stream);
    send_and_hear(stream, 300u << 10, heard, sizeof heard);
    assert_non_null(strstr(heard, "queue.max_request"));
    assert_null(strchr(heard, '\\'));
    assert_ptr_equal(strchr(heard, '\n'), heard + strlen(heard) - 1);
    send_and_hear(stream, 100u << 10, heard, sizeof heard);
    assert_string_equal(heard, "");
    stream_close(stream);
    embedded_broker_close(broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(build__defaults__code_environment_and_directory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(build__environment_options__set_kept_or_cleared, set_up, tear_down),
        cmocka_unit_test_setup_teardown(build__limits_hints_and_code__in_the_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(build__files_among_the_arguments__measured_unless_told, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(build__files_within_arguments__measured_but_for_what_is_written,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(build__files_that_are_written__not_measured, set_up, tear_down),
        cmocka_unit_test_setup_teardown(build__wrong__refused_with_a_sentence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(publish__large__as_much_as_its_kind_may_have, set_up, tear_down),
        cmocka_unit_test_setup_teardown(send__more_than_usual__told_in_a_line, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
