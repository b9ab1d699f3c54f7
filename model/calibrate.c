/* See calibrate.h. */
#include "model/calibrate.h"

#include <math.h>

#define ITERATIONS 50
#define FEWEST 10

void calibrate_platt(const float *logits, const float *labels, const float *weights, size_t count,
                     float *slope, float *intercept)
{
    double positive = 0, negative = 0, a = 1, b = 0;
    for (size_t i = 0; i < count; i++)
        *(labels[i] > 0.5f ? &positive : &negative) += weights[i] > 0 ? 1 : 0;
    *slope = 1;
    *intercept = 0;
    if (positive < FEWEST || negative < FEWEST)
        return;
    double high = (positive + 1) / (positive + 2), low = 1 / (negative + 2);
    for (int step = 0; step < ITERATIONS; step++) {
        double ga = 0, gb = 0, haa = 1e-9, hab = 0, hbb = 1e-9;
        for (size_t i = 0; i < count; i++) {
            double x = (double)logits[i], w = (double)weights[i], p = 1 / (1 + exp(-(a * x + b)));
            double slack = w * (p - (labels[i] > 0.5f ? high : low)), curve = w * p * (1 - p);
            ga += slack * x;
            gb += slack;
            haa += curve * x * x;
            hab += curve * x;
            hbb += curve;
        }
        double determinant = haa * hbb - hab * hab;
        if (fabs(determinant) < 1e-12)
            break;
        double da = (hbb * ga - hab * gb) / determinant, db = (haa * gb - hab * ga) / determinant;
        double size = fmax(fabs(da), fabs(db)), damp = size > 1 ? 1 / size : 1;
        a -= damp * da;
        b -= damp * db;
        if (size < 1e-7)
            break;
    }
    if (!isfinite(a) || !isfinite(b) ||
        a <= 0) /* a falling map would say the logits point the wrong way: do not use it */
        return;
    *slope = (float)a;
    *intercept = (float)b;
}
