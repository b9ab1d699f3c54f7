/* See session.h. */
#include "cli/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/relay.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "cli/text.h"
#include "common/clock.h"

#define STEP_MS 15
#define CANCEL_AGAIN_MS 3000
#define INSTANCE_CHECK_MS 500
#define WAITING_NOTE_MS 2000
#define RECORDS_MS 5000 /* the record and the state go different ways */

struct learned {
    int64_t allocation, profile; /* offset of executions.finished that they count through; -1 none */
};

struct session {
    struct session_options options;
    struct reader *reader;
    struct execution *execution;
    struct msg_execution_request request; /* borrowed from the caller */
    struct relay output, errors;
    char output_path[4200], errors_path[4200], output_request[4300], errors_request[4300];
    int64_t cancelled_ms, checked_ms, started_ms;
    bool noted_waiting, pipe_broken, more_output;
    size_t raises_noted;
    struct learned learned;
};

/* --- opening --- */

static int follow(struct session *session, char *error, size_t error_size)
{
    const struct reader_key keys[] = {
        {TOPIC_EXECUTIONS_STATE, session->request.pool},    {TOPIC_EXECUTIONS_EVENTS, session->request.pool},
        {TOPIC_EXECUTIONS_FINISHED, session->request.code}, {TOPIC_RISKS, session->request.code},
        {TOPIC_ALLOCATIONS, session->request.code},         {TOPIC_CODES, session->request.code},
    };
    return reader_add_keys(session->reader, keys, FS_COUNT(keys), STREAM_FROM_END, error, error_size);
}

static int name_files(struct session *session, struct msg_execution_request *request)
{
    const char *directory = session->options.directory;
    if (snprintf(session->output_path, sizeof session->output_path, "%s/stdout", directory) >= 4200 ||
        snprintf(session->errors_path, sizeof session->errors_path, "%s/stderr", directory) >= 4200)
        return -ENAMETOOLONG;
    (void)snprintf(session->output_request, sizeof session->output_request, "%s.{attempt}",
                   session->output_path);
    (void)snprintf(session->errors_request, sizeof session->errors_request, "%s.{attempt}",
                   session->errors_path);
    request->stdout_path = str_of(session->output_request);
    request->stderr_path = str_of(session->errors_request);
    relay_init(&session->output, session->output_path, STDOUT_FILENO);
    relay_init(&session->errors, session->errors_path, STDERR_FILENO);
    return 0;
}

int session_open(const struct session_options *options, struct msg_execution_request *request,
                 struct session **out, char *error, size_t error_size)
{
    struct session *session = calloc(1, sizeof *session);
    if (!session) {
        (void)snprintf(error, error_size, "out of memory");
        return -ENOMEM;
    }
    (void)snprintf(error, error_size, "out of memory");
    session->options = *options;
    session->output.in_fd = session->errors.in_fd = -1;
    session->learned = (struct learned){-1, -1};
    int result = name_files(session, request);
    session->request = *request;
    if (result < 0)
        (void)snprintf(error, error_size, "%s: the path is too long", options->directory);
    if (result == 0) {
        session->execution = execution_create(request->execution, false);
        session->reader = session->execution ? reader_open(options->target, error, error_size) : NULL;
        result = session->reader ? 0 : session->execution ? -EHOSTDOWN : -ENOMEM;
    }
    if (result == 0)
        result = follow(session, error, error_size);
    if (result == 0)
        result = submit_send(reader_stream(session->reader), request, error, error_size);
    if (result < 0) {
        session_close(session);
        return result;
    }
    session->started_ms = clock_monotonic_ms();
    *out = session;
    return 0;
}

void session_close(struct session *session)
{
    if (!session)
        return;
    int32_t attempts = session->execution ? execution_attempts(session->execution) : 0;
    for (int32_t attempt = 1; attempt <= FS_MAX(attempts, 1); attempt++) {
        char path[4300];
        relay_file(session->output_path, attempt, path, sizeof path);
        (void)unlink(path); /* an attempt that never began has none */
        relay_file(session->errors_path, attempt, path, sizeof path);
        (void)unlink(path);
    }
    relay_fini(&session->output);
    relay_fini(&session->errors);
    execution_destroy(session->execution);
    reader_close(session->reader);
    free(session);
}

const struct execution *session_execution(const struct session *session)
{
    return session->execution;
}

/* --- following --- */

/* The highest offset of executions.finished's partition that a state counts through. */
static int64_t through_offset(const struct msg_partition_offset_array *through, int32_t partition)
{
    for (size_t i = 0; i < through->count; i++)
        if (str_equal(through->items[i].topic, str_of(TOPIC_EXECUTIONS_FINISHED)) &&
            through->items[i].partition == partition)
            return through->items[i].offset;
    return -1;
}

static void note_learning(struct session *session, const struct reader_message *message)
{
    if (!message->message || !str_equal(message->key, session->request.code))
        return;
    if (message->type == &msg_allocation_type) { /* co-partitioned with executions.finished */
        const struct msg_allocation *allocation = message->message;
        session->learned.allocation =
            FS_MAX(session->learned.allocation, through_offset(&allocation->through, message->partition));
    } else if (message->type == &msg_code_profile_type) {
        const struct msg_code_profile *profile = message->message;
        session->learned.profile =
            FS_MAX(session->learned.profile, through_offset(&profile->through, message->partition));
    }
}

static int on_message(void *context, const struct reader_message *message)
{
    struct session *session = context;
    note_learning(session, message);
    if (!message->message)
        return 0;
    int result =
        message->type == &msg_execution_record_type
            ? execution_take_record(session->execution, message->message, message->partition, message->offset)
            : execution_take(session->execution, message->type, message->message);
    return FS_MIN(result, 0);
}

/* --- notes for people, on standard error --- */

static void note_waiting(struct session *session, int64_t now_ms)
{
    const struct msg_execution_state *state = execution_state(session->execution);
    if (session->options.quiet || session->noted_waiting || now_ms - session->started_ms < WAITING_NOTE_MS ||
        execution_started(session->execution) > 0)
        return;
    session->noted_waiting = true;
    if (!state)
        (void)fprintf(stderr, "forestall: waiting for forestall-queue to take the request\n");
    else
        (void)fprintf(stderr, "forestall: waiting for a node with room%s%.*s\n",
                      state->reason.size ? ": " : "", (int)state->reason.size, state->reason.data);
}

static void note_raises(struct session *session)
{
    size_t count, seen = 0;
    const struct execution_adjustment *adjustments = execution_adjustments(session->execution, &count);
    for (size_t i = 0; session->options.verbose && i < count; i++) {
        char change[256];
        if (!report_is_raise(&adjustments[i]) || seen++ < session->raises_noted)
            continue;
        session->raises_noted++;
        text_change(&adjustments[i].before, &adjustments[i].after, change, sizeof change);
        (void)fprintf(stderr, "forestall: raised %s: %.*s\n", change,
                      (int)adjustments[i].adjustment.reason.size, adjustments[i].adjustment.reason.data);
    }
}

/* --- the loop --- */

/* 0 all there is was passed on, 1 there is more, or negative errno. */
static int pass_output(struct session *session, bool end)
{
    int32_t newest = execution_attempts(session->execution);
    struct relay *relays[] = {&session->output, &session->errors};
    int more = 0;
    if (session->options.output == SESSION_LAST && !end)
        return 0;
    for (size_t i = 0; i < FS_COUNT(relays); i++) {
        if (session->options.output == SESSION_LAST && relays[i]->attempt == 0)
            relays[i]->attempt = newest - 1; /* the others are not shown */
        int64_t result = end ? relay_finish(relays[i], newest) : relay_step(relays[i], newest);
        if (result < 0)
            return (int)result;
        more |= result >= RELAY_STEP_BYTES;
    }
    return more;
}

static int cancel(struct session *session, int64_t now_ms, char *error, size_t error_size)
{
    if (session->cancelled_ms != 0 && now_ms - session->cancelled_ms < CANCEL_AGAIN_MS)
        return 0;
    session->cancelled_ms = now_ms;
    return submit_cancel(reader_stream(session->reader), session->request.execution, session->request.pool,
                         error, error_size);
}

static int check_instance(struct session *session, int64_t now_ms, char *error, size_t error_size)
{
    const struct target *target = session->options.target;
    if (!target->from_instance || now_ms - session->checked_ms < INSTANCE_CHECK_MS)
        return 0;
    session->checked_ms = now_ms;
    if (instance_running(target->instance.state_dir) == 1)
        return 0;
    (void)snprintf(error, error_size, "the instance in %s ended before the program did",
                   target->instance.state_dir);
    return -ESHUTDOWN;
}

static int step(struct session *session, char *error, size_t error_size)
{
    int result = reader_poll(session->reader, on_message, session, session->more_output ? 0 : STEP_MS);
    if (result < 0) {
        (void)snprintf(error, error_size, "Kafka: %s", strerror(-result));
        return result;
    }
    result = session->pipe_broken ? 0 : pass_output(session, false);
    session->more_output = result > 0;
    if (result == -EPIPE)
        session->pipe_broken = true;
    else if (result < 0) {
        (void)snprintf(error, error_size, "the program's output cannot be passed on: %s", strerror(-result));
        return result;
    }
    int64_t now_ms = clock_monotonic_ms();
    if (signals_count() > 1)
        return -EINTR;
    result = signals_count() > 0 || session->pipe_broken ? cancel(session, now_ms, error, error_size) : 0;
    if (result == 0)
        result = check_instance(session, now_ms, error, error_size);
    note_waiting(session, now_ms);
    note_raises(session);
    return result;
}

/* The records of all attempts, which come another way than the state. */
static int await_records(struct session *session)
{
    int64_t deadline_ms = clock_monotonic_ms() + RECORDS_MS;
    while (report_records_missing(session->execution) > 0 && clock_monotonic_ms() < deadline_ms) {
        int result = reader_poll(session->reader, on_message, session, STEP_MS);
        if (result < 0)
            return result;
    }
    return 0;
}

/* The rest of the output. -EINTR: interrupted once more than before. */
static int drain_output(struct session *session)
{
    int interrupted = signals_count(), result = 1;
    while (result > 0)
        result = signals_count() > interrupted ? -EINTR : pass_output(session, true);
    return result;
}

int session_run(struct session *session, char *error, size_t error_size)
{
    int result = 0;
    while (result == 0 && !execution_done(session->execution))
        result = step(session, error, error_size);
    if (result == 0)
        result = await_records(session);
    if (result == 0 && !session->pipe_broken) {
        result = drain_output(session);
        if (relay_repeated(&session->output) && !session->options.quiet)
            (void)fprintf(stderr,
                          "forestall: a retry wrote other output than the attempt before it: both are above"
                          " (--output last shows the last one only)\n");
    }
    if (relay_disk_full(&session->output) || relay_disk_full(&session->errors))
        (void)fprintf(
            stderr,
            "forestall: the disk of %s was full: output of the program is missing. Make room there, or "
            "choose a larger disk: --state DIR of a local instance, TMPDIR otherwise\n",
            session->output.path);
    return result == 0 && session->pipe_broken ? -EPIPE : result;
}

/* The program's own bug, a cancel, a lost node: they say nothing about what the code needs, so its allocation
 * stays as it is. */
static bool changes_allocation(const struct msg_execution_record *record)
{
    bool of_resource = record->cause != MSG_CAUSE_NONE && record->cause != MSG_CAUSE_OTHER;
    return record->outcome == MSG_OUTCOME_FINISHED || of_resource;
}

bool session_await_learning(struct session *session, int timeout_ms)
{
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    const struct execution_attempt *last =
        execution_attempt(session->execution, execution_attempts(session->execution));
    if (!last || last->offset < 0)
        return true; /* it never ran to an end: nothing to learn */
    bool allocation = changes_allocation(&last->record);
    while ((allocation && session->learned.allocation < last->offset) ||
           session->learned.profile < last->offset) {
        if (clock_monotonic_ms() >= deadline_ms ||
            reader_poll(session->reader, on_message, session, STEP_MS) < 0)
            return false;
    }
    return true;
}
