/* See labels.h. The record is first read into a view: per point the limits and counters as the plan would
 * have them; then the end is found, then every tick is labelled by looking at most one horizon ahead. */
#include "model/labels.h"

#include <errno.h>
#include <stdlib.h>

#include "model/label_scale.h"
#include "model/profile.h"
#include "schemas/request.h"

#define THROTTLED_SHARE 0.1f /* of periods: above it CPU use says less than was wanted */
#define ANSWERS_MOST 20.0    /* most that a held-out attempt counts: a share of 5 % */
#define AT_LIMIT 0.8f        /* of an I/O or egress limit: likewise */

/* Non-reclaimable memory at which the kernel kills, as a share of the limit: page tables, stacks and slab are
 * charged too. Recorded OOM kills that were sampled near their end died at 0.98 to 0.997. */
#define KERNEL_SHARE 0.99

/* How much each demand counts in training. Memory decides lives and is allocated by its quantiles; the others
 * are rates whose logarithm swings by orders of magnitude, and would drown it. */
static const float demand_weights[DEMAND_RESOURCE_COUNT] = {1, 0.3f, 0.05f, 0.05f};

struct view {
    const struct msg_execution_record *record;
    const struct label_plan *plan;
    size_t points, ticks; /* recorded, and before the end under the plan */
    int64_t horizon_us, timeout_ms;
    int64_t *time_us, *limit;           /* [points]; memory limit in force, INT64_MAX = none */
    bool *killed;                       /* [points]: an OOM kill is first seen at this point */
    bool *bound[DEMAND_RESOURCE_COUNT]; /* [points]: demand seen here is a lower bound */
    double *now;                        /* [points][DEMAND_RESOURCE_COUNT] */
    float *features;                    /* [points][FEATURE_COUNT] */
    int64_t end_us;                     /* under the plan */
    enum msg_outcome outcome;
    enum msg_cause cause;
    struct labels *out;
};

static const struct msg_series_point *point(const struct view *view, size_t i)
{
    return &view->record->series.items[i];
}

static void view_fini(struct view *view)
{
    free(view->time_us);
    free(view->limit);
    free(view->killed);
    for (size_t r = 0; r < DEMAND_RESOURCE_COUNT; r++)
        free(view->bound[r]);
    free(view->now);
    free(view->features);
}

static bool view_init(struct view *view)
{
    size_t points = view->points;
    view->time_us = calloc(points, sizeof *view->time_us);
    view->limit = calloc(points, sizeof *view->limit);
    view->killed = calloc(points, sizeof *view->killed);
    bool ok = view->time_us && view->limit && view->killed;
    for (size_t r = 0; r < DEMAND_RESOURCE_COUNT; r++)
        ok = (view->bound[r] = calloc(points, sizeof **view->bound)) != NULL && ok;
    view->now = calloc(points * DEMAND_RESOURCE_COUNT, sizeof *view->now);
    view->features = calloc(points * FEATURE_COUNT, sizeof *view->features);
    return ok && view->now && view->features;
}

/* Limits of every point under the plan, and when the kernel killed. */
static void read_limits(struct view *view)
{
    int64_t hypothetical = view->plan->memory_bytes, kills = 0;
    for (size_t i = 0; i < view->points; i++) {
        const struct msg_series_point *p = point(view, i);
        int64_t recorded = p->limits.memory_bytes > 0 ? p->limits.memory_bytes : INT64_MAX;
        view->time_us[i] = p->time_us;
        view->limit[i] = hypothetical > 0 ? hypothetical : recorded;
        if (hypothetical > 0 && view->plan->raise_at > 0)
            while ((double)p->counters.memory_bytes >= view->plan->raise_at * (double)hypothetical)
                hypothetical = (int64_t)((double)hypothetical * view->plan->raise_by) +
                               1; /* in force from the next point on */
        view->killed[i] = p->counters.oom_kills > kills;
        kills = FS_MAX(kills, p->counters.oom_kills);
    }
    if (view->record->totals.oom_kills > kills)
        view->killed[view->points - 1] = true;
}

/* The point as the plan would have it: clipped to its limit, then a larger or smaller program. */
static void read_point(const struct view *view, size_t i, struct msg_custom_metric gauges[LABEL_GAUGES_MAX],
                       struct msg_limits *limits, struct msg_counters *counters)
{
    *limits = point(view, i)->limits;
    *counters = point(view, i)->counters;
    limits->memory_bytes = view->limit[i] == INT64_MAX ? 0 : view->limit[i];
    if (view->plan->memory_bytes > 0) { /* the brake would hold it there */
        counters->memory_bytes = FS_MIN(counters->memory_bytes, limits->memory_bytes);
        counters->memory_usage_bytes = FS_MIN(counters->memory_usage_bytes, limits->memory_bytes);
    }
    label_scale_point(view->plan, gauges, limits, counters);
}

/* Features of all points: those beyond the end are needed for the demand ahead. */
static void read_features(struct view *view, const struct profile_summary *profile)
{
    struct feature_state state = {0};
    struct profile_summary known;
    int64_t input_bytes = request_identity(&view->record->request).input_bytes;
    if (profile)
        known = label_scale_profile(view->plan, profile);
    for (size_t i = 0; i < view->points; i++) {
        struct msg_limits limits;
        struct msg_counters counters;
        struct msg_custom_metric gauges[LABEL_GAUGES_MAX];
        float *features = view->features + i * FEATURE_COUNT;
        read_point(view, i, gauges, &limits, &counters);
        struct feature_input input = {.time_us = view->time_us[i],
                                      .started_us = view->record->started_us,
                                      .timeout_ms = view->timeout_ms,
                                      .attempt = view->record->attempt,
                                      .input_bytes = input_bytes,
                                      .limits = &limits,
                                      .counters = &counters,
                                      .profile = profile ? &known : NULL};
        features_step(&state, &input, features);
        demand_now(&state, &counters, view->now + i * DEMAND_RESOURCE_COUNT);
        view->now[i * DEMAND_RESOURCE_COUNT +
                  DEMAND_MEMORY] = /* what it wanted, not what the brake let it have */
            (double)point(view, i)->counters.memory_bytes * label_scale(view->plan->memory_scale);
        view->bound[DEMAND_MEMORY][i] = counters.brake_engaged || view->killed[i];
        view->bound[DEMAND_CPU][i] = features[FEATURE_THROTTLED_SHARE] > THROTTLED_SHARE;
        view->bound[DEMAND_IO][i] =
            features[FEATURE_IO_READ_TO_LIMIT] > AT_LIMIT || features[FEATURE_IO_WRITE_TO_LIMIT] > AT_LIMIT;
        view->bound[DEMAND_NET][i] = features[FEATURE_NET_TO_LIMIT] > AT_LIMIT;
    }
}

enum msg_cause labels_deadline_cause(const struct msg_counters *counters, const struct msg_limits *limits,
                                     int64_t elapsed_us)
{
    const double least = 0.10, net_full = 0.85; /* STALL_SHARE_LEAST and NET_FULL_SHARE of agent/outcome.c */
    double whole = (double)FS_MAX(elapsed_us, 1), shares[MSG_CAUSE_COUNT] = {0};
    int64_t throttled = limits->cpu_millicores > 0 ? counters->cpu_throttled_us : 0;
    shares[MSG_CAUSE_MEMORY] = (double)FS_MAX(counters->memory_full_us, counters->brake_us) / whole;
    shares[MSG_CAUSE_CPU] = (double)FS_MAX(throttled, counters->cpu_some_us) / whole;
    shares[MSG_CAUSE_IO] = (double)FS_MAX(counters->io_full_us, counters->io_stall_us) / whole;
    if (limits->net_egress_bps > 0) {
        double used = (double)counters->net_tx_bytes / (whole * 1e-6) / (double)limits->net_egress_bps;
        shares[MSG_CAUSE_NET] = used >= net_full ? FS_MIN(used, 1.0) : 0;
    }
    enum msg_cause most = MSG_CAUSE_MEMORY;
    for (enum msg_cause cause = MSG_CAUSE_MEMORY; cause < MSG_CAUSE_OTHER; cause++)
        if (shares[cause] > shares[most])
            most = cause;
    return shares[most] >= least ? most : MSG_CAUSE_OTHER;
}

/* Under a hypothetical limit the kernel's own part counts; in a recording the kernel said itself when it was
 * too much. */
static bool crosses(const struct view *view, size_t i, int64_t limit)
{
    int64_t memory = point(view, i)->counters.memory_bytes;
    if (limit == INT64_MAX)
        return false;
    return view->plan->memory_bytes > 0 ? (double)memory > KERNEL_SHARE * (double)limit : memory > limit;
}

/* Ends the view at point i. */
static void end_at(struct view *view, size_t i, int64_t time_us, enum msg_outcome outcome,
                   enum msg_cause cause)
{
    view->ticks = i;
    view->end_us = time_us;
    view->outcome = outcome;
    view->cause = cause;
}

static void find_end(struct view *view)
{
    const struct msg_execution_record *record = view->record;
    const struct label_plan *plan = view->plan;
    int64_t deadline_us = plan->timeout_ms > 0 ? record->started_us + plan->timeout_ms * 1000 : INT64_MAX;
    size_t last = view->points - 1;
    end_at(view, view->points, FS_MAX(record->ended_us, view->time_us[last]), record->outcome, record->cause);
    for (size_t i = 0; i < view->points; i++) {
        const struct msg_series_point *p = point(view, i);
        if (view->time_us[i] >= deadline_us) {
            end_at(view, i, deadline_us, MSG_OUTCOME_TIMED_OUT,
                   labels_deadline_cause(&p->counters, &p->limits, plan->timeout_ms * 1000));
            return;
        }
        bool crossed = plan->memory_bytes > 0 && plan->raise_at <= 0 && crosses(view, i, view->limit[i]);
        /* What goes on after a kill is no longer the program that was asked for. */
        if (crossed || view->killed[i]) {
            end_at(view, i, view->time_us[i], MSG_OUTCOME_OOM_KILLED, MSG_CAUSE_MEMORY);
            return;
        }
    }
}

/* --- labels --- */

static bool memory_ahead(const struct view *view, size_t at, int64_t horizon_us)
{
    int64_t until_us = view->time_us[at] + horizon_us;
    for (size_t i = at + 1; i < view->points && view->time_us[i] <= until_us; i++)
        if (crosses(view, i, view->limit[at]))
            return true;
    return view->cause == MSG_CAUSE_MEMORY && view->end_us <= until_us;
}

static bool is_deadline_cause(enum msg_cause cause)
{
    return cause == MSG_CAUSE_CPU || cause == MSG_CAUSE_IO || cause == MSG_CAUSE_NET;
}

static int64_t no_limit_is_most(int64_t limit)
{
    return limit > 0 ? limit : INT64_MAX;
}

static bool raised_between(const struct msg_limits *a, const struct msg_limits *b, enum msg_cause cause)
{
    if (cause == MSG_CAUSE_CPU)
        return no_limit_is_most(b->cpu_millicores) > no_limit_is_most(a->cpu_millicores);
    if (cause == MSG_CAUSE_IO)
        return no_limit_is_most(b->io_read_bps) > no_limit_is_most(a->io_read_bps) ||
               no_limit_is_most(b->io_write_bps) > no_limit_is_most(a->io_write_bps);
    return no_limit_is_most(b->net_egress_bps) > no_limit_is_most(a->net_egress_bps);
}

/* Time of the last raise of this resource while it ran, or INT64_MIN. */
static int64_t last_raise_us(const struct view *view, enum msg_cause cause)
{
    for (size_t i = view->ticks; i-- > 1;)
        if (raised_between(&point(view, i - 1)->limits, &point(view, i)->limits, cause))
            return view->time_us[i];
    return INT64_MIN;
}

/* Where acting hides the answer, the attempts that were held out by lot answer for those that were acted on:
 * they count by the inverse of the probability with which they were held out. A held-out attempt is one of
 * those when it missed its deadline for this cause, or was stalled by it as much as one that does. */
static float answers_for(const struct view *view, enum msg_cause cause, bool missed)
{
    const struct msg_execution_record *record = view->record;
    double propensity = (double)record->propensity;
    if (record->arm != MSG_ARM_HELD_OUT || !(propensity > 0) || propensity >= 1 || view->timeout_ms <= 0)
        return 1;
    bool stalled = labels_deadline_cause(&record->totals, &record->last_limits,
                                         record->ended_us - record->started_us) == cause;
    return missed || stalled ? (float)FS_MIN(1 / propensity, ANSWERS_MOST) : 1;
}

static void label_deadline(struct view *view, enum msg_cause cause)
{
    bool missed = view->outcome == MSG_OUTCOME_TIMED_OUT && view->cause == cause;
    /* An end that nobody chose before the deadline leaves open whether it would have been met. */
    bool known = missed || view->timeout_ms <= 0 || view->outcome == MSG_OUTCOME_FINISHED ||
                 view->outcome == MSG_OUTCOME_TIMED_OUT;
    int64_t raised_us = missed ? INT64_MIN : last_raise_us(view, cause);
    float weight = answers_for(view, cause, missed);
    for (size_t t = 0; t < view->ticks; t++) {
        bool acted = raised_us != INT64_MIN && view->time_us[t] <= raised_us + view->horizon_us;
        view->out->label[t * NETWORK_CAUSES + cause - 1] = missed;
        view->out->mask[t * NETWORK_CAUSES + cause - 1] = known && !acted ? weight : 0;
    }
}

/* Nobody knows what would have come after the end. */
static bool is_open(const struct view *view)
{
    return view->outcome == MSG_OUTCOME_KILLED || view->outcome == MSG_OUTCOME_LOST ||
           view->outcome == MSG_OUTCOME_NONE;
}

/* memory and other: within the horizon. */
static void label_near(struct view *view, size_t t)
{
    float *label = view->out->label + t * NETWORK_CAUSES, *mask = view->out->mask + t * NETWORK_CAUSES;
    bool end_near = view->end_us <= view->time_us[t] + view->horizon_us;
    bool open_end = end_near && is_open(view);
    bool memory = memory_ahead(view, t, view->horizon_us),
         other = view->cause == MSG_CAUSE_OTHER && end_near && !open_end;
    label[MSG_CAUSE_MEMORY - 1] = memory;
    mask[MSG_CAUSE_MEMORY - 1] = memory || !open_end;
    label[MSG_CAUSE_OTHER - 1] = other;
    mask[MSG_CAUSE_OTHER - 1] = !open_end;
}

/* After the labels at the alarms' horizon: what is not known of a deadline there is not known here. */
static void label_horizon(struct view *view, size_t t, size_t h)
{
    int64_t horizon_us = (int64_t)network_horizons_ms[h] * 1000;
    const float *label = view->out->label + t * NETWORK_CAUSES, *mask = view->out->mask + t * NETWORK_CAUSES;
    int8_t *out = view->out->horizons + (t * NETWORK_HORIZONS + h) * NETWORK_CAUSES;
    bool end_near = view->end_us <= view->time_us[t] + horizon_us, open_end = end_near && is_open(view);
    bool memory = memory_ahead(view, t, horizon_us);
    for (enum msg_cause cause = MSG_CAUSE_CPU; cause < MSG_CAUSE_OTHER; cause++)
        out[cause - 1] = mask[cause - 1] > 0 ? end_near && label[cause - 1] > 0 : -1;
    out[MSG_CAUSE_MEMORY - 1] = memory || !open_end ? memory : -1;
    out[MSG_CAUSE_OTHER - 1] = open_end ? -1 : view->cause == MSG_CAUSE_OTHER && end_near;
}

static void label_demand(struct view *view, size_t t)
{
    int64_t until_us = view->time_us[t] + view->horizon_us, recorded_end_us = view->record->ended_us;
    bool cut = view->record->outcome != MSG_OUTCOME_FINISHED &&
               view->record->outcome != MSG_OUTCOME_CRASHED && recorded_end_us <= until_us;
    for (size_t r = 0; r < DEMAND_RESOURCE_COUNT; r++) {
        double now = view->now[t * DEMAND_RESOURCE_COUNT + r], peak = now;
        bool bound = cut || view->bound[r][t];
        for (size_t i = t + 1; i < view->points && view->time_us[i] <= until_us; i++) {
            peak = FS_MAX(peak, view->now[i * DEMAND_RESOURCE_COUNT + r]);
            bound = bound || view->bound[r][i];
        }
        view->out->demand[t * NETWORK_RESOURCES + r] =
            (float)demand_ratio((enum demand_resource)r, now, peak);
        view->out->demand_mask[t * NETWORK_RESOURCES + r] = bound ? -demand_weights[r] : demand_weights[r];
    }
}

static bool labels_alloc(struct labels *out, size_t ticks)
{
    out->ticks = ticks;
    out->time_ms = calloc(ticks, sizeof *out->time_ms);
    out->features = calloc(ticks * FEATURE_COUNT, sizeof *out->features);
    out->label = calloc(ticks * NETWORK_CAUSES, sizeof *out->label);
    out->mask = calloc(ticks * NETWORK_CAUSES, sizeof *out->mask);
    out->horizons = calloc(ticks * NETWORK_HORIZONS * NETWORK_CAUSES, sizeof *out->horizons);
    out->demand = calloc(ticks * NETWORK_RESOURCES, sizeof *out->demand);
    out->demand_mask = calloc(ticks * NETWORK_RESOURCES, sizeof *out->demand_mask);
    return out->time_ms && out->features && out->label && out->mask && out->horizons && out->demand &&
           out->demand_mask;
}

static void write_labels(struct view *view)
{
    struct labels *out = view->out;
    bool failed = view->cause != MSG_CAUSE_NONE && view->outcome != MSG_OUTCOME_FINISHED &&
                  view->outcome != MSG_OUTCOME_KILLED && view->outcome != MSG_OUTCOME_LOST;
    out->failure_ms = failed ? (view->end_us - view->record->started_us) / 1000 : INT64_MAX;
    out->cause = failed ? view->cause : MSG_CAUSE_NONE;
    memcpy(out->features, view->features, view->ticks * FEATURE_COUNT * sizeof *out->features);
    for (size_t t = 0; t < view->ticks; t++) {
        out->time_ms[t] = (view->time_us[t] - view->record->started_us) / 1000;
        label_near(view, t);
        label_demand(view, t);
    }
    for (enum msg_cause cause = MSG_CAUSE_MEMORY; cause < MSG_CAUSE_OTHER; cause++)
        if (is_deadline_cause(cause))
            label_deadline(view, cause);
    for (size_t t = 0; t < view->ticks; t++)
        for (size_t h = 0; h < NETWORK_HORIZONS; h++)
            label_horizon(view, t, h);
}

/* --- whole --- */

bool labels_hypothetical(const struct msg_execution_record *record, int64_t memory_bytes)
{
    const double felt = 0.9; /* nearer to its own limit than this a program may have been held back by it */
    int64_t least = INT64_MAX, most = 0;
    for (size_t i = 0; i < record->series.count; i++) {
        const struct msg_series_point *p = &record->series.items[i];
        least = FS_MIN(least, no_limit_is_most(p->limits.memory_bytes));
        most = FS_MAX(most, p->counters.memory_bytes);
    }
    bool unfelt = record->totals.oom_kills == 0 && (double)most < felt * (double)least;
    return memory_bytes > 0 && record->series.count > 0 && (memory_bytes <= least || unfelt);
}

/* Times and durations far enough from the ends of the type that sums of them stay inside. */
static bool times_sane(const struct msg_execution_record *record, const struct label_plan *plan)
{
    const int64_t most_us = INT64_MAX / 8, most_ms = most_us / 1000;
    bool sane = record->started_us >= 0 && record->started_us < most_us && record->ended_us >= 0 &&
                record->ended_us < most_us && record->request.timeout_ms < most_ms &&
                plan->timeout_ms < most_ms;
    for (size_t i = 0; sane && i < record->series.count; i++)
        sane = record->series.items[i].time_us >= 0 && record->series.items[i].time_us < most_us;
    return sane;
}

static bool plan_answerable(const struct msg_execution_record *record, const struct label_plan *plan)
{
    int64_t lasted_ms = (record->ended_us - record->started_us) / 1000;
    bool ended_itself = record->outcome == MSG_OUTCOME_FINISHED || record->outcome == MSG_OUTCOME_CRASHED;
    if (plan->memory_bytes < 0 || plan->timeout_ms < -1 || (plan->raise_at > 0 && !(plan->raise_by > 1)))
        return false;
    if (plan->memory_bytes > 0 && !labels_hypothetical(record, plan->memory_bytes))
        return false;
    if (plan->memory_bytes > 0 && plan->raise_at > 0 && record->totals.oom_kills > 0)
        return false; /* the demand beyond is not known */
    return plan->timeout_ms == 0 || ended_itself || (plan->timeout_ms > 0 && plan->timeout_ms <= lasted_ms);
}

int labels_make(const struct msg_execution_record *record, const struct label_plan *plan,
                const struct profile_summary *profile, int32_t horizon_ms, struct labels *out)
{
    struct labels made = {0};
    struct view view = {.record = record,
                        .plan = plan,
                        .points = record->series.count,
                        .horizon_us = (int64_t)horizon_ms * 1000,
                        .timeout_ms =
                            plan->timeout_ms == 0 ? record->request.timeout_ms : FS_MAX(plan->timeout_ms, 0),
                        .out = &made};
    int result = 0;
    if (view.points == 0)
        return -ENODATA;
    if (!times_sane(record, plan) || !plan_answerable(record, plan))
        return -EINVAL;
    if (!view_init(&view)) {
        result = -ENOMEM;
        goto fini_view;
    }
    read_limits(&view);
    read_features(&view, profile);
    find_end(&view);
    if (view.ticks == 0) {
        result = -ENODATA;
        goto fini_view;
    }
    if (!labels_alloc(&made, view.ticks)) {
        labels_fini(&made);
        result = -ENOMEM;
        goto fini_view;
    }
    write_labels(&view);
    *out = made;
fini_view:
    view_fini(&view);
    return result;
}

void labels_fini(struct labels *labels)
{
    free(labels->time_ms);
    free(labels->features);
    free(labels->label);
    free(labels->mask);
    free(labels->horizons);
    free(labels->demand);
    free(labels->demand_mask);
    *labels = (struct labels){0};
}

struct train_sequence labels_sequence(const struct labels *labels, float weight)
{
    return (struct train_sequence){.steps = labels->ticks,
                                   .features = labels->features,
                                   .labels = labels->label,
                                   .label_mask = labels->mask,
                                   .demand = labels->demand,
                                   .demand_mask = labels->demand_mask,
                                   .weight = weight,
                                   .horizons = labels->horizons};
}
