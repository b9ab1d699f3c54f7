/* See policy.h. Order of a decision: what a person fixed, facts (brake, kills), memory by cost, the rate
 * resources, then shrinking; bounds of people and node last, so that nothing can pass them. */
#include "allocate/policy.h"

#include <stdarg.h>
#include <stdio.h>

#include "agent/limit_marks.h"
#include "allocate/amounts.h"
#include "allocate/policy_internal.h"
#include "schemas/limits.h"

#define MEMORY_STALL_QUIET_PERMILLE 50 /* who waits for memory gives none back */
#define UNANSWERED_MOST 6              /* then only a new risk asks again */
#define LEAST_ASKED 1.25 /* what is asked for of a rate the node has none of, so that neighbours give */

const struct policy_config policy_defaults = {
    .memory_headroom = 1.4, /* keeps highest limit / peak below 1.5 whatever the model says; stalls 2 */
    .memory_headroom_braked = 1.12, /* docs/design/closed-loop.md: hardly any stay in the brake */
    .memory_step = 1.05,            /* below it the write costs more attention than it helps */
    .memory_stalled = 0.15, /* docs/design/closed-loop.md: crawling 0.25 and more, healthy below 0.1 */
    .memory_overhead_bytes = INT64_C(6)
                             << 20, /* measured on xz, gcc, python3: 1..5 MiB beside anonymous memory */
    .memory_overhead_braked_bytes = INT64_C(4) << 20, /* docs/design/closed-loop.md */
    .brake_share = LIMIT_BRAKE_SHARE,
    .brake_least_bytes = (int64_t)LIMIT_BRAKE_LEAST,
    .brake_step = 1.1, /* the growth seen asks for more by itself (tests/allocate/test_policy_loop.c) */
    .rate_step = 4.0,  /* reaches what 75 % throttling asks for at once */
    .rate_stalled = 0.3,
    .deadline_share = 0.1,
    .deadline_late = 0.5,
    .rate_settle_us =
        900000,         /* shares in a risk are of the last second; risks of a stall come every second */
    .cover_ms = 1500,   /* 15 samples: the loop's p99 is 60 ms, the rest is for a slow broker */
    .rerun_s = 60,      /* somebody looks at it and starts it again */
    .slack_s = 10,      /* the model's horizon */
    .settle_us = 60000, /* p99 of the loop */
    .unanswered_max_us = 2000000, /* the expiry of an adjustment */
    .shrink_after_us = 30 * 1000000LL,
    .shrink_step = 0.9,
    .shrink_slack = 1.5,
    .shrink_slack_short = 1.15,
};

void policy_explain(struct policy_decision *decision, const char *format, ...)
{
    size_t used = strlen(decision->reason);
    va_list arguments;
    va_start(arguments, format);
    if (used > 0 && used + 2 < sizeof decision->reason) {
        memcpy(decision->reason + used, "; ", 3);
        used += 2;
    }
    (void)vsnprintf(decision->reason + used, sizeof decision->reason - used, format,
                    arguments); /* cut is fine */
    va_end(arguments);
}

int64_t policy_whole_mib(double bytes)
{
    int64_t mib = (int64_t)(bytes / POLICY_MIB);
    return ((double)mib * POLICY_MIB < bytes ? mib + 1 : mib) * (int64_t)POLICY_MIB;
}

static float of_cause(const struct msg_cause_probabilities *all, enum msg_cause cause, float none)
{
    switch (cause) {
    case MSG_CAUSE_MEMORY:
        return all->memory;
    case MSG_CAUSE_CPU:
        return all->cpu;
    case MSG_CAUSE_IO:
        return all->io;
    case MSG_CAUSE_NET:
        return all->net;
    case MSG_CAUSE_OTHER:
        return all->other;
    case MSG_CAUSE_NONE:
        break;
    }
    return none;
}

/* Risks of before every cause had its own carry one for all. */
static float threshold_of(const struct msg_risk *risk, enum msg_cause cause)
{
    float own = of_cause(&risk->thresholds, cause, 0);
    return own > 0 ? own : risk->threshold;
}

/* Risks of before there were levels alarm by their probabilities. */
float policy_cause_level(const struct msg_risk *risk, enum msg_cause cause)
{
    float own = of_cause(&risk->levels, cause, 0);
    return own > 0 ? own : of_cause(&risk->probabilities, cause, risk->probability);
}

bool policy_alarmed(const struct msg_risk *risk, enum msg_cause cause)
{
    return risk->above && policy_cause_level(risk, cause) >= threshold_of(risk, cause);
}

bool policy_just_raised(const struct policy_case *now, int64_t raised_us)
{
    return raised_us != 0 && now->input->now_us - raised_us < now->config->rate_settle_us;
}

/* The level of no cause is half as high as an alarm. */
static bool is_quiet(const struct msg_risk *risk)
{
    for (enum msg_cause cause = MSG_CAUSE_MEMORY; cause < MSG_CAUSE_COUNT; cause++)
        if (policy_cause_level(risk, cause) >= threshold_of(risk, cause) / 2)
            return false;
    return !risk->above && !risk->brake_engaged && risk->memory_stall_permille < MEMORY_STALL_QUIET_PERMILLE;
}

static int64_t bound(int64_t value, int64_t floor, int64_t ceiling)
{
    if (value == 0) /* no limit stays none unless a ceiling stands */
        return ceiling;
    value = FS_MAX(value, floor);
    return ceiling > 0 ? FS_MIN(value, ceiling) : value;
}

int64_t policy_memory_most(const struct msg_code_policy *fixed)
{
    if (!fixed)
        return INT64_MAX;
    if (fixed->mode != MSG_MODE_ACT || fixed->has_pin)
        return 0;
    return fixed->ceiling.memory_bytes > 0 ? fixed->ceiling.memory_bytes : INT64_MAX;
}

struct msg_limits policy_bound(struct msg_limits limits, const struct msg_code_policy *fixed)
{
    if (!fixed)
        return limits;
    if (fixed->has_pin)
        return fixed->pin;
    for (enum amount amount = 0; amount < AMOUNT_COUNT; amount++)
        amount_set(&limits, amount,
                   bound(amount_get(&limits, amount), amount_get(&fixed->floor, amount),
                         amount_get(&fixed->ceiling, amount)));
    return limits;
}

/* What the node has beside the limit in force; INT64_MAX when it is not known or not rationed. */
static int64_t node_room(const struct policy_case *now, enum amount amount)
{
    const struct policy_node *node = now->input->node;
    if (!node || !node->known || amount_get(&node->capacity, amount) <= 0)
        return INT64_MAX;
    int64_t free = FS_MAX(amount_get(&node->free, amount), 0),
            in_force = amount_get(&now->risk->limits, amount);
    return in_force > INT64_MAX - free ? INT64_MAX : in_force + free;
}

/* The least that a raise of this resource must reach to be of use. */
static int64_t least_useful(const struct policy_case *now, enum amount amount)
{
    if (amount == AMOUNT_MEMORY)
        return now->least_memory;
    return (int64_t)((double)amount_get(&now->risk->limits, amount) * LEAST_ASKED);
}

/* Raises that the node has room for; what it has no useful room for is left out. */
static struct msg_limits fit(const struct policy_case *now, const struct msg_limits *wanted, bool *cut,
                             bool *left_out)
{
    struct msg_limits fitting = *wanted;
    for (enum amount amount = 0; amount < AMOUNT_COUNT; amount++) {
        int64_t in_force = amount_get(&now->risk->limits, amount), to = amount_get(wanted, amount);
        int64_t room = node_room(now, amount);
        if (to <= in_force || to <= room)
            continue;
        bool useful = room > in_force && room >= FS_MIN(least_useful(now, amount), to);
        *(useful ? cut : left_out) = true;
        amount_set(&fitting, amount, useful ? room : in_force);
    }
    return fitting;
}

/* Nothing fits: the least of the first resource is asked for all the same. The node refuses it, shows it as
 * `short`, and every allocate with executions there offers slack; or it has room by now. */
static struct msg_limits ask(const struct policy_case *now, const struct msg_limits *wanted)
{
    struct msg_limits asked = now->risk->limits;
    for (enum amount amount = 0; amount < AMOUNT_COUNT; amount++) {
        int64_t to = amount_get(wanted, amount);
        if (to <= amount_get(&asked, amount))
            continue;
        amount_set(&asked, amount, FS_MIN(to, least_useful(now, amount)));
        policy_explain(now->decision, "the node has no room: the least that helps is asked for");
        return asked;
    }
    return asked;
}

/* The resource that was raised; of several the one whose failure is most probable. */
static enum msg_cause raised_cause(const struct msg_limits *from, const struct msg_limits *to,
                                   const struct msg_risk *risk)
{
    enum msg_cause best = to->cpu_weight > from->cpu_weight ? MSG_CAUSE_CPU : MSG_CAUSE_NONE;
    for (enum amount amount = 0; amount < AMOUNT_COUNT; amount++) {
        enum msg_cause cause = amount_cause(amount);
        if (!amount_more(amount_get(from, amount), amount_get(to, amount)))
            continue;
        if (best == MSG_CAUSE_NONE || policy_cause_level(risk, cause) > policy_cause_level(risk, best))
            best = cause;
    }
    return best;
}

static void decide_raise(struct policy_case *now)
{
    const struct msg_risk *risk = now->risk;
    bool cut = false, left_out = false;
    policy_memory_decide(now);
    policy_cpu_decide(now);
    policy_io_decide(now);
    policy_net_decide(now);
    if (limits_equal(&now->wanted, &risk->limits))
        return;
    struct msg_limits bounded = policy_bound(now->wanted, now->input->fixed);
    bounded = amounts_highest(
        &bounded, &risk->limits); /* a ceiling below what is in force is not this rule's business */
    if (!limits_equal(&bounded, &now->wanted))
        policy_explain(now->decision, "cut to its ceiling");
    struct msg_limits fitting = fit(now, &bounded, &cut, &left_out);
    if (limits_equal(&fitting, &risk->limits) && left_out)
        fitting = ask(now, &bounded);
    else if (cut || left_out)
        policy_explain(now->decision, "cut to what the node has");
    now->decision->cause = raised_cause(&risk->limits, &fitting, risk);
    if (now->decision->cause == MSG_CAUSE_NONE)
        return;
    now->decision->direction = MSG_DIRECTION_RAISE;
    now->decision->limits = fitting;
}

/* True when the limits in force are not what a person fixed: then that is the decision. */
static bool decide_fixed(struct policy_case *now)
{
    const struct msg_code_policy *fixed = now->input->fixed;
    const struct msg_risk *risk = now->risk;
    if (!fixed)
        return false;
    struct msg_limits limits = policy_bound(risk->limits, fixed);
    if (!fixed->has_pin && amount_more(limits.memory_bytes, risk->limits.memory_bytes) &&
        policy_memory_usable(now->config, (double)limits.memory_bytes) < (double)risk->memory_bytes)
        limits.memory_bytes = risk->limits.memory_bytes; /* a new ceiling ends no running program */
    if (limits_equal(&limits, &risk->limits))
        return fixed->has_pin;
    now->decision->cause = raised_cause(&risk->limits, &limits, risk);
    now->decision->direction =
        now->decision->cause == MSG_CAUSE_NONE ? MSG_DIRECTION_SHRINK : MSG_DIRECTION_RAISE;
    now->decision->limits = limits;
    policy_explain(now->decision, "%s by %.*s", fixed->has_pin ? "pinned" : "floor or ceiling set",
                   (int)FS_MIN(fixed->author.size, 64u), fixed->author.data);
    return true;
}

static int64_t patience_us(const struct policy_config *config, uint32_t unanswered)
{
    int64_t patience = config->settle_us << FS_MIN(unanswered, 10u);
    return FS_MIN(patience, config->unanswered_max_us);
}

static bool awaits_answer(const struct policy_attempt *attempt)
{
    return attempt->wanted_us != 0;
}

/* A raise counts from the sample that shows it: one that was lost or refused changed nothing. */
static void note_raises(struct policy_case *now)
{
    struct policy_attempt *attempt = now->attempt;
    const struct msg_limits from = attempt->in_force, *to = &now->risk->limits;
    bool first = !attempt->began;
    attempt->in_force = *to;
    attempt->began = true;
    if (first || limits_equal(&from, to))
        return;
    int64_t now_us = now->input->now_us;
    attempt->refused_bytes = 0;
    if (amount_more(from.memory_bytes, to->memory_bytes)) {
        attempt->memory_raised_us = now_us;
        attempt->oom_kills = now->risk->oom_kills;
    }
    if (amount_more(from.cpu_millicores, to->cpu_millicores) || to->cpu_weight > from.cpu_weight)
        attempt->cpu_raised_us = now_us;
    if (amount_more(from.io_read_bps, to->io_read_bps) || amount_more(from.io_write_bps, to->io_write_bps))
        attempt->io_raised_us = now_us;
    if (amount_more(from.net_egress_bps, to->net_egress_bps))
        attempt->net_raised_us = now_us;
}

/* The sample shows what was decided; or it shows nothing yet. */
static void observe(struct policy_case *now)
{
    struct policy_attempt *attempt = now->attempt;
    const struct msg_risk *risk = now->risk;
    policy_memory_observe(now);
    note_raises(now);
    if (awaits_answer(attempt) && limits_equal(&attempt->wanted, &risk->limits)) {
        attempt->wanted_us = 0;
        attempt->unanswered = 0;
    }
    if (!is_quiet(risk))
        attempt->quiet_since_us = 0;
    else if (attempt->quiet_since_us == 0)
        attempt->quiet_since_us = now->input->now_us;
}

/* The answer to the last decision is still on its way: the same again would only repeat it, and anything else
 * would be decided on a sample from before it. */
static bool is_too_early(const struct policy_case *now)
{
    const struct policy_attempt *attempt = now->attempt;
    int64_t waited_us = now->input->now_us - attempt->wanted_us;
    if (!awaits_answer(attempt))
        return false;
    bool same = limits_equal(&attempt->wanted, &now->decision->limits);
    return waited_us < (same ? patience_us(now->config, attempt->unanswered) : now->config->settle_us);
}

static void remember(struct policy_case *now)
{
    struct policy_attempt *attempt = now->attempt;
    const struct msg_limits *to = &now->decision->limits;
    bool same = awaits_answer(attempt) && limits_equal(&attempt->wanted, to);
    attempt->unanswered = same ? attempt->unanswered + 1 : 0;
    attempt->wanted = *to;
    attempt->wanted_us = now->input->now_us;
    attempt->observed = !now->decision->act;
    if (now->decision->direction == MSG_DIRECTION_SHRINK)
        attempt->shrunk_us = now->input->now_us;
    else
        attempt->quiet_since_us = 0;
}

/* A floor or ceiling that did not come into force: the node has no room for it, or cannot enforce it. It is
 * asked for again and again, but what is needed to live goes first. */
static bool is_refused(const struct policy_case *now)
{
    const struct policy_attempt *attempt = now->attempt;
    return !now->input->fixed->has_pin && awaits_answer(attempt) && attempt->unanswered > 0 &&
           limits_equal(&attempt->wanted, &now->decision->limits);
}

static void keep(struct policy_decision *decision, const struct msg_risk *risk)
{
    decision->direction = MSG_DIRECTION_KEEP;
    decision->limits = risk->limits;
}

void policy_decide(const struct policy_config *config, const struct policy_input *input,
                   struct policy_attempt *attempt, struct policy_decision *decision)
{
    const struct msg_risk *risk = input->risk;
    struct policy_case now = {config, input, risk, attempt, decision, risk->limits, 0};
    enum msg_mode mode = input->fixed ? input->fixed->mode : MSG_MODE_ACT;
    *decision = (struct policy_decision){.limits = risk->limits,
                                         .act = mode == MSG_MODE_ACT && risk->arm == MSG_ARM_TREATED};
    keep(decision, risk);
    observe(&now);
    if (mode == MSG_MODE_OFF)
        return;
    bool fixed = decide_fixed(&now);
    if (!fixed || is_refused(&now))
        decide_raise(&now);
    if (!fixed && decision->direction == MSG_DIRECTION_KEEP)
        policy_shrink_decide(&now);
    decision->probability = policy_cause_level(risk, decision->cause);
    if (decision->direction == MSG_DIRECTION_KEEP)
        return;
    if (is_too_early(&now))
        keep(decision, risk);
    else
        remember(&now);
}

bool policy_is_open(const struct policy_config *config, const struct policy_attempt *attempt, int64_t *due_us)
{
    if (!awaits_answer(attempt) || attempt->observed || attempt->unanswered >= UNANSWERED_MOST)
        return false;
    *due_us = attempt->wanted_us + patience_us(config, attempt->unanswered);
    return true;
}
