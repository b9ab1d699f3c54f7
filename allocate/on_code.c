/* What people fixed and what was learned about a code; room in the book. See allocate.h. */
#include <errno.h>

#include "allocate/allocate.h"
#include "allocate/history.h"
#include "allocate/validate.h"
#include "common/clock.h"

#define PER_STEP 256 /* entries looked at per turn of the loop */
#define DRAIN_TIMEOUT_MS 10000
#define EVICT_TRIES 64 /* oldest entries that people fixed are passed over */

static struct str key_of(const struct stream_message *message)
{
    return (struct str){message->key, message->key_size};
}

static int publish_tombstone(struct allocate *allocate, const struct code_entry *entry)
{
    struct settlement *settlement = settlement_begin(allocate, str_of(entry->code), NULL);
    if (!settlement)
        return -EAGAIN;
    int result = settlement_publish_tombstone(settlement);
    if (result == -EAGAIN)
        settlement_cancel(settlement);
    return result;
}

/* Takes back the allocation of a code. False: not now. A restore takes in all there is before anything else
 * can be done, so it waits instead. */
static bool take_back(struct allocate *allocate, const struct code_entry *entry)
{
    if (!entry->has_allocation)
        return true;
    int result = publish_tombstone(allocate, entry);
    if (result == -EAGAIN && allocate->restoring) {
        effects_drain(allocate, DRAIN_TIMEOUT_MS);
        result = publish_tombstone(allocate, entry);
    }
    return result == 0;
}

/* A restore comes by partitions, not by use: often enough put into order that few of the newer ones go. */
static void order_while_restoring(struct allocate *allocate)
{
    if (!allocate->restoring || allocate->unordered-- > 0)
        return;
    book_order(allocate->book);
    allocate->unordered = book_count(allocate->book) / 32;
}

/* What people fixed stays; of the others the longest unused goes. */
static bool make_room(struct allocate *allocate)
{
    order_while_restoring(allocate);
    for (int i = 0; i < EVICT_TRIES; i++) {
        struct code_entry *oldest = book_oldest(allocate->book);
        if (!oldest)
            return false;
        if (oldest->has_policy) {
            (void)book_obtain(allocate->book, str_of(oldest->code), oldest->partition,
                              0); /* to the newest end */
            continue;
        }
        if (!take_back(allocate, oldest))
            return false;
        book_remove(allocate->book, oldest);
        metric_add(allocate->metrics.codes_evicted, 1);
        return true;
    }
    return false;
}

struct code_entry *allocate_entry(struct allocate *allocate, struct str code, int32_t partition,
                                  int64_t now_us)
{
    struct code_entry *entry = book_obtain(allocate->book, code, partition, now_us);
    if (!entry && make_room(allocate))
        entry = book_obtain(allocate->book, code, partition, now_us);
    if (!entry)
        metric_add(allocate->metrics.codes_refused, 1);
    return entry;
}

struct settle_input allocate_settle_input(const struct allocate *allocate, const struct code_entry *entry,
                                          int64_t now_us)
{
    return (struct settle_input){.config = &allocate->options->settle,
                                 .policy = &allocate->options->policy,
                                 .history = book_history(entry),
                                 .fixed = book_policy(entry),
                                 .now_us = now_us,
                                 .saved = book_saved(allocate->book)};
}

/* 0: nothing to do or done; -EAGAIN: later. */
static int publish_fixed(struct allocate *allocate, struct code_entry *entry, struct ticket *ticket)
{
    struct msg_allocation previous, next;
    struct settle_storage storage;
    struct settle_input input = allocate_settle_input(allocate, entry, clock_realtime_us());
    int known =
        book_allocation_message(entry, topic_codec_codec(allocate->codec), allocate->arena, &previous);
    if (known == -ENOMEM)
        return known;
    if (!settle_fixed(&input, known == 0 ? &previous : NULL, &storage, &next))
        return 0;
    next.code = str_of(entry->code);
    struct settlement *settlement = settlement_begin(allocate, next.code, ticket);
    if (!settlement)
        return -EAGAIN;
    int result = settlement_publish(settlement, entry, &next);
    if (result == -EAGAIN)
        settlement_cancel(settlement);
    return result;
}

enum stream_outcome allocate_on_policy(struct allocate *allocate, const struct stream_message *message,
                                       struct ticket *ticket)
{
    struct msg_code_policy policy;
    struct code_entry *entry = book_find(allocate->book, key_of(message));
    if (message->value) {
        enum stream_outcome outcome = topic_codec_decode(allocate->codec, &msg_code_policy_type, message,
                                                         allocate->arena, &policy, clock_monotonic_ms());
        if (outcome == STREAM_DONE)
            outcome = allocate_judge_message(allocate->stream, validate_policy(&policy, key_of(message)));
        if (outcome != STREAM_DONE)
            return outcome;
        entry = allocate_entry(allocate, policy.code, message->partition, clock_realtime_us());
        if (!entry)
            return STREAM_RETRY; /* a person's word is not dropped for want of room */
        book_set_policy(entry, &policy);
    } else if (entry) {
        entry->has_policy = false;
    }
    metric_add(allocate->metrics.policies, 1);
    return entry && publish_fixed(allocate, entry, ticket) == -EAGAIN ? STREAM_RETRY : STREAM_DONE;
}

enum stream_outcome allocate_on_profile(struct allocate *allocate, const struct stream_message *message)
{
    struct msg_code_profile profile;
    struct policy_history history;
    if (!message->value) {
        struct code_entry *entry = book_find(allocate->book, key_of(message));
        if (entry)
            entry->has_history = false;
        return STREAM_DONE;
    }
    enum stream_outcome outcome = topic_codec_decode(allocate->codec, &msg_code_profile_type, message,
                                                     allocate->arena, &profile, clock_monotonic_ms());
    if (outcome == STREAM_DONE)
        outcome = allocate_judge_message(allocate->stream, validate_profile(&profile, key_of(message)));
    if (outcome != STREAM_DONE)
        return outcome;
    if (history_read(&profile, &history) < 0) {
        metric_add(allocate->metrics.profiles_refused, 1); /* of another layout: the code counts as unknown */
        return STREAM_DONE;
    }
    metric_add(allocate->metrics.profiles, 1);
    struct code_entry *entry = allocate_entry(allocate, profile.code, message->partition, profile.updated_us);
    if (entry)
        (void)book_set_history(entry, &history, profile.revision); /* an older one changes nothing */
    return STREAM_DONE;
}

void allocate_apply_fixed(struct allocate *allocate)
{
    struct code_entry *entry;
    if (!allocate->fixed_due)
        return;
    for (int i = 0; i < PER_STEP; i++) {
        size_t before = allocate->fixed_cursor;
        if (!book_next(allocate->book, &allocate->fixed_cursor, &entry)) {
            allocate->fixed_due = false;
            return;
        }
        arena_reset(allocate->arena);
        if ((entry->has_policy || entry->allocation.pinned) &&
            publish_fixed(allocate, entry, NULL) == -EAGAIN) {
            allocate->fixed_cursor = before; /* this one again */
            return;
        }
    }
}

void allocate_drop_idle(struct allocate *allocate)
{
    struct code_entry *entry;
    int64_t before_us = clock_realtime_us() - allocate->options->idle_ms * 1000;
    for (int i = 0; i < PER_STEP; i++) {
        if (!book_next(allocate->book, &allocate->idle_cursor, &entry)) {
            allocate->idle_cursor = 0;
            return;
        }
        if (entry->has_policy || entry->used_us >= before_us)
            continue;
        if (!take_back(allocate, entry))
            return;
        metric_add(allocate->metrics.codes_idle, 1);
        book_remove(allocate->book, entry);
    }
}
