/* See present.h. */
#include "demo/present.h"

#include <inttypes.h>
#include <jansson.h>

const char *present_bytes(char out[32], int64_t bytes)
{
    if (bytes > 0)
        (void)snprintf(out, 32, "%.1f MiB", (double)bytes / 1048576.0);
    else
        (void)snprintf(out, 32, "-");
    return out;
}

static bool was(const struct trial *trial, const char *outcome)
{
    return trial->known && strcmp(trial->outcome, outcome) == 0;
}

static bool failed(const struct trial *trial)
{
    return was(trial, "oom_killed") || was(trial, "deadline_missed");
}

void present_fault(const struct result *result, char out[FAULT_MAX])
{
    const struct trial *without = &result->trials[TRIAL_WITHOUT], *with = &result->trials[TRIAL_WITH],
                       *next = &result->trials[TRIAL_NEXT];
    out[0] = '\0';
    if (!without->known || !with->known || (result->what->expectation == DEMO_SAVED && !next->known)) {
        (void)snprintf(out, FAULT_MAX, "not all runs ended");
        return;
    }
    switch (result->what->expectation) {
    case DEMO_SAVED:
        if (!failed(without))
            (void)snprintf(out, FAULT_MAX, "%s without Forestall: nothing to save", without->outcome);
        else if (!was(with, "finished") || with->attempts != 1)
            (void)snprintf(out, FAULT_MAX, "with Forestall: %s after %" PRId64 " attempts", with->outcome,
                           with->attempts);
        else if (!was(next, "finished") || next->attempts != 1 || next->raises > 0)
            (void)snprintf(out, FAULT_MAX, "next: %s, %" PRId64 " raises", next->outcome, next->raises);
        break;
    case DEMO_CRASHES:
        if (!was(without, "crashed") || !was(with, "crashed") || with->attempts != 1 || with->raises > 0)
            (void)snprintf(out, FAULT_MAX, "%s after %" PRId64 " attempts and %" PRId64 " raises",
                           with->outcome, with->attempts, with->raises);
        break;
    case DEMO_DEAD:
        if (!failed(without) || !was(with, "dead_lettered") || with->raises == 0)
            (void)snprintf(out, FAULT_MAX, "%s after %" PRId64 " raises", with->outcome, with->raises);
        break;
    }
}

void present_json(FILE *out, const struct result *result)
{
    const struct trial *with = &result->trials[TRIAL_WITH], *next = &result->trials[TRIAL_NEXT];
    json_t *line = json_pack(
        "{s:s, s:s, s:{s:s}, s:{s:s, s:I}, s:I, s:I, s:o, s:o}", "program", result->what->program, "cause",
        msg_cause_name(result->what->cause), "without", "outcome", result->trials[TRIAL_WITHOUT].outcome,
        "with", "outcome", with->outcome, "attempts", (json_int_t)with->attempts, "peak_bytes",
        (json_int_t)with->peak_bytes, "final_limit_bytes", (json_int_t)with->final_limit_bytes,
        "first_raise_lead_ms", with->has_lead ? json_integer(with->lead_ms) : json_null(), "next",
        next->known ? json_pack("{s:s, s:I}", "outcome", next->outcome, "raises", (json_int_t)next->raises)
                    : json_null());
    if (!line || json_dumpf(line, out, JSON_COMPACT) < 0)
        (void)fprintf(stderr, "forestall-demo: %s: no memory for its line\n", result->what->program);
    (void)fputc('\n', out);
    json_decref(line);
}

static void print_row(FILE *out, const struct result *result)
{
    const struct trial *with = &result->trials[TRIAL_WITH], *next = &result->trials[TRIAL_NEXT];
    char peak[32], first[32], final[32], lead[32] = "-", fault[FAULT_MAX];
    bool memory = result->what->cause == MSG_CAUSE_MEMORY;
    if (with->has_lead)
        (void)snprintf(lead, sizeof lead, "%" PRId64 " ms", with->lead_ms);
    present_fault(result, fault);
    (void)fprintf(
        out, "%-17s %-7s %-15s %-14s %8" PRId64 " %6" PRId64 " %10s %10s %10s %9s  %s%s%s\n",
        result->what->program, msg_cause_name(result->what->cause), result->trials[TRIAL_WITHOUT].outcome,
        with->outcome, with->attempts, with->raises, present_bytes(peak, memory ? with->peak_bytes : 0),
        present_bytes(first, memory ? with->first_limit_bytes : 0),
        present_bytes(final, memory ? with->final_limit_bytes : 0), lead, next->known ? next->outcome : "-",
        next->known && next->raises == 0 ? ", no raise" : "", fault[0] ? "  <- not as promised" : "");
}

void present_table(FILE *out, const struct result *results, size_t count, const struct order *order)
{
    (void)fprintf(out, "\n%-17s %-7s %-15s %-14s %8s %6s %10s %10s %10s %9s  %s\n", "program", "cause",
                  "without", "with", "attempts", "raises", "peak", "limit", "highest", "lead",
                  "next execution");
    for (size_t i = 0; i < count; i++)
        print_row(out, &results[i]);
    if (order->known)
        (void)fprintf(
            out,
            "\nWaiting line: of three that waited for room the raised code, submitted last, started %s "
            "(%" PRId64 " ms before the first of the others).\n",
            order->raised_first ? "first" : "late", (order->started_us[1] - order->started_us[0]) / 1000);
}
