/* See dataset.h. */
#include "retrain/dataset.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/hash.h"
#include "model/profile.h"
#include "model/random.h"
#include "retrain/stretch.h"

#define PROFILE_RUNS_MAX 16  /* other records a simulated profile is made of, at most */
#define UNKNOWN_SHARE 0.5    /* of training examples: nothing is known of the code */
#define PAST_SHARE 0.6       /* of the others: what a service would know; the rest is drawn and disturbed */
#define NO_RISE_SHARE 0.3    /* of known ones: no record came with a series, or the profile is from before */
#define UNCOUNTED_SHARE 0.15 /* of training examples: nobody could ask the processes */
#define TYPICAL_TICKS                                                                                        \
    100.0 /* longer sequences weigh less per tick, so that one long run is not the whole set */

struct builder {
    struct dataset *dataset;
    const struct record_set *records;
    const struct dataset_options *options;
    uint64_t seed; /* of the record being worked on */
    bool dead;     /* it is a dead letter */
};

/* Counts up to PROFILE_RUNS_MAX other records of the code that are so like this one, beginning somewhere. 0:
 * there are none. */
static size_t count_others(const struct builder *builder, const struct msg_execution_record *self,
                           double likeness, uint64_t *seed, struct profile *profile)
{
    const struct request_identity what = request_identity(&self->request);
    const struct record_set *set = builder->records;
    struct profile_position nowhere = {.offset = -1};
    size_t wanted = 1 + random_next(seed) % PROFILE_RUNS_MAX, counted = 0,
           first = random_next(seed) % set->count;
    profile_init(profile, self->code);
    for (size_t i = 0; i < set->count && counted < wanted; i++) {
        const struct msg_execution_record *other = &set->items[(first + i) % set->count];
        if (other == self || !str_equal(other->code, self->code))
            continue;
        const struct request_identity that = request_identity(&other->request);
        if (profile_likeness(&what, &that) == likeness)
            counted += profile_count(profile, other, &nowhere, other->ended_us) == 1;
    }
    return counted;
}

static bool ended_before(const struct msg_execution_record *other, const struct msg_execution_record *self)
{
    return other != self && other->ended_us <= self->started_us && str_equal(other->code, self->code);
}

/* Records of the code that had ended when this one began; when there are more than that, the last in the set.
 */
static size_t count_past(const struct builder *builder, const struct msg_execution_record *self, size_t most,
                         struct profile *profile)
{
    const struct record_set *set = builder->records;
    struct profile_position nowhere = {.offset = -1};
    size_t counted = 0, before = 0;
    for (size_t i = 0; i < set->count; i++)
        before += ended_before(&set->items[i], self);
    profile_init(profile, self->code);
    for (size_t i = 0; i < set->count; i++) {
        const struct msg_execution_record *other = &set->items[i];
        if (ended_before(other, self) && before-- <= most)
            counted += profile_count(profile, other, &nowhere, other->ended_us) == 1;
    }
    return counted;
}

static void slow(struct rise *rise, double factor)
{
    for (size_t i = 0; i < RISE_LEVELS; i++) {
        rise->s[i] *= (float)factor;
        rise->cpu_s[i] *= (float)factor;
    }
}

static void scale_needs(struct profile_summary *summary, double memory, double work)
{
    summary->memory_p50 *= memory;
    summary->memory_p95 *= memory;
    summary->memory_max *= memory;
    summary->cpu_time_p50_s *= work;
    summary->cpu_time_p95_s *= work;
    summary->duration_p50_s *= work;
    summary->duration_p95_s *= work;
    summary->io_total_p50 *= work;
    summary->net_total_p50 *= work;
    slow(&summary->rise, work);
}

/* The next run of a code has another input, or is another version: a profile is never exactly right, and
 * sometimes wrong. That of the very command and input is mostly as right as its runs are alike. */
static void disturb(struct profile_summary *summary, uint64_t *seed)
{
    double drawn = random_unit(seed), width = drawn < 0.2 ? 1.5 : 0.15;
    if (summary->likeness == PROFILE_LIKE_INPUT)
        width = drawn < 0.2 ? 1.5 : drawn < 0.34 ? 0.3 : 0.02;
    double memory = random_between(seed, -width, width), work = random_between(seed, -width, width);
    if (random_unit(seed) < 0.5) /* a larger input takes more of everything */
        work = memory;
    scale_needs(summary, exp(memory), exp(work));
}

/* What runs on other sizes needed was scaled by the size (profile_recent.c); programs that were not learned
 * from may grow less with their input than these, or more. */
static void disturb_growth(struct profile_summary *summary, double input_bytes, uint64_t *seed)
{
    if (summary->likeness == PROFILE_LIKE_INPUT || !(summary->input_p50 > 0) ||
        input_bytes < INPUT_SMALL_BYTES || random_unit(seed) < 0.7)
        return;
    double larger =
        fmin(fmax(log(input_bytes / summary->input_p50), -PROFILE_LARGER_MOST), PROFILE_LARGER_MOST);
    double memory = random_between(seed, -1, 0.3), work = random_between(seed, -0.5, 0.5);
    scale_needs(summary, exp(memory * larger), exp(work * larger));
}

/* Most codes run the same command on like inputs again and again; some get other inputs or arguments each
 * time. False: the code has no other records. */
static bool draw_profile(struct builder *builder, const struct msg_execution_record *record,
                         struct profile *profile)
{
    static const double likenesses[] = {PROFILE_LIKE_INPUT, PROFILE_LIKE_COMMAND, PROFILE_LIKE_CODE};
    double drawn = random_unit(&builder->seed);
    size_t first = drawn < 0.7 ? 0 : drawn < 0.8 ? 1 : 2;
    for (size_t i = 0; i < FS_COUNT(likenesses); i++)
        if (count_others(builder, record, likenesses[(first + i) % FS_COUNT(likenesses)], &builder->seed,
                         profile) > 0)
            return true;
    return false;
}

/* As a service knows it: from what ended before, whatever it was. */
static bool past_profile(const struct builder *builder, const struct msg_execution_record *record,
                         size_t most, struct profile_summary *out)
{
    struct profile profile;
    const struct request_identity what = request_identity(&record->request);
    if (count_past(builder, record, most, &profile) == 0)
        return false;
    profile_summarise(&profile, &what, out);
    return true;
}

static bool drawn_profile(struct builder *builder, const struct msg_execution_record *record,
                          struct profile_summary *out)
{
    struct profile profile;
    const struct request_identity what = request_identity(&record->request);
    if (!draw_profile(builder, record, &profile))
        return false;
    profile_summarise(&profile, &what, out);
    return true;
}

static bool training_profile(struct builder *builder, const struct msg_execution_record *record,
                             struct profile_summary *out)
{
    if (random_unit(&builder->seed) < UNKNOWN_SHARE)
        return false;
    if (!(random_unit(&builder->seed) < PAST_SHARE &&
          past_profile(builder, record, PROFILE_RECENT_MAX, out))) {
        if (!drawn_profile(builder, record, out))
            return false;
        disturb(out, &builder->seed);
    }
    disturb_growth(out, (double)request_identity(&record->request).input_bytes, &builder->seed);
    if (random_unit(&builder->seed) < NO_RISE_SHARE)
        out->rise = (struct rise){0};
    return true;
}

/* The profile of an example: true when it has one. */
static bool simulate_profile(struct builder *builder, const struct msg_execution_record *record,
                             struct profile_summary *out)
{
    switch (builder->options->profiles) {
    case DATASET_PROFILES_MIXED:
        return training_profile(builder, record, out);
    case DATASET_PROFILES_KNOWN:
        return drawn_profile(builder, record, out);
    case DATASET_PROFILES_PAST:
        return past_profile(builder, record, SIZE_MAX, out);
    case DATASET_PROFILES_NONE:
        break;
    }
    return false;
}

static bool grow(struct dataset *dataset)
{
    if (dataset->count < dataset->capacity)
        return true;
    size_t capacity = dataset->capacity ? 2 * dataset->capacity : 256;
    struct example *items = realloc(dataset->items, capacity * sizeof *items);
    if (!items)
        return false;
    dataset->items = items;
    dataset->capacity = capacity;
    return true;
}

double dataset_inverse(const struct msg_execution_record *record)
{
    double inclusion = (double)record->series_inclusion;
    return inclusion > 0 && inclusion < 1 ? fmin(1 / inclusion, DATASET_INVERSE_MOST) : 1;
}

static float weight_of(const struct msg_execution_record *record, size_t ticks)
{
    return (float)(dataset_inverse(record) * fmin(1, sqrt(TYPICAL_TICKS / (double)ticks)));
}

static bool all_finite(const float *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(numbers[i]))
            return false;
    return true;
}

/* One number that is none would be in every weight after the first step. */
static bool usable(const struct labels *labels, float weight)
{
    size_t n = labels->ticks;
    return isfinite(weight) && all_finite(labels->features, n * FEATURE_COUNT) &&
           all_finite(labels->label, n * NETWORK_CAUSES) && all_finite(labels->mask, n * NETWORK_CAUSES) &&
           all_finite(labels->demand, n * NETWORK_RESOURCES) &&
           all_finite(labels->demand_mask, n * NETWORK_RESOURCES);
}

static void stretch_profile(struct profile_summary *profile, double factor)
{
    double *const work[] = {&profile->cpu_time_p50_s, &profile->cpu_time_p95_s, &profile->duration_p50_s,
                            &profile->duration_p95_s, &profile->io_total_p50,   &profile->net_total_p50};
    for (size_t i = 0; i < FS_COUNT(work); i++)
        *work[i] *= factor;
    slow(&profile->rise, factor);
}

/* source: the record or a stretched copy of it, which is not kept. */
static int add_example(struct builder *builder, const struct msg_execution_record *record,
                       const struct msg_execution_record *source, double factor,
                       const struct label_plan *plan)
{
    struct dataset *dataset = builder->dataset;
    struct profile_summary summary;
    struct example example = {.record = record, .plan = *plan};
    example.known = simulate_profile(builder, record, &summary);
    if (builder->options->profiles == DATASET_PROFILES_KNOWN && !example.known)
        return 0;
    if (example.known && factor > 1)
        stretch_profile(&summary, factor);
    if (!grow(dataset))
        return -ENOMEM;
    int result = labels_make(source, plan, example.known ? &summary : NULL, builder->options->horizon_ms,
                             &example.labels);
    if (result == -ENODATA || result == -EINVAL)
        return 0;
    if (result < 0)
        return result;
    if (dataset->ticks + example.labels.ticks > builder->options->max_ticks) {
        dataset->left_out++;
        labels_fini(&example.labels);
        return 0;
    }
    example.weight = weight_of(record, example.labels.ticks);
    if (builder->dead && builder->options->dead_weight > 0)
        example.weight *= (float)builder->options->dead_weight;
    if (!usable(&example.labels, example.weight)) {
        dataset->broken++;
        labels_fini(&example.labels);
        return 0;
    }
    dataset->ticks += example.labels.ticks;
    dataset->items[dataset->count++] = example;
    return 0;
}

/* The first plan (as recorded) and a random choice of the others, of the record or of a stretched one. */
static int add_plans(struct builder *builder, const struct msg_execution_record *record, double factor,
                     size_t most)
{
    struct label_plan plans[LABEL_PLANS_MAX];
    struct msg_execution_record stretched = {0};
    size_t count, used = 0;
    int result = factor > 1 ? stretch_record(record, factor, &stretched) : 0;
    if (result < 0)
        return result == -EINVAL ? 0 : result;
    const struct msg_execution_record *source = factor > 1 ? &stretched : record;
    count = label_plans_draw(source, random_next(&builder->seed), plans);
    for (size_t i = count; i > 2; i--) {
        size_t k = 1 + random_next(&builder->seed) % (i - 1);
        struct label_plan kept = plans[i - 1];
        plans[i - 1] = plans[k];
        plans[k] = kept;
    }
    for (size_t i = 0; i < count && used < most && result == 0; i++) {
        if (plans[i].raise_at > 0 && !builder->options->staircases)
            continue;
        used++;
        if (builder->options->augmented) {
            plans[i].memory_scale = random_log_between(&builder->seed, 0.2, 5);
            plans[i].data_scale = random_log_between(&builder->seed, 0.2, 5);
            plans[i].uncounted = random_unit(&builder->seed) < UNCOUNTED_SHARE;
        }
        result = add_example(builder, record, source, factor, &plans[i]);
    }
    free(stretched.series.items); /* NULL unless stretched */
    return result;
}

static int add_record(struct builder *builder, const struct msg_execution_record *record)
{
    size_t most = builder->options->plans;
    int result = add_plans(builder, record, 1, builder->options->stretched ? (most + 1) / 2 : most);
    if (result < 0 || !builder->options->stretched || most < 2)
        return result;
    return add_plans(builder, record, random_log_between(&builder->seed, 1.2, 12), most / 2);
}

int dataset_add(struct dataset *dataset, const struct record_set *records, const size_t *chosen, size_t count,
                const struct dataset_options *options)
{
    struct builder builder = {.dataset = dataset, .records = records, .options = options};
    for (size_t i = 0; i < (chosen ? count : records->count); i++) {
        size_t index = chosen ? chosen[i] : i;
        const struct msg_execution_record *record = &records->items[index];
        builder.dead = records->dead && records->dead[index];
        builder.seed = options->seed ^ hash_bytes(record->execution, sizeof record->execution);
        int result = add_record(&builder, record);
        if (result < 0)
            return result;
    }
    return 0;
}

void dataset_fini(struct dataset *dataset)
{
    for (size_t i = 0; i < dataset->count; i++)
        labels_fini(&dataset->items[i].labels);
    free(dataset->items);
    *dataset = (struct dataset){0};
}

struct train_sequence *dataset_sequences(const struct dataset *dataset)
{
    struct train_sequence *sequences = calloc(dataset->count + 1, sizeof *sequences);
    for (size_t i = 0; sequences && i < dataset->count; i++)
        sequences[i] = labels_sequence(&dataset->items[i].labels, dataset->items[i].weight);
    return sequences;
}
