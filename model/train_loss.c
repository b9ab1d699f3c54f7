/* See train_loss.h. */
#include "model/train_loss.h"

#include <math.h>
#include <string.h>

enum { HORIZON_LOGITS = NETWORK_HORIZONS * NETWORK_CAUSES };

/* Cross entropy of a logit, which becomes its slope. */
static inline double entropy(struct train_loss_row row, size_t i, real y, real weight)
{
    real loss = row.soft[i] - y * row.raw[i];
    row.raw[i] = weight * (row.rise[i] - y);
    return (double)(weight * loss);
}

static struct train_loss_row behind(struct train_loss_row row, size_t count)
{
    return (struct train_loss_row){row.raw + count, row.soft + count, row.rise + count};
}

static double cross_entropy(struct train_loss_row row, const float *labels, const float *mask, real weight)
{
    double loss = 0;
    for (size_t i = 0; i < NETWORK_CAUSES; i++)
        loss += entropy(row, i, (real)labels[i], weight * (real)mask[i]);
    return loss;
}

static double horizons_entropy(struct train_loss_row row, const int8_t *labels, real weight)
{
    double loss = 0;
    for (size_t i = 0; i < HORIZON_LOGITS; i++)
        loss += entropy(row, i, labels[i] > 0, labels[i] < 0 ? 0 : weight);
    return loss;
}

/* Pinball of level q at error e = y - value: max(q e, (q - 1) e); its slope by value is -q above, 1 - q
 * below. A value is the one before it and softplus of its own number. */
static double pinball(struct train_loss_row row, const float *demand, const float *mask, real weight)
{
    double loss = 0;
    for (size_t r = 0; r < NETWORK_RESOURCES; r++) {
        size_t first = r * NETWORK_QUANTILES;
        real slope[NETWORK_QUANTILES], w = weight * (real)fabsf(mask[r]), value = row.raw[first], above = 0;
        real below = mask[r] < 0 ? (real)0 : (real)1;
        for (size_t q = 0; q < NETWORK_QUANTILES; q++) {
            value += q == 0 ? 0 : row.soft[first + q];
            real level = network_quantile_levels[q], e = (real)demand[r] - value;
            loss += (double)(w * (e > 0 ? level * e : below * (level - 1) * e));
            slope[q] = w * (e > 0 ? -level : below * (1 - level));
        }
        for (size_t q = NETWORK_QUANTILES; q-- > 0;) {
            above += slope[q];
            row.raw[first + q] = q == 0 ? above : above * row.rise[first + q];
        }
    }
    return loss;
}

double train_loss_step(struct train_loss_row row, const struct train_sequence *sequence, size_t at,
                       const struct trainer_options *options)
{
    real weight = (real)sequence->weight;
    double loss = cross_entropy(row, sequence->labels + at * NETWORK_CAUSES,
                                sequence->label_mask + at * NETWORK_CAUSES, weight);
    loss += pinball(behind(row, NETWORK_CAUSES), sequence->demand + at * NETWORK_RESOURCES,
                    sequence->demand_mask + at * NETWORK_RESOURCES, weight * (real)options->demand_weight);
    struct train_loss_row horizons = behind(row, NETWORK_OUTPUTS_LEAST);
    if (sequence->horizons)
        loss += horizons_entropy(horizons, sequence->horizons + at * HORIZON_LOGITS,
                                 weight * (real)options->horizon_weight);
    else
        memset(horizons.raw, 0, HORIZON_LOGITS * sizeof *horizons.raw);
    return loss;
}
