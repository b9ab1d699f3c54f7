/* See learn.h. */
#include "predict/learn.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "model/labels.h"
#include "predict/forecast.h"

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
    struct online_example *examples; /* [ticks] */
};

struct learner *learner_create(size_t ticks)
{
    struct learner *learner = calloc(1, sizeof *learner);
    if (!learner)
        return NULL;
    learner->ticks = ticks;
    learner->examples = calloc(ticks, sizeof *learner->examples);
    if (learner->examples)
        return learner;
    free(learner);
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
    free(learner->examples);
    free(learner);
}

static int runner_fit(struct runner *runner, const struct network *network)
{
    const struct network_shape *shape = &network->shape;
    if (runner->scratch && runner->shape.inputs == shape->inputs &&
        runner->shape.segments == shape->segments && runner->shape.hidden == shape->hidden &&
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

static void score(struct learn_score *into, const struct online_head *head, const char *version,
                  const struct online_example *example)
{
    float logits[ONLINE_CAUSES];
    online_apply(head, version, example->logits, logits);
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

/* The newest ticks with the network's answers, scored by the head before it learns from them. Returns how
 * many. */
static size_t run(struct learner *learner, bool challenger, const struct network *network,
                  const struct online_head *head, const struct labels *labels)
{
    struct runner *runner = &learner->runners[challenger];
    size_t count = FS_MIN(labels->ticks, learner->ticks), first = labels->ticks - count;
    memset(runner->state, 0, network_state_size(&network->shape) * sizeof *runner->state);
    for (size_t i = 0; i < count; i++) {
        struct network_output output;
        struct online_example *example = &learner->examples[i];
        const float *label = labels->label + (first + i) * NETWORK_CAUSES;
        const float *mask = labels->mask + (first + i) * NETWORK_CAUSES;
        const float *features = labels->features + (first + i) * FEATURE_COUNT;
        network_step(network, runner->scratch, features, &runner->state, &output, 1);
        network_calibrate(network, output.logits, example->logits);
        for (size_t c = 0; c < ONLINE_CAUSES; c++)
            example->labels[c] = (int8_t)(mask[c] > 0 ? label[c] > 0.5f : -1);
        score(&learner->scores[challenger], head, network->version, example);
    }
    return count;
}

/* Number of ticks, 0 when the record's series says nothing. */
static int learn_head(struct learner *learner, bool challenger, const struct network *network,
                      struct online_head *head, const struct profile_summary *summary,
                      const struct msg_execution_record *record)
{
    struct labels labels;
    const struct label_plan as_recorded = {0};
    int result = runner_fit(&learner->runners[challenger], network);
    if (result == 0)
        result = labels_make(record, &as_recorded, summary, network->horizon_ms, &labels);
    if (result < 0)
        return result == -ENOMEM ? result : 0;
    size_t count = run(learner, challenger, network, head, &labels);
    online_learn(head, network->version, learner->examples, count, record->series_inclusion);
    labels_fini(&labels);
    return (int)count;
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
    struct profile_summary summary;
    if (record->series.count == 0 || !champion)
        return 0;
    const struct request_identity what = request_identity(&record->request);
    profile_summarise(&code->profile, &what, &summary);
    const struct profile_summary *known = summary.runs > 0 ? &summary : NULL;
    promote_shadow(&code->profile, champion->version);
    int ticks = learn_head(learner, false, champion, &code->profile.head, known, record);
    if (ticks < 0 || !challenger)
        return ticks;
    int shadow_ticks = learn_head(learner, true, challenger, &code->profile.shadow, known, record);
    return shadow_ticks < 0 ? shadow_ticks : ticks;
}

const struct learn_score *learner_score(const struct learner *learner, bool challenger)
{
    return &learner->scores[challenger];
}
