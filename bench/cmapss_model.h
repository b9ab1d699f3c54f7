/* One model from one seed: split of the training engines, training, and its answers. */
#ifndef FORESTALL_BENCH_CMAPSS_MODEL_H
#define FORESTALL_BENCH_CMAPSS_MODEL_H

#include "bench/cmapss_examples.h"
#include "model/train_loop.h"

struct cmapss_recipe {
    size_t hidden, layers, lanes, window, epochs, patience;
    double learning_rate, weight_decay, demand_weight;
    double validation_share; /* of the training engines */
    size_t copies;           /* augmentation, see cmapss_examples.h */
    double warp;
};

/* Chosen by cross-validation within the training engines; the test engines had no say. */
extern const struct cmapss_recipe cmapss_recipe;

struct cmapss_model {
    struct network *network;
    struct cmapss_scaling scaling;
    size_t epochs; /* until it stopped */
};

/* Probabilities of cause 0, cycle after cycle and engine after engine [examples->cycles]. 0, -ENOMEM. */
FS_MUST_CHECK int cmapss_answer(const struct network *network, const struct cmapss_examples *examples,
                                float *probabilities);
/* Trains on some of these engines and stops by the others; which ones, the order and the first weights come
 * from the seed. 0; -EINVAL: fewer than two engines; -ENOMEM. */
FS_MUST_CHECK int cmapss_train(struct cmapss_choice choice, const struct cmapss_recipe *recipe, uint64_t seed,
                               struct cmapss_model *out);
void cmapss_model_fini(struct cmapss_model *model);

#endif
