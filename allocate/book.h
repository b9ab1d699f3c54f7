/* What is known of each code: its allocation (the newest of the topic `allocations`), what people fixed, what
 * its history says. An image of three compacted topics for the partitions of this instance; pure, bounded,
 * entries in a slab. Past the bound the longest idle code makes room: its allocation is the caller's to take
 * back (tombstone). */
#ifndef FORESTALL_ALLOCATE_BOOK_H
#define FORESTALL_ALLOCATE_BOOK_H

#include "allocate/policy.h"
#include "allocate/recent.h"
#include "common/arena.h"
#include "common/buffer.h"
#include "schemas/codec.h"

#define BOOK_CODE_MAX 129 /* 128 bytes and the end */
#define BOOK_REASON_MAX 256
#define BOOK_AUTHOR_MAX 65
#define BOOK_THROUGH_MAX 4
#define BOOK_VERDICTS_MAX 32 /* failures of one code whose verdict a restart may have to send again */

struct book_position {
    int32_t partition;
    int64_t offset; /* of the last finished record counted */
};

struct book_allocation {
    struct msg_limits limits, before;
    int64_t revision, runs, updated_us, memory_most_bytes;
    float probability, outgrown, outgrown_failed;
    enum msg_cause raised[MSG_CAUSE_COUNT];
    uint32_t raised_count, through_count;
    int32_t good_since_raise, held_out_permille;
    bool pinned;
    struct book_position through[BOOK_THROUGH_MAX];
    char reason[BOOK_REASON_MAX];
    struct recent_storage sizing;
    uint32_t recent_count, cost_count, knot_count;
};

struct code_entry {
    char code[BOOK_CODE_MAX];
    int32_t partition;
    bool has_allocation, has_policy, has_history;
    int64_t used_us; /* last execution, policy or profile */
    int64_t profile_revision;
    struct book_allocation allocation;
    struct buffer verdicts; /* struct kept_verdict and the framed Verdict, oldest first; memory only for codes
                               that fail */
    uint32_t verdict_count;
    struct msg_code_policy policy; /* strings borrow from the entry */
    char author[BOOK_AUTHOR_MAX];
    struct policy_history history;
    struct code_entry *older, *newer;
};

struct book;

struct book *book_create(size_t max);
void book_destroy(struct book *book);
struct code_entry *book_find(const struct book *book, struct str code);
/* Finds or begins it and makes it the newest. NULL: out of memory, or all places are taken (book_oldest()
 * tells by whom; the caller makes room with book_remove()). */
struct code_entry *book_obtain(struct book *book, struct str code, int32_t partition, int64_t now_us);
/* The longest unused entry; NULL when empty. */
struct code_entry *book_oldest(const struct book *book);
/* Puts all into the order of their last use: after a restore, which takes them in by partitions. O(n log n);
 * without memory for it nothing changes. */
void book_order(struct book *book);
void book_remove(struct book *book, struct code_entry *entry);
/* Forgets a partition; O(codes). */
void book_forget_partition(struct book *book, int32_t partition);
/* Walks from *cursor = 0, false at the end. Entries may be removed and added meanwhile: those may be missed.
 */
bool book_next(const struct book *book, size_t *cursor, struct code_entry **entry);
size_t book_count(const struct book *book);

/* Takes a value of its topic in, with copies of all it needs. What is older than what is known is ignored: 0;
 * 1 taken. Verdicts in an allocation count as not yet committed. -ENOMEM. */
FS_MUST_CHECK int book_set_allocation(struct book *book, struct code_entry *entry,
                                      const struct msg_allocation *allocation);
/* Share of the executions here that outgrew their start and were saved by a raise, one that was not before
 * any was seen: 0 .. 1. */
double book_saved(const struct book *book);
bool book_set_history(struct code_entry *entry, const struct policy_history *history, int64_t revision);
void book_set_policy(struct code_entry *entry, const struct msg_code_policy *policy);
/* The allocation as a message, with verdicts; arrays and what verdicts hold from the arena, the other strings
 * borrow from the entry. -ENOENT (none), -ENOMEM. */
FS_MUST_CHECK int book_allocation_message(const struct code_entry *entry, struct codec *codec,
                                          struct arena *arena, struct msg_allocation *out);

/* True when the record at this position is in the allocation. */
bool book_contains(const struct code_entry *entry, int32_t partition, int64_t offset);
/* The allocation's positions with this one counted; from the arena. */
FS_MUST_CHECK int book_through(const struct code_entry *entry, int32_t partition, int64_t offset,
                               struct arena *arena, struct msg_partition_offset_array *out);

/* The verdict that was given to an attempt, decoded into the arena: 0, -ENOENT, -ENOMEM. */
FS_MUST_CHECK int book_verdict(const struct code_entry *entry, struct codec *codec,
                               const uint8_t execution[16], int32_t attempt, struct arena *arena,
                               struct msg_verdict *out);
/* Drops verdicts of records at or below the offset (committed: they do not come again) and those decided
 * before. */
void book_drop_verdicts(struct code_entry *entry, int64_t committed_offset, int64_t before_us);

const struct msg_code_policy *
book_policy(const struct code_entry *entry); /* NULL: nothing fixed; entry may be NULL */
const struct policy_history *
book_history(const struct code_entry *entry); /* NULL: nothing known; entry may be NULL */

#endif
