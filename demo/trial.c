/* See trial.h. */
#include "demo/trial.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/uuid.h"
#include "demo/process.h"
#include "schemas/codec.h"

#define ARGUMENTS_MAX 48
#define TEXT_MAX 4096
#define RUN_TIMEOUT_MS 180000
#define WARM_TIMEOUT_MS 60000
#define RECORD_TIMEOUT_MS 15000
#define ARENA_BLOCK ((size_t)256 << 10)
#define ARENA_LIMIT ((size_t)64 << 20)

static const char *const kind_names[TRIAL_KINDS] = {"without", "with", "next"};

/* The command line under construction; text holds what had to be put together. */
struct command {
    const char *argv[ARGUMENTS_MAX];
    size_t count, used;
    char text[TEXT_MAX];
};

static void add(struct command *command, const char *word)
{
    if (command->count + 1 < ARGUMENTS_MAX)
        command->argv[command->count++] = word;
}

static void add_option(struct command *command, const char *name, const char *value)
{
    if (!value)
        return;
    add(command, name);
    add(command, value);
}

static void append(struct command *command, const char *text, size_t size)
{
    size = FS_MIN(size, TEXT_MAX - 1 - command->used);
    memcpy(command->text + command->used, text, size);
    command->used += size;
    command->text[command->used] = '\0';
}

/* The word with its places filled in. */
static const char *fill(struct command *command, const char *word, const struct demo_places *places)
{
    const struct {
        const char *name, *value;
    } known[] = {{"{in}", places->work}, {"{programs}", places->programs}, {"{space}", places->space}};
    char *start = command->text + command->used;
    while (*word) {
        size_t i = 0;
        while (i < FS_COUNT(known) && strncmp(word, known[i].name, strlen(known[i].name)) != 0)
            i++;
        if (i < FS_COUNT(known)) {
            append(command, known[i].value, strlen(known[i].value));
            word += strlen(known[i].name);
        } else {
            append(command, word++, 1);
        }
    }
    append(command, "", 1);
    command->used = FS_MIN(command->used, TEXT_MAX - 1);
    return start;
}

static const char *join(struct command *command, const char *directory, const char *name)
{
    char *start = command->text + command->used;
    append(command, directory, strlen(directory));
    append(command, "/", 1);
    append(command, name, strlen(name));
    append(command, "", 1);
    return start;
}

/* "200m" of the command line as forestall-record's millicores. */
static const char *millicores(struct command *command, const char *cpu)
{
    char *start = command->text + command->used;
    append(command, cpu, strcspn(cpu, "m"));
    append(command, "", 1);
    return start;
}

static void build_without(struct command *command, const struct trial *trial,
                          const struct demo_places *places)
{
    const struct demo_case *what = trial->what;
    add(command, join(command, places->bin, "forestall-record"));
    add_option(command, "--code", what->code);
    add_option(command, "--out", trial->report_path);
    add_option(command, "--subtree", "forestall-demo-without");
    add_option(command, "--stdout", "/dev/null");
    add_option(command, "--memory", what->memory);
    add_option(command, "--cpu", what->cpu ? millicores(command, what->cpu) : NULL);
    add_option(command, "--io_read", what->io_read);
    add_option(command, "--timeout", what->timeout);
    if (what->net) {
        add_option(command, "--net_egress", what->net);
        add_option(command, "--net_device", places->device);
        add_option(command, "--net_namespace", places->space);
    }
}

static void build_with(struct command *command, const struct trial *trial, const struct demo_places *places)
{
    const struct demo_case *what = trial->what;
    add(command, join(command, places->bin, "forestall"));
    add(command, "run");
    add_option(command, "--state", places->state);
    add_option(command, "--code", what->code);
    add_option(command, "--report", trial->report_path);
    add_option(command, "--memory", what->memory);
    add_option(command, "--cpu", what->cpu);
    add_option(command, "--io-read", what->io_read);
    add_option(command, "--net", what->net);
    add_option(command, "--timeout", what->timeout);
}

static void add_program(struct command *command, const struct demo_case *what,
                        const struct demo_places *places)
{
    for (size_t i = 0; i < DEMO_ARGV_MAX && what->argv[i]; i++)
        add(command, fill(command, what->argv[i], places));
}

int trial_warm(const struct demo_case *what, const struct demo_places *places)
{
    struct command command = {.count = 0};
    add_program(&command, what, places);
    return process_run(command.argv, "/dev/null", WARM_TIMEOUT_MS);
}

int trial_start(struct trial *trial, enum trial_kind kind, const struct demo_case *what,
                const struct demo_places *places)
{
    struct command command = {.count = 0};
    *trial = (struct trial){.kind = kind, .what = what};
    buffer_init(&trial->storage, 0);
    (void)snprintf(trial->report_path, sizeof trial->report_path, "%s/%s-%s.%s", places->work, what->code,
                   kind_names[kind], kind == TRIAL_WITHOUT ? "record" : "json");
    (void)snprintf(trial->log_path, sizeof trial->log_path, "%s/%s-%s.log", places->work, what->code,
                   kind_names[kind]);
    if (kind == TRIAL_WITHOUT)
        build_without(&command, trial, places);
    else
        build_with(&command, trial, places);
    add(&command, "--");
    add_program(&command, what, places);
    trial->pid = process_start(command.argv, trial->log_path);
    return trial->pid < 0 ? trial->pid : 0;
}

static const char *outcome_name(enum msg_outcome outcome)
{
    switch (outcome) {
    case MSG_OUTCOME_FINISHED:
        return "finished";
    case MSG_OUTCOME_OOM_KILLED:
        return "oom_killed";
    case MSG_OUTCOME_TIMED_OUT:
        return "deadline_missed";
    case MSG_OUTCOME_CRASHED:
        return "crashed";
    case MSG_OUTCOME_KILLED:
        return "cancelled";
    default:
        return "lost";
    }
}

static int read_file(const char *path, struct buffer *out)
{
    FILE *file = fopen(path, "rbe");
    size_t got;
    uint8_t *room;
    if (!file)
        return -errno;
    while ((room = buffer_reserve(out, 65536)) && (got = fread(room, 1, 65536, file)) > 0)
        out->size += got;
    int error = ferror(file) ? -EIO : buffer_error(out);
    (void)fclose(file);
    return error;
}

/* forestall-record's file: u32 big-endian length, framed record. */
static int read_record(struct trial *trial)
{
    struct codec *codec = codec_create();
    trial->arena = arena_create(ARENA_BLOCK, ARENA_LIMIT);
    int error = codec && trial->arena ? read_file(trial->report_path, &trial->storage) : -ENOMEM;
    if (!error && trial->storage.size < 4)
        error = -EBADMSG;
    struct msg_execution_record *record = error ? NULL : arena_alloc(trial->arena, 1, sizeof *record);
    if (!error && !record)
        error = -ENOMEM;
    if (!error)
        error = codec_decode(codec, &msg_execution_record_type,
                             (struct str){(char *)trial->storage.data + 4, trial->storage.size - 4},
                             trial->arena, record);
    codec_destroy(codec);
    if (!error)
        trial->record = record;
    return error;
}

static int64_t integer(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* What `forestall run --report` wrote. */
static int read_report(struct trial *trial)
{
    json_error_t fault;
    json_t *report = json_load_file(trial->report_path, 0, &fault);
    const char *outcome = json_string_value(json_object_get(report, "outcome"));
    const char *execution = json_string_value(json_object_get(report, "execution"));
    int error = outcome && execution && uuid_parse(str_of(execution), trial->execution) == 0 ? 0 : -EBADMSG;
    if (!error) {
        (void)str_copy(trial->outcome, sizeof trial->outcome, str_of(outcome));
        trial->attempts = integer(report, "attempts");
        trial->peak_bytes = integer(report, "peak_bytes");
        trial->first_limit_bytes = integer(report, "first_limit_bytes");
        trial->final_limit_bytes = integer(report, "final_limit_bytes");
        trial->duration_ms = integer(report, "duration_ms");
        trial->max_probability = json_number_value(json_object_get(report, "max_probability"));
    }
    json_decref(report);
    return error;
}

static bool is_raise(const struct msg_applied_adjustment *applied)
{
    return applied->adjustment.direction == MSG_DIRECTION_RAISE &&
           (applied->result == MSG_ADJUSTMENT_RESULT_APPLIED ||
            applied->result == MSG_ADJUSTMENT_RESULT_PARTLY);
}

/* When the raise was needed: memory when usage first reached the limit it began with, else the deadline. 0 =
 * never. */
static int64_t needed_us(const struct msg_execution_record *record, enum msg_cause cause)
{
    if (cause != MSG_CAUSE_MEMORY)
        return record->request.timeout_ms > 0 ? record->started_us + record->request.timeout_ms * 1000 : 0;
    for (size_t i = 0; i < record->series.count; i++)
        if (record->series.items[i].counters.memory_bytes >= record->first_limits.memory_bytes)
            return record->series.items[i].time_us;
    return 0;
}

static void read_raises(struct trial *trial)
{
    const struct msg_execution_record *record = trial->record;
    int64_t first_us = 0;
    for (size_t i = 0; i < record->adjustments.count; i++) {
        if (!is_raise(&record->adjustments.items[i]))
            continue;
        trial->raises++;
        if (first_us == 0)
            first_us = record->adjustments.items[i].applied_us;
    }
    int64_t needed = needed_us(record, trial->what->cause);
    trial->has_lead = first_us > 0 && needed > 0;
    trial->lead_ms = trial->has_lead ? (needed - first_us) / 1000 : 0;
}

static void read_without(struct trial *trial)
{
    const struct msg_execution_record *record = trial->record;
    (void)str_copy(trial->outcome, sizeof trial->outcome, str_of(outcome_name(record->outcome)));
    trial->attempts = 1;
    trial->peak_bytes = record->totals.memory_peak_bytes;
    trial->first_limit_bytes = record->first_limits.memory_bytes;
    trial->final_limit_bytes = record->highest_limits.memory_bytes;
    trial->duration_ms = (record->ended_us - record->started_us) / 1000;
    memcpy(trial->execution, record->execution, 16);
}

static int read_with(struct trial *trial, struct watch *watch)
{
    int error = read_report(trial);
    if (!error)
        error = watch_wait(watch, trial->execution, (int32_t)trial->attempts, RECORD_TIMEOUT_MS);
    if (error)
        return error;
    const struct watched *seen = watch_find(watch, trial->execution);
    trial->record = seen->record;
    trial->risks = seen->risks;
    trial->risk_count = seen->risk_count;
    return 0;
}

int trial_finish(struct trial *trial, struct watch *watch, char *error, size_t error_size)
{
    int status = process_wait(trial->pid, RUN_TIMEOUT_MS);
    if (status == -ETIMEDOUT)
        process_stop(trial->pid, 10000);
    trial->pid = 0;
    int result = status < 0                     ? status
                 : trial->kind == TRIAL_WITHOUT ? read_record(trial)
                                                : read_with(trial, watch);
    if (result < 0) {
        (void)snprintf(error, error_size, "%s (%s): %s; exit status %d", trial->what->program,
                       kind_names[trial->kind], strerror(-result), status);
        return result;
    }
    if (trial->kind == TRIAL_WITHOUT)
        read_without(trial);
    read_raises(trial);
    trial->known = true;
    return 0;
}

void trial_fini(struct trial *trial)
{
    process_stop(trial->pid, 5000);
    arena_destroy(trial->arena);
    buffer_fini(&trial->storage);
    *trial = (struct trial){0};
}
