/* See trial.h. */
#include "retrain/trial.h"

#include <errno.h>
#include <stdlib.h>

bool trial_set(struct trial *trial, const char *old, const char *young)
{
    bool none = !*old || !*young || strcmp(old, young) == 0;
    if (none ? !trial_running(trial) : strcmp(old, trial->old) == 0 && strcmp(young, trial->young) == 0)
        return false;
    trial->count = trial->next_look = 0;
    (void)str_copy(trial->old, sizeof trial->old, str_of(none ? "" : old));
    (void)str_copy(trial->young, sizeof trial->young, str_of(none ? "" : young));
    return true;
}

bool trial_running(const struct trial *trial)
{
    return *trial->young != '\0';
}

bool trial_add(struct trial *trial, uint64_t attempt, const struct compare_execution *execution)
{
    if (!trial_running(trial) || trial->count == TRIAL_MOST)
        return false;
    for (size_t i = 0; i < trial->count; i++)
        if (trial->pairs[i].attempt == attempt)
            return false;
    trial->pairs[trial->count++] = (struct trial_pair){attempt, *execution};
    return true;
}

static int compare(const struct trial *trial, uint64_t seed, struct comparison *out)
{
    struct compare_execution *executions = calloc(trial->count + 1, sizeof *executions);
    if (!executions)
        return -ENOMEM;
    for (size_t i = 0; i < trial->count; i++)
        executions[i] = trial->pairs[i].execution;
    int result = compare_models(executions, trial->count, seed, out);
    free(executions);
    return result;
}

int trial_look(struct trial *trial, const struct trial_rule *rule, enum trial_end *end,
               struct comparison *out)
{
    size_t least = FS_MAX(rule->least, (size_t)COMPARE_EXECUTIONS_MIN),
           most = FS_MIN(rule->most, (size_t)TRIAL_MOST);
    *end = TRIAL_GOES_ON;
    if (!trial_running(trial) || trial->count < FS_MAX(trial->next_look, FS_MIN(least, most)))
        return 0;
    int result = compare(trial, rule->seed, out);
    if (result < 0)
        return result;
    trial->next_look = FS_MIN(2 * trial->count, most);
    if (out->verdict == COMPARE_CHALLENGER_WINS)
        *end = TRIAL_YOUNG;
    else if (compare_is_worse(out))
        *end = TRIAL_OLD;
    else if (trial->count >= most)
        *end = TRIAL_OVER;
    return 0;
}
