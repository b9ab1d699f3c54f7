/* See explain.h. */
#include "predict/explain.h"

#include <math.h>
#include <stdlib.h>

#include "predict/forecast.h"

struct explainer {
    size_t inputs, read, state_size; /* read: inputs of the first layer, segments with them */
    float *influence;                /* [read]: norm of the input's weights in the first layer */
    real *usual, *now;               /* [read]: of features at their mean; of those to explain */
    float *features;                 /* [EXPLAIN_TRIED][inputs] */
    real *states;                    /* [EXPLAIN_TRIED][state_size] */
    real *rows[EXPLAIN_TRIED];
    struct network_output out[EXPLAIN_TRIED];
};

static void weigh_inputs(struct explainer *explainer, const struct network *network)
{
    size_t gates = 4 * network->shape.hidden;
    for (size_t i = 0; i < explainer->read; i++) {
        const real *weights = network->layers[0].weight + i * gates;
        float sum = 0;
        for (size_t g = 0; g < gates; g++)
            sum += weights[g] * weights[g];
        explainer->influence[i] = sqrtf(sum);
    }
    network_inputs(network, network->mean, explainer->usual);
}

struct explainer *explainer_create(const struct network *network)
{
    struct explainer *explainer = calloc(1, sizeof *explainer);
    if (!explainer)
        return NULL;
    explainer->inputs = network->shape.inputs;
    explainer->read = network->layers[0].inputs;
    explainer->state_size = network_state_size(&network->shape);
    explainer->influence = calloc(explainer->read, sizeof *explainer->influence);
    explainer->usual = calloc(explainer->read, sizeof *explainer->usual);
    explainer->now = calloc(explainer->read, sizeof *explainer->now);
    explainer->features = calloc(EXPLAIN_TRIED * explainer->inputs, sizeof *explainer->features);
    explainer->states = calloc(EXPLAIN_TRIED * explainer->state_size, sizeof *explainer->states);
    if (!explainer->influence || !explainer->usual || !explainer->now || !explainer->features ||
        !explainer->states) {
        explainer_destroy(explainer);
        return NULL;
    }
    weigh_inputs(explainer, network);
    return explainer;
}

void explainer_destroy(struct explainer *explainer)
{
    if (!explainer)
        return;
    free(explainer->influence);
    free(explainer->usual);
    free(explainer->now);
    free(explainer->features);
    free(explainer->states);
    free(explainer);
}

/* How far an input of the first layer is from where it usually is, by its influence. */
static float pull_of(const struct explainer *explainer, size_t i)
{
    return fabsf((float)(explainer->now[i] - explainer->usual[i])) * explainer->influence[i];
}

/* That something is counted is no reason for a risk. */
static bool is_reason(size_t i)
{
    return i != FEATURE_HAS_READING && i != FEATURE_HAS_DATA;
}

/* The features furthest from their mean by influence, largest first; their segments count with them. */
static size_t choose(const struct explainer *explainer, const struct explain_input *input,
                     size_t tried[EXPLAIN_TRIED])
{
    float pulls[EXPLAIN_TRIED], whole[NETWORK_INPUTS_MAX];
    size_t count = 0, inputs = FS_MIN(explainer->inputs, (size_t)FEATURE_COUNT); /* only those have names */
    network_inputs(input->network, input->features, explainer->now);
    for (size_t i = 0; i < explainer->inputs; i++)
        whole[i] = pull_of(explainer, i);
    for (size_t i = explainer->inputs; i < explainer->read; i++)
        whole[input->network->segments[i - explainer->inputs].feature] += pull_of(explainer, i);
    for (size_t i = 0; i < inputs; i++) {
        float pull = whole[i];
        if (!is_reason(i) || !(pull > 0) || (count == EXPLAIN_TRIED && pull <= pulls[count - 1]))
            continue;
        size_t at = count < EXPLAIN_TRIED ? count++ : count - 1;
        for (; at > 0 && pulls[at - 1] < pull; at--) {
            pulls[at] = pulls[at - 1];
            tried[at] = tried[at - 1];
        }
        pulls[at] = pull;
        tried[at] = i;
    }
    return count;
}

static void insert(struct msg_contribution *terms, size_t *count, struct msg_contribution term)
{
    size_t at = *count < EXPLAIN_TERMS ? (*count)++ : EXPLAIN_TERMS - 1;
    if (at == EXPLAIN_TERMS - 1 && *count == EXPLAIN_TERMS && terms[at].feature.data &&
        fabsf(terms[at].weight) >= fabsf(term.weight))
        return;
    for (; at > 0 && fabsf(terms[at - 1].weight) < fabsf(term.weight); at--)
        terms[at] = terms[at - 1];
    terms[at] = term;
}

size_t explain(struct explainer *explainer, const struct explain_input *input,
               struct msg_contribution terms[EXPLAIN_TERMS])
{
    size_t tried[EXPLAIN_TRIED], count = choose(explainer, input, tried), found = 0;
    for (size_t t = 0; t < count; t++) {
        float *features = explainer->features + t * explainer->inputs;
        memcpy(features, input->features, explainer->inputs * sizeof *features);
        features[tried[t]] = input->network->mean[tried[t]];
        explainer->rows[t] = explainer->states + t * explainer->state_size;
        memcpy(explainer->rows[t], input->state, explainer->state_size * sizeof(real));
    }
    network_step(input->network, input->scratch, explainer->features, explainer->rows, explainer->out, count);
    memset(terms, 0, EXPLAIN_TERMS * sizeof *terms);
    for (size_t t = 0; t < count; t++) {
        float logits[NETWORK_CAUSES];
        network_calibrate(input->network, explainer->out[t].logits, logits);
        if (input->head)
            online_apply(input->head, input->network->version, logits, logits);
        insert(terms, &found,
               (struct msg_contribution){str_of(feature_name((enum feature_index)tried[t])),
                                         input->features[tried[t]], input->logit - logits[input->cause]});
    }
    return found;
}
