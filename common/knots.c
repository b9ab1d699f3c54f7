/* See knots.h. */
#include "common/knots.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

double knots_value(const struct knot *knots, size_t count, double at)
{
    if (count == 0 || !(at > 0) || !isfinite(at))
        return 0;
    if (at <= knots[0].at)
        return knots[0].value;
    if (count == 1)
        return knots[0].value;
    size_t above = 1;
    while (above < count - 1 && knots[above].at < at)
        above++;
    const struct knot *from = &knots[above - 1], *to = &knots[above];
    double slope = log(to->value / from->value) / log(to->at / from->at);
    if (at > to->at)
        return to->value * pow(at / to->at, fmin(fmax(slope, 0), 1));
    return from->value * pow(at / from->at, slope);
}

void knots_format(const struct knot *knots, size_t count, char out[KNOTS_TEXT_MAX])
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count && i < KNOTS_MAX; i++) {
        int size = snprintf(out + used, KNOTS_TEXT_MAX - used, "%s%.0f:%.0f", i > 0 ? "," : "",
                            fmin(knots[i].at, 1e15), fmin(knots[i].value, 1e18));
        used += size > 0 ? (size_t)size : 0; /* KNOTS_MAX * 36 bytes fit */
    }
}

int knots_parse(struct str text, struct knot knots[KNOTS_MAX])
{
    char copy[KNOTS_TEXT_MAX], *at = copy;
    int count = 0;
    if (!str_copy(copy, sizeof copy, text))
        return -EINVAL;
    while (*at) {
        char *end;
        if (count == KNOTS_MAX)
            return -EINVAL;
        struct knot *knot = &knots[count];
        knot->at = strtod(at, &end);
        if (end == at || *end != ':')
            return -EINVAL;
        at = end + 1;
        knot->value = strtod(at, &end);
        bool rises = knot->at > (count > 0 ? knots[count - 1].at : 0);
        if (end == at || (*end && *end != ',') || !rises || !isfinite(knot->at) || !(knot->value > 0) ||
            !isfinite(knot->value))
            return -EINVAL;
        at = *end == ',' ? end + 1 : end;
        count++;
    }
    return count;
}
