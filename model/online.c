/* See online.h. */
#include "model/online.h"

#include <errno.h>
#include <math.h>

#define OFFSET_SPREAD 0.5 /* of the prior: codes differ by so much in the logit */
#define SLOPE_SPREAD 0.125
#define FADES 0.98 /* of what earlier records told, per record: half after 34 */
#define OFFSET_MAX 8.0f
#define SLOPE_MIN 0.2f /* a correction never turns the backbone's order round */
#define SLOPE_MAX 5.0f
#define LOGIT_MAX 20.0f
#define INVERSE_MAX 20.0f /* most weight of a record that was included with a small probability */
#define ITERATIONS 12
#define CLOSE 1e-4
#define CURVATURE_LEAST 1e-4 /* of a tick: what is certain still holds the step back */
#define HEADER 3             /* format, records, examples */
#define KEPT 5               /* numbers of a cause: information and pull */

/* A symmetric matrix of offset and slope, and a vector. */
struct square {
    double oo, os, ss;
};
struct pair {
    double offset, slope;
};

static float bound(float value, float least, float most)
{
    if (!(value >= least)) /* also NaN */
        return least;
    return value > most ? most : value;
}

/* The prior's share is on the diagonal, so what is solved with is never singular. */
static struct square with_prior(const struct online_cause *cause, double fades)
{
    return (struct square){
        (double)cause->information[0] * fades + 1 / (OFFSET_SPREAD * OFFSET_SPREAD),
        (double)cause->information[1] * fades,
        (double)cause->information[2] * fades + 1 / (SLOPE_SPREAD * SLOPE_SPREAD),
    };
}

static struct pair solve(const struct square *a, const struct pair *b)
{
    double determinant = a->oo * a->ss - a->os * a->os;
    return (struct pair){(a->ss * b->offset - a->os * b->slope) / determinant,
                         (a->oo * b->slope - a->os * b->offset) / determinant};
}

static struct pair times(const struct square *a, const struct pair *b)
{
    return (struct pair){a->oo * b->offset + a->os * b->slope, a->os * b->offset + a->ss * b->slope};
}

/* Offset and slope from what is kept. */
static void conclude(struct online_cause *cause)
{
    const struct square precision = with_prior(cause, 1);
    const struct pair pull = {(double)cause->pull[0], (double)cause->pull[1]};
    struct pair correction = solve(&precision, &pull);
    cause->offset = bound((float)correction.offset, -OFFSET_MAX, OFFSET_MAX);
    cause->slope = bound(1 + (float)correction.slope, SLOPE_MIN, SLOPE_MAX);
}

void online_reset(struct online_head *head, const char *version)
{
    *head = (struct online_head){0};
    str_copy(head->version, sizeof head->version, str_of(version));
    for (size_t c = 0; c < ONLINE_CAUSES; c++)
        head->causes[c].slope = 1;
}

/* Adds the ticks of a record to the gradient and the curvature of the posterior's logarithm at `at`. */
static void add_ticks(const struct online_example *examples, size_t count, size_t c, double weight,
                      const struct pair *at, struct pair *gradient, struct square *curvature)
{
    for (size_t i = 0; i < count; i++) {
        if (examples[i].labels[c] < 0)
            continue;
        double logit = (double)bound(examples[i].logits[c], -LOGIT_MAX, LOGIT_MAX);
        double chance = 1 / (1 + exp(-((1 + at->slope) * logit + at->offset)));
        double error = weight * (chance - (examples[i].labels[c] > 0 ? 1 : 0));
        double curve = weight * fmax(chance * (1 - chance), CURVATURE_LEAST);
        gradient->offset += error;
        gradient->slope += error * logit;
        curvature->oo += curve;
        curvature->os += curve * logit;
        curvature->ss += curve * logit * logit;
    }
}

/* weight: of each labelled tick. */
static void learn_cause(struct online_cause *cause, const struct online_example *examples, size_t count,
                        size_t c, double weight)
{
    const struct square prior = with_prior(cause, FADES);
    const struct pair pull = {(double)cause->pull[0] * FADES, (double)cause->pull[1] * FADES};
    struct pair at = solve(&prior, &pull);
    struct square precision = prior;
    for (int i = 0; i < ITERATIONS; i++) {
        struct pair gradient = times(&prior, &at);
        gradient.offset -= pull.offset;
        gradient.slope -= pull.slope;
        precision = prior;
        add_ticks(examples, count, c, weight, &at, &gradient, &precision);
        struct pair step = solve(&precision, &gradient);
        double size = fmax(fabs(step.offset), fabs(step.slope)), damp = size > 1 ? 1 / size : 1;
        at.offset -= damp * step.offset;
        at.slope -= damp * step.slope;
        if (size < CLOSE)
            break;
    }
    struct pair next = times(&precision, &at);
    cause->information[0] = (float)(precision.oo - 1 / (OFFSET_SPREAD * OFFSET_SPREAD));
    cause->information[1] = (float)precision.os;
    cause->information[2] = (float)(precision.ss - 1 / (SLOPE_SPREAD * SLOPE_SPREAD));
    cause->pull[0] = (float)next.offset;
    cause->pull[1] = (float)next.slope;
    conclude(cause);
}

void online_learn(struct online_head *head, const char *version, const struct online_example *examples,
                  size_t count, float inclusion)
{
    size_t labelled[ONLINE_CAUSES] = {0}, seen = 0;
    if (!str_equal(str_of(head->version), str_of(version)))
        online_reset(head, version);
    double inverse = inclusion > 0 && inclusion < 1 ? (double)fminf(1 / inclusion, INVERSE_MAX) : 1;
    for (size_t i = 0; i < count; i++) {
        bool any = false;
        for (size_t c = 0; c < ONLINE_CAUSES; c++) {
            labelled[c] += examples[i].labels[c] >= 0;
            any |= examples[i].labels[c] >= 0;
        }
        seen += any;
    }
    for (size_t c = 0; c < ONLINE_CAUSES; c++)
        if (labelled[c] > 0)
            learn_cause(&head->causes[c], examples, count, c,
                        fmin(1, ONLINE_RECORD_WEIGHT / (double)labelled[c]) * inverse);
    head->examples += (int64_t)seen;
    head->records += seen > 0;
}

bool online_ready(const struct online_head *head, const char *version)
{
    return head->version[0] && str_equal(str_of(head->version), str_of(version)) && head->records > 0;
}

void online_apply(const struct online_head *head, const char *version, const float logits[ONLINE_CAUSES],
                  float out[ONLINE_CAUSES])
{
    bool ready = online_ready(head, version);
    for (size_t c = 0; c < ONLINE_CAUSES; c++) {
        float logit = bound(logits[c], -LOGIT_MAX, LOGIT_MAX);
        if (ready)
            logit = head->causes[c].slope * logit + head->causes[c].offset;
        out[c] = bound(logit, -LOGIT_MAX, LOGIT_MAX);
    }
}

static bool finite_all(const struct msg_float_array *array)
{
    for (size_t i = 0; i < array->count; i++)
        if (!isfinite(array->items[i]))
            return false;
    return true;
}

/* Information that no record can have given is none. */
static void load_cause(struct online_cause *cause, const float from[KEPT])
{
    double determinant = (double)from[0] * (double)from[2] - (double)from[1] * (double)from[1];
    if (from[0] >= 0 && from[2] >= 0 && determinant >= -1e-3 * (double)from[0] * (double)from[2]) {
        memcpy(cause->information, from, sizeof cause->information);
        memcpy(cause->pull, from + 3, sizeof cause->pull);
    }
    conclude(cause);
}

int online_load(struct online_head *head, struct str version, const struct msg_float_array *weights,
                const struct msg_float_array *calibration)
{
    online_reset(head, "");
    if (version.size == 0)
        return 0;
    if (version.size >= sizeof head->version || weights->count != HEADER + (size_t)ONLINE_CAUSES * KEPT ||
        calibration->count != (size_t)(ONLINE_CAUSES * 2) || !finite_all(weights) ||
        !finite_all(calibration) || weights->items[0] != (float)ONLINE_FORMAT)
        return -EBADMSG;
    str_copy(head->version, sizeof head->version, version);
    head->records = (int64_t)bound(weights->items[1], 0, 1e9f);
    head->examples = (int64_t)bound(weights->items[2], 0, 1e9f);
    for (size_t c = 0; c < ONLINE_CAUSES; c++)
        load_cause(&head->causes[c], weights->items + HEADER + c * KEPT);
    return 0;
}

int online_store(const struct online_head *head, struct arena *arena, struct msg_float_array *weights,
                 struct msg_float_array *calibration)
{
    size_t count = head->version[0] ? HEADER + ONLINE_CAUSES * KEPT : 0;
    size_t pairs = head->version[0] ? ONLINE_CAUSES * 2 : 0;
    float *to = arena_alloc(arena, count, sizeof *to), *slopes = arena_alloc(arena, pairs, sizeof *slopes);
    if (!to || !slopes)
        return -ENOMEM;
    *weights = (struct msg_float_array){.items = to, .count = count};
    *calibration = (struct msg_float_array){.items = slopes, .count = pairs};
    if (count == 0)
        return 0;
    *to++ = ONLINE_FORMAT;
    *to++ = (float)head->records;
    *to++ = (float)head->examples;
    for (size_t c = 0; c < ONLINE_CAUSES; c++) {
        const struct online_cause *cause = &head->causes[c];
        memcpy(to, cause->information, sizeof cause->information);
        memcpy(to + 3, cause->pull, sizeof cause->pull);
        to += KEPT;
        slopes[2 * c] = cause->slope;
        slopes[2 * c + 1] = cause->offset;
    }
    return 0;
}
