/* See spool_segment.h. */
#include "agent/spool_segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/crc32.h"
#include "agent/disk.h"

#define NAME_SIZE 32

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

void segment_put_number(uint8_t at[SEGMENT_NUMBER], uint64_t number)
{
    put_be(at, number, SEGMENT_NUMBER);
}

uint64_t segment_get_number(const uint8_t at[SEGMENT_NUMBER])
{
    return get_be(at, SEGMENT_NUMBER);
}

static void segment_name(uint64_t first, char out[NAME_SIZE])
{
    (void)snprintf(out, NAME_SIZE, "%020" PRIu64 ".log", first);
}

int segment_open(int directory_fd, uint64_t first, int flags)
{
    char name[NAME_SIZE];
    segment_name(first, name);
    int fd = openat(directory_fd, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? -errno : fd;
}

int segment_unlink(int directory_fd, uint64_t first)
{
    char name[NAME_SIZE];
    segment_name(first, name);
    return unlinkat(directory_fd, name, 0) == 0 || errno == ENOENT ? 0 : -errno;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

int segment_list(int directory_fd, uint64_t **out, size_t *count)
{
    uint64_t *numbers = NULL;
    size_t used = 0, capacity = 0;
    int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;
    if (fd < 0)
        return -errno;
    DIR *directory = fdopendir(fd);
    if (!directory) {
        result = -errno;
        (void)close(fd);
        return result;
    }
    struct dirent *entry;
    while ((entry = readdir(directory))) {
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

int64_t segment_read(int fd, int64_t offset, uint8_t *scratch, struct spool_entry *out)
{
    ssize_t got = pread(fd, scratch, SEGMENT_HEADER, offset);
    if (got != SEGMENT_HEADER)
        return got < 0 ? -errno : -EBADMSG;
    uint64_t size = get_be(scratch, 4);
    if (size > SPOOL_PAYLOAD_MAX)
        return -EBADMSG;
    got = pread(fd, scratch + SEGMENT_HEADER, (size_t)size, offset + SEGMENT_HEADER);
    if (got != (ssize_t)size)
        return got < 0 ? -errno : -EBADMSG;
    if (crc32_of(0, scratch + 8, SEGMENT_HEADER - 8 + (size_t)size) != get_be(scratch + 4, 4))
        return -EBADMSG;
    out->number = get_be(scratch + 8, 8);
    out->kind = scratch[16];
    out->payload = (struct str){(const char *)scratch + SEGMENT_HEADER, (size_t)size};
    return SEGMENT_HEADER + (int64_t)size;
}

int segment_write(int fd, const struct spool_entry *entry, uint8_t *scratch)
{
    struct str payload = entry->payload;
    put_be(scratch, payload.size, 4);
    segment_put_number(scratch + 8, entry->number);
    scratch[16] = entry->kind;
    if (payload.size > 0)
        memcpy(scratch + SEGMENT_HEADER, payload.data, payload.size);
    put_be(scratch + 4, crc32_of(0, scratch + 8, SEGMENT_HEADER - 8 + payload.size), 4);
    return disk_write_all(fd, scratch, SEGMENT_HEADER + payload.size);
}
