/* The backbone: a stack of LSTM layers over features, with three heads on the top hidden state:
 *   causes     probability that the attempt fails from this cause within the horizon (logit, calibrated,
 * sigmoid); demand     quantiles p50, p90, p99 of ln(peak demand within the horizon / demand now) per
 * resource, made to rise: q50 = r0, q90 = q50 + softplus(r1), q99 = q90 + softplus(r2); horizons   causes
 * again, within 2 and within 30 s. Stateful: one step
 * per new sample; the state of an execution is state_size numbers that the caller keeps, zero at its start.
 * One block holds all weights; weight matrices are [inputs + hidden][4 * hidden] over the concatenation of
 * input and old h. */
#ifndef FORESTALL_MODEL_NETWORK_H
#define FORESTALL_MODEL_NETWORK_H

#include "common/base.h"
#include "model/real.h"

#define NETWORK_CAUSES 5    /* memory, cpu, io, net, other */
#define NETWORK_RESOURCES 4 /* memory, cpu, io, net */
#define NETWORK_QUANTILES 3 /* 0.5, 0.9, 0.99 */
#define NETWORK_HORIZONS 2  /* beside the one that alarms use */
#define NETWORK_OUTPUTS_LEAST                                                                                \
    (NETWORK_CAUSES + NETWORK_RESOURCES * NETWORK_QUANTILES) /* without horizons                             \
                                                              */
#define NETWORK_OUTPUTS (NETWORK_OUTPUTS_LEAST + NETWORK_HORIZONS * NETWORK_CAUSES)
#define NETWORK_LAYERS_MAX 4
#define NETWORK_INPUTS_MAX 512 /* with segments */
#define NETWORK_SEGMENTS_MAX 256
#define NETWORK_HIDDEN_MAX 1024
#define NETWORK_VERSION_SIZE 65 /* SHA-256 in hex and the end */

extern const real network_quantile_levels[NETWORK_QUANTILES];
extern const int32_t network_horizons_ms[NETWORK_HORIZONS];

struct network_shape {
    size_t inputs, hidden, layers; /* inputs: features of a step */
    size_t segments;               /* further inputs of the first layer, see network_segment */
};

/* A stretch of one feature's range as an input of its own: -0.5 below it, 0.5 above it, a straight line
 * between. Several in a row are what a tree's cuts are to it: where the answer turns within a few percent (a
 * known peak beside the limit), one slope over the whole range would have to be steep everywhere (piecewise
 * linear encoding: Gorishniy et al. 2022). */
struct network_segment {
    size_t feature;
    float low, scale; /* scale: 1 / width */
};

struct network_layer {
    real *weight; /* [inputs + hidden][4 * hidden] */
    real *bias;   /* [4 * hidden]; right behind weight */
    size_t inputs;
};

struct network {
    struct network_shape shape;
    size_t weight_count;
    size_t block;  /* only units of the same so many hear each other, as in merged networks; hidden: all */
    real *weights; /* one block, in the order below */
    struct network_layer layers[NETWORK_LAYERS_MAX];
    real *head_weight; /* [hidden][NETWORK_OUTPUTS] */
    real *head_bias;   /* [NETWORK_OUTPUTS] */
    /* A feature x enters as (x - mean) * scale, held within +-bound: what lies outside of all that was
     * learned from counts as its edge. Infinite: not held (files of before). */
    float mean[NETWORK_INPUTS_MAX], scale[NETWORK_INPUTS_MAX], bound;
    struct network_segment segments[NETWORK_SEGMENTS_MAX];
    /* Platt: calibrated logit = slope * logit + intercept. */
    float slope[NETWORK_CAUSES], intercept[NETWORK_CAUSES];
    float thresholds[NETWORK_CAUSES]; /* of the level of each cause (model/alarm_level.h) that is an alarm */
    float horizon_slope[NETWORK_HORIZONS][NETWORK_CAUSES],
        horizon_intercept[NETWORK_HORIZONS][NETWORK_CAUSES];
    bool has_horizons; /* false: of a file from before there were any; their outputs say nothing */
    int32_t horizon_ms;
    int32_t features_version;
    char version[NETWORK_VERSION_SIZE]; /* of the file it was loaded from or saved to; "" = never */
};

struct network_output {
    float logits[NETWORK_CAUSES];                                  /* of the backbone, before calibration */
    float probabilities[NETWORK_CAUSES];                           /* calibrated */
    float demand[NETWORK_RESOURCES][NETWORK_QUANTILES];            /* ln ratios to the demand now */
    float horizon_logits[NETWORK_HORIZONS][NETWORK_CAUSES];        /* before calibration */
    float horizon_probabilities[NETWORK_HORIZONS][NETWORK_CAUSES]; /* calibrated */
};

/* Weights drawn from the seed (uniform +-1/sqrt(fan in), forget bias 1), identity scaling and calibration.
 * Sets OpenBLAS to one thread, for the whole process. NULL: bad shape or out of memory. */
struct network *network_create(const struct network_shape *shape, uint64_t seed);
void network_destroy(struct network *network);
/* Sets block from the weights: what merges, loads or trains a network does. */
void network_find_blocks(struct network *network);
/* Numbers in the state of one execution: [layers][h, c][hidden]. */
size_t network_state_size(const struct network_shape *shape);

/* Working memory of steps of any size; one per thread. */
struct network_scratch;
struct network_scratch *network_scratch_create(const struct network_shape *shape);
void network_scratch_destroy(struct network_scratch *scratch);

/* One step for n executions: features [n][inputs] (raw), states[i] points at the state of execution i
 * (updated, all different), out [n]. No allocation; n is worked in chunks. */
void network_step(const struct network *network, struct network_scratch *scratch, const float *features,
                  real *const *states, struct network_output *out, size_t n);
/* The same by plain loops and libm, for one execution: the oracle. */
void network_step_reference(const struct network *network, const float *features, real *state,
                            struct network_output *out);

/* What the first layer reads for these features: shape.inputs scaled ones, then shape.segments. */
void network_inputs(const struct network *network, const float *features, real *out);
/* Logits as the network calibrates them: what the online head corrects, and what is a probability without
 * one. out may be logits. */
void network_calibrate(const struct network *network, const float logits[NETWORK_CAUSES],
                       float out[NETWORK_CAUSES]);
/* Raw head outputs to logits, probabilities and rising quantiles. */
void network_decode(const struct network *network, const real raw[NETWORK_OUTPUTS],
                    struct network_output *out);

/* safetensors bytes with everything above in it (see network_file.c). save fills network->version. 0,
 * -ENOMEM. */
struct buffer;
FS_MUST_CHECK int network_save(struct network *network, const char *const *feature_names, struct buffer *out);
/* 0; -EBADMSG with error saying what is wrong (damaged, other shape, features of another version); -ENOMEM.
 */
FS_MUST_CHECK int network_load(struct str bytes, struct network **out, char *error, size_t error_size);

#endif
