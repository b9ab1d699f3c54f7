/* The journal of answered placements: each is answered once for good, on disk before the program is started
 * (design §4.2). Bounded: the oldest answers go first, but for those of attempts that are still here, which
 * the next agent must know as accepted. The caller refuses what has expired, so any other answer is needed no
 * longer than that and for the time in which the same attempt might be offered again. Not for sharing between
 * threads. */
#ifndef FORESTALL_AGENT_PLACEMENTS_H
#define FORESTALL_AGENT_PLACEMENTS_H

#include "common/base.h"

struct placements;

#define PLACEMENTS_MAX 65536 /* of an agent; more than attempts that are here at a time, by far */

enum placement_answer {
    PLACEMENT_NEW,       /* never heard of */
    PLACEMENT_RAN,       /* accepted: this attempt was, is or would have been started here */
    PLACEMENT_REFUSED,   /* refused under this or a higher number */
    PLACEMENT_CANCELLED, /* its execution was cancelled before it came */
};

struct placement {
    uint8_t execution[16];
    int32_t attempt;
    int64_t number;
    int64_t answered_us;
    enum placement_answer answer;
};

/* What to do with an offer. */
enum placement_verdict {
    PLACEMENT_CONSIDER,  /* judge it on its merits */
    PLACEMENT_REPEATED,  /* answered already: say nothing new */
    PLACEMENT_RAN_BEFORE /* a new number for an attempt that ran here: refuse */
};

/* known: what the journal says of this attempt, NULL = nothing. Pure. */
enum placement_verdict placement_judge(const struct placement *known, int64_t number);

/* An attempt that is still here: which one the index-th is, in any order. False past the last. */
typedef bool placements_here_fn(void *context, size_t index, uint8_t execution[16], int32_t *attempt);

/* Reads or makes the file `placements` in the directory (borrowed, stays open), for at most max answers. A
 * torn tail is cut off. here is gone through twice when the oldest quarter goes. */
FS_MUST_CHECK int placements_open(int directory_fd, size_t max, placements_here_fn *here, void *context,
                                  struct placements **out);
void placements_close(struct placements *placements);
/* The last answer for that attempt, or NULL; valid until the next call. */
const struct placement *placements_find(const struct placements *placements, const uint8_t execution[16],
                                        int32_t attempt);
/* Writes an answer; durable before it returns 0. -ENOSPC and others: it does not count. */
FS_MUST_CHECK int placements_answer(struct placements *placements, const struct placement *placement);

#endif
