/* forestall allocation: what codes start with (read from Redis) and what people fixed about them (topic
 * `policies`). */
#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/code_name.h"
#include "cli/command.h"
#include "cli/message_json.h"
#include "cli/policy.h"
#include "cli/reader.h"
#include "cli/submit.h"
#include "cli/text.h"
#include "common/clock.h"

#define NAME "allocation"
#define ARENA_BYTES (1u << 20)

struct command_options {
    struct target_options target;
    struct policy_change change;
};

static const struct usage usage = {
    "forestall allocation get|set|pin|unpin [OPTION]... CODE",
    "get shows what the next execution of CODE begins with and what is fixed about it. set fixes floor and "
    "ceiling\n"
    "(0 takes one away), the mode, and the share of attempts that are only logged. pin fixes the limits\n"
    "themselves, unpin frees them. What is not named stays as it is. forestall-allocate takes it up at once.",
    "  forestall allocation set --ceiling-memory 2G --floor-cpu 500m nightly\n"
    "  forestall allocation pin --memory 1G nightly\n"
    "  forestall allocation get --json nightly",
};

/* --- reading --- */

struct found {
    struct str code;
    struct arena *arena;
    struct msg_code_policy policy;
    bool has_policy;
};

static int on_policy(void *context, const struct reader_message *message)
{
    struct found *found = context;
    if (!str_equal(message->key, found->code))
        return 0;
    found->has_policy = message->message != NULL;
    if (!message->message)
        return 0;
    found->policy = *(const struct msg_code_policy *)message->message;
    const char *author = arena_strdup(found->arena, found->policy.author);
    found->policy.author = str_of(author ? author : "");
    found->policy.code = found->code;
    return 0;
}

static int read_policy(struct reader *reader, const struct target_options *options, struct found *found,
                       char *error, size_t error_size)
{
    const struct reader_key key = {TOPIC_POLICIES, found->code};
    int result = reader_add_keys(reader, &key, 1, STREAM_FROM_BEGINNING, error, error_size);
    if (result == 0) {
        result = reader_scan(reader, on_policy, found, options->timeout_ms);
        if (result < 0)
            (void)snprintf(error, error_size, "reading policies: %s", strerror(-result));
    }
    return FS_MIN(result, 0);
}

static json_t *fields_json(const struct store_field *fields, int count)
{
    json_t *out = json_object();
    for (int i = 0; out && i < count; i++) {
        char name[64], *end;
        (void)str_copy(name, sizeof name, fields[i].name);
        const char *text = fields[i].value.data; /* the store terminates what it copies */
        double number = strtod(text, &end);
        json_t *value = *text && !*end ? (strpbrk(text, ".eE") ? message_json_number(number)
                                                               : json_integer(strtoll(text, NULL, 10)))
                                       : message_json_text(fields[i].value);
        if (json_object_set_new(out, name, value) < 0) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

static void print_fields(const struct store_field *fields, int count)
{
    struct msg_limits limits;
    char text[256];
    policy_limits_from_fields(fields, (size_t)count, &limits);
    struct str reason = store_field_get(fields, (size_t)count, "reason"),
               raised = store_field_get(fields, (size_t)count, "raised"),
               revision = store_field_get(fields, (size_t)count, "revision"),
               runs = store_field_get(fields, (size_t)count, "runs");
    printf("next execution  %s\n", text_limits(&limits, text, sizeof text));
    printf("revision        %.*s, after %.*s runs%s%.*s\n", (int)revision.size, revision.data, (int)runs.size,
           runs.data, raised.size ? ", raised: " : "", (int)raised.size, raised.data);
    printf("reason          %.*s\n", (int)reason.size, reason.data);
}

static void print_policy(const struct found *found)
{
    char text[256], when[32];
    const struct msg_code_policy *policy = &found->policy;
    if (!found->has_policy) {
        printf("fixed           nothing\n");
        return;
    }
    printf("floor           %s\n", text_limits(&policy->floor, text, sizeof text));
    printf("ceiling         %s\n", text_limits(&policy->ceiling, text, sizeof text));
    printf("pin             %s\n", policy->has_pin ? text_limits(&policy->pin, text, sizeof text) : "none");
    printf("mode            %s, %d of 1000 attempts only logged\n", msg_mode_name(policy->mode),
           (int)policy->held_out_permille);
    printf("fixed by        %.*s, %s\n", (int)policy->author.size, policy->author.data,
           text_time(policy->updated_us, when));
}

static int read_allocation(const struct target *target, const char *code, struct store_field *fields,
                           struct arena *arena, char *error, size_t error_size)
{
    char key[CODE_NAME_MAX + 32];
    struct store *store = target_store(target, error, error_size);
    if (!store)
        return -EHOSTDOWN;
    (void)snprintf(key, sizeof key, "allocation:{%s}", code);
    int count = store_get(store, key, fields, STORE_FIELDS_MAX + 1, arena);
    if (count < 0 && count != -ENOENT)
        (void)snprintf(error, error_size, "Redis at %s: %s", target->redis, store_error(store));
    store_close(store);
    return count == -ENOENT ? 0 : count;
}

static int show(const struct command_options *options, const struct found *found,
                const struct store_field *fields, int count)
{
    if (options->target.json)
        return message_json_print(json_pack(
                   "{s:o,s:o,s:o}", "code", message_json_text(found->code), "allocation",
                   count > 0 ? fields_json(fields, count) : json_null(), "policy",
                   found->has_policy ? message_json(&msg_code_policy_type, &found->policy) : json_null())) < 0
                   ? EXIT_FAILED
                   : 0;
    printf("code            %.*s\n", (int)found->code.size, found->code.data);
    if (count > 0)
        print_fields(fields, count);
    else
        printf("next execution  nothing learned yet: as requested\n");
    print_policy(found);
    return fflush(stdout) == EOF ? EXIT_FAILED : 0;
}

static int get(const struct command_options *options, const struct target *target, struct reader *reader,
               struct found *found, char *error, size_t error_size)
{
    struct store_field fields[STORE_FIELDS_MAX + 1];
    int result = read_policy(reader, &options->target, found, error, error_size);
    int count = result == 0
                    ? read_allocation(target, found->code.data, fields, found->arena, error, error_size)
                    : result;
    if (count < 0)
        return command_fail(NAME, EXIT_FAILED, "%s", error);
    return show(options, found, fields, count);
}

/* --- writing --- */

static struct str author(struct arena *arena)
{
    const struct passwd *entry = getpwuid(geteuid());
    const char *name = arena_strdup(arena, str_of(entry ? entry->pw_name : "unknown"));
    return str_of(name ? name : "");
}

static int change(const struct command_options *options, struct reader *reader, struct found *found,
                  enum policy_verb verb, char *error, size_t error_size)
{
    int result = read_policy(reader, &options->target, found, error, error_size);
    if (!found->has_policy)
        found->policy = (struct msg_code_policy){.code = found->code, .mode = MSG_MODE_ACT};
    if (result == 0)
        result = policy_apply(&found->policy, verb, &options->change, error, error_size);
    found->policy.updated_us = clock_realtime_us();
    found->policy.author = author(found->arena);
    if (result == 0)
        result = submit_publish(reader_stream(reader), TOPIC_POLICIES, found->code, &msg_code_policy_type,
                                &found->policy, error, error_size);
    if (result < 0)
        return command_fail(NAME, result == -EINVAL ? EXIT_USAGE : EXIT_FAILED, "%s", error);
    found->has_policy = true;
    if (options->target.json)
        return message_json_print(message_json(&msg_code_policy_type, &found->policy)) < 0 ? EXIT_FAILED : 0;
    print_policy(found);
    return fflush(stdout) == EOF ? EXIT_FAILED : 0;
}

static int act(const struct command_options *options, enum policy_verb verb, const char *code)
{
    char error[1024];
    struct target target;
    struct found found = {.code = str_of(code)};
    if (target_open(&options->target, &target, error, sizeof error) < 0)
        return command_fail(NAME, EXIT_FAILED, "%s", error);
    struct reader *reader = reader_open(&target, error, sizeof error);
    found.arena = arena_create(16u << 10, ARENA_BYTES);
    int status;
    if (!reader || !found.arena)
        status = command_fail(NAME, EXIT_FAILED, "%s", reader ? "out of memory" : error);
    else if (verb == POLICY_GET)
        status = get(options, &target, reader, &found, error, sizeof error);
    else
        status = change(options, reader, &found, verb, error, sizeof error);
    reader_close(reader);
    arena_destroy(found.arena);
    target_close(&target);
    return status;
}

int command_allocation(int argc, char **argv)
{
    struct command_options options = {.target = TARGET_OPTIONS_DEFAULT, .change = POLICY_CHANGE_NOTHING};
    struct argument_set sets[] = {policy_arguments(&options.change), target_arguments(&options.target)};
    enum policy_verb verb;
    char error[256];
    int words;
    int result = arguments_parse(sets, FS_COUNT(sets), &usage, ARGUMENTS_ANYWHERE, argc, argv, &words, error,
                                 sizeof error);
    if (result != 0)
        return result < 0 ? command_misuse(NAME, error) : 0;
    if (words != 2 || !policy_verb_parse(argv[1], &verb))
        return command_misuse(NAME, "get, set, pin or unpin and one code are needed");
    if (!code_name_valid(str_of(argv[2])))
        return command_misuse(NAME, "the code is not valid: 1 to 128 of A-Z a-z 0-9 . _ : + @ / -");
    return act(&options, verb, argv[2]);
}
