/* See regression.h. */
#include "replay/regression.h"

#include <math.h>

struct sums {
    double count, x, y, xx, xy;
};

static struct sums add_up(const struct samples *samples, bool with_input)
{
    struct sums sums = {0};
    for (size_t i = 0; i < samples->count; i++) {
        double x = samples->items[i].input, y = samples->items[i].value;
        if (with_input && !isfinite(x))
            continue;
        x = with_input ? x : 0;
        sums.count++;
        sums.x += x;
        sums.y += y;
        sums.xx += x * x;
        sums.xy += x * y;
    }
    return sums;
}

static double spread_of(const struct samples *samples, const struct regression *regression, bool with_input)
{
    double count = 0, sum = 0, squares = 0;
    for (size_t i = 0; i < samples->count; i++) {
        double input = samples->items[i].input;
        if (with_input && !isfinite(input))
            continue;
        double fitted = regression_at(regression, input);
        if (!(fitted > 0))
            continue;
        double error = (samples->items[i].value - fitted) / fitted;
        count++;
        sum += error;
        squares += error * error;
    }
    return count > 0 ? sqrt(fmax(squares / count - sum / count * sum / count, 0)) : 0;
}

struct regression regression_fit(const struct samples *samples)
{
    struct sums sums = add_up(samples, true);
    bool with_input = sums.count > 0;
    if (!with_input)
        sums = add_up(samples, false);
    struct regression out = {.count = (size_t)sums.count};
    if (sums.count <= 0)
        return out;
    double variance = sums.xx - sums.x * sums.x / sums.count;
    if (variance > 1e-12 * sums.xx)
        out.slope = (sums.xy - sums.x * sums.y / sums.count) / variance;
    out.intercept = (sums.y - out.slope * sums.x) / sums.count;
    out.spread = spread_of(samples, &out, with_input);
    return out;
}

double regression_at(const struct regression *regression, double input)
{
    return regression->intercept + (isfinite(input) ? regression->slope * input : 0);
}
