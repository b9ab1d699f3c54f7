/* See watch.h. */
#include "demo/watch.h"

#include <errno.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/map.h"
#include "common/topics.h"
#include "schemas/topic_codec.h"

#define ARENA_BLOCK ((size_t)256 << 10)
#define ARENA_LIMIT ((size_t)64 << 20)

struct entry {
    struct watched seen;
    struct msg_execution_record record;
    struct arena *arena; /* of the record */
    struct buffer storage;
    struct watch_risk *risks; /* room for all from the start: whoever looks at them keeps the address */
};

struct watch {
    struct stream *stream;
    struct topic_codec *codec;
    struct arena *arena; /* of one message */
    struct map *entries;
};

static void entry_destroy(struct entry *entry)
{
    arena_destroy(entry->arena);
    buffer_fini(&entry->storage);
    free(entry->risks);
    free(entry);
}

static struct entry *entry_of(struct watch *watch, const uint8_t execution[16])
{
    struct entry *entry = map_get(watch->entries, execution, 16);
    if (entry)
        return entry;
    entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    memcpy(entry->seen.execution, execution, 16);
    buffer_init(&entry->storage, 0);
    entry->arena = arena_create(ARENA_BLOCK, ARENA_LIMIT);
    entry->risks = calloc(WATCH_RISKS_MAX, sizeof *entry->risks);
    entry->seen.risks = entry->risks;
    if (entry->arena && entry->risks && map_put(watch->entries, execution, 16, entry) == 0)
        return entry;
    entry_destroy(entry);
    return NULL;
}

static enum stream_outcome take_record(struct watch *watch, const struct msg_execution_record *record)
{
    struct entry *entry = entry_of(watch, record->execution);
    if (!entry)
        return STREAM_DONE; /* more executions than anybody would look at */
    arena_reset(entry->arena);
    entry->seen.record = NULL;
    if (codec_clone(&msg_execution_record_type, record, &entry->storage, entry->arena, &entry->record))
        return STREAM_FATAL;
    entry->seen.record = &entry->record;
    return STREAM_DONE;
}

static enum stream_outcome take_risk(struct watch *watch, const struct msg_risk *risk)
{
    struct entry *entry = entry_of(watch, risk->execution);
    if (!entry || entry->seen.risk_count == WATCH_RISKS_MAX)
        return STREAM_DONE;
    entry->risks[entry->seen.risk_count++] = (struct watch_risk){risk->sampled_us, risk->probability};
    return STREAM_DONE;
}

static enum stream_outcome take(void *context, const struct stream_message *message)
{
    struct watch *watch = context;
    struct msg_execution_record record;
    struct msg_risk risk;
    bool is_record = str_equal(message->topic, str_of(TOPIC_EXECUTIONS_FINISHED));
    arena_reset(watch->arena);
    enum stream_outcome outcome =
        topic_codec_decode(watch->codec, is_record ? &msg_execution_record_type : &msg_risk_type, message,
                           watch->arena, is_record ? (void *)&record : (void *)&risk, clock_monotonic_ms());
    if (outcome == STREAM_QUARANTINE)
        return STREAM_DONE; /* the services quarantine it; here it is only not shown */
    if (outcome != STREAM_DONE)
        return outcome;
    return is_record ? take_record(watch, &record) : take_risk(watch, &risk);
}

struct watch *watch_open(const char *brokers, char *error, size_t error_size)
{
    static const char *const topics[] = {TOPIC_EXECUTIONS_FINISHED, TOPIC_RISKS};
    struct stream_options options = {.brokers = brokers, .client_id = "forestall-demo"};
    struct watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return NULL;
    watch->stream = stream_open(&options, error, error_size);
    watch->codec = watch->stream ? topic_codec_create(watch->stream) : NULL;
    watch->arena = arena_create(ARENA_BLOCK, ARENA_LIMIT);
    watch->entries = map_create(WATCH_EXECUTIONS_MAX);
    if (watch->codec && watch->arena && watch->entries &&
        stream_assign_all(watch->stream, topics, FS_COUNT(topics), STREAM_FROM_END, true, error,
                          error_size) == 0)
        return watch;
    watch_close(watch);
    return NULL;
}

void watch_close(struct watch *watch)
{
    size_t cursor = 0;
    struct str key;
    void *entry;
    if (!watch)
        return;
    while (watch->entries && map_next(watch->entries, &cursor, &key, &entry))
        entry_destroy(entry);
    map_destroy(watch->entries);
    topic_codec_destroy(watch->codec);
    stream_close(watch->stream);
    arena_destroy(watch->arena);
    free(watch);
}

const struct watched *watch_find(const struct watch *watch, const uint8_t execution[16])
{
    struct entry *entry = map_get(watch->entries, execution, 16);
    return entry ? &entry->seen : NULL;
}

/* attempt 0: its first risk is enough. */
static bool has_come(const struct watched *seen, int32_t attempt)
{
    if (!seen)
        return false;
    return attempt == 0 || (seen->record && seen->record->attempt >= attempt);
}

int watch_wait(struct watch *watch, const uint8_t execution[16], int32_t attempt, int timeout_ms)
{
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    for (;;) {
        if (has_come(watch_find(watch, execution), attempt))
            return 0;
        int64_t left_ms = deadline_ms - clock_monotonic_ms();
        if (left_ms <= 0)
            return -ETIMEDOUT;
        int handled = stream_dispatch(watch->stream, take, watch, (int)FS_MIN(left_ms, 100));
        if (handled < 0)
            return handled;
    }
}
