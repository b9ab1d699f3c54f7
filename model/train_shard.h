/* Some of the sequences that a trainer works side by side: forward, loss and backward through one window of
 * them, in memory of their own, so that shards can be worked at the same time. See train.h. */
#ifndef FORESTALL_MODEL_TRAIN_SHARD_H
#define FORESTALL_MODEL_TRAIN_SHARD_H

#include "model/lstm_kernel.h"
#include "model/train.h"
#include "model/train_products.h"

struct train_trace {                 /* of a layer in a window; time first */
    struct train_products *products; /* NULL: in single precision */
    real *joined;    /* [window][lanes][inputs + hidden + 1]: input, h before, 1; with products of one step */
    real *gates;     /* [window][lanes][4 * hidden] */
    real *cells;     /* [window + 1][lanes][hidden]; [0] is the carried one */
    real *squashed;  /* [window][lanes][hidden] */
    real *hidden;    /* [window + 1][lanes][hidden]; [0] is the carried one */
    real *grad_cell; /* [lanes][hidden], from the step after */
};

struct train_shard {
    const struct network *network;
    const struct trainer_options *options;
    size_t lanes;
    lstm_kernel_fn *kernel;
    lstm_backward_fn *backward;
    lstm_soften_fn *soften;
    struct train_trace traces[NETWORK_LAYERS_MAX];
    real *grad_below;  /* [window][lanes][hidden]: gradient of a layer's output from above */
    real *grad_joined; /* [lanes][hidden below + hidden], from the step after */
    real *raw;         /* [window][lanes][NETWORK_OUTPUTS], then their gradients */
    real *soft, *rise; /* [lanes][NETWORK_OUTPUTS], see train_loss.h */
    real *gradient;    /* [weight_count]: of the window, when it was worked backwards */
    const struct train_sequence **sequence; /* [lanes]: in each, NULL = idle */
    size_t *cursor;                         /* [lanes]: the sequence's first step in the window */
    real *keep;                             /* [lanes][inputs]: factor of each input */
    double loss;                            /* of the window */
};

/* Everything borrowed. false: out of memory; fini in any case. */
FS_MUST_CHECK bool train_shard_init(struct train_shard *shard, const struct network *network,
                                    const struct trainer_options *options, size_t lanes);
void train_shard_fini(struct train_shard *shard);
/* No lane has a sequence. */
void train_shard_clear(struct train_shard *shard);
/* Moves a lane to its next window. false: its sequence has ended, or it has none. */
bool train_shard_next(struct train_shard *shard, size_t lane);
/* A lane begins with this sequence, or is idle with NULL. */
void train_shard_begin(struct train_shard *shard, size_t lane, const struct train_sequence *sequence);
/* Steps of all lanes that the window has. */
size_t train_shard_steps(const struct train_shard *shard);
/* Forward and loss; the loss's gradient by what the network says is multiplied by scale. */
void train_shard_forward(struct train_shard *shard, real scale);
void train_shard_backward(struct train_shard *shard);

#endif
