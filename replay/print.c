/* See print.h. */
#include "replay/print.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "common/uuid.h"

static int print_line(json_t *line)
{
    if (!line)
        return -ENOMEM;
    int result =
        json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9)) < 0 || puts("") == EOF ? -EIO : 0;
    json_decref(line);
    return result;
}

int print_scores_head(bool json)
{
    if (json)
        return 0;
    int printed = printf("%-16s %10s %8s %8s %14s %7s %10s %8s %9s\n", "policy", "executions", "failures",
                         "retries", "wastage GiB*h", "slack", "recover", "changes", "limit/peak");
    return printed < 0 ? -EIO : 0;
}

static json_t *score_json(const struct replay_policy *policy, struct score *score)
{
    return json_pack("{s:s,s:I,s:I,s:I,s:f,s:f,s:I,s:f,s:f,s:f,s:I,s:I,s:f,s:f}", "policy", policy->name,
                     "executions", (json_int_t)score->executions, "failures", (json_int_t)score->failures,
                     "retries", (json_int_t)score->retries, "wastage_gib_h", score_wastage(score),
                     "slack_mean", score_slack(score), "ooms_to_recover", (json_int_t)score->ooms_to_recover,
                     "changes_per_execution", score_changes(score), "slack_gib_h", score->slack_gib_h,
                     "failed_gib_h", score->failed_gib_h, "first_try_finished",
                     (json_int_t)score->first_tries, "given_up", (json_int_t)score->given_up,
                     "limit_over_peak_p50", score_ratio_median(score), "stalled_s", score->stalled_s);
}

int print_score(bool json, const struct replay_policy *policy, struct score *score)
{
    if (json)
        return print_line(score_json(policy, score));
    int printed =
        printf("%-16s %10" PRIu64 " %8" PRIu64 " %8" PRIu64 " %14.4f %6.1f%% %10" PRIu64 " %8.2f %9.2f%s\n",
               policy->name, score->executions, score->failures, score->retries, score_wastage(score),
               100 * score_slack(score), score->ooms_to_recover, score_changes(score),
               score_ratio_median(score), score->given_up > 0 ? "  (gave up)" : "");
    return printed < 0 ? -EIO : 0;
}

static json_t *saved_by_json(const struct dead_verdict *verdict)
{
    json_t *names = json_array();
    for (size_t i = 0; names && i < replay_policy_count; i++)
        if (verdict->saved_by[i] && json_array_append_new(names, json_string(replay_policies[i]->name)) < 0) {
            json_decref(names);
            return NULL;
        }
    return names;
}

int print_dead(bool json, const struct msg_execution_record *record, const struct dead_verdict *verdict)
{
    char id[UUID_TEXT_SIZE];
    uuid_format(record->execution, id);
    if (json)
        return print_line(json_pack("{s:s,s:i,s:s%,s:s,s:f,s:f,s:f,s:o,s:s}", "dead_letter", id, "attempt",
                                    (int)record->attempt, "code", record->code.data, record->code.size,
                                    "cause", msg_cause_name(record->cause), "had", verdict->had, "needed",
                                    verdict->needed, "growth_bps", verdict->growth, "saved_by",
                                    saved_by_json(verdict), "advice", verdict->advice));
    printf("dead letter %s, attempt %d of %.*s: %s\n", id, (int)record->attempt, (int)record->code.size,
           record->code.data, verdict->advice);
    if (verdict->cause == MSG_CAUSE_MEMORY) {
        printf("  from the same start it would have lived under:");
        for (size_t i = 0; i < replay_policy_count; i++)
            if (verdict->saved_by[i])
                printf(" %s", replay_policies[i]->name);
        (void)putchar('\n');
    }
    return ferror(stdout) ? -EIO : 0;
}

void print_left_out(const struct trace *trace)
{
    if (trace->records.refused + trace->records.cut_files > 0)
        (void)fprintf(stderr, "forestall replay: %zu records could not be read, %zu files end within one\n",
                      trace->records.refused, trace->records.cut_files);
    if (trace->censored > 0)
        (void)fprintf(
            stderr,
            "forestall replay: %zu records left out: killed for memory, so what they would have needed "
            "is not known\n",
            trace->censored);
    if (trace->seriesless > 0)
        (void)fprintf(stderr, "forestall replay: %zu records left out: no series in them\n",
                      trace->seriesless);
}
