/* See rise.h. */
#include "model/rise.h"

#include <errno.h>
#include <math.h>

static const double shares[RISE_LEVELS] = {0.2, 0.4, 0.55, 0.7, 0.8, 0.9, 0.96, 1};

/* What was seen last; each level is dated between that and the next sample. */
struct maker {
    double peak, s, cpu_s, memory;
    size_t reached;
    struct rise rise;
};

static void take(struct maker *maker, double s, double cpu_s, double memory)
{
    s = fmax(s, maker->s); /* a clock that steps back stands still */
    cpu_s = fmax(cpu_s, maker->cpu_s);
    while (maker->reached < RISE_LEVELS && memory >= shares[maker->reached] * maker->peak) {
        double missing = shares[maker->reached] * maker->peak - maker->memory, grown = memory - maker->memory;
        double along = grown > 0 ? fmax(missing, 0) / grown : 1;
        maker->rise.s[maker->reached] = (float)(maker->s + (s - maker->s) * along);
        maker->rise.cpu_s[maker->reached++] = (float)(maker->cpu_s + (cpu_s - maker->cpu_s) * along);
    }
    maker->s = s;
    maker->cpu_s = cpu_s;
    maker->memory = memory;
}

struct rise rise_of_record(const struct msg_execution_record *record)
{
    struct maker maker = {0};
    for (size_t i = 0; i < record->series.count; i++)
        maker.peak = fmax(maker.peak, (double)record->series.items[i].counters.memory_bytes);
    for (size_t i = 0; i < record->series.count && maker.peak > 0; i++) {
        const struct msg_series_point *point = &record->series.items[i];
        take(&maker, ((double)point->time_us - (double)record->started_us) * 1e-6,
             (double)point->counters.cpu_usage_us * 1e-6, (double)point->counters.memory_bytes);
    }
    return maker.rise;
}

double rise_when(const float clock[RISE_LEVELS], double share)
{
    double low = 0, before = 0;
    for (size_t i = 0; i < RISE_LEVELS; i++) {
        double at = (double)clock[i];
        if (share <= shares[i])
            return before + (at - before) * (share - low) / (shares[i] - low);
        low = shares[i];
        before = at;
    }
    return before;
}

double rise_share(const float clock[RISE_LEVELS], double when)
{
    double low = 0, before = 0;
    for (size_t i = 0; i < RISE_LEVELS; i++) {
        double at = (double)clock[i];
        if (when < at)
            return low + (shares[i] - low) * (when - before) / (at - before);
        low = shares[i];
        before = at;
    }
    return 1;
}

struct msg_float_array rise_store(const float clock[RISE_LEVELS], bool known)
{
    return known ? (struct msg_float_array){(float *)clock, RISE_LEVELS} : (struct msg_float_array){0};
}

static bool load_clock(float clock[RISE_LEVELS], const struct msg_float_array *from)
{
    float before = 0;
    if (from->count != RISE_LEVELS)
        return false;
    for (size_t i = 0; i < RISE_LEVELS; i++) {
        if (!isfinite(from->items[i]) || from->items[i] < before)
            return false;
        before = clock[i] = from->items[i];
    }
    return true;
}

int rise_load(struct rise *rise, const struct msg_float_array *s, const struct msg_float_array *cpu_s)
{
    *rise = (struct rise){0};
    if (s->count == 0 && cpu_s->count == 0)
        return 0;
    return load_clock(rise->s, s) && load_clock(rise->cpu_s, cpu_s) ? 0 : -EBADMSG;
}
