/* Values in a hash map; loading with every length checked; saving through a temporary file. */
#include "common/broker_state.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/map.h"

#define MAGIC "FSBROKR1"
#define MAGIC_SIZE 8
#define KEYS_MAX ((size_t)1 << 20)
#define ENTRY_HEAD_SIZE 16

struct kept {
    int32_t partition;
    size_t topic_size, key_size, value_size;
    char bytes[]; /* topic, NUL, key, value */
};

struct broker_state {
    struct map *values; /* topic, NUL, key -> struct kept */
    size_t limit_bytes, used_bytes;
    bool dirty;
};

struct broker_state *broker_state_create(size_t limit_bytes)
{
    struct broker_state *state = calloc(1, sizeof *state);
    if (!state)
        return NULL;
    state->limit_bytes = limit_bytes;
    state->values = map_create(KEYS_MAX);
    if (state->values)
        return state;
    free(state);
    return NULL;
}

void broker_state_destroy(struct broker_state *state)
{
    if (!state)
        return;
    size_t cursor = 0;
    struct str key;
    void *value;
    while (map_next(state->values, &cursor, &key, &value))
        free(value);
    map_destroy(state->values);
    free(state);
}

static size_t kept_size(const struct kept *kept)
{
    return kept->topic_size + 1 + kept->key_size + kept->value_size;
}

static struct kept *kept_create(const struct broker_value *value)
{
    size_t topic_size = strlen(value->topic);
    struct kept *kept = malloc(sizeof *kept + topic_size + 1 + value->key.size + value->value.size);
    if (!kept)
        return NULL;
    *kept = (struct kept){value->partition, topic_size, value->key.size, value->value.size};
    memcpy(kept->bytes, value->topic, topic_size + 1);
    if (value->key.size > 0)
        memcpy(kept->bytes + topic_size + 1, value->key.data, value->key.size);
    if (value->value.size > 0)
        memcpy(kept->bytes + topic_size + 1 + value->key.size, value->value.data, value->value.size);
    return kept;
}

static void forget(struct broker_state *state, const char *name, size_t name_size)
{
    struct kept *old = map_remove(state->values, name, name_size);
    if (old)
        state->used_bytes -= kept_size(old);
    free(old);
}

int broker_state_put(struct broker_state *state, const struct broker_value *value)
{
    struct kept *kept = kept_create(value);
    if (!kept)
        return -ENOMEM;
    size_t name_size = kept->topic_size + 1 + kept->key_size;
    forget(state, kept->bytes, name_size);
    state->dirty = true;
    int result = 0;
    if (!value->value.data) {
        free(kept);
        return 0;
    }
    if (state->used_bytes + kept_size(kept) > state->limit_bytes)
        result = -ENOSPC;
    else
        result = map_put(state->values, kept->bytes, name_size, kept);
    if (result < 0)
        free(kept);
    else
        state->used_bytes += kept_size(kept);
    return result;
}

bool broker_state_next(const struct broker_state *state, size_t *cursor, struct broker_value *value)
{
    struct str name;
    void *found;
    if (!map_next(state->values, cursor, &name, &found))
        return false;
    const struct kept *kept = found;
    const char *key = kept->bytes + kept->topic_size + 1;
    *value = (struct broker_value){.topic = kept->bytes,
                                   .partition = kept->partition,
                                   .key = {key, kept->key_size},
                                   .value = {key + kept->key_size, kept->value_size}};
    return true;
}

size_t broker_state_count(const struct broker_state *state)
{
    return map_count(state->values);
}

bool broker_state_dirty(const struct broker_state *state)
{
    return state->dirty;
}

/* CRC-32 as in zlib and Ethernet (polynomial 0xEDB88320, reflected). */
static uint32_t crc32_of(const uint8_t *data, size_t size)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1u)));
    }
    return ~crc;
}

static void append_u32(struct buffer *buffer, size_t value)
{
    uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                        (uint8_t)(value >> 24)};
    buffer_append(buffer, bytes, sizeof bytes);
}

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* --- files --- */

static int sync_directory(const char *path)
{
    char copy[PATH_MAX];
    if (!str_copy(copy, sizeof copy, str_of(path)))
        return -ENAMETOOLONG;
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int result = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return result;
}

static int write_all(int fd, struct str bytes)
{
    while (bytes.size > 0) {
        ssize_t written = write(fd, bytes.data, bytes.size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        bytes = (struct str){bytes.data + written, bytes.size - (size_t)written};
    }
    return 0;
}

int broker_state_write_file(const char *path, const struct str *parts, size_t count)
{
    char temporary[PATH_MAX];
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.new", path) >= sizeof temporary)
        return -ENAMETOOLONG;
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++)
        result = write_all(fd, parts[i]);
    if (result == 0 && fsync(fd) < 0)
        result = -errno;
    close(fd);
    if (result == 0 && rename(temporary, path) < 0)
        result = -errno;
    if (result < 0) {
        unlink(temporary);
        return result;
    }
    return sync_directory(path);
}

int broker_state_save(struct broker_state *state, const char *path)
{
    struct buffer out;
    buffer_init(&out, 0);
    buffer_append(&out, MAGIC, MAGIC_SIZE);
    size_t cursor = 0;
    struct broker_value value;
    while (broker_state_next(state, &cursor, &value)) {
        struct str topic = str_of(value.topic);
        append_u32(&out, topic.size);
        append_u32(&out, value.key.size);
        append_u32(&out, value.value.size);
        append_u32(&out, (size_t)value.partition);
        buffer_append_str(&out, topic);
        buffer_append_str(&out, value.key);
        buffer_append_str(&out, value.value);
    }
    append_u32(&out, crc32_of(out.data, out.size));
    int result = buffer_error(&out);
    struct str content = buffer_str(&out);
    if (result == 0)
        result = broker_state_write_file(path, &content, 1);
    if (result == 0)
        state->dirty = false;
    buffer_fini(&out);
    return result;
}

/* One entry from data; its size, or -EBADMSG, or what broker_state_put() said. */
static ssize_t load_entry(struct broker_state *state, const uint8_t *data, size_t size)
{
    char topic[256];
    if (size < ENTRY_HEAD_SIZE)
        return -EBADMSG;
    size_t topic_size = read_u32(data), key_size = read_u32(data + 4), value_size = read_u32(data + 8);
    size_t total =
        ENTRY_HEAD_SIZE + topic_size + key_size + value_size; /* three u32: no overflow in 64 bits */
    if (total > size || topic_size >= sizeof topic)
        return -EBADMSG;
    const char *bytes = (const char *)data + ENTRY_HEAD_SIZE;
    (void)str_copy(topic, sizeof topic, (struct str){bytes, topic_size}); /* it fits: checked above */
    struct broker_value value = {.topic = topic,
                                 .partition = (int32_t)read_u32(data + 12),
                                 .key = {bytes + topic_size, key_size},
                                 .value = {bytes + topic_size + key_size, value_size}};
    int result = value.partition < 0 ? -EBADMSG : broker_state_put(state, &value);
    return result < 0 ? result : (ssize_t)total;
}

static int load_content(struct broker_state *state, const uint8_t *data, size_t size)
{
    if (size < MAGIC_SIZE + 4 || memcmp(data, MAGIC, MAGIC_SIZE) != 0 ||
        crc32_of(data, size - 4) != read_u32(data + size - 4))
        return -EBADMSG;
    for (size_t at = MAGIC_SIZE; at < size - 4;) {
        ssize_t used = load_entry(state, data + at, size - 4 - at);
        if (used < 0)
            return (int)used;
        at += (size_t)used;
    }
    return 0;
}

static int read_whole(int fd, struct buffer *out)
{
    for (;;) {
        uint8_t *room = buffer_reserve(out, 1 << 16);
        if (!room)
            return buffer_error(out);
        ssize_t got = read(fd, room, 1 << 16);
        if (got == 0)
            return 0;
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got > 0)
            out->size += (size_t)got;
    }
}

int broker_state_load(struct broker_state *state, const char *path, char *error, size_t error_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0) {
        int result = -errno;
        snprintf(error, error_size, "%s", strerror(-result));
        return result;
    }
    struct buffer content;
    buffer_init(&content, 2 * state->limit_bytes + (1 << 20));
    int result = read_whole(fd, &content);
    close(fd);
    if (result == 0)
        result = load_content(state, content.data, content.size);
    buffer_fini(&content);
    state->dirty = false;
    if (result < 0)
        snprintf(error, error_size, "%s",
                 result == -EBADMSG ? "damaged, or not a broker's state; move it away to start empty"
                                    : strerror(-result));
    return result;
}
