/* forestall explain: what happened to an execution, and why. */
#include <errno.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/explain_text.h"
#include "cli/find.h"
#include "cli/message_json.h"
#include "common/uuid.h"

#define NAME "explain"
#define ARENA_BYTES (4u << 20)

static const struct usage usage = {
    "forestall explain [OPTION]... EXECUTION",
    "Shows what an execution used, what was predicted, each decision with its reason, how it ended, and what "
    "the\n"
    "code's next execution begins with. Reads what the topics still hold: a day of risks, an hour of "
    "samples, a\n"
    "week of records.",
    NULL,
};

static int show(const struct target_options *options, const struct execution *execution,
                const struct msg_allocation *allocation)
{
    struct buffer text;
    if (options->json)
        return message_json_print(explain_json(execution, allocation)) < 0 ? EXIT_FAILED : 0;
    buffer_init(&text, 0);
    explain_text(execution, allocation, &text);
    bool written = buffer_error(&text) == 0 && fwrite(text.data, 1, text.size, stdout) == text.size &&
                   fflush(stdout) == 0;
    buffer_fini(&text);
    return written ? 0 : EXIT_FAILED;
}

static int explain(const struct target_options *options, const struct target *target, const char *text)
{
    char error[1024];
    uint8_t id[16];
    struct execution *execution;
    struct msg_allocation *allocation = NULL;
    if (uuid_parse(str_of(text), id) < 0)
        return command_fail(NAME, EXIT_USAGE, "%s is not an execution's id", text);
    if (find_execution(target, options, id, &execution, error, sizeof error) < 0)
        return command_fail(NAME, EXIT_FAILED, "%s: %s", text, error);
    struct arena *arena = arena_create(64u << 10, ARENA_BYTES);
    int result =
        arena ? find_details(target, options, execution, arena, &allocation, error, sizeof error) : -ENOMEM;
    int status = EXIT_FAILED;
    if (result == 0 || result == -ETIMEDOUT)
        status = show(options, execution, allocation);
    if (result < 0) /* what came in time is shown all the same */
        status = command_fail(NAME, EXIT_FAILED, "%s", arena ? error : "out of memory");
    arena_destroy(arena);
    execution_destroy(execution);
    return status;
}

int command_explain(int argc, char **argv)
{
    struct target_options options = TARGET_OPTIONS_DEFAULT;
    struct argument_set sets[] = {target_arguments(&options)};
    char error[1024];
    struct target target;
    int words;
    int result = arguments_parse(sets, FS_COUNT(sets), &usage, ARGUMENTS_ANYWHERE, argc, argv, &words, error,
                                 sizeof error);
    if (result != 0)
        return result < 0 ? command_misuse(NAME, error) : 0;
    if (words != 1)
        return command_misuse(NAME, "one execution's id is needed");
    if (target_open(&options, &target, error, sizeof error) < 0)
        return command_fail(NAME, EXIT_FAILED, "%s", error);
    int status = explain(&options, &target, argv[1]);
    target_close(&target);
    return status;
}
