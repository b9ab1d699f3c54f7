/* Examples of records: each record under several plans (model/labels.h), as a code that is known (with a
 * profile from other records of the same code) or not known. Repeatable from the seed. */
#ifndef FORESTALL_RETRAIN_DATASET_H
#define FORESTALL_RETRAIN_DATASET_H

#include "model/labels.h"
#include "retrain/records.h"

enum dataset_profiles {
    DATASET_PROFILES_NONE,  /* every code is unknown */
    DATASET_PROFILES_KNOWN, /* every code is known where there are other records of it; the others are left
                               out */
    DATASET_PROFILES_PAST,  /* what records of the code tell that had ended before: as a service knows it */
    DATASET_PROFILES_MIXED  /* half and half, some profiles wrong on purpose: for training */
};

struct dataset_options {
    uint64_t seed;
    enum dataset_profiles profiles;
    size_t plans;    /* most per record; 1 = as recorded only */
    bool stretched;  /* half of the plans of a record on a longer copy of it: for training */
    bool augmented;  /* larger and smaller programs as well, so that absolute sizes are no sign: for
                        training */
    bool staircases; /* also plans in which the limit is raised */
    int32_t horizon_ms;
    double dead_weight; /* of a dead letter beside another record; 0 = 1. For training only: what calibrates
                           must see them as often as they come */
    size_t max_ticks;   /* bound of the whole set */
};

struct example {
    struct labels labels;
    const struct msg_execution_record *record;
    struct label_plan plan;
    bool known; /* has a profile */
    float weight;
};

struct dataset {
    struct example *items;
    size_t count, capacity, ticks;
    size_t left_out; /* examples beyond max_ticks */
    size_t broken;   /* examples with a number that is none */
};

/* What happened, no hypothetical limit or deadline. */
static inline bool example_happened(const struct example *example)
{
    return example->plan.memory_bytes == 0 && example->plan.timeout_ms == 0;
}

/* Adds the chosen records of the set (indexes; NULL = all). 0, -ENOMEM. */
FS_MUST_CHECK int dataset_add(struct dataset *dataset, const struct record_set *records, const size_t *chosen,
                              size_t count, const struct dataset_options *options);
void dataset_fini(struct dataset *dataset);
/* 1 / the probability with which a record's series was included, at most DATASET_INVERSE_MOST. */
#define DATASET_INVERSE_MOST 20.0
double dataset_inverse(const struct msg_execution_record *record);
/* All examples as the trainer wants them (to be freed); NULL when out of memory. */
struct train_sequence *dataset_sequences(const struct dataset *dataset);

#endif
