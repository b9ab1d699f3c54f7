/* forestall replay: policies run again, offline, on executions that happened. `forestall replay` starts this
 * program. arguments, trace, one simulation per policy, lines. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/arguments.h"
#include "replay/ours.h"
#include "replay/print.h"

#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define NODE_LEAST 1073741824.0 /* nobody has smaller ones */

struct options {
    const char *policies, *failure_at, *size_factor, *request_share, *model;
    int64_t tries, node_bytes;
    bool json, no_brake;
    bool chosen[POLICIES_MAX];
    double share;
    struct simulate_options simulate;
    struct replay_settings settings;
};

#define FIELD(field) offsetof(struct options, field)

static const struct argument arguments[] = {
    {"policy", ARGUMENT_STRING, FIELD(policies), 0, 0, "NAME,...|all",
     "policies to run [all]; list shows them"},
    {"json", ARGUMENT_FLAG, FIELD(json), 0, 0, NULL, "one JSON object per line"},
    {"failure-at", ARGUMENT_STRING, FIELD(failure_at), 0, 0, "SHARE",
     "of CSV rows: a try that does not fit fails after this share of its run time [1.0]"},
    {"tries", ARGUMENT_INT, FIELD(tries), 1, 1000000, "N",
     "an execution is given up after so many tries [1000]"},
    {"node", ARGUMENT_BYTES, FIELD(node_bytes), 0, 0, "SIZE",
     "largest allocation [twice the largest peak or request, as a power of two, 1G or more]"},
    {"size-factor", ARGUMENT_STRING, FIELD(size_factor), 0, 0, "X", "of the policy last-size [1.2]"},
    {"request-share", ARGUMENT_STRING, FIELD(request_share), 0, 0, "X",
     "what asked for no memory gets so many times the first peak of its code, rounded up [2]"},
    {"model", ARGUMENT_STRING, FIELD(model), 0, 0, "FILE",
     "network of ours on series [the shipped one]; none"},
    {"no-brake", ARGUMENT_FLAG, FIELD(no_brake), 0, 0, NULL, "series: on nodes without a brake"},
};

static const struct usage usage = {
    "forestall replay [OPTION]... FILE...",
    "Runs policies again on executions that finished. A FILE is a CSV file, in order of start, with the "
    "columns\n"
    "code,start_s,runtime_s,peak_memory_bytes,requested_memory_bytes and, if there, input_bytes,evaluate (0: "
    "the\n"
    "row only teaches); or a file or directory of execution records, whose series are replayed in a closed "
    "loop\n"
    "and whose dead letters are told what would have saved them.",
    "  forestall replay --policy ours,vpa,static runs.csv\n"
    "  forestall replay --json build/corpus",
};

static int complain(const char *text)
{
    (void)fprintf(stderr, "forestall replay: %s\n", text);
    return EXIT_FAILED;
}

static int list_policies(void)
{
    for (size_t i = 0; i < replay_policy_count; i++)
        printf("%-16s %s\n", replay_policies[i]->name, replay_policies[i]->summary);
    return fflush(stdout) == EOF ? EXIT_FAILED : 0;
}

static bool is_name(struct str name, const char *text)
{
    return strncmp(name.data, text, name.size) == 0 && text[name.size] == '\0';
}

static bool choose_one(struct options *options, struct str name)
{
    bool all = is_name(name, "all"), found = all;
    for (size_t i = 0; i < replay_policy_count; i++) {
        bool named = is_name(name, replay_policies[i]->name);
        options->chosen[i] = options->chosen[i] || all || named;
        found = found || named;
    }
    return found;
}

static int choose(struct options *options, char *error, size_t error_size)
{
    for (const char *at = options->policies; at;) {
        const char *comma = strchr(at, ',');
        struct str name = {at, comma ? (size_t)(comma - at) : strlen(at)};
        if (!choose_one(options, name)) {
            (void)snprintf(error, error_size, "--policy %.*s is not known; --policy list shows all",
                           (int)name.size, name.data);
            return -EINVAL;
        }
        at = comma ? comma + 1 : NULL;
    }
    return 0;
}

static int number(const char *name, const char *text, double least, double most, double *out, char *error,
                  size_t error_size)
{
    char *end;
    *out = strtod(text, &end);
    if (end != text && !*end && *out >= least && *out <= most)
        return 0;
    (void)snprintf(error, error_size, "--%s %s is not a number from %g to %g", name, text, least, most);
    return -EINVAL;
}

static int read_numbers(struct options *options, char *error, size_t error_size)
{
    options->simulate = (struct simulate_options){.tries_max = options->tries, .brake = !options->no_brake};
    int result =
        number("failure-at", options->failure_at, 0, 1, &options->simulate.failure_at, error, error_size);
    if (result == 0)
        result = number("size-factor", options->size_factor, 0.1, 100, &options->settings.size_factor, error,
                        error_size);
    if (result == 0)
        result =
            number("request-share", options->request_share, 0.01, 100, &options->share, error, error_size);
    return result;
}

static int load(struct options *options, char **paths, int count, struct trace *trace, char *error,
                size_t error_size)
{
    int result = trace_open(trace);
    (void)snprintf(error, error_size, "out of memory");
    for (int i = 0; result == 0 && i < count; i++)
        result = trace_add_file(trace, paths[i], error, error_size);
    if (result < 0)
        return result;
    result = trace_finish(trace, options->share);
    if (result == 0 && trace->count + trace->dead_count == 0) {
        (void)snprintf(error, error_size, "nothing to replay in the files given");
        result = -ENODATA;
    }
    double largest = fmax(trace_largest(trace) * 2, NODE_LEAST);
    options->settings.node_bytes =
        options->node_bytes > 0 ? (double)options->node_bytes : exp2(ceil(log2(largest)));
    return result;
}

static int replay_all(const struct options *options, const struct trace *trace)
{
    int result = trace->count > 0 ? print_scores_head(options->json) : 0;
    for (size_t i = 0; result == 0 && trace->count > 0 && i < replay_policy_count; i++) {
        struct score score;
        if (!options->chosen[i])
            continue;
        ours_reset(options->settings.ours);
        result = simulate(replay_policies[i], &options->settings, &options->simulate, trace, &score);
        if (result == 0)
            result = print_score(options->json, replay_policies[i], &score);
        score_fini(&score);
    }
    for (size_t i = 0; result == 0 && i < trace->dead_count; i++) {
        struct dead_verdict verdict;
        result = dead_judge(trace->dead[i], &options->settings, &options->simulate, &verdict);
        if (result == 0 || result == -EINVAL)
            result = print_dead(options->json, trace->dead[i], &verdict);
    }
    return result;
}

static bool has_series(const struct trace *trace)
{
    for (size_t i = 0; i < trace->count; i++)
        if (trace->rows[i].record)
            return true;
    return trace->dead_count > 0;
}

static int run(struct options *options, char **paths, int count)
{
    char error[4500];
    struct trace trace;
    int result = load(options, paths, count, &trace, error, sizeof error);
    if (result == 0)
        result = ours_open(&options->settings.ours, options->model, has_series(&trace),
                           trace_codes(&trace) + trace.dead_count, error, sizeof error);
    if (result == 0) {
        print_left_out(&trace);
        result = replay_all(options, &trace);
        (void)snprintf(error, sizeof error, "%s", strerror(result < 0 ? -result : 0));
    }
    ours_close(options->settings.ours);
    trace_close(&trace);
    if (result == 0 && fflush(stdout) == EOF)
        return complain("standard output: cannot be written");
    return result < 0 ? complain(error) : 0;
}

int main(int argc, char **argv)
{
    struct options options = {.policies = "all",
                              .failure_at = "1",
                              .size_factor = "1.2",
                              .request_share = "2",
                              .model = "",
                              .tries = 1000};
    struct argument_set sets[] = {{arguments, FS_COUNT(arguments), &options}};
    char error[512];
    int words;
    int result = arguments_parse(sets, FS_COUNT(sets), &usage, ARGUMENTS_ANYWHERE, argc, argv, &words, error,
                                 sizeof error);
    if (result > 0)
        return 0;
    if (result == 0 && strcmp(options.policies, "list") == 0)
        return list_policies();
    if (result == 0 && words == 0) {
        (void)snprintf(error, sizeof error, "a FILE is needed");
        result = -EINVAL;
    }
    if (result == 0)
        result = choose(&options, error, sizeof error);
    if (result == 0)
        result = read_numbers(&options, error, sizeof error);
    if (result < 0) {
        (void)fprintf(stderr, "forestall replay: %s (see forestall replay --help)\n", error);
        return EXIT_USAGE;
    }
    return run(&options, argv + 1, words);
}
