/* A curve through a few points, straight between them in logarithms on both axes: how a need follows an input
 * size, as allocate publishes it and queue reads it. Pure. */
#ifndef FORESTALL_COMMON_KNOTS_H
#define FORESTALL_COMMON_KNOTS_H

#include "common/base.h"

struct knot {
    double at, value; /* both above 0; `at` rises */
};

/* The curve at `at`; before the first point its value, after the last one on in its direction, but neither
 * down nor faster than in proportion. 0 when there is no point or `at` is not above 0. */
double knots_value(const struct knot *knots, size_t count, double at);

#define KNOTS_MAX 13
#define KNOTS_TEXT_MAX 640

/* "AT:VALUE,..." in whole numbers, "" for none, as Redis holds it; at most KNOTS_MAX points. */
void knots_format(const struct knot *knots, size_t count, char out[KNOTS_TEXT_MAX]);
/* How many, or -EINVAL: not of that form, too many, or not rising. */
FS_MUST_CHECK int knots_parse(struct str text, struct knot knots[KNOTS_MAX]);

#endif
