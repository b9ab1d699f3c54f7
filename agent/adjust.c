/* See adjust.h. */
#include "agent/adjust.h"

#include <inttypes.h>
#include <stdio.h>

#include "agent/limits.h"
#include "schemas/limits.h"

static bool is_older(const struct msg_adjustment *adjustment, const struct adjust_view *view)
{
    if (adjustment->decision <= view->last_decision)
        return true;
    if (adjustment->epoch != view->last_epoch)
        return adjustment->epoch < view->last_epoch;
    return adjustment->sequence < view->last_sequence;
}

static struct adjust_verdict refuse(enum msg_adjustment_result result, enum msg_cause short_of,
                                    const char *detail)
{
    struct adjust_verdict verdict = {.result = result, .short_of = short_of};
    (void)str_copy(verdict.detail, sizeof verdict.detail, str_of(detail)); /* cut is fine: it is for people */
    return verdict;
}

static struct adjust_verdict refuse_short(const struct msg_adjustment *adjustment,
                                          const struct adjust_view *view, enum msg_cause short_of)
{
    char detail[ADJUST_DETAIL_MAX];
    struct msg_limits left = capacity_free(view->capacity, &view->committed);
    (void)snprintf(detail, sizeof detail,
                   "%s: %" PRId64 " wanted, %" PRId64 " in force, %" PRId64 " free on the node",
                   msg_cause_name(short_of), limits_amount(&adjustment->limits, short_of),
                   limits_amount(&view->limits, short_of), limits_amount(&left, short_of));
    return refuse(MSG_ADJUSTMENT_RESULT_REFUSED_CAPACITY, short_of, detail);
}

struct adjust_verdict adjust_judge(const struct msg_adjustment *adjustment, const struct adjust_view *view,
                                   int64_t now_us)
{
    char detail[ADJUST_DETAIL_MAX];
    const char *wrong;
    if (!view->incarnation)
        return refuse(MSG_ADJUSTMENT_RESULT_IGNORED_UNKNOWN, MSG_CAUSE_NONE,
                      "decided for another incarnation of this node");
    if (!view->running)
        return refuse(MSG_ADJUSTMENT_RESULT_IGNORED_UNKNOWN, MSG_CAUSE_NONE, "no such attempt runs here");
    if (view->arm == MSG_ARM_HELD_OUT)
        return refuse(MSG_ADJUSTMENT_RESULT_IGNORED_HELD_OUT, MSG_CAUSE_NONE, "the attempt is held out");
    if (adjustment->expires_us <= now_us) {
        (void)snprintf(detail, sizeof detail, "expired %" PRId64 " ms ago",
                       (now_us - adjustment->expires_us) / 1000);
        return refuse(MSG_ADJUSTMENT_RESULT_IGNORED_EXPIRED, MSG_CAUSE_NONE, detail);
    }
    if (is_older(adjustment, view)) {
        (void)snprintf(detail, sizeof detail,
                       "decision %" PRId64 " on tick %" PRId64 ".%" PRId64 "; applied: %" PRId64
                       " on %" PRId64 ".%" PRId64,
                       adjustment->decision, adjustment->epoch, adjustment->sequence, view->last_decision,
                       view->last_epoch, view->last_sequence);
        return refuse(MSG_ADJUSTMENT_RESULT_IGNORED_OLD, MSG_CAUSE_NONE, detail);
    }
    if ((wrong = limits_fault(&adjustment->limits)))
        return refuse(MSG_ADJUSTMENT_RESULT_REFUSED_KERNEL, MSG_CAUSE_NONE, wrong);
    enum msg_cause short_of =
        capacity_raises(view->capacity, &view->committed, &view->limits, &adjustment->limits);
    if (short_of != MSG_CAUSE_NONE)
        return refuse_short(adjustment, view, short_of);
    return (struct adjust_verdict){.apply = true, .result = MSG_ADJUSTMENT_RESULT_APPLIED};
}

enum msg_adjustment_result adjust_result(const struct cgroup_apply_result *applied,
                                         const struct msg_limits *before, const struct msg_limits *after,
                                         char detail[ADJUST_DETAIL_MAX])
{
    const struct {
        const char *name;
        int error;
    } parts[] = {
        {"memory", applied->memory},   {"cpu", applied->cpu},           {"cpu_weight", applied->cpu_weight},
        {"io_read", applied->io_read}, {"io_write", applied->io_write}, {"io_weight", applied->io_weight},
        {"net", applied->net}};
    size_t used = 0, failed = 0;
    detail[0] = '\0';
    for (size_t i = 0; i < FS_COUNT(parts); i++) {
        if (parts[i].error == 0)
            continue;
        failed++;
        int size = snprintf(detail + used, ADJUST_DETAIL_MAX - used, "%s%s: %s", used ? "; " : "",
                            parts[i].name, strerror(-parts[i].error));
        used = FS_MIN(used + (size_t)FS_MAX(size, 0), (size_t)ADJUST_DETAIL_MAX - 1);
    }
    if (failed == 0)
        return MSG_ADJUSTMENT_RESULT_APPLIED;
    return limits_equal(before, after) ? MSG_ADJUSTMENT_RESULT_REFUSED_KERNEL : MSG_ADJUSTMENT_RESULT_PARTLY;
}
