/* See outcome.h. */
#include "agent/outcome.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/wait.h>

/* Below this share of its time a resource is not called the reason of a timeout: a program that was stopped
 * for less than a tenth of its time would not have met its deadline with more of that resource either. */
#define STALL_SHARE_LEAST 0.10

/* Share of the time a program sends at its limit that counts as stalled: senders wait only once the class is
 * full. */
#define NET_FULL_SHARE 0.85

static double share(int64_t part_us, int64_t whole_us)
{
    return whole_us > 0 ? (double)part_us / (double)whole_us : 0;
}

static double net_stalled(const struct outcome_facts *facts)
{
    if (!facts->net_limited || facts->net_egress_bps <= 0 || facts->duration_us <= 0)
        return 0;
    double used = (double)facts->counters->net_tx_bytes / ((double)facts->duration_us / 1e6) /
                  (double)facts->net_egress_bps;
    return used >= NET_FULL_SHARE ? FS_MIN(used, 1.0) : 0;
}

static void judge_timeout(const struct outcome_facts *facts, struct outcome *out)
{
    const struct msg_counters *counters = facts->counters;
    double shares[MSG_CAUSE_COUNT] = {0};
    shares[MSG_CAUSE_MEMORY] =
        share(FS_MAX(counters->memory_full_us, counters->brake_us), facts->duration_us);
    /* Throttled time is a sum over CPUs, pressure is wall time; without a quota, waiting for a CPU is still a
     * lack of CPU. */
    shares[MSG_CAUSE_CPU] =
        share(facts->cpu_limited ? FS_MAX(counters->cpu_throttled_us, counters->cpu_some_us)
                                 : counters->cpu_some_us,
              facts->duration_us);
    shares[MSG_CAUSE_IO] = share(FS_MAX(counters->io_full_us, counters->io_stall_us), facts->duration_us);
    shares[MSG_CAUSE_NET] = net_stalled(facts);
    enum msg_cause most = MSG_CAUSE_MEMORY;
    for (enum msg_cause cause = MSG_CAUSE_MEMORY; cause < MSG_CAUSE_OTHER; cause++)
        if (shares[cause] > shares[most])
            most = cause;
    out->outcome = MSG_OUTCOME_TIMED_OUT;
    out->cause = shares[most] >= STALL_SHARE_LEAST ? most : MSG_CAUSE_OTHER;
    (void)snprintf(out->detail, sizeof out->detail,
                   "timeout after %.1f s; stalled: memory %.0f %%, cpu %.0f %%, io %.0f %%, net %.0f %%",
                   (double)facts->duration_us / 1e6, 100 * shares[MSG_CAUSE_MEMORY],
                   100 * shares[MSG_CAUSE_CPU], 100 * shares[MSG_CAUSE_IO], 100 * shares[MSG_CAUSE_NET]);
}

static void judge_exit(const struct outcome_facts *facts, struct outcome *out)
{
    if (facts->status_known && out->signal == 0 && out->exit_status == 0) {
        out->outcome = MSG_OUTCOME_FINISHED;
        out->cause = MSG_CAUSE_NONE;
        (void)snprintf(out->detail, sizeof out->detail, "exit status 0");
        return;
    }
    out->outcome = MSG_OUTCOME_CRASHED;
    out->cause = MSG_CAUSE_OTHER;
    if (facts->start_failed)
        (void)snprintf(out->detail, sizeof out->detail, "not started: %s",
                       facts->purpose ? facts->purpose : "unknown");
    else if (out->signal != 0)
        (void)snprintf(out->detail, sizeof out->detail, "signal %d, no OOM kill", out->signal);
    else
        (void)snprintf(out->detail, sizeof out->detail, "exit status %d, no OOM kill", out->exit_status);
}

static void read_status(const struct outcome_facts *facts, struct outcome *out)
{
    out->exit_status = -1;
    if (!facts->status_known)
        return;
    if (WIFEXITED(facts->wait_status))
        out->exit_status = WEXITSTATUS(facts->wait_status);
    else if (WIFSIGNALED(facts->wait_status))
        out->signal = WTERMSIG(facts->wait_status);
}

struct outcome outcome_judge(const struct outcome_facts *facts)
{
    struct outcome out = {0};
    read_status(facts, &out);
    /* An OOM kill comes first: a program that was told to end afterwards, or ran into its timeout because a
     * child of its was killed, failed for lack of memory. One that finished well in spite of it did not get
     * what it asked for either (design §1). */
    if (facts->counters->oom_kills > 0) {
        out.outcome = MSG_OUTCOME_OOM_KILLED;
        out.cause = MSG_CAUSE_MEMORY;
        (void)snprintf(out.detail, sizeof out.detail, "oom_kill %" PRId64 ", exit status %d, signal %d",
                       facts->counters->oom_kills, out.exit_status, out.signal);
    } else if (facts->ended_on_purpose) {
        out.outcome = MSG_OUTCOME_KILLED;
        out.cause = MSG_CAUSE_NONE;
        (void)snprintf(out.detail, sizeof out.detail, "ended on purpose: %s",
                       facts->purpose ? facts->purpose : "unknown");
    } else if (facts->timed_out) {
        judge_timeout(facts, &out);
    } else if (!facts->status_known) {
        out.outcome = MSG_OUTCOME_LOST;
        out.cause = MSG_CAUSE_OTHER;
        (void)snprintf(out.detail, sizeof out.detail, "lost: %s",
                       facts->purpose ? facts->purpose : "its supervisor is gone");
    } else {
        judge_exit(facts, &out);
    }
    return out;
}
