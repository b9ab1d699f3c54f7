/* See dead.h. */
#include "allocate/dead.h"

#include <errno.h>

#define NEWEST_KEPT 600 /* the newest minute at 10 Hz, as in a record */

static int decode_risks(const struct attempt *attempt, struct codec *codec, struct arena *arena,
                        struct msg_risk_array *out)
{
    struct str framed;
    *out = (struct msg_risk_array){0};
    if (!attempt || attempt->risks.count == 0)
        return 0;
    out->items = arena_alloc(arena, attempt->risks.count, sizeof *out->items);
    if (!out->items)
        return -ENOMEM;
    for (uint32_t cursor = 0; keep_next(&attempt->risks, &cursor, &framed);)
        if (codec_decode(codec, &msg_risk_type, framed, arena, &out->items[out->count]) == 0)
            out->count++;
    return 0;
}

/* A kept decision: its two costs, then the framed Adjustment. */
static bool decode_decision(struct str kept, struct codec *codec, struct arena *arena,
                            struct msg_decision *out)
{
    double costs[2];
    if (kept.size < sizeof costs)
        return false;
    memcpy(costs, kept.data, sizeof costs);
    struct str adjustment = {kept.data + sizeof costs, kept.size - sizeof costs};
    if (codec_decode(codec, &msg_adjustment_type, adjustment, arena, &out->adjustment) != 0)
        return false;
    out->expected_cost = costs[0];
    out->kept_cost = costs[1];
    return true;
}

static int decode_decisions(const struct attempt *attempt, struct codec *codec, struct arena *arena,
                            struct msg_decision_array *out)
{
    struct str framed;
    *out = (struct msg_decision_array){0};
    if (!attempt || attempt->decisions.count == 0)
        return 0;
    out->items = arena_alloc(arena, attempt->decisions.count, sizeof *out->items);
    if (!out->items)
        return -ENOMEM;
    for (uint32_t cursor = 0; keep_next(&attempt->decisions, &cursor, &framed);)
        out->count += decode_decision(framed, codec, arena, &out->items[out->count]);
    return 0;
}

static bool has_decision(const struct msg_decision_array *decisions, int64_t number)
{
    for (size_t i = 0; i < decisions->count; i++)
        if (decisions->items[i].adjustment.decision == number)
            return true;
    return false;
}

/* What the agent met and is not among the decisions kept (evicted, or decided before a restart), oldest
 * first. */
static int add_met(const struct msg_execution_record *record, struct arena *arena,
                   struct msg_decision_array *decisions)
{
    const struct msg_applied_adjustment_array *met = &record->adjustments;
    struct msg_decision *all = arena_alloc(arena, met->count + decisions->count, sizeof *all);
    size_t count = 0;
    if (!all)
        return -ENOMEM;
    for (size_t i = 0; i < met->count; i++)
        if (!has_decision(decisions, met->items[i].adjustment.decision))
            all[count++] = (struct msg_decision){.adjustment = met->items[i].adjustment};
    if (decisions->count > 0)
        memcpy(all + count, decisions->items, decisions->count * sizeof *all);
    decisions->items = all;
    decisions->count += count;
    return 0;
}

/* Leaves out every second point but of the newest; false when there is nothing more to leave out. */
static bool thin(struct msg_execution_record *record, struct arena *arena)
{
    struct msg_series_point_array *series = &record->series;
    if (series->count <= NEWEST_KEPT + 1)
        return false;
    size_t older = series->count - NEWEST_KEPT, kept = (older + 1) / 2;
    struct msg_series_point *points = arena_alloc(arena, kept + NEWEST_KEPT, sizeof *points);
    if (!points)
        return false;
    for (size_t i = 0; i < kept; i++)
        points[i] = series->items[2 * i];
    memcpy(points + kept, series->items + older, NEWEST_KEPT * sizeof *points);
    series->items = points;
    series->count = kept + NEWEST_KEPT;
    record->series_stride = FS_MAX(record->series_stride, 1) * 2;
    return true;
}

/* The next smaller form; false when there is none. */
static bool reduce(struct msg_dead_execution *dead, struct arena *arena)
{
    if (thin(&dead->record, arena))
        return true;
    if (dead->record.series.count > 0) {
        dead->record.series.count = 0;
        return true;
    }
    if (dead->risks.count > 0) {
        dead->risks.items += (dead->risks.count + 1) / 2;
        dead->risks.count /= 2;
        return true;
    }
    return false;
}

static struct str newest_model(const struct msg_dead_execution *dead)
{
    if (dead->risks.count > 0)
        return dead->risks.items[dead->risks.count - 1].model_version;
    if (dead->decisions.count > 0)
        return dead->decisions.items[dead->decisions.count - 1].adjustment.model_version;
    return str_of("");
}

int dead_keep_decision(const struct msg_decision *decision, struct buffer *scratch, struct keep *keep)
{
    const double costs[2] = {decision->expected_cost, decision->kept_cost};
    buffer_reset(scratch);
    buffer_append(scratch, costs, sizeof costs);
    int result = codec_encode(&msg_adjustment_type, &decision->adjustment, scratch);
    if (result == 0)
        keep_push(keep, buffer_str(scratch));
    return result;
}

int dead_encode(const struct dead_input *input, struct codec *codec, struct arena *arena, size_t max_bytes,
                struct buffer *out, bool *reduced)
{
    struct msg_dead_execution dead = {
        .record = *input->record, .reason = input->reason, .dead_us = input->now_us};
    int result = decode_risks(input->attempt, codec, arena, &dead.risks);
    if (result == 0)
        result = decode_decisions(input->attempt, codec, arena, &dead.decisions);
    if (result == 0)
        result = add_met(input->record, arena, &dead.decisions);
    if (result < 0)
        return result;
    dead.model_version = newest_model(&dead);
    *reduced = false;
    size_t start = out->size;
    for (;;) {
        result = codec_encode(&msg_dead_execution_type, &dead, out);
        if (result < 0 || out->size - start <= max_bytes)
            return result;
        out->size = start;
        if (!reduce(&dead, arena))
            return -EMSGSIZE;
        *reduced = true;
    }
}
