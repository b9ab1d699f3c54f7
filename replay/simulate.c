/* See simulate.h. */
#include "replay/simulate.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "common/map.h"

#define GIB_HOUR (1073741824.0 * 3600)
#define LEAST_BYTES 1048576.0 /* no limit is below */

struct code_state {
    struct code_state *next;
    bool began;         /* the policy's state */
    double limit_bytes; /* newest in force; 0 = none yet */
    bool recovering;    /* a first try has failed and none has fitted since */
    uint64_t kills;     /* since then */
    max_align_t state[];
};

struct simulation {
    const struct replay_policy *policy;
    const struct replay_settings *settings;
    const struct simulate_options *options;
    struct score *score;
    struct map *codes;
    struct code_state *all;
};

static struct code_state *state_of(struct simulation *now, struct str code)
{
    struct code_state *found = map_get(now->codes, code.data, code.size);
    if (found)
        return found;
    found = calloc(1, sizeof *found + now->policy->state_size);
    if (!found)
        return NULL;
    found->next = now->all;
    now->all = found;
    found->began = true;
    if (now->policy->begin && now->policy->begin(found->state, now->settings, code) < 0)
        return NULL;
    return map_put(now->codes, code.data, code.size, found) < 0 ? NULL : found;
}

static double bounded(const struct simulation *now, double bytes)
{
    double least = isfinite(bytes) ? fmax(bytes, LEAST_BYTES) : LEAST_BYTES;
    return fmin(least, now->settings->node_bytes);
}

static int learn(const struct simulation *now, struct code_state *code, const struct replay_run *run)
{
    return now->policy->learn ? now->policy->learn(code->state, run) : 0;
}

static int teach(const struct simulation *now, struct code_state *code, const struct trace_row *row)
{
    double limit = fmax(row->requested_bytes, row->peak_bytes);
    const struct replay_run run = {
        .started_s = row->start_s,
        .ended_s = row->start_s + row->runtime_s,
        .peak_bytes = row->peak_bytes,
        .first_limit_bytes = limit,
        .limit_bytes = limit,
        .requested_bytes = row->requested_bytes,
        .input_bytes = row->input_bytes,
        .attempt = 1,
    };
    return learn(now, code, &run);
}

/* A limit that is not the one before counts as a change. */
static void note_limit(const struct simulation *now, struct code_state *code, double limit_bytes)
{
    now->score->changes += code->limit_bytes > 0 && limit_bytes != code->limit_bytes;
    code->limit_bytes = limit_bytes;
}

static int count(const struct simulation *now, struct code_state *code, const struct attempt_result *result)
{
    struct score *score = now->score;
    score->changes += result->changes;
    score->stalled_s += result->stalled_s;
    code->limit_bytes = result->last_limit_bytes;
    if (result->failed) {
        score->failures++;
        code->kills++;
        score->failed_gib_h += result->wasted_byte_s / GIB_HOUR;
        return 0;
    }
    score->slack_gib_h += result->wasted_byte_s / GIB_HOUR;
    score->slack_share_s += result->slack_share_s;
    score->seconds += result->seconds;
    return score_ratio(score, result->peak_bytes > 0 ? result->highest_limit_bytes / result->peak_bytes : 1);
}

/* Kills of one code from the first try that did not fit to the next first try that does. */
static void note_first_try(const struct simulation *now, struct code_state *code, bool fitted)
{
    struct score *score = now->score;
    score->first_tries += fitted;
    if (fitted) {
        code->recovering = false;
        code->kills = 0;
        return;
    }
    if (!code->recovering)
        code->kills = 1; /* the one just counted */
    code->recovering = true;
}

static struct replay_run run_of(const struct trace_row *row, const struct attempt_input *input,
                                const struct attempt_result *result)
{
    return (struct replay_run){
        .started_s = input->start_s,
        .ended_s = input->start_s + result->seconds,
        .peak_bytes = result->peak_bytes,
        .first_limit_bytes = input->limit_bytes,
        .limit_bytes = result->highest_limit_bytes,
        .requested_bytes = row->requested_bytes,
        .input_bytes = row->input_bytes,
        .attempt = input->attempt,
        .failed = result->failed,
        .raised = result->raises > 0,
        .record = row->record,
    };
}

/* One try and what is learned from it. */
static int try(const struct simulation *now, struct code_state *code, const struct attempt_input *input,
               struct attempt_result *result, struct replay_run *run)
{
    note_limit(now, code, input->limit_bytes);
    if (input->row->record)
        attempt_series(input, result);
    else
        attempt_finished(input, result);
    int status = count(now, code, result);
    if (input->attempt == 1)
        note_first_try(now, code, !result->failed);
    now->score->ooms_to_recover = FS_MAX(now->score->ooms_to_recover, code->recovering ? code->kills : 0);
    *run = run_of(input->row, input, result);
    return status < 0 ? status : learn(now, code, run);
}

static int execute(const struct simulation *now, struct code_state *code, const struct trace_row *row)
{
    const struct replay_policy *policy = now->policy;
    struct replay_request request = {row->start_s, row->requested_bytes, row->input_bytes, 1};
    struct attempt_input input = {.policy = policy,
                                  .state = code->state,
                                  .row = row,
                                  .start_s = row->start_s,
                                  .failure_at = now->options->failure_at,
                                  .brake = now->options->brake,
                                  .attempt = 1};
    struct attempt_result result = {0};
    struct replay_run run;
    now->score->executions++;
    input.limit_bytes = bounded(now, policy->allocate(code->state, &request));
    int status = try(now, code, &input, &result, &run);
    while (status == 0 && result.failed && input.attempt < now->options->tries_max) {
        input.start_s += result.seconds;
        request.now_s = input.start_s;
        request.attempt = ++input.attempt;
        now->score->retries++;
        input.limit_bytes = bounded(now, policy->retry(code->state, &request, &run));
        status = try(now, code, &input, &result, &run);
    }
    now->score->given_up += result.failed;
    return status;
}

int simulate(const struct replay_policy *policy, const struct replay_settings *settings,
             const struct simulate_options *options, const struct trace *trace, struct score *score)
{
    struct simulation now = {policy, settings, options, score, map_create(trace->count + 1), NULL};
    int status = now.codes ? 0 : -ENOMEM;
    *score = (struct score){0};
    for (size_t i = 0; status == 0 && i < trace->count; i++) {
        const struct trace_row *row = &trace->rows[i];
        struct code_state *code = state_of(&now, row->code);
        if (!code)
            status = -ENOMEM;
        else
            status = row->evaluate ? execute(&now, code, row) : teach(&now, code, row);
    }
    for (struct code_state *code = now.all, *next; code; code = next) {
        next = code->next;
        if (policy->end)
            policy->end(code->state);
        free(code);
    }
    map_destroy(now.codes);
    return status;
}
