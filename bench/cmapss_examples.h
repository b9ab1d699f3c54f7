/* Series of engines as the trainer wants them. Inputs of a cycle: every column in standard deviations of its
 * flight regime, and the age so far. Nothing looks ahead; nothing knows how long the
 * series is. Cause 0 is the task that is scored, "fails within the next 30 cycles"; the other causes are the
 * same question at other horizons and demand of resource 0 is the life left, which teach the same state and
 * are not scored. */
#ifndef FORESTALL_BENCH_CMAPSS_EXAMPLES_H
#define FORESTALL_BENCH_CMAPSS_EXAMPLES_H

#include "bench/cmapss_data.h"
#include "model/train.h"

#define CMAPSS_HORIZON 30 /* cycles: positive when so many or fewer are left */
#define CMAPSS_INPUTS (CMAPSS_COLUMNS + 1)
#define CMAPSS_REGIMES_MAX 16

struct cmapss_scaling {
    size_t regimes;
    double settings[CMAPSS_REGIMES_MAX][CMAPSS_SETTINGS]; /* of the first row seen of each */
    double mean[CMAPSS_REGIMES_MAX][CMAPSS_COLUMNS];
    double scale[CMAPSS_REGIMES_MAX][CMAPSS_COLUMNS]; /* 1 / deviation; 0 = constant */
};

/* Some engines of a set, by index. */
struct cmapss_choice {
    const struct cmapss_set *set;
    const size_t *engines;
    size_t count;
};

/* From these engines only. Regimes beyond CMAPSS_REGIMES_MAX count as the nearest. */
void cmapss_scaling_fit(struct cmapss_scaling *scaling, struct cmapss_choice choice);

struct cmapss_examples {
    struct train_sequence *sequences;
    size_t count, cycles;
    float *block; /* all numbers of all sequences */
};

/* More of few engines: every series so many times, all but the first lived faster or slower by a factor drawn
 * from 1 / warp to warp. */
struct cmapss_augment {
    size_t copies;
    double warp;
    uint64_t seed;
};

/* augment: NULL = as they are. 0, -ENOMEM. */
FS_MUST_CHECK int cmapss_examples_make(struct cmapss_choice choice, const struct cmapss_scaling *scaling,
                                       const struct cmapss_augment *augment, struct cmapss_examples *out);
/* Labels of cause 0, cycle after cycle and engine after engine [examples->cycles]. */
void cmapss_labels(const struct cmapss_examples *examples, float *labels);
void cmapss_examples_fini(struct cmapss_examples *examples);

#endif
