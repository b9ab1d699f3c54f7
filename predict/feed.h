/* Where reading a partition of `telemetry` begins, and from where on risks are told.
 *
 * State is not stored anywhere: after a restart or rebalance it is built again from the last `ticks` ticks of
 * each node before the committed offset. How many records that is depends on how many nodes the partition
 * carries, so the first pass assumes some and, when it met more, a second one begins further back. Risks of
 * records before the committed offset are never told again; those after it are told, except while catching up
 * with records so old that their horizon has passed. A partition that comes back
 * before anybody committed further than we were (an outage of the broker, a short rebalance) keeps its state
 * and goes on there. Pure. */
#ifndef FORESTALL_PREDICT_FEED_H
#define FORESTALL_PREDICT_FEED_H

#include "common/base.h"

struct feed_rules {
    int64_t ticks;       /* T: the model's training length */
    int64_t nodes;       /* assumed by the first pass */
    int64_t records_max; /* most records rewound */
    int64_t stale_ms;
};

enum feed_phase { FEED_AWAY, FEED_REPLAYING, FEED_CATCHING_UP, FEED_LIVE };

struct feed {
    enum feed_phase phase;
    int64_t committed;    /* next record nobody has handled; -1 = there never was one */
    int64_t start, first; /* where this pass began, and the first record that came; -1 = none yet */
    int64_t next;         /* after the last record handled here; -1 = none */
    int64_t records;      /* met in this pass */
    int passes;
};

/* The partition is ours from now on; committed < 0: no offset is known. *start is where to read from. True:
 * its state is still right and must be kept; false: it must be dropped. */
bool feed_assign(struct feed *feed, const struct feed_rules *rules, int64_t committed, int64_t *start);
void feed_leave(struct feed *feed);

enum feed_action {
    FEED_BUILD, /* take it into the state, tell nothing */
    FEED_TELL,
    FEED_REWIND /* drop the partition's state and go on reading at feed->start; this record comes again */
};
/* True when this record ends a pass: feed_take wants to know what the pass brought. */
bool feed_ends_pass(const struct feed *feed, int64_t offset);
/* What to do with this record; age_ms: by the broker's clock; caught_up: all that was there at the assignment
 * is read; least_ticks: the fewest that a running attempt got in this pass (UINT32_MAX: none runs), looked at
 * when the pass ends. */
enum feed_action feed_take(struct feed *feed, const struct feed_rules *rules, int64_t offset, int64_t age_ms,
                           bool caught_up, uint32_t least_ticks);
void feed_handled(struct feed *feed, int64_t offset);

#endif
