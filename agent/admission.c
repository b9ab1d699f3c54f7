/* See admission.h. */
#include "agent/admission.h"

#include <inttypes.h>
#include <stdio.h>

#include "agent/limits.h"

#define CODE_MAX 128
#define ARGUMENTS_MAX 4096
#define TIMEOUT_MAX_MS (366ll * 86400 * 1000)

static bool good_code(struct str code)
{
    if (code.size == 0 || code.size > CODE_MAX)
        return false;
    for (size_t i = 0; i < code.size; i++) {
        char c = code.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && !memchr("._:+@/-", c, 7))
            return false;
    }
    return true;
}

/* Texts become C strings: a zero byte would cut them silently. */
static bool has_zero(struct str text)
{
    return text.size > 0 && memchr(text.data, '\0', text.size);
}

static bool any_zero(const struct msg_str_array *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        if (has_zero(texts->items[i]))
            return true;
    return false;
}

static bool good_env(const struct msg_str_array *env)
{
    for (size_t i = 0; i < env->count; i++) {
        struct str entry = env->items[i];
        if (entry.size < 2 || entry.data[0] == '=' || !memchr(entry.data, '=', entry.size))
            return false;
    }
    return true;
}

static bool good_path(struct str path)
{
    return path.size == 0 || (path.data[0] == '/' && path.size < 4096 && !has_zero(path));
}

/* NULL, or what is wrong with it. */
static const char *fault(const struct msg_admission *admission)
{
    const struct msg_execution_request *request = &admission->request;
    const char *wrong = NULL;
    if (admission->attempt < 1)
        return "attempt is below 1";
    if (!good_code(request->code))
        return "code is not 1..128 bytes of [A-Za-z0-9._:+@/-]";
    if (request->argv.count == 0 || request->argv.count > ARGUMENTS_MAX || request->argv.items[0].size == 0)
        return "argv is empty or has more than 4096 entries";
    if (any_zero(&request->argv) || any_zero(&request->env) || has_zero(request->user))
        return "a text has a zero byte in it";
    if (!good_env(&request->env))
        return "an entry of env is not NAME=value";
    if (!good_path(request->cwd) || !good_path(request->stdout_path) || !good_path(request->stderr_path))
        return "a path is not absolute or too long";
    if (request->user.size > 64)
        return "user is too long";
    if (request->timeout_ms < 0 || request->timeout_ms > TIMEOUT_MAX_MS)
        return "timeout_ms is negative or above a year";
    if (admission->raised.count >= MSG_CAUSE_COUNT)
        return "raised has too many entries";
    return limits_validate(&admission->limits, &wrong) < 0 ? wrong : NULL;
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
        return refuse(MSG_CAUSE_NONE,
                      "the node's spool is full: ingest has not acknowledged its events and records");
    if (view->table_full)
        return refuse(MSG_CAUSE_NONE, "the node runs as many attempts as it takes");
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
