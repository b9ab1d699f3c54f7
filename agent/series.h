/* The series of one attempt's samples, bounded: the newest 60 s are kept at 10 Hz, older points thinned by a
 * stride that doubles whenever they fill their room. Plain memory without pointers, so it may live in a file
 * mapped by an agent and be found again by the next one. Not for sharing between threads. */
#ifndef FORESTALL_AGENT_SERIES_H
#define FORESTALL_AGENT_SERIES_H

#include "schemas/messages.h"

#define SERIES_CUSTOM_MAX 16
#define SERIES_RECENT 600 /* 60 s at 10 Hz, design §3 */
#define SERIES_OLDER 2048 /* about 200 KiB encoded */

struct series_point {
    int64_t time_us, monotonic_us;
    struct msg_limits limits;
    struct msg_counters counters; /* custom stays empty here */
    double custom[SERIES_CUSTOM_MAX];
    uint32_t custom_set; /* bit per name that had a value */
    uint32_t reserved;
};

struct series {
    uint64_t pushed; /* points ever */
    uint32_t stride; /* of older: one of so many was kept */
    uint32_t older_count;
    uint32_t recent_head, recent_count; /* ring; head = oldest */
    struct series_point older[SERIES_OLDER];
    struct series_point recent[SERIES_RECENT];
};

/* Empties it. The memory may be anything. */
void series_reset(struct series *series);
/* True when counts and indexes are within bounds: for memory that came from a file. */
bool series_valid(const struct series *series);
/* Adds the newest point; O(1), except one pass over older when the stride doubles. */
void series_push(struct series *series, const struct series_point *point);
size_t series_count(const struct series *series);
/* index 0 = oldest kept. */
const struct series_point *series_at(const struct series *series, size_t index);
/* The newest point that is at least age_us older than the newest one, or the oldest of the recent; NULL when
 * there is none. */
const struct series_point *series_back(const struct series *series, int64_t age_us);

#endif
