/* A change of the mean of a stream, seen without being told how far to look back: ADWIN2 (Bifet & Gavaldà,
 * Learning from Time-Changing Data with Adaptive Windowing, SDM 2007). A window of the newest values, cut
 * wherever its older and its newer part have means that differ by more than
 *     e = sqrt(2 / m * v * ln(2 / d)) + 2 / (3 m) * ln(2 / d),   1 / m = 1 / n_old + 1 / n_new,   d = delta /
 * ln n (theorem 3.2 and section 4: variance v of the window, n its length; ln n for the number of cuts tried,
 * as in the authors' program); the older part is forgotten then. The window is an exponential histogram:
 * memory is O(log n), fixed here. Pure. */
#ifndef FORESTALL_RETRAIN_ADWIN_H
#define FORESTALL_RETRAIN_ADWIN_H

#include "common/base.h"

#define ADWIN_ROWS                                                                                           \
    24 /* buckets of up to 2^23 values: more than 80 million in all; older ones are forgotten */
#define ADWIN_BUCKETS 5 /* of one size, as in the paper's experiments */
#define ADWIN_LEAST 10  /* a part with fewer values says nothing */

enum adwin_change { ADWIN_SAME, ADWIN_ROSE, ADWIN_FELL };

struct adwin_bucket {
    double total, variance; /* variance: sum of squared distances from the bucket's mean */
};

struct adwin {
    double delta; /* confidence: how likely a change is told where there is none */
    struct adwin_row {
        struct adwin_bucket buckets[ADWIN_BUCKETS + 1]; /* oldest first */
        size_t count;
    } rows[ADWIN_ROWS];            /* row i: buckets of 2^i values */
    double width, total, variance; /* of all buckets */
};

/* 0 < delta < 1; the paper's choice is 0.002 or so. */
void adwin_init(struct adwin *adwin, double delta);
/* One value of [0, 1]; others are clamped, one that is no number is passed over. ROSE or FELL: the mean
 * changed, the window begins after the change. O(log n). */
enum adwin_change adwin_add(struct adwin *adwin, double value);
double adwin_mean(const struct adwin *adwin);
/* Values in the window. */
double adwin_width(const struct adwin *adwin);

#endif
