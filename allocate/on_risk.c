/* A risk: decided, sent, written for the code. A node's status: what changes for those who wait. See
 * allocate.h. */
#include <errno.h>
#include <inttypes.h>

#include "allocate/allocate.h"
#include "allocate/dead.h"
#include "allocate/validate.h"
#include "common/clock.h"
#include "common/topics.h"
#include "common/uuid.h"

static struct str key_of(const struct stream_message *message)
{
    return (struct str){message->key, message->key_size};
}

enum stream_outcome allocate_judge_message(struct stream *stream, const char *wrong)
{
    if (!wrong)
        return STREAM_DONE;
    stream_set_reason(stream, "%s", wrong);
    return STREAM_QUARANTINE;
}

static void log_decision(struct allocate *allocate, const struct msg_adjustment *adjustment,
                         const struct policy_decision *decision)
{
    char id[UUID_TEXT_SIZE], reason[2 * POLICY_REASON_MAX], code[BOOK_CODE_MAX * 2];
    if (log_limited(&allocate->decision_log, clock_monotonic_ms()))
        return;
    uuid_format(adjustment->execution, id);
    log_info(decision->act ? "decision" : "decision_not_sent",
             "execution=%s attempt=%d code=%s decision=%" PRId64
             " direction=%s cause=%s memory_bytes=%" PRId64 " cpu_millicores=%d probability=%.3f reason=%s",
             id, adjustment->attempt, log_quote(code, sizeof code, adjustment->code), adjustment->decision,
             msg_direction_name(adjustment->direction), msg_cause_name(adjustment->cause),
             adjustment->limits.memory_bytes, adjustment->limits.cpu_millicores,
             (double)adjustment->probability, log_quote(reason, sizeof reason, adjustment->reason));
}

/* Rising over restarts and changes of hands without being stored anywhere: microseconds of the attempt at the
 * sample. A risk that is handled again after a crash gets the same number, and the agent ignores what it has
 * met. */
static int64_t number_of(const struct attempt *attempt, const struct msg_risk *risk)
{
    return FS_MAX(attempt->decision + 1, risk->sampled_us - risk->started_us + 1);
}

static struct msg_adjustment adjustment_of(const struct allocate *allocate, const struct msg_risk *risk,
                                           const struct policy_decision *decision, int64_t number,
                                           int64_t now_us)
{
    struct msg_adjustment adjustment = {
        .node = risk->node,
        .attempt = risk->attempt,
        .code = risk->code,
        .epoch = risk->epoch,
        .sequence = risk->sequence,
        .decision = number,
        /* by the later of the two clocks: one that is behind must not make every adjustment too late */
        .expires_us = FS_MAX(now_us, risk->sampled_us) + allocate->options->expiry_ms * 1000,
        .limits = decision->limits,
        .direction = decision->direction,
        .cause = decision->cause,
        .probability = decision->probability,
        .model_version = risk->model_version,
        .reason = str_of(decision->reason),
        .sampled_us = risk->sampled_us,
        .risk_us = risk->published_us,
        .decided_us = now_us,
    };
    memcpy(adjustment.execution, risk->execution, sizeof adjustment.execution);
    memcpy(adjustment.incarnation, risk->incarnation, sizeof adjustment.incarnation);
    return adjustment;
}

/* What is lost is decided again while its risk stays open, so the offset need not wait for it. */
static void on_adjustment_delivered(void *context, int error)
{
    struct allocate *allocate = context;
    if (error != 0)
        metric_add(allocate->metrics.unsent, 1);
}

static void send_adjustment(struct allocate *allocate, const struct msg_adjustment *adjustment)
{
    struct buffer *out = &allocate->out;
    buffer_reset(out);
    int result = codec_encode(&msg_adjustment_type, adjustment, out);
    if (result == 0)
        result =
            stream_produce(allocate->nodes_stream, TOPIC_ADJUSTMENTS, adjustment->node.data,
                           adjustment->node.size, out->data, out->size, on_adjustment_delivered, allocate);
    if (result == -EPIPE)
        allocate_fail(allocate, result, "the producer has failed for good");
    else if (result < 0)
        metric_add(allocate->metrics.unsent, 1); /* the attempt stays open: once more in some milliseconds */
}

/* The next execution starts with at least what this one was given. A raise that finds no room on its way now
 * is written with the next decision, or from the record. */
static void raise_code(struct allocate *allocate, const struct attempt *attempt, const struct msg_risk *risk,
                       const struct policy_decision *decision, struct ticket *ticket, int64_t now_us)
{
    struct codec *codec = topic_codec_codec(allocate->codec);
    struct code_entry *entry = allocate_entry(allocate, risk->code, attempt->partition, now_us);
    struct msg_allocation previous, next;
    struct settle_storage storage;
    if (!entry)
        return;
    struct settle_input input = allocate_settle_input(allocate, entry, now_us);
    int known = book_allocation_message(entry, codec, allocate->look_arena, &previous);
    if (known == -ENOMEM || !settle_raise(&input, known == 0 ? &previous : NULL, &attempt->first_limits,
                                          decision, &storage, &next))
        return;
    next.code = str_of(entry->code);
    struct settlement *settlement = settlement_begin(allocate, next.code, ticket);
    if (!settlement)
        metric_add(allocate->metrics.waited, 1);
    else if (settlement_publish(settlement, entry, &next) == -EAGAIN)
        settlement_cancel(settlement);
}

static void keep_decision(struct allocate *allocate, struct attempt *attempt,
                          const struct msg_adjustment *adjustment, const struct policy_decision *decision)
{
    struct msg_decision kept = {*adjustment, decision->expected_cost, decision->kept_cost};
    attempt->decision = adjustment->decision;
    fs_drop(dead_keep_decision(&kept, &allocate->scratch,
                               &attempt->decisions)); /* out of memory: one letter lacks it */
}

static void observe_latency(struct allocate *allocate, const struct msg_adjustment *adjustment,
                            int64_t consumed_us)
{
    metric_observe(allocate->metrics.sampled_seconds,
                   (double)(adjustment->decided_us - adjustment->sampled_us) / 1e6);
    metric_observe(allocate->metrics.consumed_seconds, (double)(adjustment->decided_us - consumed_us) / 1e6);
}

static void carry_out(struct allocate *allocate, struct attempt *attempt, const struct msg_risk *risk,
                      const struct policy_decision *decision, struct ticket *ticket, int64_t now_us)
{
    struct msg_adjustment adjustment =
        adjustment_of(allocate, risk, decision, number_of(attempt, risk), now_us);
    metric_add(allocate->metrics.decisions[decision->direction], 1);
    if (decision->act) {
        send_adjustment(allocate, &adjustment);
        observe_latency(allocate, &adjustment, risk->published_us);
    } else {
        metric_add(allocate->metrics.observed, 1);
    }
    keep_decision(allocate, attempt, &adjustment, decision);
    log_decision(allocate, &adjustment, decision);
    struct node_view *node = nodes_find(allocate->nodes, risk->node, clock_monotonic_ms());
    if (decision->act && node)
        nodes_debit(node, &risk->limits, &decision->limits);
    if (decision->act && decision->direction == MSG_DIRECTION_RAISE)
        raise_code(allocate, attempt, risk, decision, ticket, now_us);
}

static void decide(struct allocate *allocate, struct attempt *attempt, const struct msg_risk *risk,
                   struct ticket *ticket)
{
    int64_t now_us = clock_monotonic_us(), now_ms = now_us / 1000, due_us;
    const struct code_entry *entry = book_find(allocate->book, risk->code);
    const struct node_view *node = nodes_find(allocate->nodes, risk->node, now_ms);
    struct policy_input input = {.risk = risk,
                                 .history = book_history(entry),
                                 .fixed = book_policy(entry),
                                 .node = node ? &node->policy : NULL,
                                 .node_short = node && node->is_short,
                                 .first_limits = &attempt->first_limits,
                                 .now_us = now_us};
    struct policy_decision decision;
    policy_decide(&allocate->options->policy, &input, &attempt->policy, &decision);
    if (decision.direction != MSG_DIRECTION_KEEP)
        carry_out(allocate, attempt, risk, &decision, ticket, clock_realtime_us());
    if (policy_is_open(&allocate->options->policy, &attempt->policy, &due_us))
        attempts_open(allocate->attempts, attempt, now_ms + FS_MAX(due_us - now_us, 0) / 1000 + 1);
    else
        attempts_close(allocate->attempts, attempt);
}

static enum stream_outcome read_risk(struct allocate *allocate, const struct stream_message *message,
                                     struct msg_risk *risk)
{
    enum stream_outcome outcome = topic_codec_decode(allocate->codec, &msg_risk_type, message,
                                                     allocate->arena, risk, clock_monotonic_ms());
    return outcome == STREAM_DONE
               ? allocate_judge_message(allocate->stream, validate_risk(risk, key_of(message)))
               : outcome;
}

enum stream_outcome allocate_on_risk(struct allocate *allocate, const struct stream_message *message,
                                     struct ticket *ticket)
{
    struct msg_risk risk;
    arena_reset(allocate->look_arena);
    enum stream_outcome outcome = read_risk(allocate, message, &risk);
    if (outcome != STREAM_DONE)
        return outcome;
    metric_add(allocate->metrics.risks, 1);
    struct attempt *attempt =
        attempts_obtain(allocate->attempts, risk.execution, risk.attempt, message->partition);
    if (!attempt)
        return STREAM_FATAL;
    if (!attempt_advance(attempt, risk.epoch, risk.sequence)) {
        metric_add(allocate->metrics.repeats, 1);
        return STREAM_DONE;
    }
    if (attempt->risks.count == 0 && attempt->risks.dropped == 0)
        attempt->first_limits = risk.limits;
    keep_push(&attempt->risks, (struct str){message->value, message->value_size});
    if (message->offset < allocate->known_risks[message->partition]) {
        metric_add(allocate->metrics.replayed, 1); /* handled before the restart: only known again */
        policy_recall(&attempt->policy, &risk);
    } else if (!attempt->ended) {
        decide(allocate, attempt, &risk, ticket);
    }
    return STREAM_DONE;
}

/* The newest risk of an attempt, out of what is kept of it. */
static bool newest_risk(struct allocate *allocate, const struct attempt *attempt, struct msg_risk *risk)
{
    struct str framed;
    arena_reset(allocate->look_arena);
    return keep_last(&attempt->risks, &framed) &&
           codec_decode(topic_codec_codec(allocate->codec), &msg_risk_type, framed, allocate->look_arena,
                        risk) == 0;
}

static void look_at(struct allocate *allocate, struct attempt *attempt)
{
    struct msg_risk risk;
    if (attempt->ended || !newest_risk(allocate, attempt, &risk)) {
        attempts_close(allocate->attempts, attempt);
        return;
    }
    metric_add(allocate->metrics.again, 1);
    decide(allocate, attempt, &risk, NULL);
}

void allocate_look_again(struct allocate *allocate)
{
    int64_t now_ms = clock_monotonic_ms();
    for (struct attempt *attempt = attempts_first_open(allocate->attempts), *next; attempt; attempt = next) {
        next = attempt->next_open;
        if (attempt->due_ms <= now_ms)
            look_at(allocate, attempt);
    }
}

static int64_t refused_memory(const struct msg_node_status *status, const struct msg_running_attempt *running)
{
    for (size_t i = 0; i < status->short_.count; i++) {
        const struct msg_short_of *refused = &status->short_.items[i];
        if (refused->resource == MSG_CAUSE_MEMORY && refused->attempt == running->attempt &&
            memcmp(refused->execution, running->execution, sizeof refused->execution) == 0)
            return refused->wanted;
    }
    return 0;
}

/* A refusal that the status does not explain is of a bound the agent does not tell of. Judged when it is
 * first listed: what is free may be more by the time it is listed again. */
static void note_refusal(struct attempt *attempt, const struct msg_running_attempt *running,
                         const struct node_view *node, int64_t refused)
{
    bool fits = refused - running->limits.memory_bytes <= node->policy.free.memory_bytes;
    if (refused == attempt->refused_listed)
        return;
    attempt->refused_listed = refused;
    attempt->policy.refused_bytes = refused > 0 && fits ? refused : 0;
}

/* Somebody on the node is short: our own executions there give what they do not need, and what was refused is
 * asked for anew with what is free now. */
static void look_at_node(struct allocate *allocate, const struct msg_node_status *status,
                         const struct node_view *node)
{
    for (size_t i = 0; i < status->running.count; i++) {
        const struct msg_running_attempt *running = &status->running.items[i];
        struct attempt *attempt = attempts_find(allocate->attempts, running->execution, running->attempt);
        if (!attempt)
            continue;
        note_refusal(attempt, running, node, refused_memory(status, running));
        if (attempt->open || node->is_short)
            look_at(allocate, attempt);
    }
}

enum stream_outcome allocate_on_status(void *context, const struct stream_message *message)
{
    struct allocate *allocate = context;
    struct msg_node_status status;
    arena_reset(allocate->arena);
    enum stream_outcome outcome = topic_codec_decode(allocate->nodes_codec, &msg_node_status_type, message,
                                                     allocate->arena, &status, clock_monotonic_ms());
    if (outcome == STREAM_RETRY)
        return outcome;
    if (outcome != STREAM_DONE || validate_status(&status, key_of(message))) {
        metric_add(allocate->metrics.statuses_refused,
                   1); /* every instance reads it: queue puts it into quarantine */
        return outcome == STREAM_FATAL ? outcome : STREAM_DONE;
    }
    metric_add(allocate->metrics.statuses, 1);
    struct node_view *node = nodes_update(allocate->nodes, &status, clock_monotonic_ms());
    if (!node)
        return STREAM_FATAL;
    look_at_node(allocate, &status, node);
    return STREAM_DONE;
}
