/* What the life cycles count; the loop shows it as metrics. */
#ifndef FORESTALL_QUEUE_COUNTS_H
#define FORESTALL_QUEUE_COUNTS_H

#include <stdint.h>

enum count {
    COUNT_REQUESTS,
    COUNT_DUPLICATES,
    COUNT_INVALID,
    COUNT_CANCELS,
    COUNT_CANCELS_IDLE,
    COUNT_ADMISSIONS,
    COUNT_ADMITTED_AGED,
    COUNT_ADMITTED_LESS,
    COUNT_HELD_OUT,
    COUNT_SCANS_CUT,
    COUNT_RESENT,
    COUNT_REFUSED,
    COUNT_REFUSED_EARLY,
    COUNT_EVENTS_STALE,
    COUNT_VERDICTS,
    COUNT_VERDICTS_EARLY,
    COUNT_VERDICTS_IDLE,
    COUNT_NO_VERDICT,
    COUNT_NO_EVENT,
    COUNT_RETRIES,
    COUNT_LOST,
    COUNT_STRAYS,
    COUNT_TAKEOVERS,
    COUNT_NODES_REFUSED,
    COUNT_UNPLACEABLE,
    COUNT_DONE_FINISHED,
    COUNT_DONE_FAILED,
    COUNT_DONE_KILLED,
    COUNT_DONE_LOST,
    COUNT_DONE_NOT_RUN,
    COUNT_DONE_DEAD_LETTERED,
    COUNT_FORGOTTEN,
    COUNT_EVICTED,
    COUNT_STATES,
    COUNT_CLOCK_SET_BACK,
    COUNT_COUNT
};

struct count_text {
    const char *name, *help;
};

/* Metric name (without prefix) and help of each. */
extern const struct count_text count_texts[COUNT_COUNT];

struct counts {
    uint64_t of[COUNT_COUNT];
};

#endif
