/* See records.h. Files are read whole and kept: decoded records borrow their strings from them. */
#include "retrain/records.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "schemas/published.h"

#define ARENA_BLOCK ((size_t)4 << 20)
#define FILE_MAX ((size_t)4 << 30)

int records_open(struct record_set *set, size_t limit_bytes)
{
    *set = (struct record_set){0};
    set->arena = arena_create(ARENA_BLOCK, limit_bytes);
    set->codec = codec_create();
    int result = set->arena && set->codec ? 0 : -ENOMEM;
    if (result == 0)
        result = published_learn(set->codec);
    if (result < 0)
        records_close(set);
    return result;
}

int records_learn(struct record_set *set, uint64_t fingerprint, struct str json)
{
    return codec_learn(set->codec, fingerprint, json);
}

void records_close(struct record_set *set)
{
    for (size_t i = 0; i < set->file_count; i++)
        free(set->files[i]);
    free(set->files);
    free(set->items);
    free(set->dead);
    codec_destroy(set->codec);
    arena_destroy(set->arena);
    *set = (struct record_set){0};
}

static int complain(char *error, size_t error_size, const char *path, int result)
{
    (void)snprintf(error, error_size, "%s: %s", path, strerror(-result));
    return result;
}

static int read_whole(const char *path, uint8_t **out, size_t *size)
{
    struct stat status;
    FILE *file = fopen(path, "rb");
    if (!file)
        return -errno;
    uint8_t *bytes = NULL;
    int result = fstat(fileno(file), &status) < 0 ? -errno : 0;
    if (result == 0 && (size_t)status.st_size > FILE_MAX)
        result = -EFBIG;
    if (result == 0 && !(bytes = malloc((size_t)status.st_size + 1)))
        result = -ENOMEM;
    if (result == 0)
        *size = fread(bytes, 1, (size_t)status.st_size, file);
    if (result == 0 && ferror(file))
        result = -EIO;
    (void)fclose(file); /* only read from */
    if (result < 0)
        free(bytes);
    else
        *out = bytes;
    return result;
}

static int keep(struct record_set *set, uint8_t *bytes)
{
    uint8_t **files = realloc(set->files, (set->file_count + 1) * sizeof *files);
    if (!files)
        return -ENOMEM;
    set->files = files;
    files[set->file_count++] = bytes;
    return 0;
}

static int grow(struct record_set *set)
{
    size_t capacity = set->capacity ? 2 * set->capacity : 256;
    struct msg_execution_record *items = realloc(set->items, capacity * sizeof *items);
    if (!items)
        return -ENOMEM;
    set->items = items;
    bool *dead = realloc(set->dead, capacity * sizeof *dead);
    if (!dead)
        return -ENOMEM;
    set->dead = dead;
    set->capacity = capacity;
    return 0;
}

static int decode_dead(struct record_set *set, struct str framed, struct msg_execution_record *out)
{
    struct msg_dead_execution letter;
    int result = codec_decode(set->codec, &msg_dead_execution_type, framed, set->arena, &letter);
    if (result == 0)
        *out = letter.record;
    return result;
}

static int take(struct record_set *set, struct str framed)
{
    if (set->count == set->capacity && grow(set) < 0)
        return -ENOMEM;
    struct msg_execution_record *item = &set->items[set->count];
    int result = codec_decode(set->codec, &msg_execution_record_type, framed, set->arena, item);
    bool dead = result == -EBADMSG;
    if (dead)
        result = decode_dead(set, framed, item);
    set->dead[set->count] = dead;
    if (result == 0)
        set->count++;
    else if (result != -ENOMEM)
        set->refused++;
    return result == -ENOMEM ? result : 0;
}

static int add_file(struct record_set *set, const char *path)
{
    uint8_t *bytes = NULL;
    size_t size = 0, at = 0;
    int result = read_whole(path, &bytes, &size);
    if (result < 0)
        return result;
    result = keep(set, bytes);
    if (result < 0) {
        free(bytes);
        return result;
    }
    while (result == 0 && size - at >= 4) {
        size_t length = (size_t)bytes[at] << 24 | (size_t)bytes[at + 1] << 16 | (size_t)bytes[at + 2] << 8 |
                        bytes[at + 3];
        if (length > size - at - 4)
            break;
        result = take(set, (struct str){(const char *)bytes + at + 4, length});
        at += 4 + length;
    }
    set->cut_files += result == 0 && at < size;
    return result;
}

static int wanted(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot && entry->d_name[0] != '.' && (strcmp(dot, ".record") == 0 || strcmp(dot, ".records") == 0);
}

static int add_directory(struct record_set *set, const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, wanted, alphasort), result = count < 0 ? -errno : 0;
    for (int i = 0; i < count; i++) {
        char name[4096];
        if (result == 0 && snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name) < (int)sizeof name)
            result = add_file(set, name);
        if (result == -ENOENT) /* a reservoir may drop a record while it is read */
            result = 0;
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return result;
}

int records_add(struct record_set *set, const char *path, char *error, size_t error_size)
{
    struct stat status;
    if (stat(path, &status) < 0)
        return complain(error, error_size, path, -errno);
    int result = S_ISDIR(status.st_mode) ? add_directory(set, path) : add_file(set, path);
    return result < 0 ? complain(error, error_size, path, result) : 0;
}

static int encode(const struct msg_type *type, const void *message, struct buffer *out)
{
    struct buffer framed;
    buffer_init(&framed, 0);
    int result = codec_encode(type, message, &framed);
    buffer_append_u32be(out, (uint32_t)framed.size);
    buffer_append_str(out, buffer_str(&framed));
    buffer_fini(&framed);
    return result < 0 ? result : buffer_error(out);
}

int records_encode(const struct msg_execution_record *record, struct buffer *out)
{
    return encode(&msg_execution_record_type, record, out);
}

int records_encode_dead(const struct msg_execution_record *record, struct buffer *out)
{
    struct msg_dead_execution letter = {.record = *record, .dead_us = record->ended_us};
    return encode(&msg_dead_execution_type, &letter, out);
}
