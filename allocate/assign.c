/* Partitions come and go. What a new owner needs is read to its end before the first message is handled. See
 * allocate.h. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

#include "allocate/allocate.h"
#include "allocate/history.h"
#include "allocate/validate.h"
#include "common/clock.h"
#include "common/topics.h"

#define RESTORE_TIMEOUT_MS 120000
#define RESTORE_PAUSE_MS 1000 /* schemas are looked up once a second */
#define HANDOVER_TIMEOUT_MS 5000

struct restore {
    struct allocate *allocate;
    int64_t next; /* offset after the last one read */
    uint64_t refused;
    char reason[256]; /* of the last refusal */
};

static void refuse(struct restore *restore, const char *reason)
{
    restore->refused++;
    (void)snprintf(restore->reason, sizeof restore->reason, "%s", reason);
}

/* 1: *out is filled; 0: it cannot be read and is passed over; -EAGAIN: another version of us wrote it, whose
 * schema is being looked for. */
static int decode(struct restore *restore, const struct msg_type *type, const struct stream_message *message,
                  void *out)
{
    struct allocate *allocate = restore->allocate;
    arena_reset(allocate->arena);
    switch (topic_codec_decode(allocate->codec, type, message, allocate->arena, out, clock_monotonic_ms())) {
    case STREAM_DONE:
        return 1;
    case STREAM_RETRY:
        return -EAGAIN;
    case STREAM_QUARANTINE:
        refuse(restore, stream_reason(allocate->stream));
        return 0;
    default:
        return -ENOMEM;
    }
}

static struct str key_of(const struct stream_message *message)
{
    return (struct str){message->key, message->key_size};
}

static int on_allocation(void *context, const struct stream_message *message)
{
    struct restore *restore = context;
    struct allocate *allocate = restore->allocate;
    struct msg_allocation allocation;
    struct code_entry *entry = book_find(allocate->book, key_of(message));
    restore->next = message->offset + 1;
    if (!message->value) {
        if (entry)
            entry->has_allocation = false;
        char code[BOOK_CODE_MAX];
        if (str_copy(code, sizeof code, key_of(message)))
            mirror_delete(allocate->mirror, code); /* whoever wrote the tombstone may have died before */
        return 0;
    }
    int result = decode(restore, &msg_allocation_type, message, &allocation);
    if (result <= 0)
        return result;
    const char *fault = validate_allocation(&allocation, key_of(message));
    if (fault) {
        refuse(restore, fault);
        return 0;
    }
    entry = allocate_entry(allocate, allocation.code, message->partition, allocation.updated_us);
    if (!entry)
        return -ENOSPC;
    /* An older revision behind a newer one was on its way from a former owner, who was cut off meanwhile. */
    return FS_MIN(book_set_allocation(allocate->book, entry, &allocation), 0);
}

static int on_policy(void *context, const struct stream_message *message)
{
    struct restore *restore = context;
    struct msg_code_policy policy;
    struct code_entry *entry = book_find(restore->allocate->book, key_of(message));
    restore->next = message->offset + 1;
    if (!message->value) {
        if (entry)
            entry->has_policy = false;
        return 0;
    }
    int result = decode(restore, &msg_code_policy_type, message, &policy);
    if (result <= 0)
        return result;
    if (validate_policy(&policy, key_of(message)))
        return 0; /* went to quarantine when it was first met */
    entry = allocate_entry(restore->allocate, policy.code, message->partition, clock_realtime_us());
    if (entry)
        book_set_policy(entry, &policy);
    return entry ? 0 : -ENOSPC;
}

static int on_profile(void *context, const struct stream_message *message)
{
    struct restore *restore = context;
    struct msg_code_profile profile;
    struct policy_history history;
    restore->next = message->offset + 1;
    int result = message->value ? decode(restore, &msg_code_profile_type, message, &profile) : 0;
    if (result <= 0)
        return result;
    if (validate_profile(&profile, key_of(message)) || history_read(&profile, &history) < 0)
        return 0;
    struct code_entry *entry =
        allocate_entry(restore->allocate, profile.code, message->partition, profile.updated_us);
    if (entry)
        (void)book_set_history(entry, &history, profile.revision); /* an older one changes nothing */
    return 0;
}

/* Offset after the last record, or negative. To pass over what another version wrote would lose what people
 * fixed: its schema is waited for as long as topic_codec looks for it. */
static int64_t restore(struct allocate *allocate, const char *topic, int32_t partition,
                       stream_restore_fn *take)
{
    int64_t deadline_ms = clock_monotonic_ms() + RESTORE_TIMEOUT_MS;
    struct restore restore;
    int result;
    do {
        restore = (struct restore){.allocate = allocate};
        result = stream_restore(allocate->stream, topic, partition, take, &restore, RESTORE_TIMEOUT_MS);
        if (result == -EAGAIN)
            (void)poll(NULL, 0, RESTORE_PAUSE_MS);
    } while (result == -EAGAIN && !service_stopping() && clock_monotonic_ms() < deadline_ms);
    if (restore.refused > 0)
        log_warn("restored_with_gaps", "topic=%s partition=%d unreadable=%" PRIu64 " last_reason=\"%s\"",
                 topic, partition, restore.refused, restore.reason);
    if (result == 0)
        return restore.next;
    allocate_fail(allocate, result, "%s[%d] could not be read to its end: %s", topic, partition,
                  result == -EAGAIN
                      ? "it holds what another version wrote, and the topic schemas does not say how"
                  : result == -ENOSPC ? "what people fixed alone is more than allocate.max_codes: raise it"
                                      : strerror(-result));
    return result;
}

static bool is_topic(const struct stream_partition *partition, const char *topic)
{
    return strcmp(partition->topic, topic) == 0;
}

/* Policies and profiles go on where the restore ended; risks begin earlier, to know the running attempts'
 * past. */
static void place(struct allocate *allocate, struct stream_partition *partition)
{
    int64_t end = -1;
    if (is_topic(partition, TOPIC_POLICIES))
        end = restore(allocate, TOPIC_POLICIES, partition->partition, on_policy);
    else if (is_topic(partition, TOPIC_CODES))
        end = restore(allocate, TOPIC_CODES, partition->partition, on_profile);
    else if (is_topic(partition, TOPIC_EXECUTIONS_FINISHED))
        fs_drop(restore(allocate, TOPIC_ALLOCATIONS, partition->partition,
                        on_allocation)); /* a failure is noted there */
    if (end > 0)
        partition->start_offset = FS_MAX(end, partition->start_offset);
    if (is_topic(partition, TOPIC_RISKS) && partition->committed_offset >= 0) {
        allocate->known_risks[partition->partition] = partition->committed_offset;
        partition->start_offset = FS_MAX(partition->committed_offset - allocate->options->replay_risks, 0);
    }
}

static void on_assigned(void *context, struct stream_partition *partitions, size_t count)
{
    struct allocate *allocate = context;
    int64_t begun_ms = clock_monotonic_ms();
    for (size_t i = 0; i < count && allocate->failure == 0; i++) {
        int32_t number = partitions[i].partition;
        if (number < 0 || number >= ALLOCATE_PARTITIONS_MAX) {
            allocate_fail(allocate, -E2BIG, "partition %d: at most %d are supported", number,
                          ALLOCATE_PARTITIONS_MAX);
            return;
        }
        allocate->assigned[number] = true;
        allocate->known_risks[number] = 0;
        allocate->stored_records[number] = -1;
    }
    double evicted = metric_value(allocate->metrics.codes_evicted);
    allocate->restoring = true;
    allocate->unordered = 0;
    for (size_t i = 0; i < count && allocate->failure == 0; i++)
        place(allocate, &partitions[i]);
    allocate->restoring = false;
    book_order(allocate->book);
    evicted = metric_value(allocate->metrics.codes_evicted) - evicted;
    if (evicted > 0)
        log_warn("codes_dropped",
                 "codes=%.0f effect=\"the longest unused begin anew\" do=\"raise allocate.max_codes\"",
                 evicted);
    mirror_invalidate(allocate->mirror);
    allocate->fixed_due = true;
    allocate->fixed_cursor = 0;
    log_info("assigned", "partitions=%zu codes=%zu restored_in_ms=%" PRId64, count,
             book_count(allocate->book), clock_monotonic_ms() - begun_ms);
}

static void on_revoked(void *context, const struct stream_partition *partitions, size_t count, bool lost)
{
    struct allocate *allocate = context;
    if (!lost)
        effects_drain(allocate, HANDOVER_TIMEOUT_MS); /* the next owner finds all of it done */
    for (size_t i = 0; i < count; i++)
        ledger_forget(allocate->ledger, partitions[i].topic, partitions[i].partition);
    for (size_t i = 0; i < count; i++) {
        int32_t number = partitions[i].partition;
        if (number < 0 || number >= ALLOCATE_PARTITIONS_MAX || !allocate->assigned[number])
            continue;
        allocate->assigned[number] = false;
        attempts_forget_partition(allocate->attempts, number);
        book_forget_partition(allocate->book, number);
    }
    log_info("revoked", "partitions=%zu lost=%s", count, lost ? "yes" : "no");
}

const struct stream_callbacks allocate_callbacks = {on_assigned, on_revoked};
