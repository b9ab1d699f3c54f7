/* forestall-demo (`forestall demo`): the same real programs under the same limits, first without Forestall,
 * then with it, then once more. Everything is the product as users have it: `forestall local`, `forestall
 * run`, `forestall submit`; what is drawn is read from the topics. Its own: inputs, two network namespaces, a
 * directory that a guardian process removes when the demo is over, however it ends. Exit status: 0 when all
 * went as promised, 1 when not, 2 when the demo could not run. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/installed.h"
#include "common/clock.h"
#include "demo/guardian.h"
#include "demo/present.h"
#include "demo/process.h"
#include "demo/report.h"
#include "demo/space.h"

#define CASES_MAX 32
#define READY_TIMEOUT_MS 90000
#define STOP_TIMEOUT_MS 30000
#define POLL_MS 50
#define LOG_TAIL 3000

struct options {
    bool json;
    const char *report, *only;
};

struct demo {
    struct options options;
    char bin[PATH_MAX], programs[PATH_MAX], work[PATH_MAX], state[PATH_MAX], log[PATH_MAX],
        local_log[PATH_MAX];
    const char *faulty_log; /* says more about the error; NULL = none */
    struct demo_places places;
    struct space space;
    pid_t local;
    struct watch *watch;
    struct result results[CASES_MAX];
    size_t count;
    struct order order;
    char error[3 * PATH_MAX];
};

static const char usage[] =
    "Usage: forestall demo [--json] [--report FILE] [--only PROGRAM]\n\n"
    "Runs real programs under limits that they exceed, without and with Forestall, and shows the "
    "difference.\n\n"
    "  --json         one JSON object per program instead of the table\n"
    "  --report FILE  the page with a chart per execution (default report.html; \"\" = none)\n"
    "  --only NAME    one program of the table\n"
    "  --help         this text\n";

/* 0 = go on, else the exit status plus one. */
static int read_options(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {{"json", no_argument, NULL, 'j'},
                                          {"report", required_argument, NULL, 'r'},
                                          {"only", required_argument, NULL, 'o'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    int choice;
    *options = (struct options){.report = "report.html"};
    while ((choice = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (choice == 'j')
            options->json = true;
        else if (choice == 'r')
            options->report = optarg;
        else if (choice == 'o')
            options->only = optarg;
        else {
            (void)fputs(usage, choice == 'h' ? stdout : stderr);
            return choice == 'h' ? 1 : 3;
        }
    }
    return 0;
}

static void tell(const char *format, ...) FS_PRINTF(1, 2);

static void tell(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fputs("demo: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
}

/* The directory is removed: what a log says last must be said here. */
static void tell_log(const char *path)
{
    char text[LOG_TAIL + 1];
    FILE *file = path ? fopen(path, "re") : NULL;
    if (!file)
        return;
    if (fseek(file, -LOG_TAIL, SEEK_END) < 0)
        rewind(file); /* shorter than that */
    size_t size = fread(text, 1, LOG_TAIL, file);
    text[size] = '\0';
    (void)fclose(file);
    (void)fprintf(stderr, "--- %s\n%s---\n", path, text);
}

static int find_places(struct demo *demo)
{
    const char *base = getenv("TMPDIR");
    int result = installed_path("", demo->bin, sizeof demo->bin);
    if (result < 0)
        return result;
    (void)snprintf(demo->programs, sizeof demo->programs, "%.4000s/../share/forestall/demo", demo->bin);
    /* the I/O case needs a disk: /tmp is often memory */
    (void)snprintf(demo->work, sizeof demo->work, "%.4000s/forestall-demo-XXXXXX",
                   base && *base ? base : "/var/tmp");
    if (!mkdtemp(demo->work))
        return -errno;
    (void)snprintf(demo->state, sizeof demo->state, "%.4000s/state", demo->work);
    (void)snprintf(demo->log, sizeof demo->log, "%.4000s/demo.log", demo->work);
    (void)snprintf(demo->local_log, sizeof demo->local_log, "%.4000s/local.log", demo->work);
    demo->places = (struct demo_places){.bin = demo->bin,
                                        .programs = demo->programs,
                                        .work = demo->work,
                                        .state = demo->state,
                                        .space = demo->space.path,
                                        .device = SPACE_DEVICE};
    return 0;
}

static int prepare(struct demo *demo)
{
    char script[PATH_MAX + 16], receiver[PATH_MAX + 16];
    (void)snprintf(script, sizeof script, "%s/inputs.py", demo->programs);
    (void)snprintf(receiver, sizeof receiver, "%s/receive.py", demo->programs);
    const char *argv[] = {"python3", script, demo->work, NULL};
    tell("writing the inputs");
    int status = process_run(argv, demo->log, 120000);
    if (status != 0) {
        (void)snprintf(demo->error, sizeof demo->error, "%s ended with %d", script, status);
        demo->faulty_log = demo->log;
        return -EIO;
    }
    return space_open(&demo->space, receiver, demo->log, demo->error, sizeof demo->error);
}

static int load_brokers(const char *state, char *out, size_t size)
{
    char path[PATH_MAX + 16];
    json_error_t fault;
    (void)snprintf(path, sizeof path, "%s/local.json", state);
    json_t *file = json_load_file(path, 0, &fault);
    const char *brokers = json_string_value(json_object_get(file, "brokers"));
    int result = brokers && str_copy(out, size, str_of(brokers)) ? 0 : -ENOENT;
    json_decref(file);
    return result;
}

/* Every program that is to die of its limit runs without one first; see trial_warm(). */
static int warm(struct demo *demo)
{
    int status = 0;
    tell("running the programs once without limits");
    for (size_t i = 0; i < demo->count && status == 0; i++) {
        const struct demo_case *what = demo->results[i].what;
        if (what->cause != MSG_CAUSE_MEMORY || what->expectation != DEMO_SAVED)
            continue;
        status = trial_warm(what, &demo->places);
        if (status)
            (void)snprintf(demo->error, sizeof demo->error, "%s without a limit ended with %d", what->program,
                           status);
    }
    return status > 0 ? -EIO : status;
}

/* `forestall local` writes local.json when everything is ready. */
static int start_local(struct demo *demo)
{
    char program[PATH_MAX + 16], brokers[256];
    (void)snprintf(program, sizeof program, "%s/forestall", demo->bin);
    const char *argv[] = {program,
                          "local",
                          "--state",
                          demo->state,
                          "--node-memory",
                          ORDER_NODE_MEMORY,
                          "--net-device",
                          SPACE_DEVICE,
                          "--net-namespace",
                          demo->space.path,
                          NULL};
    tell("starting Forestall");
    demo->local = process_start(argv, demo->local_log);
    int64_t end_ms = clock_monotonic_ms() + READY_TIMEOUT_MS;
    while (load_brokers(demo->state, brokers, sizeof brokers) < 0) {
        bool gone = demo->local < 0 || waitpid(demo->local, NULL, WNOHANG) != 0;
        if (gone || clock_monotonic_ms() > end_ms) {
            demo->local = gone ? 0 : demo->local;
            (void)snprintf(demo->error, sizeof demo->error, "forestall local %s",
                           gone ? "ended" : "did not get ready");
            demo->faulty_log = demo->local_log;
            return -EIO;
        }
        (void)usleep(POLL_MS * 1000);
    }
    demo->watch = watch_open(brokers, demo->error, sizeof demo->error);
    return demo->watch ? 0 : -EHOSTDOWN;
}

static int set_ceiling(struct demo *demo, const struct demo_case *what)
{
    char program[PATH_MAX + 16];
    (void)snprintf(program, sizeof program, "%s/forestall", demo->bin);
    const char *argv[] = {program,       "allocation", "set", "--state", demo->state, "--ceiling-memory",
                          what->ceiling, what->code,   NULL};
    int status = process_run(argv, demo->log, 30000);
    if (status == 0)
        return 0;
    (void)snprintf(demo->error, sizeof demo->error, "fixing the ceiling of %s ended with %d", what->code,
                   status);
    demo->faulty_log = demo->log;
    return -EIO;
}

static void tell_end(const struct trial *trial)
{
    static const char *const names[TRIAL_KINDS] = {"without", "with", "next"};
    tell("%-17s %-8s %s after %.1f s, %ld raises", trial->what->program, names[trial->kind], trial->outcome,
         (double)trial->duration_ms / 1000, (long)trial->raises);
}

/* One run of each case; those that say so run beside the next one. */
static int run_all(struct demo *demo, enum trial_kind kind)
{
    size_t started = 0, i = 0;
    int result = 0;
    while (i < demo->count && !result) {
        do {
            const struct demo_case *what = demo->results[started].what;
            if (kind == TRIAL_WITH && what->ceiling)
                result = set_ceiling(demo, what);
            if (!result && !(kind == TRIAL_NEXT &&
                             (what->expectation != DEMO_SAVED || strcmp(what->code, DEMO_ORDER_CODE) == 0)))
                result = trial_start(&demo->results[started].trials[kind], kind, what, &demo->places);
            started++;
        } while (!result && started < demo->count && demo->results[started - 1].what->beside_next);
        for (; i < started && !result; i++) {
            struct trial *trial = &demo->results[i].trials[kind];
            if (trial->pid <= 0)
                continue;
            result = trial_finish(trial, kind == TRIAL_WITHOUT ? NULL : demo->watch, demo->error,
                                  sizeof demo->error);
            if (result)
                demo->faulty_log = trial->log_path;
            else
                tell_end(trial);
        }
    }
    return result;
}

static int run_order(struct demo *demo)
{
    for (size_t i = 0; i < demo->count; i++) {
        struct result *result = &demo->results[i];
        if (strcmp(result->what->code, DEMO_ORDER_CODE) != 0)
            continue;
        int status = order_run(&demo->order, result->what, &result->trials[TRIAL_NEXT], &demo->places,
                               demo->watch, demo->error, sizeof demo->error);
        if (status)
            demo->faulty_log = result->trials[TRIAL_NEXT].log_path;
        else
            tell_end(&result->trials[TRIAL_NEXT]);
        return status;
    }
    return 0;
}

static int run_demo(struct demo *demo)
{
    int result = prepare(demo);
    if (!result)
        result = warm(demo);
    if (!result)
        result = run_all(demo, TRIAL_WITHOUT);
    if (!result)
        result = start_local(demo);
    if (!result)
        result = run_all(demo, TRIAL_WITH);
    if (!result)
        result = run_all(demo, TRIAL_NEXT);
    return result ? result : run_order(demo);
}

/* Exit status: as promised or not. */
static int present(struct demo *demo)
{
    char fault[FAULT_MAX];
    int status = demo->order.known && !demo->order.raised_first ? 1 : 0;
    if (!demo->options.json)
        present_table(stdout, demo->results, demo->count, &demo->order);
    for (size_t i = 0; i < demo->count; i++) {
        if (demo->options.json)
            present_json(stdout, &demo->results[i]);
        present_fault(&demo->results[i], fault);
        if (fault[0]) {
            tell("%s: not as promised: %s", demo->results[i].what->program, fault);
            status = 1;
        }
    }
    if (demo->options.report[0]) {
        int error = report_write(demo->options.report, demo->results, demo->count, &demo->order);
        if (error)
            tell("%s cannot be written: %s", demo->options.report, strerror(-error));
        else
            tell("charts and reasons: %s", demo->options.report);
    }
    return status;
}

static void choose_cases(struct demo *demo)
{
    for (size_t i = 0; i < demo_case_count && demo->count < CASES_MAX; i++)
        if (!demo->options.only || strcmp(demo->options.only, demo_cases[i].program) == 0)
            demo->results[demo->count++].what = &demo_cases[i];
}

static void close_demo(struct demo *demo)
{
    watch_close(demo->watch);
    process_stop(demo->local, STOP_TIMEOUT_MS);
    for (size_t i = 0; i < demo->count; i++)
        for (size_t kind = 0; kind < TRIAL_KINDS; kind++)
            trial_fini(&demo->results[i].trials[kind]);
    space_close(&demo->space);
}

int main(int argc, char **argv)
{
    static struct demo demo;
    struct guardian guardian;
    int answered = read_options(&demo.options, argc, argv);
    if (answered)
        return answered - 1;
    choose_cases(&demo);
    if (demo.count == 0) {
        tell("no program is called %s", demo.options.only);
        return 2;
    }
    if (geteuid() != 0) {
        tell("limits and namespaces need root: run it with sudo");
        return 2;
    }
    int result = find_places(&demo);
    if (!result)
        result = guardian_start(&guardian, demo.work, demo.state);
    if (result) {
        tell("no working directory: %s", strerror(-result));
        return 2;
    }
    result = run_demo(&demo);
    if (result) {
        tell("%s", demo.error[0] ? demo.error : strerror(-result));
        tell_log(demo.faulty_log);
    }
    int status = result ? 2 : present(&demo);
    close_demo(&demo);
    guardian_finish(&guardian);
    return status;
}
