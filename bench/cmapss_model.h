/* One model from one seed: members that each stop by another part of the training engines and learn from all
 * others, merged as the product's are (model/network_merge.h); so every engine teaches. */
#ifndef FORESTALL_BENCH_CMAPSS_MODEL_H
#define FORESTALL_BENCH_CMAPSS_MODEL_H

#include "bench/cmapss_examples.h"
#include "model/train_loop.h"

#define CMAPSS_MEMBERS_MAX 8

struct cmapss_recipe {
    size_t hidden, layers, lanes, window, epochs, patience;
    double learning_rate, weight_decay, demand_weight;
    size_t members; /* 2..CMAPSS_MEMBERS_MAX */
    size_t copies;  /* augmentation, see cmapss_examples.h */
    double warp;
};

/* Chosen by cross-validation within the training engines; the test engines had no say. */
extern const struct cmapss_recipe cmapss_recipe;

struct cmapss_model {
    struct network *network;
    struct cmapss_scaling scaling;
    size_t epochs; /* until they stopped, of all members */
};

/* Probabilities of cause 0, cycle after cycle and engine after engine [examples->cycles]. 0, -ENOMEM. */
FS_MUST_CHECK int cmapss_answer(const struct network *network, const struct cmapss_examples *examples,
                                float *probabilities);
/* Which engines stop which member, the order and the first weights come from the seed. 0; -EINVAL: fewer
 * engines than members, or a number of these that is out of bounds; -ENOMEM. */
FS_MUST_CHECK int cmapss_train(struct cmapss_choice choice, const struct cmapss_recipe *recipe, uint64_t seed,
                               struct cmapss_model *out);
void cmapss_model_fini(struct cmapss_model *model);

#endif
