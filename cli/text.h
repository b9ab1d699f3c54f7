/* Values as people read them. */
#ifndef FORESTALL_CLI_TEXT_H
#define FORESTALL_CLI_TEXT_H

#include "schemas/messages.h"

/* "64M", "1.5G", "800K", "-" for 0 when zero_is_none. */
const char *text_bytes(int64_t bytes, bool zero_is_none, char out[32]);
/* "350ms", "12.3s", "4m10s", "3h02m". */
const char *text_duration(int64_t ms, char out[32]);
/* "2025-01-31 12:00:05" in local time. */
const char *text_time(int64_t time_us, char out[32]);
/* "memory 64M -> 96M, cpu 500m -> 1000m"; "nothing" when equal. */
const char *text_change(const struct msg_limits *before, const struct msg_limits *after, char *out,
                        size_t size);
/* "memory 64M, cpu 500m"; "none" when nothing is limited. */
const char *text_limits(const struct msg_limits *limits, char *out, size_t size);
/* Block characters of eight heights for the values, scaled to max (0: their highest); exactly width columns,
 * each the highest of its share; a space where there is none (negative). width at most 200. */
const char *text_sparkline(const double *values, size_t count, double max, size_t width, char *out,
                           size_t size);

#endif
