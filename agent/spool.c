/* See spool.h. A segment is named after its first number (20 digits, ".log"); the newest one stays even when
 * empty, so that numbers never repeat. `acks` lists what was acknowledged out of order; it is not synced:
 * losing it costs a repeat. */
#include "agent/spool.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/crc32.h"
#include "agent/disk.h"

#define HEADER 17 /* u32 payload size, u32 crc of what follows, u64 number, u8 kind; all big-endian */
#define SEGMENT_BYTES (4 << 20)
#define NAME_SIZE 32
#define ACKS_NAME "acks"

struct slot {
    uint64_t number;
    uint32_t segment; /* serial */
    uint32_t offset;
    bool acked;
};

struct segment {
    uint32_t serial;
    uint64_t first;
    int64_t bytes;
    size_t waiting;
};

struct spool {
    int directory_fd, fd /* of the newest segment */, acks_fd;
    struct spool_options options;
    struct segment *segments;
    size_t segment_count, segment_capacity;
    uint32_t next_serial;
    struct slot *slots; /* rising numbers, slots[first_slot] the oldest */
    size_t slot_first, slot_count, slot_capacity;
    size_t waiting;
    uint64_t last, durable, damaged;
    int64_t bytes;
    bool dirty;
    size_t acks_written;
    uint8_t *scratch; /* HEADER + SPOOL_PAYLOAD_MAX */
};

static void put_be(uint8_t *at, uint64_t value, int size)
{
    for (int i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
}

static uint64_t get_be(const uint8_t *at, int size)
{
    uint64_t value = 0;
    for (int i = 0; i < size; i++)
        value = value << 8 | at[i];
    return value;
}

static void segment_name(uint64_t first, char out[NAME_SIZE])
{
    (void)snprintf(out, NAME_SIZE, "%020" PRIu64 ".log", first);
}

/* The index only grows at its end; what the front no longer needs is dropped when it is moved. */
static int slot_add(struct spool *spool, struct slot slot)
{
    if (spool->slot_first + spool->slot_count == spool->slot_capacity) {
        if (spool->slot_first > spool->slot_capacity / 2) {
            memmove(spool->slots, spool->slots + spool->slot_first, spool->slot_count * sizeof *spool->slots);
            spool->slot_first = 0;
        } else {
            size_t capacity = FS_MAX(spool->slot_capacity * 2, (size_t)64);
            struct slot *grown = realloc(spool->slots, capacity * sizeof *grown);
            if (!grown)
                return -ENOMEM;
            spool->slots = grown;
            spool->slot_capacity = capacity;
        }
    }
    spool->slots[spool->slot_first + spool->slot_count++] = slot;
    return 0;
}

static struct slot *slot_at_or_above(const struct spool *spool, uint64_t number)
{
    struct slot *slots = spool->slots + spool->slot_first;
    size_t low = 0, high = spool->slot_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (slots[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < spool->slot_count ? &slots[low] : NULL;
}

static struct segment *segment_find(const struct spool *spool, uint32_t serial)
{
    for (size_t i = 0; i < spool->segment_count; i++)
        if (spool->segments[i].serial == serial)
            return &spool->segments[i];
    return NULL;
}

static int segment_add(struct spool *spool, uint64_t first)
{
    if (spool->segment_count == spool->segment_capacity) {
        size_t capacity = FS_MAX(spool->segment_capacity * 2, (size_t)8);
        struct segment *grown = realloc(spool->segments, capacity * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        spool->segments = grown;
        spool->segment_capacity = capacity;
    }
    spool->segments[spool->segment_count++] =
        (struct segment){.serial = spool->next_serial++, .first = first};
    return 0;
}

static int segment_open(const struct spool *spool, uint64_t first, int flags)
{
    char name[NAME_SIZE];
    segment_name(first, name);
    int fd = openat(spool->directory_fd, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? -errno : fd;
}

/* Starts the segment the next entry goes to. The directory is synced: a segment that is lost takes its
 * entries along. */
static int segment_begin(struct spool *spool)
{
    int result = spool_sync(spool);
    if (result < 0)
        return result;
    int fd = segment_open(spool, spool->last + 1, O_RDWR | O_CREAT | O_APPEND);
    if (fd < 0)
        return fd;
    result = fsync(spool->directory_fd) < 0 ? -errno : segment_add(spool, spool->last + 1);
    if (result < 0) {
        (void)close(fd);
        return result;
    }
    if (spool->fd >= 0)
        (void)close(spool->fd);
    spool->fd = fd;
    return 0;
}

/* Removes the segments nobody waits for, except the newest. */
static void drop_done(struct spool *spool)
{
    size_t kept = 0;
    char name[NAME_SIZE];
    for (size_t i = 0; i < spool->segment_count; i++) {
        struct segment *segment = &spool->segments[i];
        if (segment->waiting == 0 && i + 1 < spool->segment_count) {
            segment_name(segment->first, name);
            if (unlinkat(spool->directory_fd, name, 0) == 0 || errno == ENOENT) {
                spool->bytes -= segment->bytes;
                continue;
            }
        }
        spool->segments[kept++] = *segment;
    }
    spool->segment_count = kept;
    while (spool->slot_count > 0 && spool->slots[spool->slot_first].acked) {
        spool->slot_first++;
        spool->slot_count--;
    }
}

/* Everything is acknowledged: begin a new segment once the newest has grown, so that the disk is given back.
 */
static void tidy_when_empty(struct spool *spool)
{
    if (spool->waiting > 0 ||
        spool->segments[spool->segment_count - 1].bytes < spool->options.segment_bytes / 4)
        return;
    if (segment_begin(spool) < 0)
        return; /* the old one goes on */
    drop_done(spool);
    if (spool->acks_fd >= 0 && ftruncate(spool->acks_fd, 0) < 0)
        spool->damaged++;
    spool->acks_written = 0;
}

static int64_t read_entry(int fd, int64_t offset, uint8_t *scratch, struct spool_entry *out)
{
    ssize_t got = pread(fd, scratch, HEADER, offset);
    if (got != HEADER)
        return got < 0 ? -errno : -EBADMSG;
    uint64_t size = get_be(scratch, 4);
    if (size > SPOOL_PAYLOAD_MAX)
        return -EBADMSG;
    got = pread(fd, scratch + HEADER, (size_t)size, offset + HEADER);
    if (got != (ssize_t)size)
        return got < 0 ? -errno : -EBADMSG;
    if (crc32_of(0, scratch + 8, HEADER - 8 + (size_t)size) != get_be(scratch + 4, 4))
        return -EBADMSG;
    out->number = get_be(scratch + 8, 8);
    out->kind = scratch[16];
    out->payload = (struct str){(const char *)scratch + HEADER, (size_t)size};
    return HEADER + (int64_t)size;
}

/* Indexes one segment; newest: what is torn is cut off. */
static int load_segment(struct spool *spool, uint64_t first, bool newest)
{
    struct spool_entry entry;
    struct stat status;
    int fd = segment_open(spool, first, newest ? O_RDWR | O_APPEND : O_RDONLY);
    if (fd < 0)
        return fd;
    int result = fstat(fd, &status) < 0 ? -errno : segment_add(spool, first);
    int64_t offset = 0, size = 0;
    while (result == 0 && offset < status.st_size &&
           (size = read_entry(fd, offset, spool->scratch, &entry)) > 0) {
        struct segment *segment = &spool->segments[spool->segment_count - 1];
        if (entry.number <= spool->last || entry.number < first)
            break;
        result = slot_add(spool, (struct slot){entry.number, segment->serial, (uint32_t)offset, false});
        segment->waiting++;
        spool->waiting++;
        spool->last = entry.number;
        offset += size;
    }
    if (result == 0 && offset < status.st_size) {
        spool->damaged++;
        if (newest && (ftruncate(fd, offset) < 0 || fsync(fd) < 0))
            result = -errno;
    }
    if (result == 0) {
        spool->segments[spool->segment_count - 1].bytes = newest ? offset : status.st_size;
        spool->bytes += spool->segments[spool->segment_count - 1].bytes;
        spool->last = FS_MAX(spool->last, first - 1);
    }
    if (result == 0 && newest)
        spool->fd = fd;
    else
        (void)close(fd);
    return result;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

/* First numbers of all segments, rising; the caller frees. */
static int list_segments(int directory_fd, uint64_t **out, size_t *count)
{
    uint64_t *numbers = NULL;
    size_t used = 0, capacity = 0;
    int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    int result = directory ? 0 : -errno;
    struct dirent *entry;
    while (result == 0 && (entry = readdir(directory))) {
        char *end;
        uint64_t number = strtoull(entry->d_name, &end, 10);
        if (end != entry->d_name + 20 || strcmp(end, ".log") != 0 || number == 0)
            continue;
        if (used == capacity) {
            capacity = FS_MAX(capacity * 2, (size_t)16);
            uint64_t *grown = realloc(numbers, capacity * sizeof *grown);
            if (!grown) {
                result = -ENOMEM;
                break;
            }
            numbers = grown;
        }
        numbers[used++] = number;
    }
    if (directory)
        (void)closedir(directory);
    if (result < 0) {
        free(numbers);
        return result;
    }
    if (used > 1)
        qsort(numbers, used, sizeof *numbers, compare_numbers);
    *out = numbers;
    *count = used;
    return 0;
}

static bool mark_acked(struct spool *spool, uint64_t number)
{
    struct slot *slot = slot_at_or_above(spool, number);
    if (!slot || slot->number != number || slot->acked)
        return false;
    struct segment *segment = segment_find(spool, slot->segment);
    assert(segment && segment->waiting > 0);
    slot->acked = true;
    segment->waiting--;
    spool->waiting--;
    return true;
}

static int load_acks(struct spool *spool)
{
    uint8_t number[8];
    int fd =
        openat(spool->directory_fd, ACKS_NAME, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    for (off_t offset = 0; pread(fd, number, sizeof number, offset) == (ssize_t)sizeof number;
         offset += (off_t)sizeof number)
        (void)mark_acked(spool, get_be(number, 8));
    (void)lseek(fd, 0, SEEK_END);
    spool->acks_written = (size_t)lseek(fd, 0, SEEK_CUR) / sizeof number;
    spool->acks_fd = fd;
    return 0;
}

static int load(struct spool *spool)
{
    uint64_t *numbers = NULL;
    size_t count = 0;
    int result = list_segments(spool->directory_fd, &numbers, &count);
    for (size_t i = 0; result == 0 && i < count; i++)
        result = load_segment(spool, numbers[i], i + 1 == count);
    free(numbers);
    if (result == 0 && count == 0)
        result = segment_begin(spool);
    if (result == 0)
        result = load_acks(spool);
    spool->durable = spool->last;
    if (result == 0)
        drop_done(spool);
    return result;
}

int spool_open(int directory_fd, const struct spool_options *options, struct spool **out)
{
    struct spool *spool = calloc(1, sizeof *spool);
    if (!spool)
        return -ENOMEM;
    spool->directory_fd = directory_fd;
    spool->fd = -1;
    spool->acks_fd = -1;
    spool->options = *options;
    if (spool->options.segment_bytes <= 0)
        spool->options.segment_bytes = SEGMENT_BYTES;
    spool->scratch = malloc(HEADER + SPOOL_PAYLOAD_MAX);
    int result = spool->scratch ? load(spool) : -ENOMEM;
    if (result < 0) {
        spool_close(spool);
        return result;
    }
    *out = spool;
    return 0;
}

void spool_close(struct spool *spool)
{
    if (!spool)
        return;
    if (spool->fd >= 0)
        (void)close(spool->fd);
    if (spool->acks_fd >= 0)
        (void)close(spool->acks_fd);
    free(spool->segments);
    free(spool->slots);
    free(spool->scratch);
    free(spool);
}

static int write_entry(struct spool *spool, uint8_t kind, struct str payload)
{
    struct segment *segment = &spool->segments[spool->segment_count - 1];
    put_be(spool->scratch, payload.size, 4);
    put_be(spool->scratch + 8, spool->last + 1, 8);
    spool->scratch[16] = kind;
    if (payload.size > 0)
        memcpy(spool->scratch + HEADER, payload.data, payload.size);
    put_be(spool->scratch + 4, crc32_of(0, spool->scratch + 8, HEADER - 8 + payload.size), 4);
    int result = disk_write_all(spool->fd, spool->scratch, HEADER + payload.size);
    if (result < 0) {
        if (ftruncate(spool->fd, segment->bytes) < 0)
            return -EIO; /* a torn entry in the middle: open will cut there */
        return result == -EIO || result == -EDQUOT || result == -EFBIG ? -ENOSPC : result;
    }
    return 0;
}

int spool_append(struct spool *spool, uint8_t kind, struct str payload, uint64_t *number)
{
    int64_t size = HEADER + (int64_t)payload.size;
    if (payload.size > SPOOL_PAYLOAD_MAX)
        return -EMSGSIZE;
    if (spool->bytes + size > spool->options.limit_bytes || spool->slot_count >= SPOOL_ENTRIES_MAX)
        return -ENOSPC;
    if (spool->segments[spool->segment_count - 1].bytes >= spool->options.segment_bytes) {
        int result = segment_begin(spool);
        if (result < 0)
            return result;
    }
    struct segment *segment = &spool->segments[spool->segment_count - 1];
    int result =
        slot_add(spool, (struct slot){spool->last + 1, segment->serial, (uint32_t)segment->bytes, false});
    if (result < 0)
        return result;
    result = write_entry(spool, kind, payload);
    if (result < 0) {
        spool->slot_count--;
        return result;
    }
    spool->last++;
    spool->waiting++;
    segment->waiting++;
    segment->bytes += size;
    spool->bytes += size;
    spool->dirty = true;
    *number = spool->last;
    return 0;
}

int spool_sync(struct spool *spool)
{
    if (!spool->dirty)
        return 0;
    if (fdatasync(spool->fd) < 0)
        return -errno;
    spool->dirty = false;
    spool->durable = spool->last;
    return 0;
}

int spool_next(struct spool *spool, uint64_t *cursor, struct spool_entry *out)
{
    struct slot *end = spool->slots + spool->slot_first + spool->slot_count;
    struct slot *slot = slot_at_or_above(spool, *cursor + 1);
    while (slot && slot < end && slot->acked)
        slot++;
    if (!slot || slot >= end || slot->number > spool->durable)
        return 0;
    *cursor = slot->number;
    const struct segment *segment = segment_find(spool, slot->segment);
    assert(segment);
    bool newest = segment == &spool->segments[spool->segment_count - 1];
    int fd = newest ? spool->fd : segment_open(spool, segment->first, O_RDONLY);
    if (fd < 0)
        return fd;
    int64_t size = read_entry(fd, slot->offset, spool->scratch, out);
    if (!newest)
        (void)close(fd);
    if (size > 0 && out->number == slot->number)
        return 1;
    spool->damaged++;
    return size < 0 ? (int)size : -EBADMSG;
}

bool spool_ack(struct spool *spool, uint64_t number)
{
    uint8_t bytes[8];
    if (!mark_acked(spool, number))
        return false;
    put_be(bytes, number, 8);
    if (spool->acks_written++ < SPOOL_ENTRIES_MAX)
        fs_drop(disk_write_all(spool->acks_fd, bytes, sizeof bytes)); /* only saves a repeat */
    drop_done(spool);
    tidy_when_empty(spool);
    return true;
}

uint64_t spool_last(const struct spool *spool)
{
    return spool->last;
}

size_t spool_waiting(const struct spool *spool)
{
    return spool->waiting;
}

int64_t spool_bytes(const struct spool *spool)
{
    return spool->bytes;
}

int64_t spool_room(const struct spool *spool)
{
    return FS_MAX(spool->options.limit_bytes - spool->bytes, 0);
}

uint64_t spool_damaged(const struct spool *spool)
{
    return spool->damaged;
}
