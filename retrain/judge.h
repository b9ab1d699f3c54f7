/* What finished executions say about the models in use. Each record is answered by champion, challenger and
 * the champion before, from zero state over its series as it would have been live, under the limits that it
 * had and a few it could have had (model/labels.h); nobody acts on these answers. From the losses come
 * - drift: the champion's calibrated loss l rose (adwin.h, on l / (1 + l));
 * - the shadow of a challenger (trial.h): promoted when it is better beyond chance, dropped when it is not;
 * - the watch over a new champion: rolled back when its calibrated loss is worse than that of the one before
 * on the same executions, beyond chance, or at all once drift is seen. No broker; state is kept by
 * judge_save(). One thread. */
#ifndef FORESTALL_RETRAIN_JUDGE_H
#define FORESTALL_RETRAIN_JUDGE_H

#include "model/models.h"
#include "model/network.h"
#include "retrain/adwin.h"
#include "retrain/trial.h"

struct judge_options {
    uint64_t seed;
    size_t shadow_least, shadow_most, watch; /* executions */
    double drift_delta;
    int32_t horizon_ms;
};

struct judge {
    struct judge_options options;
    struct network *networks[MODELS_ROLE_COUNT]; /* NULL: nobody */
    struct adwin drift;
    char drift_of[NETWORK_VERSION_SIZE];
    struct trial shadow, watch;
    char settled[NETWORK_VERSION_SIZE]; /* champion whose watch is over */
    bool drifted;                       /* since the last decision */
    bool changed;                       /* since judge_save */
};

enum judge_decision { JUDGE_NOTHING, JUDGE_PROMOTE, JUDGE_DROP, JUDGE_ROLL_BACK, JUDGE_SETTLED };

/* NULL when out of memory. */
struct judge *judge_create(const struct judge_options *options);
void judge_destroy(struct judge *judge);
/* Takes the network over; NULL: nobody has the role. A trial that is about other models ends. */
void judge_set(struct judge *judge, enum models_role role, struct network *network);
/* 1: scored; 0: there is nothing to score (no series, no champion); -ENOMEM. */
FS_MUST_CHECK int judge_record(struct judge *judge, const struct msg_execution_record *record);
/* What is to be done, with the comparison that says so. 0, -ENOMEM. A decision is told once. */
FS_MUST_CHECK int judge_decide(struct judge *judge, enum judge_decision *decision, struct comparison *why);
/* What was decided last could not be done: its trial begins again. */
void judge_undo(struct judge *judge);
/* True once when the champion's loss rose. */
bool judge_saw_drift(struct judge *judge);

/* The trials and the window, whole or not at all. 0, negative errno. A file of another version, or a damaged
 * one, is not loaded: -EBADMSG, the trials begin anew. Load after judge_set(): what is about other models
 * is left out. */
FS_MUST_CHECK int judge_save(struct judge *judge, const char *path);
FS_MUST_CHECK int judge_load(struct judge *judge, const char *path);

#endif
