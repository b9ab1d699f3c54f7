/* Epoch after epoch until the validation set no longer gains: a running average of the weights over epochs is
 * what is judged and kept (it generalises better than any of them: Izmailov et al. 2018), the rate is halved
 * after two epochs without progress, and over the second half of the epochs it falls to nothing. Shared by
 * retrain and the public benchmark, so that what is measured there is what trains here. */
#ifndef FORESTALL_MODEL_TRAIN_LOOP_H
#define FORESTALL_MODEL_TRAIN_LOOP_H

#include "model/train.h"

struct train_set {
    const struct train_sequence *sequences;
    size_t count;
};

struct train_loop_options {
    size_t epochs;          /* at most */
    size_t patience;        /* epochs without a better validation loss before it stops */
    double learning_rate;   /* at the start */
    const char *checkpoint; /* file it is kept in after each epoch and resumed from; NULL or "" = none */
    uint64_t fingerprint;   /* of the data and of all options: a checkpoint of another training is not used */
};

struct train_loop_progress {
    size_t epoch, epochs, best_epoch;
    double train_loss, validation_loss, best_loss;
    size_t resumed; /* the epoch of the checkpoint it went on from; 0 = began */
};

typedef void train_loop_report_fn(void *context, const struct train_loop_progress *progress);

/* trainer works on this network. At the end the network holds the best average. report may be NULL. 0;
 * -ENOMEM, also when a loss is not finite: bounded inputs and clipped gradients leave nothing else; negative
 * errno when the checkpoint cannot be written. A damaged checkpoint, or one of another training, is replaced.
 */
FS_MUST_CHECK int train_loop(struct trainer *trainer, struct network *network, struct train_set train,
                             struct train_set validation, const struct train_loop_options *options,
                             train_loop_report_fn *report, void *context);

#endif
