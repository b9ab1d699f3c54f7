/* See cmapss_model.h. */
#include "bench/cmapss_model.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "model/network.h"
#include "model/random.h"

const struct cmapss_recipe cmapss_recipe = {.hidden = 64,
                                            .layers = 1,
                                            .lanes = 20,
                                            .window = 64,
                                            .epochs = 150,
                                            .patience = 15,
                                            .learning_rate = 3e-3,
                                            .weight_decay = 0.3,
                                            .demand_weight = 1,
                                            .validation_share = 0.2,
                                            .copies = 5,
                                            .warp = 1.4};

int cmapss_answer(const struct network *network, const struct cmapss_examples *examples, float *probabilities)
{
    struct network_scratch *scratch = network_scratch_create(&network->shape);
    size_t size = network_state_size(&network->shape), at = 0;
    real *state = calloc(size, sizeof *state);
    int result = scratch && state ? 0 : -ENOMEM;
    for (size_t e = 0; result == 0 && e < examples->count; e++) {
        const struct train_sequence *sequence = &examples->sequences[e];
        memset(state, 0, size * sizeof *state);
        for (size_t t = 0; t < sequence->steps; t++) {
            struct network_output output;
            network_step(network, scratch, sequence->features + t * network->shape.inputs, &state, &output,
                         1);
            probabilities[at++] = output.probabilities[0];
        }
    }
    free(state);
    network_scratch_destroy(scratch);
    return result;
}

static void shuffle(size_t *items, size_t count, uint64_t seed)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = random_next(&seed) % i, kept = items[i - 1];
        items[i - 1] = items[j];
        items[j] = kept;
    }
}

static void note_epoch(void *context, const struct train_loop_progress *progress)
{
    *(size_t *)context = progress->epoch;
}

static int train(struct cmapss_model *model, const struct cmapss_recipe *recipe, uint64_t seed,
                 const struct cmapss_examples *examples, const struct cmapss_examples *validation)
{
    struct network_shape shape = {CMAPSS_INPUTS, recipe->hidden, recipe->layers, 0};
    struct trainer_options options = trainer_defaults;
    struct train_loop_options loop = {
        .epochs = recipe->epochs, .patience = recipe->patience, .learning_rate = recipe->learning_rate};
    options.lanes = recipe->lanes;
    options.window = recipe->window;
    options.weight_decay = recipe->weight_decay;
    options.demand_weight = recipe->demand_weight;
    options.seed = seed;
    model->network = network_create(&shape, seed);
    struct trainer *trainer = model->network ? trainer_create(model->network, &options) : NULL;
    if (!trainer)
        return -ENOMEM;
    train_fit_scaling(model->network, examples->sequences, examples->count);
    int result = train_loop(trainer, model->network, (struct train_set){examples->sequences, examples->count},
                            (struct train_set){validation->sequences, validation->count}, &loop, note_epoch,
                            &model->epochs);
    trainer_destroy(trainer);
    return result;
}

int cmapss_train(struct cmapss_choice choice, const struct cmapss_recipe *recipe, uint64_t seed,
                 struct cmapss_model *out)
{
    struct cmapss_model model = {0};
    struct cmapss_examples examples = {0}, validation = {0};
    size_t held = (size_t)lround((double)choice.count * recipe->validation_share);
    held = FS_MAX(held, 1);
    if (choice.count <= held)
        return -EINVAL;
    size_t *order = calloc(choice.count, sizeof *order);
    if (!order)
        return -ENOMEM;
    memcpy(order, choice.engines, choice.count * sizeof *order);
    shuffle(order, choice.count, seed);
    struct cmapss_choice learn = {choice.set, order + held, choice.count - held};
    struct cmapss_choice judge = {choice.set, order, held};
    struct cmapss_augment augment = {recipe->copies, recipe->warp, seed};
    cmapss_scaling_fit(&model.scaling, learn);
    int result = cmapss_examples_make(learn, &model.scaling, &augment, &examples);
    if (result == 0)
        result = cmapss_examples_make(judge, &model.scaling, NULL, &validation);
    if (result == 0)
        result = train(&model, recipe, seed, &examples, &validation);
    cmapss_examples_fini(&examples);
    cmapss_examples_fini(&validation);
    free(order);
    if (result == 0)
        *out = model;
    else
        cmapss_model_fini(&model);
    return result;
}

void cmapss_model_fini(struct cmapss_model *model)
{
    network_destroy(model->network);
    model->network = NULL;
}
