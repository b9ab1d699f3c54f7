/* See text.h. */
#include "cli/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

const char *text_bytes(int64_t bytes, bool zero_is_none, char out[32])
{
    static const char units[] = " KMGTP";
    double value = (double)bytes;
    size_t unit = 0;
    if (bytes == 0 && zero_is_none)
        return "-";
    while (value >= 1024 && unit < sizeof units - 2) {
        value /= 1024;
        unit++;
    }
    if (unit == 0)
        (void)snprintf(out, 32, "%" PRId64, bytes);
    else if (value < 10 && (double)(int64_t)value < value)
        (void)snprintf(out, 32, "%.1f%c", value, units[unit]);
    else
        (void)snprintf(out, 32, "%.0f%c", value, units[unit]);
    return out;
}

const char *text_duration(int64_t ms, char out[32])
{
    if (ms < 1000)
        (void)snprintf(out, 32, "%" PRId64 "ms", ms);
    else if (ms < 60000)
        (void)snprintf(out, 32, "%.1fs", (double)ms / 1000);
    else if (ms < 3600000)
        (void)snprintf(out, 32, "%" PRId64 "m%02" PRId64 "s", ms / 60000, ms / 1000 % 60);
    else
        (void)snprintf(out, 32, "%" PRId64 "h%02" PRId64 "m", ms / 3600000, ms / 60000 % 60);
    return out;
}

const char *text_time(int64_t time_us, char out[32])
{
    time_t seconds = (time_t)(time_us / 1000000);
    struct tm parts;
    if (!localtime_r(&seconds, &parts) || strftime(out, 32, "%Y-%m-%d %H:%M:%S", &parts) == 0)
        (void)snprintf(out, 32, "?");
    return out;
}

enum unit { UNIT_BYTES, UNIT_RATE, UNIT_MILLICORES, UNIT_PLAIN };

struct limit {
    const char *name;
    enum unit unit;
    int64_t value;
};

#define LIMITS 8

static void list_limits(const struct msg_limits *limits, struct limit out[LIMITS])
{
    const struct limit all[LIMITS] = {
        {"memory", UNIT_BYTES, limits->memory_bytes},   {"cpu", UNIT_MILLICORES, limits->cpu_millicores},
        {"cpu weight", UNIT_PLAIN, limits->cpu_weight}, {"reads", UNIT_RATE, limits->io_read_bps},
        {"writes", UNIT_RATE, limits->io_write_bps},    {"io weight", UNIT_PLAIN, limits->io_weight},
        {"egress", UNIT_RATE, limits->net_egress_bps},  {"net priority", UNIT_PLAIN, limits->net_priority},
    };
    memcpy(out, all, sizeof all);
}

static const char *limit_text(const struct limit *limit, char out[48])
{
    char bytes[32];
    if (limit->value == 0)
        return limit->unit == UNIT_PLAIN ? "default" : "none";
    if (limit->unit == UNIT_BYTES || limit->unit == UNIT_RATE)
        (void)snprintf(out, 48, "%s%s", text_bytes(limit->value, false, bytes),
                       limit->unit == UNIT_RATE ? "/s" : "");
    else
        (void)snprintf(out, 48, "%" PRId64 "%s", limit->value, limit->unit == UNIT_MILLICORES ? "m" : "");
    return out;
}

static void append(char *out, size_t size, const char *text)
{
    size_t used = strlen(out);
    (void)snprintf(out + used, size - used, "%s%s", used ? ", " : "", text);
}

const char *text_change(const struct msg_limits *before, const struct msg_limits *after, char *out,
                        size_t size)
{
    struct limit old[LIMITS], new[LIMITS];
    char a[48], b[48], line[160];
    list_limits(before, old);
    list_limits(after, new);
    *out = '\0';
    for (size_t i = 0; i < LIMITS; i++) {
        if (old[i].value == new[i].value)
            continue;
        (void)snprintf(line, sizeof line, "%s %s -> %s", old[i].name, limit_text(&old[i], a),
                       limit_text(&new[i], b));
        append(out, size, line);
    }
    if (!*out)
        append(out, size, "nothing");
    return out;
}

const char *text_limits(const struct msg_limits *limits, char *out, size_t size)
{
    struct limit all[LIMITS];
    char value[48], line[100];
    list_limits(limits, all);
    *out = '\0';
    for (size_t i = 0; i < LIMITS; i++) {
        if (all[i].value == 0)
            continue;
        (void)snprintf(line, sizeof line, "%s %s", all[i].name, limit_text(&all[i], value));
        append(out, size, line);
    }
    if (!*out)
        append(out, size, "none");
    return out;
}

const char *text_sparkline(const double *values, size_t count, double max, size_t width, char *out,
                           size_t size)
{
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    *out = '\0';
    if (max <= 0)
        for (size_t i = 0; i < count; i++)
            max = FS_MAX(max, values[i]);
    for (size_t column = 0; column < width; column++) {
        size_t from = column * count / width, to = FS_MAX((column + 1) * count / width, from + 1);
        double highest = -1;
        for (size_t i = from; i < to && i < count; i++)
            highest = FS_MAX(highest, values[i]);
        size_t used = strlen(out), level = max > 0 ? (size_t)FS_MIN(FS_MAX(highest, 0) / max * 8, 7.0) : 0;
        (void)snprintf(out + used, size - used, "%s", highest < 0 ? " " : blocks[level]);
    }
    return out;
}
