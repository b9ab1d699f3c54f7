/* forestall run: one program under Forestall, as if it were run here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/attach.h"
#include "cli/command.h"
#include "cli/message_json.h"
#include "cli/report.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "cli/text.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/uuid.h"

#define NAME "run"
#define ERROR_BYTES 16384
#define ARENA_BYTES (8u << 20)
#define LEARNING_MS 3000 /* the embedded broker forgets records at its end: they are to be counted before */
#define EXIT_BROKEN_PIPE 141 /* 128 + SIGPIPE, as a shell says it */
#define EXIT_INTERRUPTED 130

extern char **environ;

struct command_options {
    struct target_options target;
    struct submit_options submit;
    const char *report, *output;
    bool quiet, verbose;
};

#define FIELD(field) offsetof(struct command_options, field)

static const struct argument arguments[] = {
    {"report", ARGUMENT_STRING, FIELD(report), 0, 0, "FILE",
     "write what happened as JSON ('-': standard error)"},
    {"output", ARGUMENT_STRING, FIELD(output), 0, 0, "live|last",
     "show output as it comes, or the last attempt's at its end [live]"},
    {"quiet", ARGUMENT_FLAG, FIELD(quiet), 0, 0, NULL, "no notes on standard error"},
    {"verbose", ARGUMENT_FLAG, FIELD(verbose), 0, 0, NULL, "a note on standard error for every raise"},
};

static const struct usage usage = {
    "forestall run [OPTION]... [--] CMD [ARGUMENT]...",
    "Runs CMD under Forestall with this environment and working directory, passes its output through and "
    "returns\n"
    "its exit status (128 + signal; 137 out of memory, 124 past its timeout, 130 cancelled, 125 Forestall's "
    "own\n"
    "failure). Ctrl-C cancels. Standard input is empty. Without a running instance one is started, and "
    "stopped\n"
    "with the last command that uses it; what was learned of CMD stays in the state directory.\n"
    "A retry whose output begins with the same bytes shows the rest only, so that output appears once.",
    "  forestall run --memory 64M -- xz -9 -k file\n"
    "  forestall run --code nightly --cpu 500m --timeout 10m --report r.json -- python3 job.py",
};

/* Everything of one call, so that its end is one function. */
struct run {
    struct command_options options;
    struct target target;
    struct attachment attachment;
    bool attached;
    struct arena *arena;
    struct msg_execution_request request;
    char directory[4200];
    struct session *session;
    char *error;
};

static int connect_instance(struct run *run)
{
    const struct target_options *options = &run->options.target;
    const char *state = options->state ? options->state : instance_default_dir();
    char real[4096];
    if (target_elsewhere(options))
        return target_open(options, &run->target, run->error, ERROR_BYTES);
    if (realpath(state, real))
        state = real;
    int result = attach_open(state, signals_fd(), &run->attachment, run->error, ERROR_BYTES);
    if (result < 0)
        return result;
    run->attached = true;
    return target_from_instance(&run->attachment.instance, &run->target, run->error, ERROR_BYTES);
}

/* The files of the output: beside the instance's state when we may, else in TMPDIR, else where temporary
 * files are on a disk (in memory they would count as the program's own). */
static int make_directory(struct run *run)
{
    char id[UUID_TEXT_SIZE], base[4100];
    const char *chosen = getenv("TMPDIR");
    if (!chosen || !*chosen || !str_copy(base, sizeof base, str_of(chosen)))
        (void)str_copy(base, sizeof base, str_of("/var/tmp")); /* fits */
    uuid_format(run->request.execution, id);
    if (run->attached) {
        char path[4100];
        if (snprintf(path, sizeof path, "%s/run", run->attachment.instance.state_dir) < (int)sizeof path &&
            (mkdir(path, 0711) == 0 || errno == EEXIST) && access(path, W_OK) == 0)
            (void)memcpy(base, path, sizeof base);
    }
    (void)snprintf(run->directory, sizeof run->directory, "%s/forestall-%s", base, id);
    if (mkdir(run->directory, 0700) == 0)
        return 0;
    (void)snprintf(run->error, ERROR_BYTES, "%s: %s", run->directory, strerror(errno));
    run->directory[0] = '\0';
    return -errno;
}

static int open_session(struct run *run, char **argv)
{
    const char *output = run->options.output;
    bool last = output && strcmp(output, "last") == 0;
    if (output && !last && strcmp(output, "live") != 0) {
        (void)snprintf(run->error, ERROR_BYTES, "--output %s is neither live nor last", output);
        return -EINVAL;
    }
    if (run->attached && strcmp(run->options.submit.pool, "default") == 0)
        run->options.submit.pool = run->attachment.instance.pool;
    int result = submit_build(&run->options.submit, argv + 1, environ, clock_realtime_us(), run->arena,
                              &run->request, run->error, ERROR_BYTES);
    if (result == 0)
        result = make_directory(run);
    struct session_options options = {.target = &run->target,
                                      .directory = run->directory,
                                      .output = last ? SESSION_LAST : SESSION_LIVE,
                                      .quiet = run->options.quiet,
                                      .verbose = run->options.verbose};
    return result == 0 ? session_open(&options, &run->request, &run->session, run->error, ERROR_BYTES)
                       : result;
}

/* --- the end --- */

static int write_report(const struct run *run)
{
    const char *path = run->options.report;
    if (!path)
        return 0;
    json_t *report = report_json(session_execution(run->session));
    FILE *file = strcmp(path, "-") == 0 ? stderr : fopen(path, "we");
    int result = report && file ? json_dumpf(report, file, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : -1;
    json_decref(report);
    if (file && result == 0 && fputc('\n', file) == EOF)
        result = -1;
    if (file && file != stderr && fclose(file) == EOF)
        result = -1;
    return result < 0 ? command_fail(NAME, -EIO, "%s cannot be written: %s", path, strerror(errno)) : 0;
}

static void tell_failure(const struct msg_execution_state *state)
{
    const char *outcome = report_outcome(state);
    if (state->outcome == MSG_OUTCOME_CRASHED && state->exit_status != 126 && state->exit_status != 127)
        return; /* its own failure, as its status says */
    (void)fprintf(stderr, "forestall: %s%s%s after %d attempt%s: %.*s\n", outcome,
                  state->cause != MSG_CAUSE_NONE ? ", cause " : "",
                  state->cause != MSG_CAUSE_NONE ? msg_cause_name(state->cause) : "", (int)state->attempt,
                  state->attempt == 1 ? "" : "s", (int)state->reason.size, state->reason.data);
}

/* One line about what Forestall did, for people. */
static void tell_raises(const struct execution *execution)
{
    size_t count, raises = 0;
    const struct execution_adjustment *adjustments = execution_adjustments(execution, &count), *last = NULL,
                                      *first = NULL;
    char change[256], limits[256];
    for (size_t i = 0; i < count; i++) {
        if (!report_is_raise(&adjustments[i]))
            continue;
        raises++;
        first = first ? first : &adjustments[i];
        last = &adjustments[i];
    }
    const struct execution_attempt *attempt = execution_attempt(execution, execution_attempts(execution));
    if (raises > 0)
        (void)fprintf(stderr, "forestall: raised %s in %zu step%s, highest probability of failure %.2f\n",
                      text_change(&first->before, &last->after, change, sizeof change), raises,
                      raises == 1 ? "" : "s", execution_max_probability(execution));
    else if (attempt && attempt->record.raised.count > 0)
        (void)fprintf(stderr, "forestall: began with %s, learned from earlier executions\n",
                      text_limits(&attempt->record.first_limits, limits, sizeof limits));
}

static int finish(struct run *run, int result)
{
    const struct execution *execution = session_execution(run->session);
    const struct msg_execution_state *state = execution_state(execution);
    if (result == -EINTR) {
        if (!run->options.quiet)
            (void)fprintf(stderr,
                          execution_done(execution)
                              ? "forestall: the rest of the output is not shown\n"
                              : "forestall: not waiting any longer; the execution is being cancelled\n");
        return EXIT_INTERRUPTED;
    }
    if (result < 0 && result != -EPIPE)
        return command_fail(NAME, EXIT_OWN_FAILURE, "%s", run->error);
    if (run->attached && run->attachment.instance.while_used && run->attachment.instance.embedded &&
        !session_await_learning(run->session, LEARNING_MS) && !run->options.quiet)
        (void)fprintf(stderr, "forestall: what this execution taught was not counted in time\n");
    if (write_report(run) < 0)
        return EXIT_OWN_FAILURE;
    if (result == -EPIPE)
        return EXIT_BROKEN_PIPE;
    if (!run->options.quiet) {
        if (state->outcome != MSG_OUTCOME_FINISHED)
            tell_failure(state);
        if (run->options.verbose || isatty(STDERR_FILENO))
            tell_raises(execution);
    }
    if (run->options.target.json && message_json_print(report_json(execution)) < 0)
        return EXIT_OWN_FAILURE;
    return report_exit_status(state);
}

static int run_all(struct run *run, char **argv)
{
    int result = signals_watch();
    if (result < 0)
        (void)snprintf(run->error, ERROR_BYTES, "signals: %s", strerror(-result));
    if (result == 0)
        result = connect_instance(run);
    if (result == 0)
        result = open_session(run, argv);
    if (result == -EINTR)
        return EXIT_INTERRUPTED;
    if (result < 0)
        return command_fail(NAME, EXIT_OWN_FAILURE, "%s", run->error);
    result = session_run(run->session, run->error, ERROR_BYTES);
    return finish(run, result);
}

static void close_all(struct run *run)
{
    session_close(run->session);
    if (run->directory[0])
        (void)rmdir(run->directory); /* not empty: an attempt that nobody waited for still writes */
    target_close(&run->target);
    if (run->attached)
        attach_close(&run->attachment);
    arena_destroy(run->arena);
    free(run->error);
}

int command_run(int argc, char **argv)
{
    struct run run = {.options = {.target = TARGET_OPTIONS_DEFAULT, .submit = SUBMIT_OPTIONS_DEFAULT}};
    struct argument_set sets[] = {{arguments, FS_COUNT(arguments), &run.options},
                                  submit_arguments(&run.options.submit),
                                  target_arguments(&run.options.target)};
    char error[256];
    int words;
    int result = arguments_parse(sets, FS_COUNT(sets), &usage, ARGUMENTS_FIRST, argc, argv, &words, error,
                                 sizeof error);
    if (result != 0)
        return result < 0 ? (command_misuse(NAME, error), EXIT_OWN_FAILURE) : EXIT_SUCCESS;
    if (words == 0)
        return command_misuse(NAME, "no program is given"), EXIT_OWN_FAILURE;
    run.arena = arena_create(64u << 10, ARENA_BYTES);
    run.error = calloc(1, ERROR_BYTES);
    log_open("forestall-run", LOG_LEVEL_ERROR, STDERR_FILENO);
    int status =
        run.arena && run.error ? run_all(&run, argv) : command_fail(NAME, EXIT_OWN_FAILURE, "out of memory");
    close_all(&run);
    return status;
}
