/* Truncated back-propagation through time with Adam.
 * Sources: Werbos 1990 (BPTT), Kingma & Ba 2015 (Adam), Pascanu et al. 2013 (gradient clipping), Koenker &
 * Bassett 1978 (pinball loss). Many sequences are worked side by side; state is carried from window to window
 * of a sequence. Deterministic from the seed and the number of threads, with one BLAS thread. */
#ifndef FORESTALL_MODEL_TRAIN_H
#define FORESTALL_MODEL_TRAIN_H

#include "model/network.h"

/* One execution's series; everything borrowed. */
struct train_sequence {
    size_t steps;
    const float *features;   /* [steps][inputs], raw */
    const float *labels;     /* [steps][NETWORK_CAUSES], 0 or 1 */
    const float *label_mask; /* [steps][NETWORK_CAUSES], weight of the label, 0 = not counted */
    const float *demand;     /* [steps][NETWORK_RESOURCES], ln ratio */
    const float
        *demand_mask; /* [steps][NETWORK_RESOURCES], weight; < 0: demand is a lower bound, 0 = not counted */
    float weight;     /* of the whole sequence: inverse of its inclusion probability */
    const int8_t
        *horizons; /* [steps][NETWORK_HORIZONS][NETWORK_CAUSES], 0 or 1, -1 = not known; NULL = nothing is */
};

struct trainer_options {
    size_t lanes;  /* sequences side by side */
    size_t window; /* steps of one truncated window, T */
    double learning_rate;
    double clip;           /* largest norm of the gradient; 0 = none */
    double demand_weight;  /* of the pinball loss beside the cross entropy */
    double horizon_weight; /* of the cross entropy at the other horizons; it reaches their heads only */
    double weight_decay;   /* decoupled (AdamW) */
    double dropout;        /* share of the inputs that a sequence does not see while learning, 0..1 */
    uint64_t seed;         /* of the order of sequences */
    bool bfloat16;  /* matrix products of bfloat16 numbers, where the CPU has them (train_products.h) */
    size_t threads; /* at work at the same time; 0 = one per CPU that the process may run on */
    /* Of first_input 0: all weights are learned; else only those that the first layer gives the inputs and
     * the segments from these on, and all others stay as they are. */
    size_t first_input, first_segment;
};

extern const struct trainer_options trainer_defaults;

struct trainer;

/* Works on the network given (borrowed). Merged networks stay apart: what is zero between their units is not
 * learned (network_find_blocks). NULL when out of memory. */
struct trainer *trainer_create(struct network *network, const struct trainer_options *options);
void trainer_destroy(struct trainer *trainer);
void trainer_set_learning_rate(struct trainer *trainer, double rate);
/* What a trainer knows beyond the network, for checkpoints (borrowed). */
struct trainer_state {
    real *moment, *square; /* [weight_count] */
    uint64_t *random;
    long *updates;
};
struct trainer_state trainer_state(struct trainer *trainer);
/* One pass over all sequences in a new order; returns the mean loss per counted step. */
double trainer_epoch(struct trainer *trainer, const struct train_sequence *sequences, size_t count);
/* Mean loss without learning. */
double trainer_evaluate(struct trainer *trainer, const struct train_sequence *sequences, size_t count);

/* For the gradient check: loss and gradient (borrowed, weight_count numbers in the order of network->weights)
 * of the first window of the first sequences, one per lane. */
double trainer_gradient(struct trainer *trainer, const struct train_sequence *sequences, size_t count,
                        const real **gradient);

/* Lays the network's segments from the first-th on, as many for each of these features, from one quantile of
 * its values in the sequences to the next. false when out of memory. */
FS_MUST_CHECK bool train_fit_segments(struct network *network, const struct train_sequence *sequences,
                                      size_t count, size_t first, const size_t *features,
                                      size_t feature_count);
/* Fills network->mean and ->scale from the first-th input on from the features of the sequences (scale 1 /
 * deviation, at most 10). */
void train_fit_scaling(struct network *network, const struct train_sequence *sequences, size_t count,
                       size_t first);

#endif
