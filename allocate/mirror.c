/* See mirror.h. */
#include "allocate/mirror.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "allocate/fields.h"
#include "common/log.h"
#include "common/store.h"

#define STEP 256 /* entries written per step of a rebuild: some milliseconds */
#define KEY_MAX (BOOK_CODE_MAX + 16)

struct mirror {
    struct store *store;
    char marker[160];
    uint64_t generation;
    struct arena *arena;
    bool stale, told;
    size_t cursor;
    struct mirror_counters counters;
};

struct mirror *mirror_open(const struct mirror_options *options, char *error, size_t error_size)
{
    struct mirror *mirror = calloc(1, sizeof *mirror);
    (void)snprintf(error, error_size, "out of memory");
    if (!mirror)
        return NULL;
    bool password = options->password && *options->password;
    struct store_options store = {.address = options->address,
                                  .prefix = options->prefix,
                                  .password = password ? options->password : NULL,
                                  .timeout_ms = options->timeout_ms};
    mirror->arena = arena_create(4096, 65536);
    mirror->store = mirror->arena ? store_open(&store, error, error_size) : NULL;
    if (!mirror->store) {
        arena_destroy(mirror->arena);
        free(mirror);
        return NULL;
    }
    (void)snprintf(mirror->marker, sizeof mirror->marker, "allocate:{%s}",
                   options->member); /* cut is still a key */
    mirror->stale = true;            /* what Redis holds is not known yet */
    return mirror;
}

void mirror_close(struct mirror *mirror)
{
    if (!mirror)
        return;
    store_close(mirror->store);
    arena_destroy(mirror->arena);
    free(mirror);
}

static const char *key_of(const char *code, char key[KEY_MAX])
{
    (void)snprintf(key, KEY_MAX, "allocation:{%s}", code);
    return key;
}

static void note_away(struct mirror *mirror, const char *text)
{
    mirror->counters.up = false;
    mirror->stale = true;
    if (mirror->told)
        return;
    mirror->told = true;
    log_warn("redis_away",
             "error=\"%s\" note=\"allocations go on to the topic; Redis is rebuilt from it when it is back\"",
             text);
}

static void fail(struct mirror *mirror, const char *text)
{
    mirror->counters.failed++;
    note_away(mirror, text);
}

static void queue_set(struct mirror *mirror, const struct msg_allocation *allocation)
{
    struct fields fields;
    char code[BOOK_CODE_MAX], key[KEY_MAX];
    (void)str_copy(code, sizeof code, allocation->code); /* validated */
    fields_fill(&fields, allocation);
    int result = store_queue_set_if_newer(mirror->store, key_of(code, key), allocation->revision,
                                          fields.items, fields.count);
    if (result == -EAGAIN) {
        (void)mirror_flush(mirror);
        result =
            store_queue_set_if_newer(mirror->store, key, allocation->revision, fields.items, fields.count);
    }
    if (result < 0)
        fail(mirror, strerror(-result));
}

void mirror_set(struct mirror *mirror, const struct msg_allocation *allocation)
{
    queue_set(mirror, allocation);
}

void mirror_delete(struct mirror *mirror, const char *code)
{
    char key[KEY_MAX];
    int result = store_queue_delete(mirror->store, key_of(code, key));
    if (result == -EAGAIN) {
        (void)mirror_flush(mirror);
        result = store_queue_delete(mirror->store, key);
    }
    if (result < 0)
        fail(mirror, strerror(-result));
}

static void on_reply(void *context, size_t index, int status, const struct store_field *fields, size_t count)
{
    struct mirror *mirror = context;
    (void)index;
    (void)fields;
    (void)count;
    if (status > 0)
        mirror->counters.written++;
    else if (status < 0) /* 0: Redis has a newer one, or had none to delete */
        fail(mirror, store_error(mirror->store));
}

bool mirror_flush(struct mirror *mirror)
{
    uint64_t failed = mirror->counters.failed;
    int result = store_flush(mirror->store, on_reply, mirror);
    if (result < 0 && mirror->counters.failed == failed)
        fail(mirror, store_error(mirror->store));
    return mirror->counters.failed == failed;
}

void mirror_invalidate(struct mirror *mirror)
{
    mirror->stale = true;
}

/* A rebuild begins when Redis answers and its content is not known: a new connection, or writes that were
 * dropped. */
static bool begin_rebuild(struct mirror *mirror)
{
    char error[256];
    if (store_ping(mirror->store, error, sizeof error) < 0) {
        note_away(mirror, error);
        return false;
    }
    if (mirror->told)
        log_info("redis_back", "note=\"writing all allocations again\"");
    mirror->told = false;
    mirror->counters.up = true;
    mirror->counters.rebuilding = true;
    mirror->generation = store_generation(mirror->store);
    mirror->stale = false;
    mirror->cursor = 0;
    return true;
}

static void rebuild_some(struct mirror *mirror, const struct book *book, struct codec *codec,
                         struct arena *arena)
{
    struct code_entry *entry;
    struct msg_allocation allocation;
    size_t written = 0;
    bool more = true;
    while (written < STEP && (more = book_next(book, &mirror->cursor, &entry))) {
        arena_reset(arena);
        if (book_allocation_message(entry, codec, arena, &allocation) < 0)
            continue;
        queue_set(mirror, &allocation);
        written++;
    }
    if (!more) {
        struct store_field field = {str_of("holds"), str_of("all allocations of this instance")};
        fs_drop(store_queue_set_if_newer(mirror->store, mirror->marker, 1, &field,
                                         1)); /* missing: built once more */
    }
    if (!mirror_flush(mirror)) {
        mirror->counters.rebuilding = false; /* stale: it begins anew */
    } else if (!more) {
        mirror->counters.rebuilding = false;
        mirror->counters.rebuilds++;
    }
}

void mirror_check(struct mirror *mirror)
{
    struct store_field fields[2];
    if (mirror->stale || mirror->counters.rebuilding)
        return;
    arena_reset(mirror->arena);
    int result = store_get(mirror->store, mirror->marker, fields, FS_COUNT(fields), mirror->arena);
    if (result == -ENOENT) {
        log_warn("redis_lost_its_content", "note=\"writing all allocations again\"");
        mirror->stale = true;
    } else if (result < 0) {
        note_away(mirror, store_error(mirror->store));
    }
}

void mirror_step(struct mirror *mirror, const struct book *book, struct codec *codec, struct arena *arena)
{
    if (store_generation(mirror->store) != mirror->generation)
        mirror->stale = true;
    if (mirror->stale && !begin_rebuild(mirror))
        return;
    if (mirror->counters.rebuilding)
        rebuild_some(mirror, book, codec, arena);
}

const struct mirror_counters *mirror_counters(const struct mirror *mirror)
{
    return &mirror->counters;
}
