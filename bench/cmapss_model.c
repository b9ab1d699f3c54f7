/* See cmapss_model.h. */
#include "bench/cmapss_model.h"

#include <errno.h>
#include <stdlib.h>

#include "model/network.h"
#include "model/network_merge.h"
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
                                            .members = 5,
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

/* What the members of one model share. */
struct teaching {
    const struct cmapss_recipe *recipe;
    struct cmapss_choice
        choice; /* shuffled: member m stops by the m-th part of it and learns from the rest */
    const struct cmapss_scaling *scaling;
    const struct cmapss_examples *all; /* the choice as it is */
    uint64_t seed;
};

static int train(const struct teaching *teaching, size_t member, const struct cmapss_examples *examples,
                 const struct cmapss_examples *validation, struct network **out, size_t *epochs)
{
    const struct cmapss_recipe *recipe = teaching->recipe;
    struct network_shape shape = {CMAPSS_INPUTS, recipe->hidden, recipe->layers, 0};
    struct trainer_options options = trainer_defaults;
    struct train_loop_options loop = {
        .epochs = recipe->epochs, .patience = recipe->patience, .learning_rate = recipe->learning_rate};
    options.lanes = recipe->lanes;
    options.window = recipe->window;
    options.weight_decay = recipe->weight_decay;
    options.demand_weight = recipe->demand_weight;
    options.seed = teaching->seed + member;
    struct network *network = network_create(&shape, options.seed);
    struct trainer *trainer = network ? trainer_create(network, &options) : NULL;
    int result = trainer ? 0 : -ENOMEM;
    if (result == 0) {
        train_fit_scaling(network, teaching->all->sequences, teaching->all->count, 0);
        result = train_loop(trainer, network, (struct train_set){examples->sequences, examples->count},
                            (struct train_set){validation->sequences, validation->count}, &loop, note_epoch,
                            epochs);
    }
    trainer_destroy(trainer);
    if (result == 0)
        *out = network;
    else
        network_destroy(network);
    return result;
}

static int train_member(const struct teaching *teaching, size_t member, struct network **out, size_t *epochs)
{
    const struct cmapss_recipe *recipe = teaching->recipe;
    const struct cmapss_choice *choice = &teaching->choice;
    struct cmapss_examples examples = {0}, validation = {0};
    struct cmapss_augment augment = {recipe->copies, recipe->warp, teaching->seed + member};
    size_t from = choice->count * member / recipe->members,
           to = choice->count * (member + 1) / recipe->members;
    size_t *engines = calloc(choice->count + 1, sizeof *engines);
    if (!engines)
        return -ENOMEM;
    memcpy(engines, choice->engines, from * sizeof *engines);
    memcpy(engines + from, choice->engines + to, (choice->count - to) * sizeof *engines);
    struct cmapss_choice learn = {choice->set, engines, choice->count - (to - from)};
    struct cmapss_choice judge = {choice->set, choice->engines + from, to - from};
    int result = cmapss_examples_make(learn, teaching->scaling, &augment, &examples);
    if (result == 0)
        result = cmapss_examples_make(judge, teaching->scaling, NULL, &validation);
    if (result == 0)
        result = train(teaching, member, &examples, &validation, out, epochs);
    cmapss_examples_fini(&examples);
    cmapss_examples_fini(&validation);
    free(engines);
    return result;
}

static int train_all(const struct teaching *teaching, struct cmapss_model *model)
{
    struct network *members[CMAPSS_MEMBERS_MAX] = {0};
    int result = 0;
    for (size_t m = 0; m < teaching->recipe->members && result == 0; m++) {
        size_t epochs = 0;
        result = train_member(teaching, m, &members[m], &epochs);
        model->epochs += epochs;
    }
    if (result == 0)
        result = network_merge(members, teaching->recipe->members, &model->network);
    for (size_t m = 0; m < teaching->recipe->members; m++)
        network_destroy(members[m]);
    return result;
}

int cmapss_train(struct cmapss_choice choice, const struct cmapss_recipe *recipe, uint64_t seed,
                 struct cmapss_model *out)
{
    struct cmapss_model model = {0};
    struct cmapss_examples all = {0};
    if (recipe->members < 2 || recipe->members > CMAPSS_MEMBERS_MAX || choice.count < recipe->members)
        return -EINVAL;
    size_t *order = calloc(choice.count, sizeof *order);
    if (!order)
        return -ENOMEM;
    memcpy(order, choice.engines, choice.count * sizeof *order);
    shuffle(order, choice.count, seed);
    struct teaching teaching = {
        recipe, {choice.set, order, choice.count}, &model.scaling, &all, seed * CMAPSS_MEMBERS_MAX};
    cmapss_scaling_fit(&model.scaling, teaching.choice);
    int result = cmapss_examples_make(teaching.choice, &model.scaling, NULL, &all);
    if (result == 0)
        result = train_all(&teaching, &model);
    cmapss_examples_fini(&all);
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
