/* See book.h. */
#include "allocate/book.h"

#include <errno.h>
#include <stdlib.h>

#include "common/map.h"
#include "common/topics.h"

struct book {
    struct code_entry *slots;
    size_t max, used;
    struct map *map;
    struct code_entry *oldest, *newest, *free;
    double outgrown, outgrown_failed; /* sums over the entries */
};

/* Stands before each framed Verdict. */
struct kept_verdict {
    uint8_t execution[16];
    int32_t attempt;
    uint32_t size;
    int64_t offset, decided_us;
};

struct book *book_create(size_t max)
{
    struct book *book = calloc(1, sizeof *book);
    if (!book)
        return NULL;
    book->max = max;
    book->slots = calloc(max, sizeof *book->slots); /* large: mapped, not touched */
    book->map = map_create(max);
    if (book->slots && book->map)
        return book;
    book_destroy(book);
    return NULL;
}

void book_destroy(struct book *book)
{
    if (!book)
        return;
    for (size_t i = 0; i < book->used; i++)
        buffer_fini(&book->slots[i].verdicts);
    map_destroy(book->map);
    free(book->slots);
    free(book);
}

struct code_entry *book_find(const struct book *book, struct str code)
{
    return map_get(book->map, code.data, code.size);
}

static void count_outgrown(struct book *book, const struct book_allocation *kept, double times)
{
    book->outgrown += times * (double)kept->outgrown;
    book->outgrown_failed += times * (double)kept->outgrown_failed;
}

double book_saved(const struct book *book)
{
    return recent_saved(book->outgrown, book->outgrown_failed);
}

static void unlink_age(struct book *book, struct code_entry *entry)
{
    if (entry->older)
        entry->older->newer = entry->newer;
    else
        book->oldest = entry->newer;
    if (entry->newer)
        entry->newer->older = entry->older;
    else
        book->newest = entry->older;
    entry->older = entry->newer = NULL;
}

static void link_newest(struct book *book, struct code_entry *entry)
{
    entry->older = book->newest;
    if (book->newest)
        book->newest->newer = entry;
    else
        book->oldest = entry;
    book->newest = entry;
}

static struct code_entry *begin(struct book *book, struct str code, int32_t partition)
{
    struct code_entry *entry = book->free;
    if (!entry && book->used == book->max)
        return NULL;
    if (entry)
        book->free = entry->newer;
    else
        entry = &book->slots[book->used++];
    *entry = (struct code_entry){.partition = partition};
    buffer_init(&entry->verdicts, 0);
    (void)str_copy(entry->code, sizeof entry->code, code); /* callers take validated codes only */
    if (map_put(book->map, entry->code, strlen(entry->code), entry) < 0) {
        entry->newer = book->free;
        book->free = entry;
        return NULL;
    }
    link_newest(book, entry);
    return entry;
}

struct code_entry *book_obtain(struct book *book, struct str code, int32_t partition, int64_t now_us)
{
    struct code_entry *entry = book_find(book, code);
    if (!entry)
        entry = begin(book, code, partition);
    if (!entry)
        return NULL;
    entry->used_us = FS_MAX(entry->used_us, now_us);
    unlink_age(book, entry);
    link_newest(book, entry);
    return entry;
}

struct code_entry *book_oldest(const struct book *book)
{
    return book->oldest;
}

static int compare_use(const void *a, const void *b)
{
    const struct code_entry *left = *(struct code_entry *const *)a, *right = *(struct code_entry *const *)b;
    if (left->used_us != right->used_us)
        return left->used_us > right->used_us ? 1 : -1;
    return strcmp(left->code, right->code);
}

void book_order(struct book *book)
{
    size_t count = 0, known = map_count(book->map);
    struct code_entry **entries = calloc(FS_MAX(known, (size_t)1), sizeof(struct code_entry *));
    if (!entries)
        return;
    for (struct code_entry *entry = book->oldest; entry && count < known; entry = entry->newer)
        entries[count++] = entry;
    qsort(entries, count, sizeof(struct code_entry *), compare_use);
    for (size_t i = 0; i < count; i++) {
        unlink_age(book, entries[i]);
        link_newest(book, entries[i]);
    }
    free(entries);
}

void book_remove(struct book *book, struct code_entry *entry)
{
    unlink_age(book, entry);
    (void)map_remove(book->map, entry->code, strlen(entry->code));
    buffer_fini(&entry->verdicts);
    count_outgrown(book, &entry->allocation, -1);
    *entry = (struct code_entry){.newer = book->free};
    book->free = entry;
}

void book_forget_partition(struct book *book, int32_t partition)
{
    for (struct code_entry *entry = book->oldest, *newer; entry; entry = newer) {
        newer = entry->newer;
        if (entry->partition == partition)
            book_remove(book, entry);
    }
}

bool book_next(const struct book *book, size_t *cursor, struct code_entry **entry)
{
    while (*cursor < book->used) {
        struct code_entry *slot = &book->slots[(*cursor)++];
        if (slot->code[0] == '\0')
            continue;
        *entry = slot;
        return true;
    }
    return false;
}

size_t book_count(const struct book *book)
{
    return map_count(book->map);
}

static void set_through(struct book_allocation *kept, const struct msg_allocation *allocation)
{
    kept->through_count = 0;
    for (size_t i = 0; i < allocation->through.count; i++) {
        const struct msg_partition_offset *position = &allocation->through.items[i];
        if (str_equal(position->topic, str_of(TOPIC_EXECUTIONS_FINISHED)) &&
            kept->through_count < BOOK_THROUGH_MAX)
            kept->through[kept->through_count++] =
                (struct book_position){position->partition, position->offset};
    }
}

static int64_t highest_offset(const struct book_allocation *kept)
{
    int64_t highest = -1;
    for (uint32_t i = 0; i < kept->through_count; i++)
        highest = FS_MAX(highest, kept->through[i].offset);
    return highest;
}

/* Offsets of verdicts known already stay; a new one belongs to the newest record counted. */
static int set_verdicts(struct code_entry *entry, const struct msg_allocation *allocation)
{
    struct buffer kept;
    uint32_t count = 0;
    buffer_init(&kept, 0);
    for (size_t i = 0; i < allocation->verdicts.count; i++) {
        const struct msg_verdict *verdict = &allocation->verdicts.items[i];
        struct kept_verdict header = {.attempt = verdict->attempt,
                                      .offset = highest_offset(&entry->allocation),
                                      .decided_us = verdict->decided_us};
        memcpy(header.execution, verdict->execution, sizeof header.execution);
        for (size_t at = 0; at < entry->verdicts.size;) {
            struct kept_verdict known;
            memcpy(&known, entry->verdicts.data + at, sizeof known);
            if (known.attempt == header.attempt && memcmp(known.execution, header.execution, 16) == 0)
                header.offset = known.offset;
            at += sizeof known + known.size;
        }
        size_t start = kept.size;
        buffer_append(&kept, &header, sizeof header);
        (void)codec_encode(&msg_verdict_type, verdict, &kept); /* the buffer's error is looked at below */
        if (buffer_error(&kept) < 0)
            break;
        header.size = (uint32_t)(kept.size - start - sizeof header);
        memcpy(kept.data + start, &header, sizeof header);
        count++;
    }
    int result = buffer_error(&kept);
    if (result < 0) {
        buffer_fini(&kept);
        return result;
    }
    buffer_fini(&entry->verdicts);
    entry->verdicts = kept;
    entry->verdict_count = count;
    return 0;
}

static uint32_t keep(void *to, const void *from, size_t count, size_t most, size_t size)
{
    size_t kept = FS_MIN(count, most);
    if (kept > 0)
        memcpy(to, from, kept * size);
    return (uint32_t)kept;
}

static void set_sizing(struct book_allocation *kept, const struct msg_allocation *allocation)
{
    struct recent_storage *sizing = &kept->sizing;
    kept->recent_count = keep(sizing->runs, allocation->recent.items, allocation->recent.count,
                              SIZING_RUNS_MAX, sizeof sizing->runs[0]);
    kept->cost_count = keep(sizing->costs, allocation->method_costs.items, allocation->method_costs.count,
                            SIZING_METHOD_COUNT, sizeof sizing->costs[0]);
    kept->knot_count = keep(sizing->knots, allocation->by_input.items, allocation->by_input.count,
                            SIZING_KNOTS_MAX, sizeof sizing->knots[0]);
}

/* A copy: the entry may change before the message is sent. */
static int fill_sizing(const struct book_allocation *kept, struct arena *arena, struct msg_allocation *out)
{
    struct recent_storage *copy = arena_alloc(arena, 1, sizeof *copy);
    if (!copy)
        return -ENOMEM;
    *copy = kept->sizing;
    out->recent = (struct msg_recent_run_array){copy->runs, kept->recent_count};
    out->method_costs = (struct msg_float_array){copy->costs, kept->cost_count};
    out->by_input = (struct msg_input_knot_array){copy->knots, kept->knot_count};
    return 0;
}

int book_set_allocation(struct book *book, struct code_entry *entry, const struct msg_allocation *allocation)
{
    struct book_allocation *kept = &entry->allocation;
    if (entry->has_allocation && allocation->revision <= kept->revision)
        return 0;
    kept->limits = allocation->limits;
    kept->before = allocation->before;
    kept->revision = allocation->revision;
    kept->runs = allocation->runs;
    kept->updated_us = allocation->updated_us;
    kept->probability = allocation->probability;
    kept->good_since_raise = allocation->good_since_raise;
    kept->held_out_permille = allocation->held_out_permille;
    kept->pinned = allocation->pinned;
    kept->memory_most_bytes = allocation->memory_most_bytes;
    count_outgrown(book, kept, -1);
    bool possible = recent_can_be(allocation);
    kept->outgrown = possible ? allocation->outgrown : 0;
    kept->outgrown_failed = possible ? allocation->outgrown_failed : 0;
    count_outgrown(book, kept, 1);
    kept->raised_count = (uint32_t)FS_MIN(allocation->raised.count, (size_t)MSG_CAUSE_COUNT);
    for (uint32_t i = 0; i < kept->raised_count; i++)
        kept->raised[i] = allocation->raised.items[i];
    (void)str_copy(kept->reason, sizeof kept->reason, allocation->reason); /* cut is fine: it is for people */
    set_through(kept, allocation);
    set_sizing(kept, allocation);
    entry->has_allocation = true;
    entry->used_us = FS_MAX(entry->used_us, allocation->updated_us);
    int result = set_verdicts(entry, allocation);
    return result < 0 ? result : 1;
}

bool book_set_history(struct code_entry *entry, const struct policy_history *history, int64_t revision)
{
    if (entry->has_history && revision <= entry->profile_revision)
        return false;
    entry->history = *history;
    entry->profile_revision = revision;
    entry->has_history = true;
    return true;
}

void book_set_policy(struct code_entry *entry, const struct msg_code_policy *policy)
{
    entry->policy = *policy;
    (void)str_copy(entry->author, sizeof entry->author, policy->author); /* cut is fine: it is for people */
    entry->policy.code = str_of(entry->code);
    entry->policy.author = str_of(entry->author);
    entry->has_policy = true;
}

/* The next kept verdict decoded; false at the end. *result is negative when memory is short. */
static bool next_verdict(const struct code_entry *entry, struct codec *codec, struct arena *arena, size_t *at,
                         struct msg_verdict *out, int *result)
{
    struct kept_verdict header;
    if (*at >= entry->verdicts.size)
        return false;
    memcpy(&header, entry->verdicts.data + *at, sizeof header);
    struct str framed = {(const char *)entry->verdicts.data + *at + sizeof header, header.size};
    char *copy = arena_strdup(arena, framed); /* the decoded strings borrow from it, not from what changes */
    *result =
        copy ? codec_decode(codec, &msg_verdict_type, (struct str){copy, framed.size}, arena, out) : -ENOMEM;
    *at += sizeof header + header.size;
    return *result == 0;
}

static int fill_verdicts(const struct code_entry *entry, struct codec *codec, struct arena *arena,
                         struct msg_verdict_array *out)
{
    int result = 0;
    out->items = arena_alloc(arena, entry->verdict_count + 1, sizeof *out->items); /* and one to be added */
    out->count = 0;
    if (!out->items)
        return -ENOMEM;
    for (size_t at = 0; next_verdict(entry, codec, arena, &at, &out->items[out->count], &result);)
        out->count++;
    return result;
}

int book_through(const struct code_entry *entry, int32_t partition, int64_t offset, struct arena *arena,
                 struct msg_partition_offset_array *out)
{
    const struct book_allocation *kept = &entry->allocation;
    size_t count = entry->has_allocation ? kept->through_count : 0;
    bool found = false;
    out->items = arena_alloc(arena, count + 1, sizeof *out->items);
    if (!out->items)
        return -ENOMEM;
    out->count = 0;
    for (size_t i = 0; i < count; i++) {
        struct book_position position = kept->through[i];
        if (position.partition == partition && partition >= 0) {
            position.offset = FS_MAX(position.offset, offset);
            found = true;
        }
        out->items[out->count++] = (struct msg_partition_offset){str_of(TOPIC_EXECUTIONS_FINISHED),
                                                                 position.partition, position.offset};
    }
    if (found || partition < 0)
        return 0;
    if (out->count ==
        BOOK_THROUGH_MAX) { /* a code lives on one partition; so many means topics were remade */
        out->count--;
        memmove(out->items, out->items + 1, out->count * sizeof *out->items);
    }
    out->items[out->count++] =
        (struct msg_partition_offset){str_of(TOPIC_EXECUTIONS_FINISHED), partition, offset};
    return 0;
}

int book_allocation_message(const struct code_entry *entry, struct codec *codec, struct arena *arena,
                            struct msg_allocation *out)
{
    const struct book_allocation *kept = &entry->allocation;
    if (!entry->has_allocation)
        return -ENOENT;
    struct msg_allocation message = {
        .code = str_of(entry->code),
        .limits = kept->limits,
        .before = kept->before,
        .revision = kept->revision,
        .probability = kept->probability,
        .reason = str_of(kept->reason),
        .good_since_raise = kept->good_since_raise,
        .pinned = kept->pinned,
        .memory_most_bytes = kept->memory_most_bytes,
        .outgrown = kept->outgrown,
        .outgrown_failed = kept->outgrown_failed,
        .held_out_permille = kept->held_out_permille,
        .runs = kept->runs,
        .updated_us = kept->updated_us,
    };
    message.raised.items = arena_alloc(arena, MSG_CAUSE_COUNT, sizeof *message.raised.items);
    if (!message.raised.items)
        return -ENOMEM;
    message.raised.count = kept->raised_count;
    memcpy(message.raised.items, kept->raised, kept->raised_count * sizeof *kept->raised);
    int result = book_through(entry, -1, 0, arena, &message.through);
    if (result == 0)
        result = fill_verdicts(entry, codec, arena, &message.verdicts);
    if (result == 0)
        result = fill_sizing(kept, arena, &message);
    if (result == 0)
        *out = message;
    return result;
}

bool book_contains(const struct code_entry *entry, int32_t partition, int64_t offset)
{
    const struct book_allocation *kept = &entry->allocation;
    for (uint32_t i = 0; entry->has_allocation && i < kept->through_count; i++)
        if (kept->through[i].partition == partition && offset <= kept->through[i].offset)
            return true;
    return false;
}

int book_verdict(const struct code_entry *entry, struct codec *codec, const uint8_t execution[16],
                 int32_t attempt, struct arena *arena, struct msg_verdict *out)
{
    int result = 0;
    struct msg_verdict verdict;
    for (size_t at = 0; next_verdict(entry, codec, arena, &at, &verdict, &result);) {
        if (verdict.attempt != attempt || memcmp(verdict.execution, execution, 16) != 0)
            continue;
        *out = verdict;
        return 0;
    }
    return result < 0 ? result : -ENOENT;
}

void book_drop_verdicts(struct code_entry *entry, int64_t committed_offset, int64_t before_us)
{
    size_t kept = 0;
    struct kept_verdict header;
    for (size_t at = 0, size; at < entry->verdicts.size; at += size) {
        memcpy(&header, entry->verdicts.data + at, sizeof header);
        size = sizeof header + header.size;
        if (header.offset <= committed_offset || header.decided_us < before_us) {
            entry->verdict_count--;
            continue;
        }
        memmove(entry->verdicts.data + kept, entry->verdicts.data + at, size);
        kept += size;
    }
    entry->verdicts.size = kept;
    if (kept == 0)
        buffer_fini(&entry->verdicts);
}

const struct msg_code_policy *book_policy(const struct code_entry *entry)
{
    return entry && entry->has_policy ? &entry->policy : NULL;
}

const struct policy_history *book_history(const struct code_entry *entry)
{
    return entry && entry->has_history ? &entry->history : NULL;
}
