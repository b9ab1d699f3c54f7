/* See codes.h. */
#include "predict/codes.h"

#include <errno.h>
#include <stdlib.h>

#include "predict/marks.h"
#include "predict/table.h"

struct codes {
    struct table *table; /* of struct code */
    struct marks *dropped;
};

struct codes *codes_create(size_t capacity)
{
    struct codes *codes = calloc(1, sizeof *codes);
    if (!codes)
        return NULL;
    codes->table = table_create(capacity, PROFILE_CODE_MAX - 1, sizeof(struct code));
    codes->dropped = marks_create();
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
    marks_destroy(codes->dropped);
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
    marks_add(codes->dropped, str_of(oldest->profile.code));
}

bool codes_maybe_evicted(const struct codes *codes, struct str name)
{
    return marks_hold(codes->dropped, name);
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
