/* forestall submit and cancel: requests without waiting for their end. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/find.h"
#include "cli/message_json.h"
#include "cli/reader.h"
#include "cli/submit.h"
#include "cli/target.h"
#include "common/clock.h"
#include "common/uuid.h"

#define ARENA_BYTES (8u << 20)

extern char **environ;

struct submit_command_options {
    struct target_options target;
    struct submit_options submit;
};

static const struct argument submit_own[] = {
    {"stdout", ARGUMENT_STRING, offsetof(struct submit_options, stdout_path), 0, 0, "FILE",
     "on the node; {attempt} in it becomes the attempt's number [kept by the agent]"},
    {"stderr", ARGUMENT_STRING, offsetof(struct submit_options, stderr_path), 0, 0, "FILE", "likewise"},
    {"user", ARGUMENT_STRING, offsetof(struct submit_options, user), 0, 0, "USER", "whom to run as"},
};

static const struct usage submit_usage = {
    "forestall submit [OPTION]... [--] CMD [ARGUMENT]...",
    "Hands in an execution and prints its id; does not wait for it. status, explain and cancel take the id.",
    "  forestall submit --memory 256M --priority 800 -- /opt/jobs/report --day yesterday",
};

static int submit(const struct submit_command_options *options, char **argv)
{
    char error[1024], id[UUID_TEXT_SIZE];
    struct target target;
    struct msg_execution_request request;
    struct arena *arena = arena_create(64u << 10, ARENA_BYTES);
    int result = arena ? target_open(&options->target, &target, error, sizeof error) : -ENOMEM;
    if (result < 0) {
        arena_destroy(arena);
        return command_fail("submit", EXIT_FAILED, "%s", arena ? error : "out of memory");
    }
    struct submit_options what = options->submit;
    if (target.from_instance && strcmp(what.pool, "default") == 0)
        what.pool = target.instance.pool;
    result =
        submit_build(&what, argv + 1, environ, clock_realtime_us(), arena, &request, error, sizeof error);
    struct stream *stream = result == 0 ? target_stream(&target, error, sizeof error) : NULL;
    if (stream)
        result = submit_send(stream, &request, error, sizeof error);
    else if (result == 0)
        result = -EHOSTDOWN;
    if (result == 0) {
        uuid_format(request.execution, id);
        if (options->target.json)
            result = message_json_print(
                json_pack("{s:s,s:o}", "execution", id, "code", message_json_text(request.code)));
        else
            result = puts(id) == EOF ? -EIO : 0;
    } else {
        (void)command_fail("submit", EXIT_FAILED, "%s", error);
    }
    stream_close(stream);
    target_close(&target);
    arena_destroy(arena);
    return result < 0 ? EXIT_FAILED : EXIT_SUCCESS;
}

int command_submit(int argc, char **argv)
{
    struct submit_command_options options = {.target = TARGET_OPTIONS_DEFAULT,
                                             .submit = SUBMIT_OPTIONS_DEFAULT};
    struct argument_set sets[] = {submit_arguments(&options.submit),
                                  {submit_own, FS_COUNT(submit_own), &options.submit},
                                  target_arguments(&options.target)};
    char error[256];
    int words;
    int result = arguments_parse(sets, FS_COUNT(sets), &submit_usage, ARGUMENTS_FIRST, argc, argv, &words,
                                 error, sizeof error);
    if (result != 0)
        return result < 0 ? command_misuse("submit", error) : EXIT_SUCCESS;
    if (words == 0)
        return command_misuse("submit", "no program is given");
    return submit(&options, argv);
}

/* --- cancel --- */

static const struct usage cancel_usage = {
    "forestall cancel [OPTION]... EXECUTION...",
    "Asks for the end of executions: what waits is not started, what runs is killed. Does not wait for it.",
    NULL,
};

static int cancel_one(const struct target *target, const struct target_options *options, const uint8_t id[16],
                      char *error, size_t error_size)
{
    struct execution *execution;
    int result = find_execution(target, options, id, &execution, error, error_size);
    if (result < 0)
        return result;
    const struct msg_execution_state *state = execution_state(execution);
    if (state->phase == MSG_EXECUTION_PHASE_DONE) {
        (void)snprintf(error, error_size, "it has ended already");
        result = -EALREADY;
    }
    struct stream *stream = result == 0 ? target_stream(target, error, error_size) : NULL;
    if (stream)
        result = submit_cancel(stream, id, state->request.pool, error, error_size);
    else if (result == 0)
        result = -EHOSTDOWN;
    stream_close(stream);
    execution_destroy(execution);
    return result;
}

static int cancel_all(const struct target_options *options, const struct target *target, int count,
                      char **argv)
{
    char error[1024];
    int status = EXIT_SUCCESS;
    json_t *done = json_array();
    for (int i = 1; i <= count; i++) {
        uint8_t id[16];
        if (uuid_parse(str_of(argv[i]), id) < 0)
            status = command_fail("cancel", EXIT_FAILED, "%s is not an execution's id", argv[i]);
        else if (cancel_one(target, options, id, error, sizeof error) < 0)
            status = command_fail("cancel", EXIT_FAILED, "%s: %s", argv[i], error);
        else if (json_array_append_new(done, json_string(argv[i])) < 0)
            status = command_fail("cancel", EXIT_FAILED, "out of memory");
    }
    if (options->json && message_json_print(json_pack("{s:O}", "cancelled", done)) < 0)
        status = EXIT_FAILED;
    json_decref(done);
    return status;
}

int command_cancel(int argc, char **argv)
{
    struct target_options options = TARGET_OPTIONS_DEFAULT;
    struct argument_set sets[] = {target_arguments(&options)};
    char error[1024];
    struct target target;
    int words;
    int result = arguments_parse(sets, FS_COUNT(sets), &cancel_usage, ARGUMENTS_ANYWHERE, argc, argv, &words,
                                 error, sizeof error);
    if (result != 0)
        return result < 0 ? command_misuse("cancel", error) : EXIT_SUCCESS;
    if (words == 0)
        return command_misuse("cancel", "no execution is given");
    if (target_open(&options, &target, error, sizeof error) < 0)
        return command_fail("cancel", EXIT_FAILED, "%s", error);
    int status = cancel_all(&options, &target, words, argv);
    target_close(&target);
    return status;
}
