/* Trains a network on one data set and stops by another: early stopping, calibration and the alarm thresholds
 * all come from the validation set, never from the test set. */
#ifndef FORESTALL_RETRAIN_FIT_H
#define FORESTALL_RETRAIN_FIT_H

#include "model/train.h"
#include "retrain/alarms.h"

#define FIT_MEMBERS_MAX 16

struct fit_options {
    uint64_t seed;
    size_t hidden, layers, segments; /* segments: of each feature that has any (fit.c), see network.h */
    size_t epochs;                   /* at most */
    size_t patience;                 /* epochs without a better validation loss before it stops */
    double learning_rate;            /* see train_loop.h */
    double weight_decay, demand_weight, horizon_weight, dropout;
    size_t lanes, window;
    size_t threads; /* this and bfloat16: see train.h */
    bool bfloat16;
    bool additions;          /* learn only what features add that the start never read; the rest stays */
    size_t members;          /* networks trained from seeds of their own and merged into one; 0 = 1 */
    const char *checkpoint;  /* file, see train_loop.h; a member's number is added; NULL or "" = none */
    struct alarms_goal goal; /* the thresholds', on the validation set */
};

struct fit_progress {
    size_t member, members; /* from 1 */
    size_t epoch, epochs, best_epoch, resumed;
    double train_loss, validation_loss, best_loss;
    double ticks_per_second, remaining_s; /* remaining_s: if all epochs are needed */
};

typedef void fit_report_fn(void *context, const struct fit_progress *progress);

/* start: NULL = a new network; else its weights and scaling are the start, and features that are new to it
 * are scaled by what it will learn from. The result is calibrated and has thresholds. 0; -EINVAL a set is
 * empty, other inputs; -ENOTSUP additions without a start, or with one that reads all features; -ENOMEM.
 * report may be NULL. */
FS_MUST_CHECK int fit_network(const struct network *start, const struct dataset *train,
                              const struct dataset *validation, const struct fit_options *options,
                              fit_report_fn *report, void *context, struct network **out);
/* Calibrates every cause and chooses its threshold on this set. 0, -ENOMEM. */
FS_MUST_CHECK int fit_calibration(struct network *network, const struct dataset *validation,
                                  const struct alarms_goal *goal);
/* The names in the order of the features, for network_save. */
const char *const *fit_feature_names(void);

#endif
