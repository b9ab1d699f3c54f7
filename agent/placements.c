/* See placements.h. The file is a row of entries of one size with a CRC each; when it has grown to twice what
 * is needed it is written anew beside and renamed. */
#include "agent/placements.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/crc32.h"
#include "agent/disk.h"
#include "common/buffer.h"
#include "common/map.h"

#define FILE_NAME "placements"
#define ENTRY_SIZE 44 /* execution 16, attempt 4, number 8, answered_us 8, answer 4, crc 4 */
#define KEY_SIZE 20

struct known {
    struct placement placement;
    bool here; /* while the oldest quarter goes */
};

struct placements {
    int directory_fd, fd;
    struct map *by_attempt;
    size_t entries, max; /* in the file; known at a time */
    placements_here_fn *here;
    void *here_context;
};

enum placement_verdict placement_judge(const struct placement *known, int64_t number)
{
    if (!known || known->answer == PLACEMENT_NEW)
        return PLACEMENT_CONSIDER;
    if (number <= known->number)
        return PLACEMENT_REPEATED;
    return known->answer == PLACEMENT_RAN ? PLACEMENT_RAN_BEFORE : PLACEMENT_CONSIDER;
}

static void put(uint8_t **at, uint64_t value, int size)
{
    for (int i = size - 1; i >= 0; i--)
        *(*at)++ = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t **at, int size)
{
    uint64_t value = 0;
    for (int i = 0; i < size; i++)
        value = value << 8 | *(*at)++;
    return value;
}

static void encode(const struct placement *placement, uint8_t out[ENTRY_SIZE])
{
    uint8_t *at = out + 16;
    memcpy(out, placement->execution, 16);
    put(&at, (uint32_t)placement->attempt, 4);
    put(&at, (uint64_t)placement->number, 8);
    put(&at, (uint64_t)placement->answered_us, 8);
    put(&at, (uint32_t)placement->answer, 4);
    put(&at, crc32_of(0, out, ENTRY_SIZE - 4), 4);
}

static bool decode(const uint8_t bytes[ENTRY_SIZE], struct placement *out)
{
    const uint8_t *at = bytes + 16;
    memcpy(out->execution, bytes, 16);
    out->attempt = (int32_t)get(&at, 4);
    out->number = (int64_t)get(&at, 8);
    out->answered_us = (int64_t)get(&at, 8);
    uint64_t answer = get(&at, 4);
    if (answer > PLACEMENT_CANCELLED || get(&at, 4) != crc32_of(0, bytes, ENTRY_SIZE - 4))
        return false;
    out->answer = (enum placement_answer)answer;
    return true;
}

static void make_key(const uint8_t execution[16], int32_t attempt, uint8_t out[KEY_SIZE])
{
    uint8_t *at = out + 16;
    memcpy(out, execution, 16);
    put(&at, (uint32_t)attempt, 4);
}

static int remember(struct placements *placements, const struct placement *placement)
{
    uint8_t key[KEY_SIZE];
    make_key(placement->execution, placement->attempt, key);
    struct known *known = map_get(placements->by_attempt, key, sizeof key);
    if (!known) {
        known = calloc(1, sizeof *known);
        int result = known ? map_put(placements->by_attempt, key, sizeof key, known) : -ENOMEM;
        if (result < 0) {
            free(known);
            return result;
        }
    }
    known->placement = *placement;
    return 0;
}

static int load(struct placements *placements)
{
    uint8_t bytes[ENTRY_SIZE];
    struct placement placement;
    off_t offset = 0;
    placements->fd = openat(placements->directory_fd, FILE_NAME,
                            O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (placements->fd < 0)
        return -errno;
    while (pread(placements->fd, bytes, sizeof bytes, offset) == (ssize_t)sizeof bytes &&
           decode(bytes, &placement)) {
        int result = remember(placements, &placement);
        if (result < 0)
            return result;
        offset += (off_t)sizeof bytes;
        placements->entries++;
    }
    return ftruncate(placements->fd, offset) < 0 || fsync(placements->fd) < 0 ||
                   fsync(placements->directory_fd) < 0
               ? -errno
               : 0;
}

static int compare_age(const void *a, const void *b)
{
    const struct known *const *x = a, *const *y = b;
    int64_t older = (*x)->placement.answered_us, newer = (*y)->placement.answered_us;
    return older < newer ? -1 : older > newer;
}

/* All answers, oldest first; the caller frees the array. */
static struct known **by_age(const struct placements *placements, size_t *count)
{
    struct known **all = malloc((map_count(placements->by_attempt) + 1) * sizeof(struct known *));
    size_t cursor = 0, used = 0;
    struct str key;
    void *value;
    if (!all)
        return NULL;
    while (map_next(placements->by_attempt, &cursor, &key, &value))
        all[used++] = value;
    qsort(all, used, sizeof(struct known *), compare_age);
    *count = used;
    return all;
}

static void mark_here(const struct placements *placements, bool here)
{
    uint8_t execution[16], key[KEY_SIZE];
    int32_t attempt;
    for (size_t i = 0; placements->here(placements->here_context, i, execution, &attempt); i++) {
        make_key(execution, attempt, key);
        struct known *known = map_get(placements->by_attempt, key, sizeof key);
        if (known)
            known->here = here;
    }
}

/* Of all, oldest first: those that stay go to the front, the others behind. How many stay. */
static size_t part(const struct placements *placements, struct known **all, size_t count)
{
    size_t leaving = 0, kept = 0, most = count >= placements->max ? count / 4 : 0;
    mark_here(placements, true);
    struct known **gone = malloc((most + 1) * sizeof(struct known *));
    for (size_t i = 0; i < count; i++) {
        if (gone && leaving < most && !all[i]->here)
            gone[leaving++] = all[i];
        else
            all[kept++] = all[i];
    }
    for (size_t i = 0; i < leaving; i++)
        all[kept + i] = gone[i];
    mark_here(placements, false);
    free(gone);
    return kept;
}

static int write_anew(struct placements *placements, struct known *const *all, size_t count)
{
    uint8_t bytes[ENTRY_SIZE];
    struct buffer file;
    buffer_init(&file, 0);
    for (size_t i = 0; i < count; i++) {
        encode(&all[i]->placement, bytes);
        buffer_append(&file, bytes, sizeof bytes);
    }
    int result = buffer_error(&file);
    if (result == 0)
        result = disk_replace(placements->directory_fd, FILE_NAME, file.data, file.size, 0600, true);
    buffer_fini(&file);
    if (result < 0)
        return result;
    int fd = openat(placements->directory_fd, FILE_NAME, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    (void)close(placements->fd);
    placements->fd = fd;
    placements->entries = count;
    return 0;
}

/* The oldest quarter goes when the journal is full, once it is written anew without. */
static int compact(struct placements *placements)
{
    uint8_t key[KEY_SIZE];
    size_t count = 0;
    struct known **all = by_age(placements, &count);
    if (!all)
        return -ENOMEM;
    size_t kept = part(placements, all, count);
    int result = write_anew(placements, all, kept);
    for (size_t i = kept; result == 0 && i < count; i++) {
        make_key(all[i]->placement.execution, all[i]->placement.attempt, key);
        (void)map_remove(placements->by_attempt, key, sizeof key);
        free(all[i]);
    }
    free(all);
    return result;
}

int placements_open(int directory_fd, size_t max, placements_here_fn *here, void *context,
                    struct placements **out)
{
    struct placements *placements = calloc(1, sizeof *placements);
    if (!placements)
        return -ENOMEM;
    placements->directory_fd = directory_fd;
    placements->fd = -1;
    placements->max = max;
    placements->here = here;
    placements->here_context = context;
    placements->by_attempt = map_create(max);
    int result = placements->by_attempt ? load(placements) : -ENOMEM;
    if (result < 0) {
        placements_close(placements);
        return result;
    }
    *out = placements;
    return 0;
}

void placements_close(struct placements *placements)
{
    size_t cursor = 0;
    struct str key;
    void *value;
    if (!placements)
        return;
    while (placements->by_attempt && map_next(placements->by_attempt, &cursor, &key, &value))
        free(value);
    map_destroy(placements->by_attempt);
    if (placements->fd >= 0)
        (void)close(placements->fd);
    free(placements);
}

const struct placement *placements_find(const struct placements *placements, const uint8_t execution[16],
                                        int32_t attempt)
{
    uint8_t key[KEY_SIZE];
    make_key(execution, attempt, key);
    const struct known *known = map_get(placements->by_attempt, key, sizeof key);
    return known ? &known->placement : NULL;
}

int placements_answer(struct placements *placements, const struct placement *placement)
{
    uint8_t bytes[ENTRY_SIZE];
    int result = 0;
    if (map_count(placements->by_attempt) >= placements->max || placements->entries >= 2 * placements->max)
        result = compact(placements);
    if (result == 0 && map_count(placements->by_attempt) >= placements->max &&
        !placements_find(placements, placement->execution, placement->attempt))
        result = -ENOSPC; /* all of them are here, or no memory to choose */
    if (result < 0)
        return result;
    encode(placement, bytes);
    result = disk_write_all(placements->fd, bytes, sizeof bytes);
    if (result == 0 && fdatasync(placements->fd) < 0)
        result = -errno;
    if (result < 0) {
        if (ftruncate(placements->fd, (off_t)(placements->entries * ENTRY_SIZE)) < 0)
            return -EIO; /* open will cut the torn tail */
        return result;
    }
    placements->entries++;
    return remember(placements, placement);
}
