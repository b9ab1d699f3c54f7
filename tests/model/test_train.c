/* The trainer learns: a signal that only memory can carry, quantiles of a known distribution, windows that
 * carry state, and the same numbers from the same seed. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "model/train_checkpoint.h"
#include "model/train_loop.h"

#define STEPS 60
#define COUNT 128
#define INPUTS 2

struct data {
    struct train_sequence sequences[COUNT];
    float features[COUNT][STEPS * INPUTS];
    float labels[COUNT][STEPS * NETWORK_CAUSES], label_mask[COUNT][STEPS * NETWORK_CAUSES];
    float demand[COUNT][STEPS * NETWORK_RESOURCES], demand_mask[COUNT][STEPS * NETWORK_RESOURCES];
};

static double uniform(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (double)(*seed >> 8) / 16777216.0;
}

/* A pulse at step 3 (feature 0) decides the label of every later step, also beyond the window; feature 1 is
 * noise. The demand of memory is exponential, ln ratio = -ln(u), everywhere; other resources are masked. */
static struct data *make(unsigned seed)
{
    struct data *data = calloc(1, sizeof *data);
    assert_non_null(data);
    for (size_t s = 0; s < COUNT; s++) {
        float pulse = (float)(s % 2);
        for (size_t t = 0; t < STEPS; t++) {
            data->features[s][t * INPUTS] = t == 3 ? pulse : 0;
            data->features[s][t * INPUTS + 1] = (float)uniform(&seed);
            data->labels[s][t * NETWORK_CAUSES] = t > 3 ? pulse : 0;
            data->label_mask[s][t * NETWORK_CAUSES] = 1;
            data->demand[s][t * NETWORK_RESOURCES] = (float)-log(1 - uniform(&seed));
            data->demand_mask[s][t * NETWORK_RESOURCES] = 1;
        }
        data->sequences[s] = (struct train_sequence){.steps = STEPS,
                                                     .features = data->features[s],
                                                     .labels = data->labels[s],
                                                     .label_mask = data->label_mask[s],
                                                     .demand = data->demand[s],
                                                     .demand_mask = data->demand_mask[s],
                                                     .weight = 1};
    }
    return data;
}

static struct network *trained_by(const struct data *data, size_t threads, int epochs, double *first,
                                  double *last)
{
    struct trainer_options options = trainer_defaults;
    struct network *network = network_create(&(struct network_shape){INPUTS, 12, 1, 0}, 5);
    options.lanes = 16 * threads;
    options.window = 20;
    options.learning_rate = 0.01;
    options.demand_weight = 1;
    options.threads = threads;
    train_fit_scaling(network, data->sequences, COUNT, 0);
    struct trainer *trainer = trainer_create(network, &options);
    assert_true(network && trainer);
    *first = trainer_evaluate(trainer, data->sequences, COUNT);
    for (int epoch = 0; epoch < epochs; epoch++) {
        if (epoch == epochs * 3 / 4)
            trainer_set_learning_rate(trainer, 0.002);
        *last = trainer_epoch(trainer, data->sequences, COUNT);
    }
    trainer_destroy(trainer);
    return network;
}

static struct network *trained(const struct data *data, int epochs, double *first, double *last)
{
    return trained_by(data, 1, epochs, first, last);
}

static void epoch__a_pulse_long_ago__is_remembered_across_windows(void **state)
{
    (void)state;
    struct data *data = make(1);
    double first, last;
    struct network *network = trained(data, 40, &first, &last);
    print_message("loss %.4f -> %.4f\n", first, last);
    assert_true(last < first);
    struct network_scratch *scratch = network_scratch_create(&network->shape);
    for (size_t s = 0; s < 2; s++) {
        real memory[24] = {0}, *states = memory;
        struct network_output out = {0};
        for (size_t t = 0; t < STEPS; t++)
            network_step(network, scratch, data->features[s] + t * INPUTS, &states, &out, 1);
        print_message("pulse %zu: probability %.4f\n", s, (double)out.probabilities[0]);
        assert_true(s ? out.probabilities[0] > 0.9f : out.probabilities[0] < 0.1f);
        /* quantiles of an exponential: ln 2, ln 10, ln 100 */
        print_message("quantiles %.3f %.3f %.3f (0.693 2.303 4.605)\n", (double)out.demand[0][0],
                      (double)out.demand[0][1], (double)out.demand[0][2]);
        assert_true(fabs((double)out.demand[0][0] - 0.693) < 0.15 &&
                    fabs((double)out.demand[0][1] - 2.303) < 0.35 &&
                    fabs((double)out.demand[0][2] - 4.605) < 1.2);
    }
    network_scratch_destroy(scratch);
    network_destroy(network);
    free(data);
}

static void epoch__same_seed__same_weights(void **state)
{
    (void)state;
    struct data *data = make(2);
    double unused;
    struct network *one = trained(data, 2, &unused, &unused), *two = trained(data, 2, &unused, &unused);
    assert_memory_equal(one->weights, two->weights, one->weight_count * sizeof(real));
    network_destroy(one);
    network_destroy(two);
    free(data);
}

static void epoch__threads__share_the_lanes(void **state)
{
    (void)state;
    struct data *data = make(4);
    double unused, alone[2], shared[2];
    for (size_t threads = 2; threads <= 4; threads++) {
        struct network *one = trained_by(data, threads, 3, &unused, &alone[0]),
                       *two = trained_by(data, threads, 3, &unused, &alone[1]);
        assert_memory_equal(one->weights, two->weights, one->weight_count * sizeof(real)); /* repeatable */
        network_destroy(two);
        /* As one thread would have learned from as many lanes, but for the order of additions. */
        struct trainer_options options = trainer_defaults;
        options.lanes = 16 * threads;
        options.window = 20;
        for (size_t i = 0; i < 2; i++) {
            options.threads = i ? threads : 1;
            struct trainer *trainer = trainer_create(one, &options);
            const real *gradient;
            assert_non_null(trainer);
            shared[i] = trainer_gradient(trainer, data->sequences, COUNT, &gradient);
            alone[i] = (double)cblas_snrm2((int)one->weight_count, gradient, 1);
            trainer_destroy(trainer);
        }
        print_message("%zu threads: loss %.7f and %.7f, gradient's norm %.7f and %.7f\n", threads, shared[0],
                      shared[1], alone[0], alone[1]);
        assert_true(fabs(shared[0] - shared[1]) < 1e-5 * shared[0] &&
                    fabs(alone[0] - alone[1]) < 1e-4 * alone[0]);
        network_destroy(one);
    }
    free(data);
}

static void checkpoint__no_room__the_one_before_stays_alone(void **state)
{
    (void)state;
    char directory[] = "/tmp/forestall-checkpoint-XXXXXX", path[64], beside[80];
    uint8_t first[8192] = {1}, second[8192] = {2}, read[8192];
    struct train_checkpoint_part part = {first, sizeof first}, later = {second, sizeof second},
                                 back = {read, sizeof read};
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/c", directory);
    (void)snprintf(beside, sizeof beside, "%s.new", path);
    assert_int_equal(train_checkpoint_write(path, 7, &part, 1), 0);
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){4096, before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int result = train_checkpoint_write(path, 7, &later, 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    assert_int_equal(result, -EFBIG);
    assert_int_equal(access(beside, F_OK), -1);
    assert_int_equal(train_checkpoint_read(path, 7, &back, 1), 0);
    assert_memory_equal(read, first, sizeof first);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
}

static void evaluate__changes_nothing(void **state)
{
    (void)state;
    struct data *data = make(3);
    struct network *network = network_create(&(struct network_shape){INPUTS, 4, 1, 0}, 5);
    struct trainer *trainer = trainer_create(network, &trainer_defaults);
    real before = network->weights[0];
    double loss = trainer_evaluate(trainer, data->sequences, COUNT);
    assert_true(isfinite(loss) && loss == trainer_evaluate(trainer, data->sequences, COUNT));
    assert_true(before == network->weights[0]);
    trainer_destroy(trainer);
    network_destroy(network);
    free(data);
}

static void fit_scaling__known_features__mean_and_deviation(void **state)
{
    (void)state;
    float features[] = {1, 5, 3, 5, 5, 5};
    struct train_sequence sequence = {.steps = 3, .features = features, .weight = 1};
    struct network *network = network_create(&(struct network_shape){2, 1, 1, 0}, 1);
    train_fit_scaling(network, &sequence, 1, 0);
    assert_true(network->mean[0] == 3 && network->mean[1] == 5);
    assert_true(fabs((double)network->scale[0] - 1 / sqrt(8.0 / 3)) < 1e-6);
    assert_true(fabs((double)network->scale[1] - 10) < 1e-6); /* constant: bounded */
    network_destroy(network);
}

static void fit_segments__known_values__between_their_quantiles(void **state)
{
    (void)state;
    enum { TICKS = 101 };
    float features[2 * TICKS] = {0};
    struct train_sequence sequence = {.steps = TICKS, .features = features, .weight = 1};
    struct network *network = network_create(&(struct network_shape){2, 1, 1, 4}, 1);
    for (size_t t = 0; t < TICKS; t++)
        features[2 * t + 1] = t % 2 ? 0 : (float)t; /* 0, not counted, and 2, 4 .. 100 */
    assert_true(train_fit_segments(network, &sequence, 1, 0, (const size_t[]){1, 0}, 2));
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(network->segments[i].feature, 1);
    assert_true(network->segments[0].low == 2 && fabs((double)network->segments[0].scale - 1.0 / 48) < 1e-6);
    assert_true(network->segments[1].low == 50 && fabs((double)network->segments[1].scale - 1.0 / 50) < 1e-6);
    for (size_t i = 2; i < 4; i++) /* nothing known: of no use, and finite */
        assert_true(network->segments[i].feature == 0 && isfinite(network->segments[i].scale));
    network_destroy(network);
}

struct heard {
    size_t epochs;
    double best_loss;
};

static void hear(void *context, const struct train_loop_progress *progress)
{
    struct heard *heard = context;
    heard->epochs = progress->epoch;
    heard->best_loss = progress->best_loss;
}

#define EPOCHS 8

/* How far each epoch moves the weights. */
struct moves {
    const struct network *network;
    real *before;
    double distance[EPOCHS];
};

static void measure_move(void *context, const struct train_loop_progress *progress)
{
    struct moves *moves = context;
    double squares = 0;
    for (size_t i = 0; i < moves->network->weight_count; i++) {
        double off = (double)moves->network->weights[i] - (double)moves->before[i];
        squares += off * off;
        moves->before[i] = moves->network->weights[i];
    }
    moves->distance[progress->epoch - 1] = sqrt(squares);
}

static void loop__last_epochs__move_little(void **state)
{
    (void)state;
    struct data *data = make(4);
    struct trainer_options options = trainer_defaults;
    struct train_loop_options loop = {.epochs = EPOCHS, .patience = EPOCHS, .learning_rate = 0.003};
    struct network *network = network_create(&(struct network_shape){INPUTS, 8, 1, 0}, 5);
    struct moves moves = {.network = network, .before = calloc(network->weight_count, sizeof(real))};
    struct train_set train = {data->sequences, COUNT - 32};
    struct train_set validation = {data->sequences + COUNT - 32, 32};
    assert_non_null(moves.before);
    memcpy(moves.before, network->weights, network->weight_count * sizeof *moves.before);
    options.lanes = 8;
    options.window = 20;
    struct trainer *trainer = trainer_create(network, &options);
    assert_int_equal(train_loop(trainer, network, train, validation, &loop, measure_move, &moves), 0);
    print_message("the fourth epoch moves the weights by %.3f, the last by %.3f\n", moves.distance[3],
                  moves.distance[EPOCHS - 1]);
    assert_true(moves.distance[EPOCHS - 1] < 0.6 * moves.distance[3]);
    trainer_destroy(trainer);
    network_destroy(network);
    free(moves.before);
    free(data);
}

/* What is kept must be what was judged: the average, not the weights of that epoch. */
static void loop__ends__network_has_the_loss_that_was_best(void **state)
{
    (void)state;
    struct data *data = make(4);
    struct trainer_options options = trainer_defaults;
    struct train_loop_options loop = {.epochs = 12, .patience = 3, .learning_rate = 0.02};
    struct network *network = network_create(&(struct network_shape){INPUTS, 8, 1, 0}, 5);
    struct heard heard = {0};
    options.lanes = 8;
    options.window = 20;
    struct trainer *trainer = trainer_create(network, &options);
    struct train_set train = {data->sequences, COUNT - 32};
    struct train_set validation = {data->sequences + COUNT - 32, 32};
    double before = trainer_evaluate(trainer, validation.sequences, validation.count);
    assert_int_equal(train_loop(trainer, network, train, validation, &loop, hear, &heard), 0);
    double after = trainer_evaluate(trainer, validation.sequences, validation.count);
    print_message("loss %.4f -> %.4f in %zu epochs\n", before, after, heard.epochs);
    assert_true(heard.epochs >= 1 && heard.epochs <= 12 && after < before);
    assert_true(fabs(after - heard.best_loss) < 1e-9);
    trainer_destroy(trainer);
    network_destroy(network);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epoch__a_pulse_long_ago__is_remembered_across_windows),
        cmocka_unit_test(epoch__same_seed__same_weights),
        cmocka_unit_test(epoch__threads__share_the_lanes),
        cmocka_unit_test(checkpoint__no_room__the_one_before_stays_alone),
        cmocka_unit_test(evaluate__changes_nothing),
        cmocka_unit_test(loop__last_epochs__move_little),
        cmocka_unit_test(loop__ends__network_has_the_loss_that_was_best),
        cmocka_unit_test(fit_segments__known_values__between_their_quantiles),
        cmocka_unit_test(fit_scaling__known_features__mean_and_deviation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
