/* Memory: facts first (brake, kills), then the model's alarm by expected cost. See policy.h. */
#include <math.h>

#include "allocate/demand.h"
#include "allocate/policy_internal.h"

#define CANDIDATES 32
#define GROWTH_FADES 0.7 /* per sample without growth: a pause in a ramp is forgotten after some samples */
#define HISTORY_SPREAD                                                                                       \
    1.06 /* peaks of the same command: a few percent apart; beyond it this execution is another case */
#define SAMPLE_SPREAD 1.02    /* what a program may have grown since its sample */
#define SAMPLE_LEAST_US 20000 /* nearer samples are noise as a rate */
#define STALL_STEP 1.4        /* of the limit: room for page cache */
#define STALL_MOST 2.0        /* times the use: as much page cache as memory of its own */
#define CALM_SHARE                                                                                           \
    0.5 /* of the limit: far from it an alarm raises nothing where the brake holds what jumps; programs of a \
           few MiB under 10 MiB were raised for the kernel's part that they never had */

static double usable_beside(const struct policy_config *config, double overhead, double limit)
{
    return limit - fmax(limit * config->brake_share, (double)config->brake_least_bytes) - overhead;
}

static double limit_beside(const struct policy_config *config, double overhead, double usable)
{
    double level = usable + overhead;
    return fmax(level / (1 - config->brake_share), level + (double)config->brake_least_bytes);
}

double policy_memory_usable(const struct policy_config *config, double limit)
{
    return usable_beside(config, (double)config->memory_overhead_bytes, limit);
}

double policy_memory_limit(const struct policy_config *config, double usable)
{
    return limit_beside(config, (double)config->memory_overhead_bytes, usable);
}

static bool has_brake(const struct policy_case *now)
{
    const struct policy_node *node = now->input->node;
    return node && node->known && node->brake;
}

static double headroom(const struct policy_case *now)
{
    return has_brake(now) ? now->config->memory_headroom_braked : now->config->memory_headroom;
}

static double overhead(const struct policy_case *now)
{
    return (double)(has_brake(now) ? now->config->memory_overhead_braked_bytes
                                   : now->config->memory_overhead_bytes);
}

static double usable_of(const struct policy_case *now, double limit)
{
    return usable_beside(now->config, overhead(now), limit);
}

static double limit_for(const struct policy_case *now, double usable)
{
    return limit_beside(now->config, overhead(now), usable);
}

void policy_memory_observe(struct policy_case *now)
{
    const struct msg_risk *risk = now->risk;
    struct policy_attempt *attempt = now->attempt;
    int64_t passed_us = risk->sampled_us - attempt->seen_us;
    attempt->braked |= risk->brake_engaged;
    if (attempt->seen_us != 0 && passed_us >= 0 && passed_us < SAMPLE_LEAST_US)
        return;
    if (attempt->seen_us != 0 && passed_us > 0) { /* else the node's clock was set back: begin anew */
        double rate = (double)(risk->memory_bytes - attempt->seen_bytes) / ((double)passed_us / 1e6);
        bool held = risk->brake_engaged && rate <= 0; /* standing still in the brake is no end of the ramp */
        attempt->growth_bps = fmax(rate, held ? attempt->growth_bps : attempt->growth_bps * GROWTH_FADES);
        attempt->growth_bps = fmax(attempt->growth_bps, 0);
    }
    attempt->seen_us = risk->sampled_us;
    attempt->seen_bytes = risk->memory_bytes;
}

void policy_recall(struct policy_attempt *attempt, const struct msg_risk *risk)
{
    attempt->oom_kills = FS_MAX(attempt->oom_kills, risk->oom_kills);
    attempt->braked |= risk->brake_engaged;
}

/* History covers the demand while this execution stays within what earlier ones used. */
static bool history_covers(const struct policy_history *history, double used)
{
    return history && history->runs > 0 && used <= history->memory_max * HISTORY_SPREAD;
}

/* Demand of memory until the next decision: the model's, at least what the growth seen leads to, cut to what
 * earlier executions of the code reached. */
static struct demand memory_demand(const struct policy_case *now, double used)
{
    const struct msg_risk *risk = now->risk;
    const struct policy_history *history = now->input->history;
    double cover_s = now->config->cover_ms / 1000;
    struct demand demand = {risk->memory.p50, risk->memory.p90, risk->memory.p99};
    demand = demand_within(&demand, used, now->config->cover_ms, risk->horizon_ms);
    demand.p90 = fmax(demand.p90, used + now->attempt->growth_bps * cover_s * 0.7);
    demand.p99 = fmax(demand.p99, used + now->attempt->growth_bps * cover_s);
    if (history_covers(history, used)) {
        double most = history->memory_max * HISTORY_SPREAD;
        demand.p50 = fmin(demand.p50, fmax(used, history->memory_p95));
        demand.p90 = fmin(demand.p90, most);
        demand.p99 = fmin(demand.p99, most);
    }
    return demand;
}

/* What is lost with a failure does not depend on the limit: the memory used, for the time spent and a rerun.
 */
static double memory_cost(const struct policy_case *now, const struct demand *demand, double used,
                          double limit)
{
    const struct policy_config *config = now->config;
    double elapsed_s = fmax((double)(now->risk->sampled_us - now->risk->started_us) / 1e6, 0);
    double usable = fmax(usable_of(now, limit), 1);
    double slack = fmax(usable - demand->p50, 0) * config->slack_s;
    return (slack + demand_exceeds(demand, usable) * used * (config->rerun_s + elapsed_s)) /
           (1024 * POLICY_MIB);
}

/* What lies above the highest limit of this decision is the next decision's business: without the cut a
 * demand far above it would make every candidate look equally hopeless. */
static void cut(struct demand *demand, double most)
{
    demand->p50 = fmin(demand->p50, most);
    demand->p90 = fmin(demand->p90, most);
    demand->p99 = fmin(demand->p99, most);
}

/* Its growth does not count: the first samples of any program look like a steep ramp. */
static bool is_calm(const struct policy_case *now, double used)
{
    return has_brake(now) && used < CALM_SHARE * (double)now->risk->limits.memory_bytes;
}

/* The cheapest limit between the least that helps and the headroom. */
static double cheapest(struct policy_case *now, double used, double least)
{
    struct demand demand = memory_demand(now, used);
    double highest = used * headroom(now) + overhead(now);
    if (history_covers(now->input->history, used))
        highest = fmax(highest, limit_for(now, now->input->history->memory_max * HISTORY_SPREAD));
    highest = fmax(highest, least);
    cut(&demand, usable_of(now, highest));
    double best = least, ratio = pow(highest / least, 1.0 / (CANDIDATES - 1)), limit = least;
    now->decision->expected_cost = INFINITY;
    for (int i = 0; i < CANDIDATES; i++) {
        double cost = memory_cost(now, &demand, used, limit);
        if (cost < now->decision->expected_cost) {
            now->decision->expected_cost = cost;
            best = limit;
        }
        limit *= ratio;
    }
    now->decision->kept_cost = memory_cost(now, &demand, used, (double)now->risk->limits.memory_bytes);
    return best;
}

static void explain(struct policy_case *now, bool killed)
{
    const struct msg_risk *risk = now->risk;
    policy_explain(now->decision,
                   "memory %.0f of %.0f MiB used, growing %.0f MiB/s, p=%.2f, p90 in %.0f s %.0f MiB%s%s: "
                   "%.0f MiB costs "
                   "%.2f, keeping %.2f GiB*s",
                   (double)risk->memory_bytes / POLICY_MIB, (double)risk->limits.memory_bytes / POLICY_MIB,
                   now->attempt->growth_bps / POLICY_MIB, (double)policy_cause_level(risk, MSG_CAUSE_MEMORY),
                   risk->horizon_ms / 1000.0, risk->memory.p90 / POLICY_MIB,
                   risk->brake_engaged ? ", in the brake" : "", killed ? ", a process was killed" : "",
                   (double)now->wanted.memory_bytes / POLICY_MIB, now->decision->expected_cost,
                   now->decision->kept_cost);
}

/* Half of what was refused although the status says there is room: a bound of the agent that the status does
 * not show. */
static double below_refused(const struct policy_case *now, double best)
{
    double limit = (double)now->risk->limits.memory_bytes, refused = (double)now->attempt->refused_bytes;
    return refused > limit && (double)policy_whole_mib(best) >= refused ? limit + (refused - limit) / 2
                                                                        : best;
}

/* The limit lies so close above what the program holds that its own files are read again and again. */
static bool is_stalled(const struct policy_case *now, double used)
{
    const struct msg_risk *risk = now->risk;
    return !policy_just_raised(now, now->attempt->memory_raised_us) &&
           risk->memory_stall_permille >= now->config->memory_stalled * 1000 &&
           used >= CALM_SHARE * (double)risk->limits.memory_bytes;
}

/* Room for page cache, as long as the stall is measured: no brake helps against that, and no forecast is in
 * it. False: there is as much for the cache as the program has of its own. */
static bool decide_stalled(struct policy_case *now, double used)
{
    double limit = (double)now->risk->limits.memory_bytes, most = used * STALL_MOST;
    double best = below_refused(now, fmin(limit * STALL_STEP, most));
    if (best < limit * now->config->memory_step)
        return false;
    now->wanted.memory_bytes = now->least_memory = policy_whole_mib(best);
    policy_explain(now->decision,
                   "memory %.0f of %.0f MiB used, and all of it waited %.0f %% of the last second for memory",
                   used / POLICY_MIB, limit / POLICY_MIB, now->risk->memory_stall_permille / 10.0);
    return true;
}

void policy_memory_decide(struct policy_case *now)
{
    const struct msg_risk *risk = now->risk;
    double limit = (double)risk->limits.memory_bytes, used = (double)risk->memory_bytes;
    if (limit <= 0)
        return;
    bool killed = risk->oom_kills > now->attempt->oom_kills, forced = risk->brake_engaged || killed;
    if (!forced && is_stalled(now, used) && decide_stalled(now, used))
        return;
    if (!forced && (!policy_alarmed(risk, MSG_CAUSE_MEMORY) || is_calm(now, used)))
        return;
    /* In the brake the program has met its limit, whatever the last sample of its usage says. */
    if (forced)
        used = fmax(used, usable_of(now, limit));
    double least = limit_for(now, used * SAMPLE_SPREAD);
    if (forced)
        least = fmax(least, limit * now->config->brake_step);
    double best = below_refused(now, cheapest(now, used, least));
    if (best < limit * now->config->memory_step ||
        (!forced && now->decision->expected_cost >= now->decision->kept_cost))
        return;
    now->wanted.memory_bytes = policy_whole_mib(best);
    now->least_memory = policy_whole_mib(fmin(least, best));
    explain(now, killed);
}
