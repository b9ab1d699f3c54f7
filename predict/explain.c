/* See explain.h. */
#include "predict/explain.h"

#include <math.h>
#include <stdlib.h>

#include "predict/forecast.h"

struct explainer {
    size_t inputs, state_size;
    float *
        influence; /* [inputs]: norm of the input's weights in the first layer, per unit of the raw feature */
    float *features; /* [EXPLAIN_TRIED][inputs] */
    real *states;    /* [EXPLAIN_TRIED][state_size] */
    real *rows[EXPLAIN_TRIED];
    struct network_output out[EXPLAIN_TRIED];
};

static void weigh_inputs(struct explainer *explainer, const struct network *network)
{
    size_t gates = 4 * network->shape.hidden;
    for (size_t i = 0; i < explainer->inputs; i++) {
        const real *weights = network->layers[0].weight + i * gates;
        float sum = 0;
        for (size_t g = 0; g < gates; g++)
            sum += weights[g] * weights[g];
        explainer->influence[i] = sqrtf(sum) * fabsf(network->scale[i]);
    }
}

struct explainer *explainer_create(const struct network *network)
{
    struct explainer *explainer = calloc(1, sizeof *explainer);
    if (!explainer)
        return NULL;
    explainer->inputs = network->shape.inputs;
    explainer->state_size = network_state_size(&network->shape);
    explainer->influence = calloc(explainer->inputs, sizeof *explainer->influence);
    explainer->features = calloc(EXPLAIN_TRIED * explainer->inputs, sizeof *explainer->features);
    explainer->states = calloc(EXPLAIN_TRIED * explainer->state_size, sizeof *explainer->states);
    if (!explainer->influence || !explainer->features || !explainer->states) {
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
    free(explainer->features);
    free(explainer->states);
    free(explainer);
}

/* The inputs furthest from their mean by influence, largest first. */
static size_t choose(const struct explainer *explainer, const struct explain_input *input,
                     size_t tried[EXPLAIN_TRIED])
{
    float pulls[EXPLAIN_TRIED];
    size_t count = 0, inputs = FS_MIN(explainer->inputs, (size_t)FEATURE_COUNT); /* only those have names */
    for (size_t i = 0; i < inputs; i++) {
        float pull = fabsf(input->features[i] - input->network->mean[i]) * explainer->influence[i];
        if (!(pull > 0) || (count == EXPLAIN_TRIED && pull <= pulls[count - 1]))
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
