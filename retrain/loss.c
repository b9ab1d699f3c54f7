/* See loss.h. */
#include "retrain/loss.h"

#include <math.h>

static double cross_entropy(const float *label, const float *mask, const float *probability)
{
    double loss = 0;
    for (size_t i = 0; i < NETWORK_CAUSES; i++) {
        double p = fmin(fmax((double)probability[i], 1e-6), 1 - 1e-6);
        loss -= (double)mask[i] * (label[i] > 0.5f ? log(p) : log1p(-p));
    }
    return loss;
}

static double pinball(const float *demand, const float *mask, const float (*quantiles)[NETWORK_QUANTILES])
{
    double loss = 0;
    for (size_t r = 0; r < NETWORK_RESOURCES; r++)
        for (size_t q = 0; q < NETWORK_QUANTILES; q++) {
            double miss = (double)(demand[r] - quantiles[r][q]), level = (double)network_quantile_levels[q];
            double above = mask[r] < 0 ? 0 : level - 1; /* of a lower bound only one side counts */
            loss += fabs((double)mask[r]) * fmax(level * miss, above * miss);
        }
    return loss;
}

double loss_of(const struct labels *labels, const struct network_output *answers)
{
    double loss = 0;
    for (size_t t = 0; t < labels->ticks; t++) {
        loss += cross_entropy(labels->label + t * NETWORK_CAUSES, labels->mask + t * NETWORK_CAUSES,
                              answers[t].probabilities);
        loss += pinball(labels->demand + t * NETWORK_RESOURCES, labels->demand_mask + t * NETWORK_RESOURCES,
                        answers[t].demand);
    }
    return labels->ticks ? loss / (double)labels->ticks : 0;
}

double loss_calibrated(const struct labels *labels, const struct network_output *answers)
{
    double loss = 0;
    for (size_t t = 0; t < labels->ticks; t++)
        loss += cross_entropy(labels->label + t * NETWORK_CAUSES, labels->mask + t * NETWORK_CAUSES,
                              answers[t].probabilities);
    return labels->ticks ? loss / (double)labels->ticks : 0;
}
