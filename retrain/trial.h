/* Two models on the same executions, one after the other as they finish: a challenger in shadow before it may
 * become champion, and a new champion beside the one before it afterwards. Bounded; looked at when the number
 * of executions has doubled, so that looking often does not make chance look like a gain. Pure. */
#ifndef FORESTALL_RETRAIN_TRIAL_H
#define FORESTALL_RETRAIN_TRIAL_H

#include "retrain/compare.h"

#define TRIAL_MOST 4096

struct trial {
    char old[65], young[65]; /* versions; "" = there is no trial */
    size_t count, next_look;
    struct trial_pair {
        uint64_t attempt;                   /* hash: an execution that comes twice counts once */
        struct compare_execution execution; /* champion = the old one, challenger = the young one */
    } pairs[TRIAL_MOST];
};

enum trial_end {
    TRIAL_GOES_ON,
    TRIAL_YOUNG, /* the young one is better beyond chance */
    TRIAL_OLD,   /* the young one is worse beyond chance */
    TRIAL_OVER   /* as many executions as wanted, and neither */
};

struct trial_rule {
    size_t least, most; /* executions: the first look, the last one */
    uint64_t seed;
};

/* Begins anew when it is about other models; "" ends it. True when it did. */
bool trial_set(struct trial *trial, const char *old, const char *young);
bool trial_running(const struct trial *trial);
/* False: known already, full, or no trial. */
bool trial_add(struct trial *trial, uint64_t attempt, const struct compare_execution *execution);
/* *out is filled when it is looked at. */
FS_MUST_CHECK int trial_look(struct trial *trial, const struct trial_rule *rule, enum trial_end *end,
                             struct comparison *out);

#endif
