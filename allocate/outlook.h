/* A distribution of a need as weighted values, between sizing.c (which asks) and outlook.c (which makes it).
 * Pure; everything on the caller's stack. */
#ifndef FORESTALL_ALLOCATE_OUTLOOK_H
#define FORESTALL_ALLOCATE_OUTLOOK_H

#include "allocate/sizing.h"

#define OUTLOOK_PARTS 5 /* values that a spread stands for */
#define OUTLOOK_JUMPS 24
#define OUTLOOK_KEPT 64 /* that a choice is made among */
#define OUTLOOK_MAX ((SIZING_RUNS_MAX + SIZING_OLDER_MAX + 1) * OUTLOOK_PARTS + OUTLOOK_JUMPS)

struct outlook_value {
    double value, weight, seconds;
};

struct outlook {
    struct outlook_value values[OUTLOOK_MAX]; /* rising once finished */
    size_t count;
};

/* Logarithms of what is spread out, rising, and the widest and narrowest that one of them may stand for. */
struct outlook_spreads {
    double sorted[SIZING_RUNS_MAX];
    size_t count;
    double narrow, wide;
};

struct outlook_point {
    double x, ln_x, peak, seconds, weight;
};

/* A curve through runs, over their inputs or their numbers: need = exp(intercept + slope * ln x), with power
 * > 0 intercept + slope * x^power, with growth exp(intercept + slope * x). */
struct outlook_curve {
    struct outlook_point points[SIZING_RUNS_MAX];
    size_t count;
    double power;
    bool growth;
    double intercept, slope;
    double least;                    /* half the smallest peak: no curve goes below */
    double low, high;                /* x of the outermost points */
    double error;                    /* root of the mean squared relative error */
    double centre, variance, weight; /* of x as the shape takes it: mean, sum of squares; sum of weights */
    struct outlook_spreads spreads;  /* of the errors */
};

void outlook_begin(struct outlook *outlook);
void outlook_by_level(struct outlook *outlook, const struct sizing_config *config,
                      const struct sizing_code *code);
void outlook_by_context(struct outlook *outlook, const struct sizing_config *config,
                        const struct sizing_code *code);
void outlook_by_trend(struct outlook *outlook, const struct sizing_config *config,
                      const struct sizing_code *code);
/* Draws once for any number of inputs. */
void outlook_draw_input(struct outlook_curve *curve, const struct sizing_config *config,
                        const struct sizing_code *code);
void outlook_by_input(struct outlook *outlook, const struct sizing_config *config,
                      const struct outlook_curve *curve, double input);
/* Sorts, and makes the weights one. */
void outlook_finish(struct outlook *outlook);
/* What is left of it when the need is known to be above, and the chance of a jump. */
void outlook_above(struct outlook *outlook, const struct sizing_config *config, double failed);
/* Of the values the one that costs least to start with; `above` when there is none. Thins the outlook out. */
double outlook_cheapest(struct outlook *outlook, const struct sizing_config *config, double above);

#endif
