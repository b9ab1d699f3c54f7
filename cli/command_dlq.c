/* forestall dlq: the dead letters. Replaying one submits its request anew; the hint replay_of names the old
 * execution, and the dead letter is written again with replayed_as. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/message_json.h"
#include "cli/reader.h"
#include "cli/submit.h"
#include "cli/text.h"
#include "common/clock.h"
#include "common/uuid.h"

#define NAME "dlq"
#define REPLAY_HINT "replay_of"
#define LETTERS_MAX 10000

struct command_options {
    struct target_options target;
    const char *code;
    int64_t limit, memory_bytes;
};

#define FIELD(field) offsetof(struct command_options, field)

static const struct argument arguments[] = {
    {"code", ARGUMENT_STRING, FIELD(code), 0, 0, "CODE", "ls: of this code only"},
    {"limit", ARGUMENT_INT, FIELD(limit), 1, LETTERS_MAX, "N", "ls: the newest so many [50]"},
    {"memory", ARGUMENT_BYTES, FIELD(memory_bytes), 0, 0, "SIZE", "replay: ask for this much memory instead"},
};

static const struct usage usage = {
    "forestall dlq ls|show|replay [OPTION]... [EXECUTION]",
    "Dead letters are failures of an execution whose scarce resource had been raised for that very attempt. "
    "ls\n"
    "lists them, show tells all that is known of one, replay submits the same request as a new execution "
    "and\n"
    "prints its id; both name each other.",
    NULL,
};

struct letter {
    uint8_t id[16], replayed_as[16];
    int32_t attempt;
    int64_t dead_us, peak_bytes, limit_bytes;
    enum msg_outcome outcome;
    enum msg_cause cause;
    bool replayed;
    char code[129], reason[256];
};

struct letters {
    struct letter *items;
    size_t count, capacity;
    uint64_t dropped;
    const char *code;
};

/* --- ls --- */

/* The oldest of all gives way to a newer one: partitions come one after the other. NULL: none is older. */
static struct letter *oldest_before(const struct letters *letters, int64_t dead_us)
{
    struct letter *oldest = &letters->items[0];
    for (size_t i = 1; i < letters->count; i++)
        if (letters->items[i].dead_us < oldest->dead_us)
            oldest = &letters->items[i];
    return oldest->dead_us < dead_us ? oldest : NULL;
}

/* NULL: it is counted as not shown, or memory is out. */
static struct letter *place_for(struct letters *letters, const struct msg_dead_execution *dead)
{
    for (size_t i = letters->count; i > 0; i--) /* a replayed one comes again */
        if (memcmp(letters->items[i - 1].id, dead->record.execution, 16) == 0 &&
            letters->items[i - 1].attempt == dead->record.attempt)
            return &letters->items[i - 1];
    if (letters->count == LETTERS_MAX) {
        letters->dropped++;
        return oldest_before(letters, dead->dead_us);
    }
    if (letters->count == letters->capacity) {
        size_t capacity = FS_MIN(FS_MAX(letters->capacity * 2, (size_t)64), (size_t)LETTERS_MAX);
        struct letter *items = realloc(letters->items, capacity * sizeof *items);
        if (!items) {
            letters->dropped++;
            return NULL;
        }
        letters->items = items;
        letters->capacity = capacity;
    }
    return &letters->items[letters->count++];
}

static int on_letter(void *context, const struct reader_message *message)
{
    struct letters *letters = context;
    const struct msg_dead_execution *dead = message->message;
    if (!dead || (letters->code && !str_equal(dead->record.code, str_of(letters->code))))
        return 0;
    struct letter *letter = place_for(letters, dead);
    if (!letter)
        return 0;
    *letter = (struct letter){.attempt = dead->record.attempt,
                              .dead_us = dead->dead_us,
                              .peak_bytes = dead->record.totals.memory_peak_bytes,
                              .limit_bytes = dead->record.highest_limits.memory_bytes,
                              .outcome = dead->record.outcome,
                              .cause = dead->record.cause,
                              .replayed = dead->has_replayed_as};
    memcpy(letter->id, dead->record.execution, sizeof letter->id);
    memcpy(letter->replayed_as, dead->replayed_as, sizeof letter->replayed_as);
    (void)str_copy(letter->code, sizeof letter->code, dead->record.code);
    (void)str_copy(letter->reason, sizeof letter->reason, dead->reason);
    return 0;
}

static int compare_letters(const void *a, const void *b)
{
    const struct letter *left = a, *right = b;
    return left->dead_us < right->dead_us ? 1 : left->dead_us > right->dead_us ? -1 : 0;
}

static json_t *letter_json(const struct letter *letter)
{
    return json_pack("{s:o,s:s,s:i,s:s,s:s,s:I,s:I,s:I,s:s,s:o}", "execution", message_json_uuid(letter->id),
                     "code", letter->code, "attempt", (int)letter->attempt, "outcome",
                     msg_outcome_name(letter->outcome), "cause", msg_cause_name(letter->cause), "peak_bytes",
                     (json_int_t)letter->peak_bytes, "limit_bytes", (json_int_t)letter->limit_bytes,
                     "dead_us", (json_int_t)letter->dead_us, "reason", letter->reason, "replayed_as",
                     letter->replayed ? message_json_uuid(letter->replayed_as) : json_null());
}

static int print_letters(const struct letters *letters, size_t shown, bool json)
{
    char id[UUID_TEXT_SIZE], when[32], peak[32];
    if (json) {
        json_t *out = json_array();
        for (size_t i = 0; i < shown; i++)
            if (json_array_append_new(out, letter_json(&letters->items[i])) < 0)
                return command_fail(NAME, EXIT_FAILED, "out of memory");
        return message_json_print(out) < 0 ? EXIT_FAILED : 0;
    }
    for (size_t i = 0; i < shown; i++) {
        const struct letter *letter = &letters->items[i];
        uuid_format(letter->id, id);
        printf("%s  %s  %s, %s, peak %s, attempt %d%s\n    %s\n", id, text_time(letter->dead_us, when),
               letter->code, msg_cause_name(letter->cause), text_bytes(letter->peak_bytes, false, peak),
               (int)letter->attempt, letter->replayed ? ", replayed" : "", letter->reason);
    }
    if (shown == 0)
        printf("no dead letters\n");
    return fflush(stdout) == EOF ? EXIT_FAILED : 0;
}

static int open_all(struct reader **reader, const struct target *target, char *error, size_t error_size)
{
    static const char *const topics[] = {TOPIC_EXECUTIONS_DLQ};
    *reader = reader_open(target, error, error_size);
    return *reader ? reader_add_topics(*reader, topics, 1, STREAM_FROM_BEGINNING, error, error_size)
                   : -EHOSTDOWN;
}

static int list(const struct command_options *options, const struct target *target)
{
    char error[1024];
    struct letters letters = {.code = options->code};
    struct reader *reader;
    int status, result = open_all(&reader, target, error, sizeof error);
    if (result == 0) {
        result = reader_scan(reader, on_letter, &letters, options->target.timeout_ms);
        (void)snprintf(error, sizeof error, "reading executions.dlq: %s", strerror(result < 0 ? -result : 0));
    }
    if (result < 0) {
        status = command_fail(NAME, EXIT_FAILED, "%s", error);
    } else {
        if (letters.count > 0)
            qsort(letters.items, letters.count, sizeof *letters.items, compare_letters);
        status = print_letters(&letters, FS_MIN(letters.count, (size_t)options->limit), options->target.json);
        if (letters.dropped > 0)
            (void)fprintf(stderr, "forestall dlq: %" PRIu64 " more, older ones, are not shown\n",
                          letters.dropped);
    }
    reader_close(reader);
    free(letters.items);
    return status;
}

/* --- one of them --- */

struct wanted {
    const struct command_options *options;
    uint8_t id[16];
    struct buffer bytes; /* of the newest dead letter of this execution */
};

static int on_wanted(void *context, const struct reader_message *message)
{
    struct wanted *wanted = context;
    const struct msg_dead_execution *dead = message->message;
    if (!dead || memcmp(dead->record.execution, wanted->id, sizeof wanted->id) != 0)
        return 0;
    buffer_reset(&wanted->bytes);
    msg_dead_execution_type.encode(dead, &wanted->bytes);
    return buffer_error(&wanted->bytes);
}

static void print_letter(const struct msg_dead_execution *dead)
{
    char id[UUID_TEXT_SIZE], when[32], limits[256], peak[32];
    const struct msg_execution_record *record = &dead->record;
    uuid_format(record->execution, id);
    printf("execution  %s, attempt %d of code %.*s\n", id, (int)record->attempt, (int)record->code.size,
           record->code.data);
    printf("died       %s: %s, cause %s; %.*s\n", text_time(dead->dead_us, when),
           msg_outcome_name(record->outcome), msg_cause_name(record->cause), (int)record->detail.size,
           record->detail.data);
    printf("reason     %.*s\n", (int)dead->reason.size, dead->reason.data);
    printf("limits     began with %s\n", text_limits(&record->first_limits, limits, sizeof limits));
    printf("           at most    %s\n", text_limits(&record->highest_limits, limits, sizeof limits));
    printf("peak       %s\n", text_bytes(record->totals.memory_peak_bytes, false, peak));
    printf("known      %zu risks, %zu decisions, %zu samples; model %.*s\n", dead->risks.count,
           dead->decisions.count, record->series.count, (int)dead->model_version.size,
           dead->model_version.data);
    for (size_t i = 0; i < dead->decisions.count; i++)
        printf("  %.*s\n", (int)dead->decisions.items[i].adjustment.reason.size,
               dead->decisions.items[i].adjustment.reason.data);
    if (dead->has_replayed_as) {
        uuid_format(dead->replayed_as, id);
        printf("replayed   as %s\n", id);
    }
}

static int replay(const struct command_options *options, struct reader *reader,
                  struct msg_dead_execution *dead, struct arena *arena, char *error, size_t error_size)
{
    struct msg_execution_request request = dead->record.request;
    char old[UUID_TEXT_SIZE], new[UUID_TEXT_SIZE];
    uuid_format(request.execution, old);
    struct msg_str_entry *hints = arena_alloc(arena, request.hints.count + 1, sizeof *hints);
    if (!hints)
        return -ENOMEM;
    request.submitted_us = clock_realtime_us();
    uuid_v7(request.execution, request.submitted_us / 1000);
    size_t count = 0;
    for (size_t i = 0; i < request.hints.count; i++)
        if (!str_equal(request.hints.items[i].key, str_of(REPLAY_HINT)))
            hints[count++] = request.hints.items[i];
    hints[count++] = (struct msg_str_entry){str_of(REPLAY_HINT), str_of(old)};
    request.hints = (struct msg_str_map){hints, count};
    if (options->memory_bytes > 0)
        request.limits.memory_bytes = options->memory_bytes;
    int result = submit_send(reader_stream(reader), &request, error, error_size);
    if (result < 0)
        return result;
    dead->has_replayed_as = true;
    memcpy(dead->replayed_as, request.execution, sizeof dead->replayed_as);
    uuid_format(request.execution, new);
    result = submit_publish(reader_stream(reader), TOPIC_EXECUTIONS_DLQ, dead->record.code,
                            &msg_dead_execution_type, dead, error, error_size);
    if (result < 0) /* it is submitted: the reference in the old one is all that is missing */
        (void)command_fail(NAME, EXIT_FAILED, "%s was not marked as replayed: %s", old, error);
    if (options->target.json)
        return message_json_print(json_pack("{s:s,s:s}", "execution", new, "replay_of", old));
    return puts(new) == EOF ? -EIO : 0;
}

static int act_on(struct wanted *wanted, struct reader *reader, bool replaying, char *error,
                  size_t error_size)
{
    struct msg_dead_execution dead;
    struct arena *arena = arena_create(1u << 20, 64u << 20);
    int result = arena ? msg_dead_execution_type.decode(buffer_str(&wanted->bytes), arena, &dead) : -ENOMEM;
    if (result < 0)
        (void)snprintf(error, error_size, "%s", strerror(-result));
    else if (replaying)
        result = replay(wanted->options, reader, &dead, arena, error, error_size);
    else if (wanted->options->target.json)
        result = message_json_print(message_json(&msg_dead_execution_type, &dead));
    else
        print_letter(&dead);
    arena_destroy(arena);
    return result;
}

static int act(const struct command_options *options, const struct target *target, bool replaying,
               const char *text)
{
    char error[1024];
    struct wanted wanted = {.options = options};
    struct reader *reader = NULL;
    if (uuid_parse(str_of(text), wanted.id) < 0)
        return command_fail(NAME, EXIT_USAGE, "%s is not an execution's id", text);
    buffer_init(&wanted.bytes, 0);
    int result = open_all(&reader, target, error, sizeof error);
    if (result == 0) {
        result = reader_scan(reader, on_wanted, &wanted, options->target.timeout_ms);
        (void)snprintf(error, sizeof error, "reading executions.dlq: %s", strerror(result < 0 ? -result : 0));
    }
    if (result == 0 && wanted.bytes.size == 0) {
        (void)snprintf(error, sizeof error, "%s is not among the dead letters (forestall dlq ls)", text);
        result = -ENOENT;
    }
    if (result == 0)
        result = act_on(&wanted, reader, replaying, error, sizeof error);
    if (result < 0)
        (void)command_fail(NAME, EXIT_FAILED, "%s", error);
    reader_close(reader);
    buffer_fini(&wanted.bytes);
    return result < 0 || fflush(stdout) == EOF ? EXIT_FAILED : 0;
}

int command_dlq(int argc, char **argv)
{
    struct command_options options = {.target = TARGET_OPTIONS_DEFAULT, .limit = 50};
    struct argument_set sets[] = {{arguments, FS_COUNT(arguments), &options},
                                  target_arguments(&options.target)};
    char error[1024];
    struct target target;
    int words;
    int result = arguments_parse(sets, FS_COUNT(sets), &usage, ARGUMENTS_ANYWHERE, argc, argv, &words, error,
                                 sizeof error);
    if (result != 0)
        return result < 0 ? command_misuse(NAME, error) : 0;
    bool ls = words == 1 && strcmp(argv[1], "ls") == 0,
         replaying = words == 2 && strcmp(argv[1], "replay") == 0;
    if (!ls && !replaying && !(words == 2 && strcmp(argv[1], "show") == 0))
        return command_misuse(NAME, "ls, show EXECUTION or replay EXECUTION is needed");
    if (target_open(&options.target, &target, error, sizeof error) < 0)
        return command_fail(NAME, EXIT_FAILED, "%s", error);
    int status = ls ? list(&options, &target) : act(&options, &target, replaying, argv[2]);
    target_close(&target);
    return status;
}
