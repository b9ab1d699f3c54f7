/* See submit.h. */
#include "cli/submit.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/code_name.h"
#include "common/input_size.h"
#include "common/topics.h"
#include "common/uuid.h"
#include "schemas/hints.h"
#include "schemas/topic_codec.h"

#define FIELD(field) offsetof(struct submit_options, field)
#define ARGV_MAX 4096
#define MESSAGE_BYTES_MAX (960u << 10)   /* below the client's 1,000,000; a dead letter has up to 900 KiB */
#define REQUEST_BYTES_MAX (768u << 10)   /* the most that queue.max_request may be: queue adds to it */
#define REQUEST_BYTES_USUAL (256u << 10) /* its default */
#define REPORT_TIMEOUT_MS 15000

static const struct argument arguments[] = {
    {"code", ARGUMENT_STRING, FIELD(code), 0, 0, "CODE",
     "identity of the program [its base name; for interpreters with the script's]"},
    {"memory", ARGUMENT_BYTES, FIELD(memory_bytes), 0, 0, "SIZE",
     "memory to start with, e.g. 64M [Forestall chooses]"},
    {"cpu", ARGUMENT_MILLICORES, FIELD(cpu_millicores), 0, INT32_MAX, "CPUS",
     "CPU to start with, e.g. 500m or 2"},
    {"io-read", ARGUMENT_BYTES, FIELD(io_read_bps), 0, 0, "RATE", "block reads per second, e.g. 10M"},
    {"io-write", ARGUMENT_BYTES, FIELD(io_write_bps), 0, 0, "RATE", "block writes per second"},
    {"net", ARGUMENT_BYTES, FIELD(net_egress_bps), 0, 0, "RATE", "network bytes out per second, e.g. 1M"},
    {"timeout", ARGUMENT_DURATION_MS, FIELD(timeout_ms), 0, 0, "TIME",
     "time allowed to one attempt, e.g. 60s [none]"},
    {"priority", ARGUMENT_INT, FIELD(priority), 0, 1000, "N", "0..1000, higher first [500]"},
    {"max-attempts", ARGUMENT_INT, FIELD(max_attempts), 1, 100, "N", "attempts at most [3]"},
    {"retry-other", ARGUMENT_FLAG, FIELD(retry_other), 0, 0, NULL,
     "retry failures that no allocation would have avoided"},
    {"pool", ARGUMENT_STRING, FIELD(pool), 0, 0, "POOL", "pool of nodes to run in [default]"},
    {"hint", ARGUMENT_LIST, FIELD(hints), 0, 0, "KEY=VALUE",
     "what you know of this execution, e.g. input_bytes=1000000 [input_bytes: the files that the "
     "arguments name]"},
    {"env", ARGUMENT_LIST, FIELD(env), 0, 0, "NAME[=VALUE]",
     "set a variable; with --clear-env also: keep one"},
    {"clear-env", ARGUMENT_FLAG, FIELD(clear_env), 0, 0, NULL, "do not pass on this environment"},
    {"cwd", ARGUMENT_STRING, FIELD(cwd), 0, 0, "DIR", "working directory [this one]"},
};

struct argument_set submit_arguments(struct submit_options *options)
{
    return (struct argument_set){arguments, FS_COUNT(arguments), options};
}

static size_t count_words(char *const *words)
{
    size_t count = 0;
    while (words[count])
        count++;
    return count;
}

static int build_argv(char *const *argv, struct arena *arena, struct msg_str_array *out, char *error,
                      size_t error_size)
{
    size_t count = count_words(argv);
    if (count == 0 || count > ARGV_MAX) {
        (void)snprintf(error, error_size,
                       count == 0 ? "no program is given: put it after --"
                                  : "more than 4096 words on the command line");
        return -EINVAL;
    }
    out->items = arena_alloc(arena, count, sizeof *out->items);
    if (!out->items)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        out->items[out->count++] = str_of(argv[i]);
    return 0;
}

static bool same_name(const char *a, const char *b)
{
    size_t size = strcspn(a, "=");
    return size == strcspn(b, "=") && memcmp(a, b, size) == 0;
}

/* The last entry of a name wins; what Forestall itself was told by variables is not the program's. */
static void set_variable(struct msg_str_array *out, const char *entry)
{
    if (strncmp(entry, "FORESTALL_", 10) == 0 || !strchr(entry, '='))
        return;
    for (size_t i = 0; i < out->count; i++) {
        if (same_name(out->items[i].data, entry)) {
            out->items[i] = str_of(entry);
            return;
        }
    }
    out->items[out->count++] = str_of(entry);
}

static const char *look_up(char *const *environment, const char *name)
{
    for (; *environment; environment++)
        if (same_name(*environment, name))
            return *environment;
    return NULL;
}

static int build_env(const struct submit_options *options, char *const *environment, struct arena *arena,
                     struct msg_str_array *out)
{
    out->items = arena_alloc(arena, count_words(environment) + options->env.count, sizeof *out->items);
    if (!out->items)
        return -ENOMEM;
    for (char *const *entry = environment; !options->clear_env && *entry; entry++)
        set_variable(out, *entry);
    for (size_t i = 0; i < options->env.count; i++) {
        const char *entry = options->env.items[i];
        const char *found = strchr(entry, '=') ? entry : look_up(environment, entry);
        if (found)
            set_variable(out, found);
    }
    return 0;
}

static bool hints_name(const struct msg_str_map *hints, const char *key)
{
    for (size_t i = 0; i < hints->count; i++)
        if (str_equal(hints->items[i].key, str_of(key)))
            return true;
    return false;
}

/* The input's size is measured when nobody tells it. */
static int add_input_hint(const struct submit_options *options, char *const *argv, struct arena *arena,
                          struct msg_str_map *hints)
{
    char text[32];
    int64_t bytes = hints_name(hints, HINT_INPUT_BYTES) ? 0 : input_size(options->cwd, argv, -1);
    if (bytes == 0)
        return 0;
    (void)snprintf(text, sizeof text, "%" PRId64, bytes);
    const char *copy = arena_strdup(arena, str_of(text));
    if (!copy)
        return -ENOMEM;
    hints->items[hints->count++] = (struct msg_str_entry){str_of(HINT_INPUT_BYTES), str_of(copy)};
    return 0;
}

static int build_hints(const struct submit_options *options, char *const *argv, struct arena *arena,
                       struct msg_str_map *out, char *error, size_t error_size)
{
    out->items = arena_alloc(arena, options->hints.count + 1, sizeof *out->items);
    if (!out->items)
        return -ENOMEM;
    for (size_t i = 0; i < options->hints.count; i++) {
        const char *hint = options->hints.items[i], *equals = strchr(hint, '=');
        if (!equals || equals == hint) {
            (void)snprintf(error, error_size, "--hint %s is not of the form key=value", hint);
            return -EINVAL;
        }
        out->items[out->count++] =
            (struct msg_str_entry){{hint, (size_t)(equals - hint)}, str_of(equals + 1)};
    }
    return add_input_hint(options, argv, arena, out);
}

static int build_code(const struct submit_options *options, char *const *argv, struct arena *arena,
                      struct str *out, char *error, size_t error_size)
{
    char name[CODE_NAME_MAX + 1];
    if (options->code) {
        *out = str_of(options->code);
        if (code_name_valid(*out))
            return 0;
        (void)snprintf(error, error_size, "--code %s is not valid: 1 to 128 of A-Z a-z 0-9 . _ : + @ / -",
                       options->code);
        return -EINVAL;
    }
    code_name_default(argv, name);
    const char *copy = arena_strdup(arena, str_of(name));
    *out = str_of(copy);
    return copy ? 0 : -ENOMEM;
}

static int build_cwd(const struct submit_options *options, struct arena *arena, struct str *out, char *error,
                     size_t error_size)
{
    char path[4096];
    const char *copy = options->cwd ? realpath(options->cwd, path) : getcwd(path, sizeof path);
    if (!copy) {
        (void)snprintf(error, error_size, "working directory %s: %s", options->cwd ? options->cwd : "",
                       strerror(errno));
        return -EINVAL;
    }
    *out = str_of(arena_strdup(arena, str_of(path)));
    return out->data ? 0 : -ENOMEM;
}

/* An agent runs as root: what another user submits runs as that user. */
static int build_user(const struct submit_options *options, struct arena *arena, struct str *out, char *error,
                      size_t error_size)
{
    *out = str_of(options->user ? options->user : "");
    if (options->user || geteuid() == 0)
        return 0;
    const struct passwd *entry = getpwuid(geteuid());
    if (!entry) {
        (void)snprintf(error, error_size, "user %u has no name in the user database", (unsigned)geteuid());
        return -EINVAL;
    }
    *out = str_of(arena_strdup(arena, str_of(entry->pw_name)));
    return out->data ? 0 : -ENOMEM;
}

int submit_build(const struct submit_options *options, char *const *argv, char *const *environment,
                 int64_t now_us, struct arena *arena, struct msg_execution_request *out, char *error,
                 size_t error_size)
{
    struct msg_execution_request request = {
        .action = MSG_ACTION_RUN,
        .pool = str_of(options->pool),
        .stdout_path = str_of(options->stdout_path ? options->stdout_path : ""),
        .stderr_path = str_of(options->stderr_path ? options->stderr_path : ""),
        .limits = {.memory_bytes = options->memory_bytes,
                   .cpu_millicores = (int32_t)options->cpu_millicores,
                   .io_read_bps = options->io_read_bps,
                   .io_write_bps = options->io_write_bps,
                   .net_egress_bps = options->net_egress_bps},
        .priority = (int32_t)options->priority,
        .timeout_ms = options->timeout_ms,
        .max_attempts = (int32_t)options->max_attempts,
        .retry_other = options->retry_other,
        .submitted_us = now_us,
    };
    uuid_v7(request.execution, now_us / 1000);
    (void)snprintf(error, error_size, "out of memory");
    int result = build_argv(argv, arena, &request.argv, error, error_size);
    if (result == 0)
        result = build_code(options, argv, arena, &request.code, error, error_size);
    if (result == 0)
        result = build_env(options, environment, arena, &request.env);
    if (result == 0)
        result = build_hints(options, argv, arena, &request.hints, error, error_size);
    if (result == 0)
        result = build_cwd(options, arena, &request.cwd, error, error_size);
    if (result == 0)
        result = build_user(options, arena, &request.user, error, error_size);
    if (result == 0)
        *out = request;
    return result;
}

/* Outlives publish() when the report comes only at stream_close(). */
struct report {
    int error;
    bool abandoned;
};

static void on_report(void *context, int error)
{
    struct report *report = context;
    report->error = error;
    if (report->abandoned)
        free(report);
}

static int publish(struct stream *stream, const char *topic, struct str key, const struct buffer *value)
{
    struct report *report = malloc(sizeof *report);
    if (!report)
        return -ENOMEM;
    *report = (struct report){.error = 1};
    int result =
        stream_produce(stream, topic, key.data, key.size, value->data, value->size, on_report, report);
    if (result < 0) {
        free(report); /* not accepted: no report will come */
        return result;
    }
    result = stream_flush(stream, REPORT_TIMEOUT_MS);
    if (report->error == 1) {
        report->abandoned = true;
        return result < 0 ? result : -ETIMEDOUT;
    }
    result = report->error;
    free(report);
    return result;
}

static int explain_failure(int result, const char *what, char *error, size_t error_size)
{
    if (result < 0)
        (void)snprintf(error, error_size, "Kafka did not take %s: %s", what,
                       result == -ENOENT ? "no such topic (is a Forestall service connected to this Kafka?)"
                                         : strerror(-result));
    return result;
}

static int publish_framed(struct stream *stream, const char *topic, struct str key,
                          const struct msg_type *type, const struct buffer *framed, char *error,
                          size_t error_size)
{
    int result = topic_codec_announce(stream, &type, 1, error, error_size);
    if (result < 0)
        return result;
    return explain_failure(publish(stream, topic, key, framed), type->name, error, error_size);
}

int submit_publish(struct stream *stream, const char *topic, struct str key, const struct msg_type *type,
                   const void *message, char *error, size_t error_size)
{
    bool request = type == &msg_execution_request_type;
    size_t most = request ? REQUEST_BYTES_MAX : MESSAGE_BYTES_MAX;
    struct buffer framed;
    buffer_init(&framed, 0);
    int result = codec_encode(type, message, &framed);
    if (result < 0) {
        (void)snprintf(error, error_size, "out of memory");
    } else if (framed.size > most) {
        (void)snprintf(error, error_size, "%zu bytes are too much for one %s%s: at most %zu", framed.size,
                       type->name, request ? " (environment or arguments?)" : "", most);
        result = -EMSGSIZE;
    } else {
        if (request && framed.size > REQUEST_BYTES_USUAL)
            (void)fprintf(
                stderr,
                "forestall: a request of %zu bytes (environment or arguments?): forestall-queue ends it "
                "without running it unless its queue.max_request, 256K by default, allows it\n",
                framed.size);
        result = publish_framed(stream, topic, key, type, &framed, error, error_size);
    }
    buffer_fini(&framed);
    return result;
}

int submit_delete(struct stream *stream, const char *topic, struct str key, char *error, size_t error_size)
{
    const struct buffer nothing = {0};
    return explain_failure(publish(stream, topic, key, &nothing), "the deletion", error, error_size);
}

int submit_send(struct stream *stream, const struct msg_execution_request *request, char *error,
                size_t error_size)
{
    return submit_publish(stream, TOPIC_EXECUTIONS_REQUESTED, request->pool, &msg_execution_request_type,
                          request, error, error_size);
}

int submit_cancel(struct stream *stream, const uint8_t execution[16], struct str pool, char *error,
                  size_t error_size)
{
    struct msg_execution_request request = {.action = MSG_ACTION_CANCEL, .pool = pool, .max_attempts = 1};
    memcpy(request.execution, execution, sizeof request.execution);
    return submit_send(stream, &request, error, error_size);
}
