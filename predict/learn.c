/* See learn.h. */
#include "predict/learn.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "predict/forecast.h"
#include "predict/labels.h"

#define PROBABILITY_LEAST 1e-6 /* a confident error costs at most ln of it */

/* Working memory for one shape of network. */
struct runner {
    struct network_shape shape;
    struct network_scratch *scratch;
    real *state;
};

struct learner {
    size_t ticks;
    struct runner runners[2]; /* champion, challenger */
    struct learn_score scores[2];
    float (*features)[FEATURE_COUNT];
    int8_t (*labels)[ONLINE_CAUSES];
    struct online_example *examples;
};

struct learner *learner_create(size_t ticks)
{
    struct learner *learner = calloc(1, sizeof *learner);
    if (!learner)
        return NULL;
    learner->ticks = ticks;
    learner->features = calloc(ticks, sizeof *learner->features);
    learner->labels = calloc(ticks, sizeof *learner->labels);
    learner->examples = calloc(ticks, sizeof *learner->examples);
    if (learner->features && learner->labels && learner->examples)
        return learner;
    learner_destroy(learner);
    return NULL;
}

static void runner_close(struct runner *runner)
{
    network_scratch_destroy(runner->scratch);
    free(runner->state);
    *runner = (struct runner){0};
}

void learner_destroy(struct learner *learner)
{
    if (!learner)
        return;
    runner_close(&learner->runners[0]);
    runner_close(&learner->runners[1]);
    free(learner->features);
    free(learner->labels);
    free(learner->examples);
    free(learner);
}

static int runner_fit(struct runner *runner, const struct network *network)
{
    const struct network_shape *shape = &network->shape;
    if (runner->scratch && runner->shape.inputs == shape->inputs && runner->shape.hidden == shape->hidden &&
        runner->shape.layers == shape->layers)
        return 0;
    runner_close(runner);
    runner->shape = *shape;
    runner->scratch = network_scratch_create(shape);
    runner->state = calloc(network_state_size(shape), sizeof *runner->state);
    if (runner->scratch && runner->state)
        return 0;
    runner_close(runner);
    return -ENOMEM;
}

/* The features of the newest ticks, with averages warmed by the older ones. Returns how many. */
static size_t features_of(struct learner *learner, const struct code *code,
                          const struct msg_execution_record *record, size_t *first)
{
    struct feature_state state = {0};
    float unused[FEATURE_COUNT];
    size_t all = record->series.count, count = FS_MIN(all, learner->ticks);
    *first = all - count;
    for (size_t i = 0; i < all; i++) {
        const struct msg_series_point *point = &record->series.items[i];
        struct feature_input input = {.time_us = point->time_us,
                                      .started_us = record->started_us,
                                      .timeout_ms = record->request.timeout_ms,
                                      .attempt = record->attempt,
                                      .limits = &point->limits,
                                      .counters = &point->counters,
                                      .profile = &code->summary};
        features_step(&state, &input, i < *first ? unused : learner->features[i - *first]);
    }
    return count;
}

static void score(struct learn_score *into, const struct online_head *head, const char *version,
                  const struct online_example *example)
{
    float logits[ONLINE_CAUSES];
    online_apply(head, version, example->features, example->logits, logits);
    for (size_t c = 0; c < ONLINE_CAUSES; c++) {
        if (example->labels[c] < 0)
            continue;
        double probability = (double)forecast_logistic(logits[c]), label = example->labels[c];
        double right = label > 0 ? probability : 1 - probability;
        into->ticks++;
        into->log_loss -= log(fmax(right, PROBABILITY_LEAST));
        into->squared_error += (probability - label) * (probability - label);
    }
}

static int learn_head(struct learner *learner, bool challenger, const struct network *network,
                      struct online_head *head, const struct msg_execution_record *record, size_t count)
{
    struct runner *runner = &learner->runners[challenger];
    int result = runner_fit(runner, network);
    if (result < 0)
        return result;
    memset(runner->state, 0, network_state_size(&network->shape) * sizeof *runner->state);
    for (size_t i = 0; i < count; i++) {
        struct network_output output;
        struct online_example *example = &learner->examples[i];
        network_step(network, runner->scratch, learner->features[i], &runner->state, &output, 1);
        example->features = learner->features[i];
        forecast_calibrate(network, output.logits, example->logits);
        memcpy(example->labels, learner->labels[i], sizeof example->labels);
        score(&learner->scores[challenger], head, network->version, example);
    }
    online_learn(head, network->version, learner->examples, count, record->series_inclusion);
    return 0;
}

/* What was fitted beside the old champion goes on as the head of the new one. */
static void promote_shadow(struct profile *profile, const char *version)
{
    struct str wanted = str_of(version);
    if (str_equal(str_of(profile->head.version), wanted) ||
        !str_equal(str_of(profile->shadow.version), wanted))
        return;
    profile->head = profile->shadow;
    online_reset(&profile->shadow, "");
}

int learn(struct learner *learner, struct code *code, const struct msg_execution_record *record,
          const struct network *champion, const struct network *challenger)
{
    size_t first;
    if (record->series.count == 0 || !champion)
        return 0;
    promote_shadow(&code->profile, champion->version);
    size_t count = features_of(learner, code, record, &first);
    labels_of(record, first, count, champion->horizon_ms, learner->labels);
    int result = learn_head(learner, false, champion, &code->profile.head, record, count);
    if (result < 0)
        return result;
    if (challenger) {
        labels_of(record, first, count, challenger->horizon_ms, learner->labels);
        result = learn_head(learner, true, challenger, &code->profile.shadow, record, count);
    }
    return result < 0 ? result : (int)count;
}

const struct learn_score *learner_score(const struct learner *learner, bool challenger)
{
    return &learner->scores[challenger];
}
