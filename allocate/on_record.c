/* A finished record: the code's next allocation, and for a failed attempt exactly one verdict, with a dead
 * letter when its resource had been raised. See allocate.h.
 *
 * The verdict of a resource failure is written into the allocation before it is sent, so whoever reads the
 * record again sends the same. A verdict that no allocation carries (no resource was short, or the code is
 * only observed) follows from record and policy alone, its time too, so judging again gives the same. */
#include <errno.h>
#include <inttypes.h>

#include "allocate/allocate.h"
#include "allocate/verdict.h"
#include "allocate/dead.h"
#include "allocate/validate.h"
#include "common/clock.h"
#include "common/topics.h"
#include "common/uuid.h"

#define VERDICT_KEPT_US                                                                                      \
    (300 * 1000000LL) /* offsets are committed every second: after minutes no record comes again */

/* One record in hand. */
struct case_ {
    struct allocate *allocate;
    const struct stream_message *message;
    struct msg_execution_record record;
    struct attempt *attempt;  /* NULL: nothing known of it */
    struct code_entry *entry; /* NULL: no room for its code */
    struct settle_input input;
    struct settle_storage storage;
    char reason[SETTLE_REASON_MAX];
};

static struct codec *codec_of(const struct case_ *now)
{
    return topic_codec_codec(now->allocate->codec);
}

static void log_verdict(struct allocate *allocate, const struct msg_verdict *verdict, bool again)
{
    char id[UUID_TEXT_SIZE], reason[2 * SETTLE_REASON_MAX], code[BOOK_CODE_MAX * 2];
    if (log_limited(&allocate->decision_log, clock_monotonic_ms()))
        return;
    uuid_format(verdict->execution, id);
    log_info(again ? "verdict_again" : "verdict",
             "execution=%s attempt=%d code=%s cause=%s retry=%s dead_lettered=%s reason=%s", id,
             verdict->attempt, log_quote(code, sizeof code, verdict->code), msg_cause_name(verdict->cause),
             verdict->retry ? "yes" : "no", verdict->dead_lettered ? "yes" : "no",
             log_quote(reason, sizeof reason, verdict->reason));
}

static int encode_dead(struct case_ *now, const struct msg_verdict *verdict, struct buffer *out)
{
    struct allocate *allocate = now->allocate;
    struct dead_input input = {&now->record, now->attempt, verdict->reason, verdict->decided_us};
    bool reduced;
    int result = dead_encode(&input, codec_of(now), allocate->arena, DEAD_MAX_BYTES, out, &reduced);
    if (result == 0) {
        metric_add(allocate->metrics.dead, 1);
        metric_add(allocate->metrics.dead_reduced, reduced);
    }
    return result;
}

/* The bytes that go out once the allocation is in Kafka. */
static int prepare(struct case_ *now, struct settlement *settlement, const struct msg_verdict *verdict)
{
    (void)str_copy(settlement->pool, sizeof settlement->pool, verdict->pool); /* validated */
    int result = codec_encode(&msg_verdict_type, verdict, &settlement->verdict);
    if (result == 0 && verdict->dead_lettered)
        result = encode_dead(now, verdict, &settlement->dead);
    if (result == 0)
        return 0;
    allocate_fail(now->allocate, result, "no memory for the verdict of %s", settlement->code);
    return result;
}

static struct msg_verdict judge(struct case_ *now, const struct msg_allocation *allocation)
{
    struct allocate *allocate = now->allocate;
    const struct msg_execution_record *record = &now->record;
    struct verdict judged;
    struct msg_limits capacity =
        nodes_largest(allocate->nodes, record->pool, allocate->options->raise_reserve, clock_monotonic_ms());
    verdict_judge(&now->input, record, allocation, &capacity, &judged);
    (void)str_copy(now->reason, sizeof now->reason, str_of(judged.reason));
    struct msg_verdict verdict = {
        .attempt = record->attempt,
        .code = record->code,
        .pool = record->pool,
        .cause = record->cause,
        .retry = judged.retry,
        .dead_lettered = judged.dead_lettered,
        .limits = judged.limits,
        .revision = allocation ? allocation->revision : record->allocation_revision,
        .reason = str_of(now->reason),
        .decided_us = allocation ? now->input.now_us : record->ended_us,
    };
    memcpy(verdict.execution, record->execution, sizeof verdict.execution);
    return verdict;
}

/* Too many failures of one code since the last commit: commit, so that their verdicts need not be kept any
 * longer. */
static void make_room_for_verdict(struct case_ *now)
{
    struct allocate *allocate = now->allocate;
    struct code_entry *entry = now->entry;
    int32_t partition = now->message->partition;
    book_drop_verdicts(entry, -1, now->input.now_us - VERDICT_KEPT_US);
    if (entry->verdict_count < BOOK_VERDICTS_MAX)
        return;
    effects_store_offsets(allocate);
    if (stream_commit(allocate->stream) == 0)
        book_drop_verdicts(entry, allocate->stored_records[partition], 0);
}

static bool has_room_for_verdict(const struct case_ *now)
{
    return now->entry->verdict_count < BOOK_VERDICTS_MAX;
}

/* A record that the allocation counts already: only its verdict may be missing. */
static enum stream_outcome repeat(struct case_ *now, struct ticket *ticket)
{
    struct allocate *allocate = now->allocate;
    struct msg_verdict verdict;
    metric_add(allocate->metrics.records_repeated, 1);
    if (!settle_failed(&now->record))
        return STREAM_DONE;
    int result = book_verdict(now->entry, codec_of(now), now->record.execution, now->record.attempt,
                              allocate->arena, &verdict);
    if (result == -ENOENT)
        verdict = judge(now, NULL);
    else if (result < 0)
        return STREAM_FATAL;
    struct settlement *settlement = settlement_begin(allocate, now->record.code, ticket);
    if (!settlement)
        return STREAM_RETRY;
    if (prepare(now, settlement, &verdict) < 0)
        return STREAM_FATAL;
    metric_add(allocate->metrics.verdicts_resent, 1);
    log_verdict(allocate, &verdict, true);
    settlement_publish_verdict(settlement);
    return STREAM_DONE;
}

/* The allocation after this record, with its position and, for a failure, its verdict in it. */
static int complete(struct case_ *now, struct msg_allocation *next, const struct msg_verdict *verdict)
{
    struct allocate *allocate = now->allocate;
    struct msg_verdict *verdicts = next->verdicts.items; /* room for one more: book_allocation_message() */
    next->code = str_of(now->entry->code);
    if (verdict && !verdicts)
        verdicts = arena_alloc(allocate->arena, 1, sizeof *verdicts);
    if (verdict && !verdicts)
        return -ENOMEM;
    if (verdict) {
        next->verdicts.items = verdicts;
        verdicts[next->verdicts.count++] = *verdict;
    }
    return book_through(now->entry, now->message->partition, now->message->offset, allocate->arena,
                        &next->through);
}

static void count_verdict(struct allocate *allocate, const struct msg_verdict *verdict)
{
    metric_add(allocate->metrics.verdicts[verdict->retry], 1);
    log_verdict(allocate, verdict, false);
}

/* With an allocation: first that, the rest follows. */
static enum stream_outcome publish(struct case_ *now, struct msg_allocation *next,
                                   const struct msg_verdict *verdict, struct ticket *ticket)
{
    struct allocate *allocate = now->allocate;
    struct settlement *settlement = settlement_begin(allocate, now->record.code, ticket);
    if (!settlement)
        return STREAM_RETRY;
    if ((verdict && prepare(now, settlement, verdict) < 0) || complete(now, next, verdict) < 0)
        return STREAM_FATAL;
    int result = settlement_publish(settlement, now->entry, next);
    if (result == -EAGAIN)
        settlement_cancel(settlement);
    if (result < 0)
        return result == -EAGAIN ? STREAM_RETRY : STREAM_FATAL;
    if (verdict)
        count_verdict(allocate, verdict);
    return STREAM_DONE;
}

static enum stream_outcome publish_verdict(struct case_ *now, const struct msg_verdict *verdict,
                                           struct ticket *ticket)
{
    struct settlement *settlement = settlement_begin(now->allocate, now->record.code, ticket);
    if (!settlement)
        return STREAM_RETRY;
    if (prepare(now, settlement, verdict) < 0)
        return STREAM_FATAL;
    count_verdict(now->allocate, verdict);
    settlement_publish_verdict(settlement);
    return STREAM_DONE;
}

static enum stream_outcome settle(struct case_ *now, struct ticket *ticket)
{
    struct allocate *allocate = now->allocate;
    struct msg_allocation previous, next;
    bool failed = settle_failed(&now->record);
    if (failed && now->entry)
        make_room_for_verdict(now);
    if (failed && now->entry && !has_room_for_verdict(now))
        return STREAM_RETRY; /* the effects of earlier ones are still on their way */
    int known =
        now->entry ? book_allocation_message(now->entry, codec_of(now), allocate->arena, &previous) : -ENOENT;
    if (known == -ENOMEM)
        return STREAM_FATAL;
    bool changed =
        settle_record(&now->input, known == 0 ? &previous : NULL, &now->record, &now->storage, &next);
    if (!failed)
        return changed && now->entry ? publish(now, &next, NULL, ticket) : STREAM_DONE;
    struct msg_verdict verdict = judge(now, changed ? &next : NULL);
    return changed && now->entry ? publish(now, &next, &verdict, ticket)
                                 : publish_verdict(now, &verdict, ticket);
}

static enum stream_outcome read_record(struct case_ *now)
{
    struct allocate *allocate = now->allocate;
    struct str key = {now->message->key, now->message->key_size};
    enum stream_outcome outcome =
        topic_codec_decode(allocate->codec, &msg_execution_record_type, now->message, allocate->arena,
                           &now->record, clock_monotonic_ms());
    return outcome == STREAM_DONE
               ? allocate_judge_message(allocate->stream, validate_record(&now->record, key))
               : outcome;
}

/* A risk that comes late must not raise anything; all of them may, on a topic of their own. */
static enum stream_outcome end_attempt(struct case_ *now)
{
    struct attempts *attempts = now->allocate->attempts;
    struct attempt *attempt =
        attempts_obtain(attempts, now->record.execution, now->record.attempt, now->message->partition);
    if (!attempt)
        return STREAM_FATAL;
    attempt->ended = true;
    attempts_close(attempts, attempt);
    return STREAM_DONE;
}

enum stream_outcome allocate_on_record(struct allocate *allocate, const struct stream_message *message,
                                       struct ticket *ticket)
{
    struct case_ now = {.allocate = allocate, .message = message};
    enum stream_outcome outcome = read_record(&now);
    if (outcome != STREAM_DONE)
        return outcome;
    int64_t now_us = clock_realtime_us();
    now.attempt = attempts_find(allocate->attempts, now.record.execution, now.record.attempt);
    now.entry = allocate_entry(allocate, now.record.code, message->partition, now_us);
    now.input = allocate_settle_input(allocate, now.entry, now_us);
    bool known = now.entry && book_contains(now.entry, message->partition, message->offset);
    outcome = known ? repeat(&now, ticket) : settle(&now, ticket);
    if (outcome != STREAM_DONE)
        return outcome;
    metric_add(allocate->metrics.records, 1);
    return end_attempt(&now);
}
