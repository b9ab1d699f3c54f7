/* How fast the trainer is: forward, loss, back-propagation, clipping and Adam.
 *
 *     make bench-train
 *
 * A step is one tick of one sequence; arguments: how many threads, and bfloat16. Prints one JSON object;
 * bench/train.py does the same work in PyTorch and puts the two beside each other. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "model/features.h"
#include "model/random.h"
#include "model/train.h"
#include "model/train_products.h"

#define HIDDEN 64
#define LAYERS 2
#define WINDOW ((size_t)64)
#define LANES ((size_t)256)
#define WINDOWS 4 /* of a sequence: state is carried over, as in training */
#define STEPS (WINDOW * WINDOWS)
#define SECONDS 10.0

struct work {
    float features[LANES][STEPS * FEATURE_COUNT];
    float labels[LANES][STEPS * NETWORK_CAUSES], demand[LANES][STEPS * NETWORK_RESOURCES];
    float label_mask[STEPS * NETWORK_CAUSES], demand_mask[STEPS * NETWORK_RESOURCES]; /* all ones */
    int8_t horizons[LANES][STEPS * NETWORK_HORIZONS * NETWORK_CAUSES];
    struct train_sequence sequences[LANES];
};

static void fill(float *numbers, size_t count, bool binary, uint64_t *seed)
{
    for (size_t i = 0; i < count; i++) {
        double drawn = random_between(seed, -1, 1);
        numbers[i] = (float)(binary ? drawn > 0.8 : drawn);
    }
}

static void draw(struct work *work)
{
    uint64_t seed = 1;
    for (size_t i = 0; i < FS_COUNT(work->label_mask); i++)
        work->label_mask[i] = 1;
    for (size_t i = 0; i < FS_COUNT(work->demand_mask); i++)
        work->demand_mask[i] = 1;
    for (size_t s = 0; s < LANES; s++) {
        fill(work->features[s], FS_COUNT(work->features[s]), false, &seed);
        fill(work->labels[s], FS_COUNT(work->labels[s]), true, &seed);
        fill(work->demand[s], FS_COUNT(work->demand[s]), false, &seed);
        for (size_t i = 0; i < FS_COUNT(work->horizons[s]); i++)
            work->horizons[s][i] = random_between(&seed, -1, 1) > 0.8;
        work->sequences[s] = (struct train_sequence){.steps = STEPS,
                                                     .features = work->features[s],
                                                     .labels = work->labels[s],
                                                     .label_mask = work->label_mask,
                                                     .demand = work->demand[s],
                                                     .demand_mask = work->demand_mask,
                                                     .weight = 1,
                                                     .horizons = work->horizons[s]};
    }
}

struct speed {
    double per_s,
        per_cpu_s; /* steps; the second is what a core of its own would give. NAN: a loss was not finite */
};

static double cpu_seconds(void)
{
    struct timespec now;
    return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0
               ? (double)now.tv_sec + (double)now.tv_nsec * 1e-9
               : NAN;
}

static struct speed measure(struct trainer *trainer, const struct work *work)
{
    double loss = trainer_epoch(trainer, work->sequences, LANES), spent_s = 0; /* the first one warms up */
    size_t epochs = 0;
    double cpu_began_s = cpu_seconds();
    int64_t began_us = clock_monotonic_us();
    for (; isfinite(loss) && spent_s < SECONDS; epochs++) {
        loss = trainer_epoch(trainer, work->sequences, LANES);
        spent_s = (double)(clock_monotonic_us() - began_us) * 1e-6;
    }
    double steps = isfinite(loss) ? (double)(epochs * LANES * STEPS) : NAN;
    return (struct speed){steps / spent_s, steps / (cpu_seconds() - cpu_began_s)};
}

static int measure_and_tell(size_t threads, bool bfloat16)
{
    struct trainer_options options = trainer_defaults;
    struct work *work = calloc(1, sizeof *work);
    struct network *network = network_create(&(struct network_shape){FEATURE_COUNT, HIDDEN, LAYERS, 0}, 1);
    options.lanes = LANES;
    options.window = WINDOW;
    options.bfloat16 = bfloat16;
    options.threads = threads;
    struct trainer *trainer = network ? trainer_create(network, &options) : NULL;
    struct speed speed = {NAN, NAN};
    if (work && trainer) {
        draw(work);
        speed = measure(trainer, work);
    }
    json_t *line =
        json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f}", "bench", "train",
                  "implementation", "forestall", "products", bfloat16 ? "bfloat16" : "single", "inputs",
                  (int)FEATURE_COUNT, "causes", NETWORK_CAUSES * (1 + NETWORK_HORIZONS), "hidden", HIDDEN,
                  "layers", LAYERS, "window", (int)WINDOW, "batch", (int)LANES, "threads", (int)threads,
                  "steps_per_s", round(speed.per_s), "steps_per_cpu_s", round(speed.per_cpu_s));
    bool ok = line && json_dumpf(line, stdout, 0) == 0 && putchar('\n') != EOF && fflush(stdout) == 0;
    json_decref(line);
    trainer_destroy(trainer);
    network_destroy(network);
    free(work);
    if (!ok)
        (void)fputs("bench-train: out of memory, or the result cannot be written\n", stderr);
    return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    long threads = argc > 1 ? strtol(argv[1], NULL, 10) : 1;
    bool bfloat16 = argc > 2 && strcmp(argv[2], "bfloat16") == 0;
    if (threads < 1 || threads > (long)LANES || argc > 3 || (argc == 3 && !bfloat16)) {
        (void)fputs("bench-train [THREADS [bfloat16]]\n", stderr);
        return 2;
    }
    if (bfloat16 && !train_products_available()) {
        (void)fputs("bench-train: NOT MEASURED: this CPU has no products of bfloat16 numbers (AVX512_BF16)\n",
                    stderr);
        return 0;
    }
    return measure_and_tell((size_t)threads, bfloat16);
}
