/* See train_loss.h. */
#include "model/train_loss.h"

#include <math.h>

static double logistic(double x)
{
    return 1 / (1 + exp(-x));
}

/* ln(1 + e^x) without overflow. */
static double softplus(double x)
{
    return x > 30 ? x : log1p(exp(x));
}

/* Cross entropy of one logit, which becomes its slope; one exponential serves both. */
static double entropy(real *logit, double y, double weight)
{
    double x = (double)*logit;
    if (weight == 0) {
        *logit = 0;
        return 0;
    }
    double small = exp(-fabs(x)), p = (x >= 0 ? 1 : small) / (1 + small);
    *logit = (real)(weight * (p - y));
    return weight * (fmax(x, 0) + log1p(small) - y * x);
}

static double cross_entropy(real *raw, const float *labels, const float *mask, double weight)
{
    double loss = 0;
    for (size_t i = 0; i < NETWORK_CAUSES; i++)
        loss += entropy(&raw[i], (double)labels[i], weight * (double)mask[i]);
    return loss;
}

static double horizons_entropy(real *raw, const int8_t *labels, double weight)
{
    double loss = 0;
    for (size_t i = 0; i < (size_t)NETWORK_HORIZONS * NETWORK_CAUSES; i++) {
        bool known = labels && labels[i] >= 0;
        loss += entropy(&raw[i], known ? labels[i] : 0, known ? weight : 0);
    }
    return loss;
}

/* Pinball of level q at error e = y - value: max(q e, (q - 1) e); its slope by value is -q above, 1 - q
 * below. */
static double pinball(real *raw, const float *demand, const float *mask, double weight)
{
    double loss = 0;
    for (size_t r = 0; r < NETWORK_RESOURCES; r++) {
        real *quantiles = raw + r * NETWORK_QUANTILES;
        double value[NETWORK_QUANTILES], slope[NETWORK_QUANTILES];
        double w = weight * fabs((double)mask[r]), below = mask[r] < 0 ? 0 : 1;
        for (size_t q = 0; q < NETWORK_QUANTILES; q++) {
            value[q] = q == 0 ? (double)quantiles[0] : value[q - 1] + softplus((double)quantiles[q]);
            double level = (double)network_quantile_levels[q], e = (double)demand[r] - value[q];
            loss += w * fmax(level * e, below * (level - 1) * e);
            slope[q] = w * (e > 0 ? -level : below * (1 - level));
        }
        double above = 0;
        for (size_t q = NETWORK_QUANTILES; q-- > 0;) {
            above += slope[q];
            quantiles[q] = (real)(q == 0 ? above : above * logistic((double)quantiles[q]));
        }
    }
    return loss;
}

void train_loss_step(real *raw, const struct train_sequence *sequence, size_t at,
                     const struct trainer_options *options, double *loss)
{
    *loss += cross_entropy(raw, sequence->labels + at * NETWORK_CAUSES,
                           sequence->label_mask + at * NETWORK_CAUSES, (double)sequence->weight);
    *loss += pinball(raw + NETWORK_CAUSES, sequence->demand + at * NETWORK_RESOURCES,
                     sequence->demand_mask + at * NETWORK_RESOURCES,
                     (double)sequence->weight * options->demand_weight);
    *loss += horizons_entropy(raw + NETWORK_OUTPUTS_LEAST,
                              sequence->horizons ? sequence->horizons + at * NETWORK_HORIZONS * NETWORK_CAUSES
                                                 : NULL,
                              (double)sequence->weight * options->horizon_weight);
}
