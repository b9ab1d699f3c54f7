/* See codes.h. */
#include "predict/codes.h"

#include <errno.h>
#include <stdlib.h>

#include "common/hash.h"
#include "predict/table.h"

#define MARKS ((size_t)1 << 23) /* 1 MiB; a million dropped codes mark an eighth of them */

struct codes {
    struct table *table; /* of struct code */
    uint8_t *dropped;    /* one bit for each mark; never cleared */
};

static size_t mark_of(struct str name)
{
    return (size_t)(hash_bytes(name.data, name.size) % MARKS);
}

struct codes *codes_create(size_t capacity)
{
    struct codes *codes = calloc(1, sizeof *codes);
    if (!codes)
        return NULL;
    codes->table = table_create(capacity, PROFILE_CODE_MAX - 1, sizeof(struct code));
    codes->dropped = calloc(MARKS / 8, 1);
    if (codes->table && codes->dropped)
        return codes;
    codes_destroy(codes);
    return NULL;
}

void codes_destroy(struct codes *codes)
{
    if (!codes)
        return;
    table_destroy(codes->table);
    free(codes->dropped);
    free(codes);
}

struct code *codes_find(struct codes *codes, struct str name)
{
    struct code *code = table_find(codes->table, name.data, name.size);
    if (code)
        table_touch(codes->table, code);
    return code;
}

/* The one that makes room for a code to be added. */
static void mark_next_dropped(struct codes *codes)
{
    if (table_count(codes->table) < table_capacity(codes->table))
        return;
    const struct code *oldest = table_oldest(codes->table);
    size_t mark = mark_of(str_of(oldest->profile.code));
    codes->dropped[mark / 8] |= (uint8_t)(1u << (mark % 8));
}

bool codes_maybe_evicted(const struct codes *codes, struct str name)
{
    size_t mark = mark_of(name);
    return codes->dropped[mark / 8] & (1u << (mark % 8));
}

struct code *codes_own(struct codes *codes, struct str name)
{
    struct code *code = codes_find(codes, name);
    if (code)
        return code;
    mark_next_dropped(codes);
    code = table_add(codes->table, name.data, name.size);
    if (code)
        profile_init(&code->profile, name);
    return code;
}

int codes_take(struct codes *codes, const struct msg_code_profile *message)
{
    struct profile profile;
    int result = profile_load(&profile, message);
    if (result < 0)
        return result;
    struct code *code = codes_own(codes, message->code);
    if (!code)
        return -EBADMSG;
    if (profile.revision <= code->profile.revision)
        return 0;
    code->profile = profile;
    return 1;
}

void codes_drop(struct codes *codes, struct str name)
{
    struct code *code = table_find(codes->table, name.data, name.size);
    if (code)
        table_remove(codes->table, code);
}

struct code *codes_first(const struct codes *codes)
{
    return table_oldest(codes->table);
}

struct code *codes_next(const struct codes *codes, const struct code *code)
{
    return table_newer(codes->table, code);
}

size_t codes_count(const struct codes *codes)
{
    return table_count(codes->table);
}

uint64_t codes_evicted(const struct codes *codes)
{
    return table_evicted(codes->table);
}
