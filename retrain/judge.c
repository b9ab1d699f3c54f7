/* See judge.h. */
#include "retrain/judge.h"

#include <errno.h>
#include <stdlib.h>

#include "common/hash.h"
#include "retrain/answers.h"
#include "retrain/check.h"
#include "retrain/loss.h"

#define PLANS 4 /* sequences per record: enough to see both sides of a limit, cheap enough to keep up */
#define MAX_TICKS 100000 /* of one record's sequences */

struct judge *judge_create(const struct judge_options *options)
{
    struct judge *judge = calloc(1, sizeof *judge);
    if (!judge)
        return NULL;
    judge->options = *options;
    adwin_init(&judge->drift, options->drift_delta);
    return judge;
}

void judge_destroy(struct judge *judge)
{
    if (!judge)
        return;
    for (int role = 0; role < MODELS_ROLE_COUNT; role++)
        network_destroy(judge->networks[role]);
    free(judge);
}

static const char *version_of(const struct judge *judge, enum models_role role)
{
    return judge->networks[role] ? judge->networks[role]->version : "";
}

static void begin_trials(struct judge *judge)
{
    const char *champion = version_of(judge, MODELS_CHAMPION);
    bool settled = strcmp(judge->settled, champion) == 0;
    bool shadow = trial_set(&judge->shadow, champion, version_of(judge, MODELS_CHALLENGER));
    bool watch = trial_set(&judge->watch, settled ? "" : version_of(judge, MODELS_PREVIOUS), champion);
    judge->changed = judge->changed || shadow || watch;
}

void judge_undo(struct judge *judge)
{
    judge->settled[0] = '\0';
    begin_trials(judge);
}

void judge_set(struct judge *judge, enum models_role role, struct network *network)
{
    network_destroy(judge->networks[role]);
    judge->networks[role] = network;
    const char *champion = version_of(judge, MODELS_CHAMPION);
    if (role == MODELS_CHAMPION && network && strcmp(judge->drift_of, champion) != 0) {
        adwin_init(&judge->drift, judge->options.drift_delta);
        (void)str_copy(judge->drift_of, sizeof judge->drift_of, str_of(champion));
        judge->drifted = false;
        judge->changed = true;
    }
    begin_trials(judge);
}

/* --- scoring --- */

struct losses {
    double all, calibrated; /* means over the record's sequences */
};

static int score(const struct network *network, const struct dataset *dataset, struct losses *out)
{
    struct answers answers = {0};
    int result = answers_make(network, dataset, &answers);
    *out = (struct losses){0};
    for (size_t i = 0; result == 0 && i < dataset->count; i++) {
        const struct labels *labels = &dataset->items[i].labels;
        out->all += loss_of(labels, answers.items[i]) / (double)dataset->count;
        out->calibrated += loss_calibrated(labels, answers.items[i]) / (double)dataset->count;
    }
    answers_fini(&answers);
    return result;
}

static int label(const struct judge *judge, const struct msg_execution_record *record, struct dataset *out)
{
    struct msg_execution_record copy = *record;
    const struct record_set one = {.items = &copy, .count = 1};
    const struct dataset_options how = {.seed = judge->options.seed,
                                        .profiles = DATASET_PROFILES_NONE,
                                        .plans = PLANS,
                                        .staircases = true,
                                        .horizon_ms = judge->options.horizon_ms,
                                        .max_ticks = MAX_TICKS};
    return dataset_add(out, &one, NULL, 0, &how);
}

static uint64_t attempt_of(const struct msg_execution_record *record)
{
    uint8_t bytes[20];
    memcpy(bytes, record->execution, 16);
    memcpy(bytes + 16, &record->attempt, 4);
    return hash_bytes(bytes, sizeof bytes);
}

static int add_to_trials(struct judge *judge, const struct msg_execution_record *record,
                         const struct dataset *dataset, const struct losses *champion)
{
    struct losses other;
    struct compare_execution execution = {.code = hash_bytes(record->code.data, record->code.size),
                                          .tenant = check_tenant(record),
                                          .weight = dataset_inverse(record)};
    uint64_t attempt = attempt_of(record);
    if (trial_running(&judge->shadow)) {
        int result = score(judge->networks[MODELS_CHALLENGER], dataset, &other);
        if (result < 0)
            return result;
        execution.champion = champion->all;
        execution.challenger = other.all;
        fs_drop(trial_add(&judge->shadow, attempt, &execution)); /* known or full: as good */
    }
    if (trial_running(&judge->watch)) {
        int result = score(judge->networks[MODELS_PREVIOUS], dataset, &other);
        if (result < 0)
            return result;
        execution.champion = other.calibrated;
        execution.challenger = champion->calibrated;
        fs_drop(trial_add(&judge->watch, attempt, &execution)); /* likewise */
    }
    return 0;
}

int judge_record(struct judge *judge, const struct msg_execution_record *record)
{
    struct dataset dataset = {0};
    struct losses champion;
    if (record->series.count == 0 || !judge->networks[MODELS_CHAMPION])
        return 0;
    int result = label(judge, record, &dataset);
    bool any = result == 0 && dataset.count > 0;
    if (any)
        result = score(judge->networks[MODELS_CHAMPION], &dataset, &champion);
    if (any && result == 0)
        result = add_to_trials(judge, record, &dataset, &champion);
    dataset_fini(&dataset);
    if (result < 0 || !any)
        return result;
    /* ADWIN wants [0, 1]: l / (1 + l) keeps the order and is hardly bent where losses usually are. */
    if (adwin_add(&judge->drift, champion.calibrated / (1 + champion.calibrated)) == ADWIN_ROSE)
        judge->drifted = true;
    judge->changed = true;
    return 1;
}

bool judge_saw_drift(struct judge *judge)
{
    bool drifted = judge->drifted;
    judge->drifted = false;
    return drifted;
}

/* --- deciding --- */

static int decide_watch(struct judge *judge, enum judge_decision *decision, struct comparison *why)
{
    struct trial_rule rule = {COMPARE_EXECUTIONS_MIN, judge->options.watch, judge->options.seed};
    enum trial_end end;
    if (judge->drifted)
        judge->watch.next_look = 0; /* now, whatever was planned */
    *why = (struct comparison){0};
    int result = trial_look(&judge->watch, &rule, &end, why);
    if (result < 0 || why->executions == 0)
        return result;
    if (end == TRIAL_OLD || (judge->drifted && why->challenger > why->champion * (1 + COMPARE_GAIN_MIN)))
        *decision = JUDGE_ROLL_BACK;
    else if (end != TRIAL_GOES_ON)
        *decision = JUDGE_SETTLED;
    return 0;
}

int judge_decide(struct judge *judge, enum judge_decision *decision, struct comparison *why)
{
    struct trial_rule rule = {judge->options.shadow_least, judge->options.shadow_most, judge->options.seed};
    enum trial_end end;
    *decision = JUDGE_NOTHING;
    int result = decide_watch(judge, decision, why);
    if (result < 0)
        return result;
    if (*decision != JUDGE_NOTHING) {
        (void)str_copy(judge->settled, sizeof judge->settled, str_of(judge->watch.young));
        fs_drop(trial_set(&judge->watch, "", ""));
        judge->changed = true;
        return 0;
    }
    result = trial_look(&judge->shadow, &rule, &end, why);
    if (result < 0 || end == TRIAL_GOES_ON)
        return result;
    *decision = end == TRIAL_YOUNG ? JUDGE_PROMOTE : JUDGE_DROP;
    fs_drop(trial_set(&judge->shadow, "", ""));
    judge->changed = true;
    return 0;
}
