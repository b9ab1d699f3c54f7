/* See admission.h. */
#include "agent/admission.h"

#include <inttypes.h>
#include <stdio.h>

#include "agent/limits.h"
#include "schemas/limits.h"
#include "schemas/request.h"

/* NULL, or what is wrong with it. Queue looked at the request before; the agent trusts nobody. */
static const char *fault(const struct msg_admission *admission)
{
    if (admission->attempt < 1)
        return "attempt is below 1";
    if (admission->raised.count >= MSG_CAUSE_COUNT)
        return "raised has too many entries";
    const char *wrong = request_fault(&admission->request);
    return wrong ? wrong : limits_fault(&admission->limits);
}

static struct admission_verdict refuse(enum msg_cause short_of, const char *reason)
{
    struct admission_verdict verdict = {.short_of = short_of};
    (void)str_copy(verdict.reason, sizeof verdict.reason, str_of(reason)); /* for people: cut is fine */
    return verdict;
}

struct admission_verdict admission_judge(const struct msg_admission *admission,
                                         const struct admission_view *view, int64_t now_us)
{
    char reason[ADMISSION_REASON_MAX];
    const char *wrong;
    if (!str_equal(admission->node, view->node))
        return refuse(MSG_CAUSE_NONE, "for another node");
    if (memcmp(admission->incarnation, view->incarnation, sizeof admission->incarnation) != 0)
        return refuse(MSG_CAUSE_NONE, "for another incarnation of this node");
    if (admission->expires_us <= now_us) {
        (void)snprintf(reason, sizeof reason, "expired %" PRId64 " ms ago",
                       (now_us - admission->expires_us) / 1000);
        return refuse(MSG_CAUSE_NONE, reason);
    }
    if ((wrong = fault(admission)))
        return refuse(MSG_CAUSE_NONE, wrong);
    if (view->draining)
        return refuse(MSG_CAUSE_NONE, "the node is draining");
    if (view->spool_full)
        return refuse(MSG_CAUSE_OTHER,
                      "the node's spool is full: ingest has not acknowledged its events and records");
    if (view->table_full)
        return refuse(MSG_CAUSE_OTHER, "the node runs as many attempts as it takes");
    enum msg_cause short_of = capacity_admits(view->capacity, &view->committed, &admission->limits);
    if (short_of != MSG_CAUSE_NONE) {
        struct msg_limits left = capacity_free(view->capacity, &view->committed);
        (void)snprintf(reason, sizeof reason,
                       "%s: %" PRId64 " wanted, %" PRId64 " free, memory kept for raises %" PRId64,
                       msg_cause_name(short_of), limits_amount(&admission->limits, short_of),
                       limits_amount(&left, short_of), view->capacity->raise_reserve_bytes);
        return refuse(short_of, reason);
    }
    return (struct admission_verdict){.accept = true};
}
