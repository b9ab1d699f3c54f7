/* See reduce.h. */
#include "ingest/reduce.h"

/* Tries one way of leaving things out; true when it is small enough. */
static bool encode(const struct msg_execution_record *record, struct buffer *out)
{
    size_t before = out->size;
    if (codec_encode(&msg_execution_record_type, record, out) == 0 && out->size - before <= REDUCE_MOST_BYTES)
        return true;
    out->size = before;
    return false;
}

static bool reduce_record(struct msg_execution_record *record, struct buffer *out)
{
    record->series.count = 0;
    if (encode(record, out))
        return true;
    record->request.env.count = 0;
    record->request.argv.count = FS_MIN(record->request.argv.count, 1u);
    record->request.hints.count = 0;
    if (encode(record, out))
        return true;
    record->adjustments_dropped += (int32_t)record->adjustments.count;
    record->adjustments.count = 0;
    return encode(record, out);
}

void reduce_message(struct codec *codec, struct str framed, struct arena *arena, struct buffer *out)
{
    struct msg_execution_record record;
    arena_reset(arena);
    if (codec_decode(codec, &msg_execution_record_type, framed, arena, &record) == 0 &&
        reduce_record(&record, out))
        return;
    buffer_append(out, framed.data, FS_MIN(framed.size, REDUCE_MOST_BYTES));
}
