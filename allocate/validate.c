/* See validate.h. */
#include "allocate/validate.h"

#include <math.h>

#include "allocate/amounts.h"
#include "schemas/limits.h"
#include "schemas/name.h"

#define NAME_MAX_BYTES 255
#define CPU_MAX 1000000000 /* millicores: beyond any machine, and twice it still fits its field */
#define AMOUNT_MAX INT64_C(1000000000000000000)

static bool is_name(struct str name)
{
    return name.size > 0 && name.size <= NAME_MAX_BYTES && !memchr(name.data, '\0', name.size);
}

static bool are_limits(const struct msg_limits *limits)
{
    for (enum amount amount = 0; amount < AMOUNT_COUNT; amount++) {
        int64_t value = amount_get(limits, amount);
        if (value > (amount == AMOUNT_CPU ? CPU_MAX : AMOUNT_MAX))
            return false;
    }
    return !limits_fault(limits);
}

static bool are_quantiles(const struct msg_demand_quantiles *demand)
{
    return isfinite(demand->p50) && isfinite(demand->p90) && isfinite(demand->p99) && demand->p50 >= 0 &&
           demand->p90 >= 0 && demand->p99 >= 0; /* a weak model's may cross: demand.c takes that */
}

static bool is_probability(float value)
{
    return value >= 0 && value <= 1; /* false for NaN */
}

static bool all_probabilities(const struct msg_cause_probabilities *all)
{
    return is_probability(all->memory) && is_probability(all->cpu) && is_probability(all->io) &&
           is_probability(all->net) && is_probability(all->other);
}

static bool are_probabilities(const struct msg_risk *risk)
{
    return is_probability(risk->probability) && is_probability(risk->threshold) &&
           all_probabilities(&risk->probabilities) && all_probabilities(&risk->thresholds) &&
           all_probabilities(&risk->levels) && all_probabilities(&risk->within_2s) &&
           all_probabilities(&risk->within_30s);
}

const char *validate_risk(const struct msg_risk *risk, struct str key)
{
    if (!name_valid(risk->code, NAME_SIZE_MAX))
        return "code is not 1..128 bytes of [A-Za-z0-9._:+@/-]";
    if (!str_equal(risk->code, key))
        return "the key is not the code";
    if (!is_name(risk->node))
        return "node is not 1..255 bytes";
    if (risk->attempt < 1)
        return "attempt is below 1";
    if (risk->horizon_ms <= 0)
        return "horizon_ms is not positive";
    if (!are_probabilities(risk))
        return "a probability is outside 0..1";
    if (!are_quantiles(&risk->memory) || !are_quantiles(&risk->cpu) || !are_quantiles(&risk->io) ||
        !are_quantiles(&risk->net))
        return "a quantile is negative or not finite";
    if (!are_limits(&risk->limits))
        return "limits are out of range";
    if (risk->memory_bytes < 0 || risk->memory_peak_bytes < 0 || risk->timeout_ms < 0 || risk->oom_kills < 0)
        return "a count or an amount is negative";
    return NULL;
}

const char *validate_record(const struct msg_execution_record *record, struct str key)
{
    if (!name_valid(record->code, NAME_SIZE_MAX))
        return "code is not 1..128 bytes of [A-Za-z0-9._:+@/-]";
    if (!str_equal(record->code, key))
        return "the key is not the code";
    if (!is_name(record->pool))
        return "pool is not 1..255 bytes";
    if (record->attempt < 1)
        return "attempt is below 1";
    if (!are_limits(&record->first_limits) || !are_limits(&record->highest_limits) ||
        !are_limits(&record->last_limits))
        return "limits are out of range";
    if (record->totals.memory_peak_bytes < 0 || record->totals.memory_peak_bytes > AMOUNT_MAX ||
        record->peak_cpu_millicores < 0 || record->peak_io_bps < 0 || record->peak_net_bps < 0 ||
        record->totals.cpu_throttled_us < 0 || record->totals.io_stall_us < 0)
        return "a total or a peak is out of range";
    return NULL;
}

const char *validate_policy(const struct msg_code_policy *policy, struct str key)
{
    if (!name_valid(policy->code, NAME_SIZE_MAX))
        return "code is not 1..128 bytes of [A-Za-z0-9._:+@/-]";
    if (!str_equal(policy->code, key))
        return "the key is not the code";
    if (!are_limits(&policy->floor) || !are_limits(&policy->ceiling) ||
        (policy->has_pin && !are_limits(&policy->pin)))
        return "limits are out of range";
    if (policy->held_out_permille < 0 || policy->held_out_permille > 1000)
        return "held_out_permille is outside 0..1000";
    for (enum amount amount = 0; amount < AMOUNT_COUNT; amount++) {
        int64_t ceiling = amount_get(&policy->ceiling, amount);
        if (ceiling > 0 && amount_get(&policy->floor, amount) > ceiling)
            return "a floor is above its ceiling";
    }
    return NULL;
}

const char *validate_profile(const struct msg_code_profile *profile, struct str key)
{
    if (!name_valid(profile->code, NAME_SIZE_MAX))
        return "code is not 1..128 bytes of [A-Za-z0-9._:+@/-]";
    return str_equal(profile->code, key) ? NULL : "the key is not the code";
}

const char *validate_allocation(const struct msg_allocation *allocation, struct str key)
{
    if (!name_valid(allocation->code, NAME_SIZE_MAX))
        return "code is not 1..128 bytes of [A-Za-z0-9._:+@/-]";
    if (!str_equal(allocation->code, key))
        return "the key is not the code";
    return are_limits(&allocation->limits) && are_limits(&allocation->before) ? NULL
                                                                              : "limits are out of range";
}

const char *validate_status(const struct msg_node_status *status, struct str key)
{
    if (!is_name(status->node))
        return "node is not 1..255 bytes";
    if (!is_name(status->pool))
        return "pool is not 1..255 bytes";
    if (!str_equal(status->pool, key))
        return "the key is not the pool";
    if (!are_limits(&status->capacity) || !are_limits(&status->free))
        return "limits are out of range";
    return NULL;
}
