/* What the next execution of a code will need, as a distribution made from its newest runs, and the memory to
 * start it with: the amount that costs least, slack against the chance that it fails and runs again.
 *
 * Four ways of reading the runs, each right for some codes; the one whose choices cost least lately decides:
 * - LEVEL: like any of the newest runs;
 * - CONTEXT: like the runs that followed one of the size of the last one, and first of all like the last one:
 *   a new version stays, sizes that take turns are told apart;
 * - TREND: a curve over the number of the run and the errors around it: slow growth;
 * - INPUT: a curve over the input size and the errors around it; only for who has told the size.
 *
 * Every run stands for itself with a spread: the distance to its neighbours among the runs, wide while there
 * are few. A run that did not fit anything is known to be above: what lies there of the distribution, and the
 * chance that the code has become another one, from the limit to `jump_most` times of it.
 *
 * Pure: no clock, no memory of its own. docs/design/sizing.md gives reasons and figures. */
#ifndef FORESTALL_ALLOCATE_SIZING_H
#define FORESTALL_ALLOCATE_SIZING_H

#include "common/base.h"
#include "common/knots.h"

#define SIZING_RUNS_MAX 40  /* newest that count */
#define SIZING_OLDER_MAX 12 /* rare large ones of before */
#define SIZING_KNOTS_MAX KNOTS_MAX

struct sizing_run {
    double peak, seconds; /* bytes */
    double input;         /* bytes; NAN: not known */
};

/* A peak of before the newest runs, and the share of all runs that it stands for. */
struct sizing_older {
    double peak, share;
};

struct sizing_config {
    double rerun_s;    /* what a failure costs beside the time lost: seconds of the need */
    double spread;     /* of a single run, as a logarithm; falls with the number of runs */
    double stays;      /* CONTEXT: runs' worth of "like the last one" before anything is known */
    double fades;      /* weight of a run compared with the next one */
    double jump_share; /* chance that a run is the first of a code that needs something else */
    double jump_most;  /* it then needs up to so many times the limit that was too small */
    double unsaved;    /* share of starts that are too small and that no raise while running saves; 1: all */
    double raised;     /* what one that is saved costs: share of its need, as long as it runs */
};

extern const struct sizing_config sizing_defaults;

struct sizing_code {
    const struct sizing_run *runs; /* oldest first, at most SIZING_RUNS_MAX */
    size_t count;
    const struct sizing_older *older; /* above all runs, at most SIZING_OLDER_MAX */
    size_t older_count;
};

enum sizing_method { SIZING_LEVEL, SIZING_CONTEXT, SIZING_TREND, SIZING_INPUT, SIZING_METHOD_COUNT };

/* The method that costs[] (decayed means, 0 = never judged) speaks for; INPUT only with an input size and a
 * curve to be had. */
enum sizing_method sizing_pick(const struct sizing_code *code, const float costs[SIZING_METHOD_COUNT],
                               bool told);
/* The least expected cost. input NAN: not known. 0 when there are no runs. */
double sizing_start(const struct sizing_config *config, const struct sizing_code *code,
                    enum sizing_method method, double input);
/* The same once a limit has proved too small. */
double sizing_retry(const struct sizing_config *config, const struct sizing_code *code,
                    enum sizing_method method, double input, double failed);
/* Judges all methods by a run that is not among the runs yet: costs[] move towards what each would have cost,
 * in units of the run's own need. */
void sizing_judge(const struct sizing_config *config, const struct sizing_code *code,
                  const struct sizing_run *run, float costs[SIZING_METHOD_COUNT]);
/* The start over input sizes as few points; how many, 0 when there is no curve. */
size_t sizing_curve(const struct sizing_config *config, const struct sizing_code *code,
                    struct knot knots[SIZING_KNOTS_MAX]);

#endif
