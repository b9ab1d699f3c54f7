/* See record.h. */
#include "agent/record.h"

#include <errno.h>
#include <stdlib.h>

#include "common/hash.h"
#include "schemas/codec.h"

/* What is left of argv when nothing else helps; then a quarter of it, down to the program, which alone always
 * fits: the kernel takes no argument above 128 KiB. */
#define SMALL_ARGUMENTS 16

float record_inclusion(enum msg_outcome outcome, bool raised, uint64_t seen, double share)
{
    if (outcome != MSG_OUTCOME_FINISHED || raised || seen < RECORD_FIRST_EXECUTIONS)
        return 1.0f;
    return (float)FS_MIN(FS_MAX(share, 0.0), 1.0);
}

bool record_draw(const uint8_t execution[16], int32_t attempt, float inclusion)
{
    uint8_t key[20];
    memcpy(key, execution, 16);
    for (int i = 0; i < 4; i++)
        key[16 + i] = (uint8_t)((uint32_t)attempt >> (8 * i));
    return hash_unit(key, sizeof key) < (double)inclusion;
}

void record_fill(struct msg_execution_record *record, struct track *track, struct msg_custom_metric *custom)
{
    record->started_us = track->started_us;
    record->totals = track_counters(track, &track->last, custom);
    record->first_limits = track->first_limits;
    record->highest_limits = track->highest_limits;
    record->last_limits = track->last.limits;
    record->peak_cpu_millicores = (int32_t)FS_MIN(track->peak_cpu_millicores, INT32_MAX);
    record->peak_io_bps = track->peak_io_bps;
    record->peak_net_bps = track->peak_net_bps;
    record->brakes.items = track->shared.brakes;
    record->brakes.count = track->shared.brake_count;
}

/* How much of the series a try carries. */
struct cut {
    size_t older_step, recent_step; /* one of so many; older_step 0 = none */
    bool custom;
};

struct room {
    struct msg_series_point *points;
    struct msg_custom_metric *custom; /* SERIES_CUSTOM_MAX per point */
};

static void fill_series(struct msg_execution_record *record, const struct track *track, const struct cut *cut,
                        const struct room *room)
{
    size_t total = series_count(&track->series), older = track->series.older_count, count = 0;
    for (size_t i = 0; i < total; i++) {
        size_t step = i < older ? cut->older_step : cut->recent_step;
        /* The newest point always stays: counted from the end. */
        if (step == 0 || (i < older ? i % step : (total - 1 - i) % step) != 0)
            continue;
        const struct series_point *point = series_at(&track->series, i);
        struct msg_series_point *out = &room->points[count];
        out->time_us = point->time_us;
        out->limits = point->limits;
        out->counters = track_counters(track, point, &room->custom[count * SERIES_CUSTOM_MAX]);
        if (!cut->custom)
            out->counters.custom.count = 0;
        count++;
    }
    record->series.items = room->points;
    record->series.count = count;
    record->series_stride =
        (int32_t)FS_MIN((size_t)track->series.stride * FS_MAX(cut->older_step, (size_t)1), (size_t)INT32_MAX);
}

/* The next smaller try; false when the series is empty already. */
static bool cut_more(struct cut *cut, const struct track *track)
{
    if (cut->older_step > 0) {
        cut->older_step = cut->older_step * 2 <= track->series.older_count ? cut->older_step * 2 : 0;
        return true;
    }
    if (cut->custom) {
        cut->custom = false;
        return true;
    }
    cut->recent_step *= 2;
    return cut->recent_step <= SERIES_RECENT;
}

/* 0, -EMSGSIZE or -ENOMEM; out is as before when it fails. */
static int try_encode(const struct msg_execution_record *record, size_t max_bytes, struct buffer *out)
{
    size_t before = out->size;
    int result = codec_encode(&msg_execution_record_type, record, out);
    if (result == 0 && out->size - before > max_bytes)
        result = -EMSGSIZE;
    if (result == -EMSGSIZE)
        out->size = before;
    return result;
}

static int encode_with_series(struct msg_execution_record *record, const struct track *track,
                              size_t max_bytes, const struct room *room, struct buffer *out)
{
    struct cut cut = {.older_step = track->series.older_count > 0 ? 1 : 0,
                      .recent_step = 1,
                      .custom = track->custom_count > 0};
    int result;
    do {
        fill_series(record, track, &cut, room);
        result = try_encode(record, max_bytes, out);
    } while (result == -EMSGSIZE && cut_more(&cut, track));
    return result;
}

static int encode_without_series(struct msg_execution_record *record, size_t max_bytes, struct buffer *out)
{
    record->series.count = 0;
    record->series.items = NULL;
    int result = try_encode(record, max_bytes, out);
    if (result != -EMSGSIZE)
        return result;
    struct msg_execution_request kept = record->request;
    record->request.env.count = 0;
    record->request.hints.count = 0;
    result = try_encode(record, max_bytes, out);
    for (size_t most = SMALL_ARGUMENTS; result == -EMSGSIZE && most > 0; most /= 4) {
        record->request.argv.count = FS_MIN(record->request.argv.count, most);
        result = try_encode(record, max_bytes, out);
    }
    record->request = kept;
    return result;
}

int record_encode(struct msg_execution_record *record, const struct track *track, size_t max_bytes,
                  struct buffer *out)
{
    int result = -EMSGSIZE;
    record->series_stride = 1;
    if (track && series_count(&track->series) > 0) {
        size_t count = series_count(&track->series);
        struct room room = {calloc(count, sizeof *room.points),
                            calloc(count * SERIES_CUSTOM_MAX, sizeof *room.custom)};
        result =
            room.points && room.custom ? encode_with_series(record, track, max_bytes, &room, out) : -ENOMEM;
        free(room.points);
        free(room.custom);
        record->series.items = NULL;
        record->series.count = 0;
    }
    if (result == -EMSGSIZE)
        result = encode_without_series(record, max_bytes, out);
    return result;
}
