/* See spool.h; the bytes on disk are those of spool_segment.h. The newest segment stays even when empty, so
 * that numbers never repeat. `acks` lists what was acknowledged out of order; it is not synced: losing it
 * costs a repeat. */
#include "agent/spool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/disk.h"
#include "agent/spool_segment.h"

#define SEGMENT_BYTES (4 << 20)
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
    uint8_t *scratch; /* SEGMENT_HEADER + SPOOL_PAYLOAD_MAX */
};

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

/* NULL: out of memory. */
static struct segment *segment_add(struct spool *spool, uint64_t first)
{
    if (spool->segment_count == spool->segment_capacity) {
        size_t capacity = FS_MAX(spool->segment_capacity * 2, (size_t)8);
        struct segment *grown = realloc(spool->segments, capacity * sizeof *grown);
        if (!grown)
            return NULL;
        spool->segments = grown;
        spool->segment_capacity = capacity;
    }
    struct segment *segment = &spool->segments[spool->segment_count++];
    *segment = (struct segment){.serial = spool->next_serial++, .first = first};
    return segment;
}

/* Starts the segment the next entry goes to. The directory is synced: a segment that is lost takes its
 * entries along. */
static int segment_begin(struct spool *spool)
{
    int result = spool_sync(spool);
    if (result < 0)
        return result;
    int fd = segment_open(spool->directory_fd, spool->last + 1, O_RDWR | O_CREAT | O_APPEND);
    if (fd < 0)
        return fd;
    result = fsync(spool->directory_fd) < 0 ? -errno : segment_add(spool, spool->last + 1) ? 0 : -ENOMEM;
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
    for (size_t i = 0; i < spool->segment_count; i++) {
        struct segment *segment = &spool->segments[i];
        if (segment->waiting == 0 && i + 1 < spool->segment_count &&
            segment_unlink(spool->directory_fd, segment->first) == 0) {
            spool->bytes -= segment->bytes;
            continue;
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

/* Indexes the entries of a segment up to its end or to what is torn: *end. */
static int load_entries(struct spool *spool, struct segment *segment, int fd, int64_t size, int64_t *end)
{
    struct spool_entry entry;
    int64_t offset = 0, taken;
    int result = 0;
    while (result == 0 && offset < size && (taken = segment_read(fd, offset, spool->scratch, &entry)) > 0) {
        if (entry.number <= spool->last || entry.number < segment->first)
            break;
        result = slot_add(spool, (struct slot){entry.number, segment->serial, (uint32_t)offset, false});
        segment->waiting++;
        spool->waiting++;
        spool->last = entry.number;
        offset += taken;
    }
    *end = offset;
    return result;
}

/* newest: what is torn is cut off. */
static int load_segment(struct spool *spool, uint64_t first, bool newest)
{
    struct stat status;
    int64_t end = 0;
    int fd = segment_open(spool->directory_fd, first, newest ? O_RDWR | O_APPEND : O_RDONLY);
    if (fd < 0)
        return fd;
    int result = fstat(fd, &status) < 0 ? -errno : 0;
    struct segment *segment = result == 0 ? segment_add(spool, first) : NULL;
    if (result == 0)
        result = segment ? load_entries(spool, segment, fd, status.st_size, &end) : -ENOMEM;
    if (result == 0 && end < status.st_size) {
        spool->damaged++;
        if (newest && (ftruncate(fd, end) < 0 || fsync(fd) < 0))
            result = -errno;
    }
    if (result == 0) {
        segment->bytes = newest ? end : status.st_size;
        spool->bytes += segment->bytes;
        spool->last = FS_MAX(spool->last, first - 1);
    }
    if (result == 0 && newest)
        spool->fd = fd;
    else
        (void)close(fd);
    return result;
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
    uint8_t number[SEGMENT_NUMBER];
    int fd =
        openat(spool->directory_fd, ACKS_NAME, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    for (off_t offset = 0; pread(fd, number, sizeof number, offset) == (ssize_t)sizeof number;
         offset += (off_t)sizeof number)
        (void)mark_acked(spool, segment_get_number(number));
    (void)lseek(fd, 0, SEEK_END);
    spool->acks_written = (size_t)lseek(fd, 0, SEEK_CUR) / sizeof number;
    spool->acks_fd = fd;
    return 0;
}

static int load(struct spool *spool)
{
    uint64_t *numbers = NULL;
    size_t count = 0;
    int result = segment_list(spool->directory_fd, &numbers, &count);
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
    spool->scratch = malloc(SEGMENT_HEADER + SPOOL_PAYLOAD_MAX);
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

/* What was written in part is cut off again. */
static int write_entry(struct spool *spool, uint8_t kind, struct str payload)
{
    struct segment *segment = &spool->segments[spool->segment_count - 1];
    struct spool_entry entry = {spool->last + 1, kind, payload};
    int result = segment_write(spool->fd, &entry, spool->scratch);
    if (result < 0) {
        if (ftruncate(spool->fd, segment->bytes) < 0)
            return -EIO; /* a torn entry in the middle: open will cut there */
        return result == -EIO || result == -EDQUOT || result == -EFBIG ? -ENOSPC : result;
    }
    return 0;
}

int spool_append(struct spool *spool, uint8_t kind, struct str payload, uint64_t *number)
{
    int64_t size = SEGMENT_HEADER + (int64_t)payload.size;
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

int spool_sync_begin(const struct spool *spool, uint64_t *through)
{
    *through = spool->last;
    return spool->dirty ? spool->fd : -1;
}

/* A segment that was begun since has synced the one before it. */
void spool_synced(struct spool *spool, uint64_t through)
{
    spool->durable = FS_MAX(spool->durable, through);
    spool->dirty = spool->durable < spool->last;
}

/* Short of descriptors or memory just now: says nothing about what is on the disk. */
static bool passes(int64_t error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -EINTR;
}

int spool_next(struct spool *spool, uint64_t *cursor, struct spool_entry *out)
{
    struct slot *end = spool->slots + spool->slot_first + spool->slot_count;
    struct slot *slot = slot_at_or_above(spool, *cursor + 1);
    while (slot && slot < end && slot->acked)
        slot++;
    if (!slot || slot >= end || slot->number > spool->durable)
        return 0;
    const struct segment *segment = segment_find(spool, slot->segment);
    assert(segment);
    bool newest = segment == &spool->segments[spool->segment_count - 1];
    int fd = newest ? spool->fd : segment_open(spool->directory_fd, segment->first, O_RDONLY);
    int64_t size = fd < 0 ? fd : segment_read(fd, slot->offset, spool->scratch, out);
    if (!newest && fd >= 0)
        (void)close(fd);
    if (size > 0 && out->number == slot->number) {
        *cursor = slot->number;
        return 1;
    }
    if (passes(size))
        return (int)size;
    spool->damaged++;
    (void)spool_ack(spool, *cursor = slot->number); /* or it would keep its segment and its place for ever */
    return -EBADMSG;
}

bool spool_ack(struct spool *spool, uint64_t number)
{
    uint8_t bytes[SEGMENT_NUMBER];
    if (!mark_acked(spool, number))
        return false;
    segment_put_number(bytes, number);
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
