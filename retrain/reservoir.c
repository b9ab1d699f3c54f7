/* See reservoir.h. Name of a file: key (16 hex digits, order kept) - hash of the code (16) - hash of the
 * attempt (16) .record, or .dead.record */
#include "retrain/reservoir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/unwritable.h"
#include "retrain/records.h"

#define NAME_SIZE 72
#define DEAD_SUFFIX "dead.record"

struct entry {
    uint64_t key, code, attempt;
    int64_t stored_s;
    bool dead;
};

struct reservoir {
    char directory[3072];
    int directory_fd;
    size_t limit, count, capacity;
    uint64_t evicted;
    struct entry *entries;
};

static uint64_t attempt_hash(const struct msg_execution_record *record)
{
    uint8_t bytes[20];
    memcpy(bytes, record->execution, 16);
    memcpy(bytes + 16, &record->attempt, 4);
    return hash_bytes(bytes, sizeof bytes);
}

double reservoir_key(const struct msg_execution_record *record, double weight)
{
    uint64_t hash = attempt_hash(record);
    double u = fmin(fmax(hash_unit(&hash, sizeof hash), 1e-12), 1 - 1e-12);
    return (double)record->ended_us * 1e-6 / RESERVOIR_HALF_LIFE_S + log2(weight) - log2(-log(u));
}

/* Doubles to integers of the same order. */
static uint64_t ordered(double key)
{
    uint64_t bits;
    memcpy(&bits, &key, sizeof bits);
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

static void name_of(const struct entry *entry, char name[NAME_SIZE])
{
    (void)snprintf(name, NAME_SIZE, "%016llx-%016llx-%016llx.%s", (unsigned long long)entry->key,
                   (unsigned long long)entry->code, (unsigned long long)entry->attempt,
                   entry->dead ? DEAD_SUFFIX : "record");
}

static bool parse_name(const char *name, struct entry *entry)
{
    uint64_t numbers[3];
    for (size_t i = 0; i < FS_COUNT(numbers); i++) {
        char digits[17], *end;
        if (strlen(name) < 17)
            return false;
        memcpy(digits, name, 16);
        digits[16] = '\0';
        numbers[i] = strtoull(digits, &end, 16);
        if (*end || name[16] != (i < 2 ? '-' : '.'))
            return false;
        name += 17;
    }
    *entry = (struct entry){
        .key = numbers[0], .code = numbers[1], .attempt = numbers[2], .dead = strcmp(name, DEAD_SUFFIX) == 0};
    return entry->dead || strcmp(name, "record") == 0;
}

static int insert(struct reservoir *reservoir, const struct entry *entry)
{
    if (reservoir->count == reservoir->capacity) {
        size_t capacity = reservoir->capacity ? 2 * reservoir->capacity : 256;
        struct entry *entries = realloc(reservoir->entries, capacity * sizeof *entries);
        if (!entries)
            return -ENOMEM;
        reservoir->entries = entries;
        reservoir->capacity = capacity;
    }
    reservoir->entries[reservoir->count++] = *entry;
    return 0;
}

static size_t find(const struct reservoir *reservoir, uint64_t attempt)
{
    size_t i = 0;
    while (i < reservoir->count && reservoir->entries[i].attempt != attempt)
        i++;
    return i;
}

static size_t code_count(const struct reservoir *reservoir, uint64_t code)
{
    size_t count = 0;
    for (size_t i = 0; i < reservoir->count; i++)
        count += reservoir->entries[i].code == code;
    return count;
}

static int by_code_and_key(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    if (left->code != right->code)
        return left->code < right->code ? -1 : 1;
    return left->key < right->key ? -1 : left->key > right->key;
}

/* The lowest key of the code that has most. O(n log n), n = records. */
static size_t choose_victim(struct reservoir *reservoir)
{
    size_t victim = 0, most = 0;
    qsort(reservoir->entries, reservoir->count, sizeof *reservoir->entries, by_code_and_key);
    for (size_t i = 0; i < reservoir->count;) {
        size_t first = i;
        while (i < reservoir->count && reservoir->entries[i].code == reservoir->entries[first].code)
            i++;
        if (i - first > most) {
            most = i - first;
            victim = first;
        }
    }
    return victim;
}

static int remove_entry(const struct reservoir *reservoir, const struct entry *entry)
{
    char name[NAME_SIZE];
    name_of(entry, name);
    return unlinkat(reservoir->directory_fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int evict(struct reservoir *reservoir)
{
    while (reservoir->count > reservoir->limit) {
        size_t victim = choose_victim(reservoir);
        int result = remove_entry(reservoir, &reservoir->entries[victim]);
        if (result < 0)
            return result;
        reservoir->entries[victim] = reservoir->entries[--reservoir->count];
        reservoir->evicted++;
    }
    return 0;
}

static int by_attempt(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    if (left->attempt != right->attempt)
        return left->attempt < right->attempt ? -1 : 1;
    return (int)right->dead - (int)left->dead;
}

/* A kill between storing a dead letter and removing its plain record leaves both. */
static int drop_doubles(struct reservoir *reservoir)
{
    size_t used = 0;
    int result = 0;
    if (reservoir->count > 1)
        qsort(reservoir->entries, reservoir->count, sizeof *reservoir->entries, by_attempt);
    for (size_t i = 0; i < reservoir->count && result == 0; i++) {
        if (used > 0 && reservoir->entries[used - 1].attempt == reservoir->entries[i].attempt)
            result = remove_entry(reservoir, &reservoir->entries[i]);
        else
            reservoir->entries[used++] = reservoir->entries[i];
    }
    if (result == 0)
        reservoir->count = used;
    return result;
}

static int scan(struct reservoir *reservoir)
{
    DIR *directory = opendir(reservoir->directory);
    int result = 0;
    if (!directory)
        return -errno;
    for (struct dirent *found; result == 0 && (found = readdir(directory));) {
        struct entry entry;
        struct stat status;
        size_t size = strlen(found->d_name);
        if (size > 4 && strcmp(found->d_name + size - 4, ".new") == 0)
            (void)unlinkat(reservoir->directory_fd, found->d_name,
                           0); /* half-written: its record was not acknowledged */
        if (!parse_name(found->d_name, &entry) ||
            fstatat(reservoir->directory_fd, found->d_name, &status, 0) < 0)
            continue;
        entry.stored_s = status.st_mtime;
        result = insert(reservoir, &entry);
    }
    (void)closedir(directory); /* only read from */
    if (result == 0)
        result = drop_doubles(reservoir);
    return result < 0 ? result : evict(reservoir);
}

static int take_directory(struct reservoir *reservoir, const char *directory, size_t limit)
{
    reservoir->limit = limit;
    reservoir->directory_fd = -1;
    if (!str_copy(reservoir->directory, sizeof reservoir->directory, str_of(directory)))
        return -ENAMETOOLONG;
    if (mkdir(directory, 0755) < 0 && errno != EEXIST)
        return -errno;
    reservoir->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return reservoir->directory_fd < 0 ? -errno : scan(reservoir);
}

int reservoir_open(const char *directory, size_t limit, struct reservoir **out, char *error,
                   size_t error_size)
{
    struct reservoir *reservoir = calloc(1, sizeof *reservoir);
    int result = reservoir ? 0 : -ENOMEM;
    if (reservoir)
        result = take_directory(reservoir, directory, limit);
    if (result < 0) {
        (void)unwritable_say(result, directory, "service.state_dir", error, error_size);
        reservoir_close(reservoir);
    } else {
        *out = reservoir;
    }
    return result;
}

void reservoir_close(struct reservoir *reservoir)
{
    if (!reservoir)
        return;
    if (reservoir->directory_fd >= 0)
        (void)close(reservoir->directory_fd); /* a directory: nothing was written through it */
    free(reservoir->entries);
    free(reservoir);
}

/* Written beside, synced, renamed, the directory synced: either whole or not there. */
static int write_record(const struct reservoir *reservoir, const char *name, struct str bytes)
{
    char beside[NAME_SIZE + 8];
    (void)snprintf(beside, sizeof beside, "%s.new", name);
    int fd = openat(reservoir->directory_fd, beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    ssize_t written = write(fd, bytes.data, bytes.size);
    int result = written < 0 ? -errno : (size_t)written < bytes.size ? -ENOSPC : 0;
    if (result == 0 && fsync(fd) < 0)
        result = -errno;
    if (close(fd) < 0 && result == 0)
        result = -errno;
    if (result == 0 && renameat(reservoir->directory_fd, beside, reservoir->directory_fd, name) < 0)
        result = -errno;
    if (result == 0 && fsync(reservoir->directory_fd) < 0)
        result = -errno;
    if (result < 0)
        (void)unlinkat(reservoir->directory_fd, beside, 0); /* the first error is the one to tell */
    return result;
}

/* Whether it would be the one to go at once. */
static bool would_leave(struct reservoir *reservoir, const struct entry *entry)
{
    if (reservoir->count < reservoir->limit)
        return false;
    size_t victim = choose_victim(reservoir);
    const struct entry *lowest = &reservoir->entries[victim];
    size_t own = code_count(reservoir, entry->code) + 1, most = code_count(reservoir, lowest->code);
    if (own < most || (own == most && lowest->code != entry->code))
        return false;
    for (size_t i = 0; i < reservoir->count; i++)
        if (reservoir->entries[i].code == entry->code && reservoir->entries[i].key < entry->key)
            return false;
    return true;
}

/* The entry's file, whole or not there. */
static int store(const struct reservoir *reservoir, const struct msg_execution_record *record,
                 struct entry *entry)
{
    char name[NAME_SIZE];
    struct stat status;
    struct buffer bytes;
    buffer_init(&bytes, 0);
    name_of(entry, name);
    int result = entry->dead ? records_encode_dead(record, &bytes) : records_encode(record, &bytes);
    if (result == 0)
        result = write_record(reservoir, name, buffer_str(&bytes));
    buffer_fini(&bytes);
    if (result == 0)
        entry->stored_s = fstatat(reservoir->directory_fd, name, &status, 0) == 0 ? status.st_mtime : 0;
    return result;
}

int reservoir_put(struct reservoir *reservoir, const struct msg_execution_record *record, double weight,
                  bool dead)
{
    struct entry entry = {.key = ordered(reservoir_key(record, weight)),
                          .code = hash_bytes(record->code.data, record->code.size),
                          .attempt = attempt_hash(record),
                          .dead = dead};
    size_t known = find(reservoir, entry.attempt);
    bool again = known < reservoir->count;
    if (again ? !dead || reservoir->entries[known].dead : would_leave(reservoir, &entry))
        return 0;
    int result = store(reservoir, record, &entry);
    if (result < 0)
        return result;
    if (again) {
        result = remove_entry(reservoir, &reservoir->entries[known]);
        reservoir->entries[known] = entry;
    } else {
        result = insert(reservoir, &entry);
    }
    if (result == 0)
        result = evict(reservoir);
    return result < 0 ? result : 1;
}

size_t reservoir_count(const struct reservoir *reservoir)
{
    return reservoir->count;
}

uint64_t reservoir_evicted(const struct reservoir *reservoir)
{
    return reservoir->evicted;
}

size_t reservoir_newer(const struct reservoir *reservoir, int64_t than_s)
{
    size_t count = 0;
    for (size_t i = 0; i < reservoir->count; i++)
        count += reservoir->entries[i].stored_s > than_s;
    return count;
}

const char *reservoir_directory(const struct reservoir *reservoir)
{
    return reservoir->directory;
}
