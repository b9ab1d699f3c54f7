/* See safetensors.h. */
#include "model/safetensors.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define LENGTH_SIZE 8

struct entry {
    const char *name;
    size_t dimensions, shape[SAFETENSORS_DIMENSIONS_MAX];
    size_t begin, end; /* in the data */
};

struct safetensors {
    json_t *header;
    const uint8_t *data;
    struct entry entries[SAFETENSORS_TENSORS_MAX];
    size_t count;
};

static size_t elements(const struct safetensors_tensor *tensor)
{
    size_t count = 1;
    for (size_t i = 0; i < tensor->dimensions; i++)
        count *= tensor->shape[i];
    return count;
}

static json_t *describe(const struct safetensors_tensor *tensor, size_t begin)
{
    json_t *shape = json_array();
    size_t end = begin + elements(tensor) * sizeof(float);
    for (size_t i = 0; i < tensor->dimensions; i++)
        (void)json_array_append_new(
            shape, json_integer((json_int_t)tensor->shape[i])); /* checked as a whole by pack */
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)end);
}

static char *make_header(const struct safetensors_tensor *tensors, size_t count,
                         const struct safetensors_metadata *metadata, size_t metadata_count)
{
    json_t *header = json_object(), *texts = json_object();
    size_t at = 0;
    int failed = !header || !texts;
    for (size_t i = 0; i < metadata_count && !failed; i++)
        failed |= json_object_set_new(texts, metadata[i].key, json_string(metadata[i].value));
    if (!failed)
        failed |= json_object_set(header, "__metadata__", texts);
    for (size_t i = 0; i < count && !failed; i++) {
        failed |= json_object_set_new(header, tensors[i].name, describe(&tensors[i], at));
        at += elements(&tensors[i]) * sizeof(float);
    }
    char *text = failed ? NULL : json_dumps(header, JSON_COMPACT);
    json_decref(texts);
    json_decref(header);
    return text;
}

static void append_floats(struct buffer *out, const float *values, size_t count)
{
    uint8_t *room = buffer_reserve(out, count * sizeof(float));
    if (!room)
        return;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        for (int b = 0; b < 4; b++)
            *room++ = (uint8_t)(bits >> (8 * b));
    }
    out->size += count * sizeof(float);
}

int safetensors_encode(const struct safetensors_tensor *tensors, size_t count,
                       const struct safetensors_metadata *metadata, size_t metadata_count, struct buffer *out)
{
    char *header = make_header(tensors, count, metadata, metadata_count);
    if (!header)
        return -ENOMEM;
    size_t size = strlen(header),
           padded = (size + 7) & ~(size_t)7; /* data begins 8-aligned, padding is spaces */
    uint8_t length[LENGTH_SIZE];
    for (int i = 0; i < LENGTH_SIZE; i++)
        length[i] = (uint8_t)((uint64_t)padded >> (8 * i));
    buffer_append(out, length, sizeof length);
    buffer_append(out, header, size);
    buffer_append(out, "       ", padded - size);
    free(header);
    for (size_t i = 0; i < count; i++)
        append_floats(out, tensors[i].data, elements(&tensors[i]));
    return buffer_error(out);
}

static int complain(char *error, size_t error_size, const char *what, const char *name)
{
    (void)snprintf(error, error_size, "safetensors: %s%s%s", what, name ? ": " : "", name ? name : "");
    return -EBADMSG;
}

/* A whole number from 0 to limit; SIZE_MAX when it is not. */
static size_t whole(const json_t *value, size_t limit)
{
    json_int_t number = json_is_integer(value) ? json_integer_value(value) : -1;
    return number >= 0 && (uint64_t)number <= limit ? (size_t)number : SIZE_MAX;
}

static int read_entry(struct entry *entry, const char *name, const json_t *value, size_t data_size)
{
    const char *dtype = json_string_value(json_object_get(value, "dtype"));
    const json_t *shape = json_object_get(value, "shape"), *offsets = json_object_get(value, "data_offsets");
    size_t bytes = sizeof(float);
    entry->name = name;
    entry->dimensions = json_array_size(shape);
    if (!dtype || strcmp(dtype, "F32") != 0 || !json_is_array(shape) ||
        entry->dimensions > SAFETENSORS_DIMENSIONS_MAX || json_array_size(offsets) != 2)
        return -EBADMSG;
    for (size_t i = 0; i < entry->dimensions; i++) {
        entry->shape[i] = whole(json_array_get(shape, i), data_size);
        if (entry->shape[i] == SIZE_MAX || !size_multiply(bytes, entry->shape[i], &bytes))
            return -EBADMSG;
    }
    entry->begin = whole(json_array_get(offsets, 0), data_size);
    entry->end = whole(json_array_get(offsets, 1), data_size);
    if (entry->begin == SIZE_MAX || entry->end == SIZE_MAX || entry->end < entry->begin ||
        entry->end - entry->begin != bytes)
        return -EBADMSG;
    return 0;
}

static int by_begin(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    if (left->begin != right->begin)
        return left->begin < right->begin ? -1 : 1;
    return left->end < right->end ? -1 : left->end > right->end;
}

static int read_entries(struct safetensors *file, size_t data_size, char *error, size_t error_size)
{
    const char *name;
    json_t *value;
    json_object_foreach (file->header, name, value) {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        if (file->count == SAFETENSORS_TENSORS_MAX)
            return complain(error, error_size, "too many tensors", NULL);
        if (read_entry(&file->entries[file->count], name, value, data_size))
            return complain(error, error_size, "tensor with a bad dtype, shape or offset", name);
        file->count++;
    }
    qsort(file->entries, file->count, sizeof file->entries[0], by_begin);
    size_t at = 0;
    for (size_t i = 0; i < file->count; i++) {
        if (file->entries[i].begin != at)
            return complain(error, error_size, "gap or overlap before tensor", file->entries[i].name);
        at = file->entries[i].end;
    }
    return at == data_size ? 0 : complain(error, error_size, "bytes that belong to no tensor", NULL);
}

int safetensors_open(struct str bytes, struct safetensors **out, char *error, size_t error_size)
{
    uint64_t header_size = 0;
    if (bytes.size < LENGTH_SIZE)
        return complain(error, error_size, "shorter than its length field", NULL);
    for (int i = 0; i < LENGTH_SIZE; i++)
        header_size |= (uint64_t)(uint8_t)bytes.data[i] << (8 * i);
    if (header_size > SAFETENSORS_HEADER_MAX || header_size > bytes.size - LENGTH_SIZE)
        return complain(error, error_size, "header longer than the file", NULL);
    struct safetensors *file = calloc(1, sizeof *file);
    if (!file)
        return -ENOMEM;
    file->header = json_loadb(bytes.data + LENGTH_SIZE, (size_t)header_size, 0, NULL);
    file->data = (const uint8_t *)bytes.data + LENGTH_SIZE + header_size;
    int result = json_is_object(file->header)
                     ? read_entries(file, bytes.size - LENGTH_SIZE - (size_t)header_size, error, error_size)
                     : complain(error, error_size, "header is not a JSON object", NULL);
    if (result) {
        safetensors_close(file);
        return result;
    }
    *out = file;
    return 0;
}

void safetensors_close(struct safetensors *file)
{
    if (!file)
        return;
    json_decref(file->header);
    free(file);
}

static const struct entry *find(const struct safetensors *file, const char *name)
{
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->entries[i].name, name) == 0)
            return &file->entries[i];
    return NULL;
}

int safetensors_shape(const struct safetensors *file, const char *name, size_t *dimensions,
                      size_t shape[SAFETENSORS_DIMENSIONS_MAX])
{
    const struct entry *entry = find(file, name);
    if (!entry)
        return -ENOENT;
    *dimensions = entry->dimensions;
    memcpy(shape, entry->shape, sizeof entry->shape);
    return 0;
}

int safetensors_read(const struct safetensors *file, const char *name, const size_t *shape, size_t dimensions,
                     float *out)
{
    const struct entry *entry = find(file, name);
    if (!entry)
        return -ENOENT;
    if (entry->dimensions != dimensions || memcmp(entry->shape, shape, dimensions * sizeof *shape) != 0)
        return -EBADMSG;
    const uint8_t *bytes = file->data + entry->begin;
    for (size_t i = 0; i < (entry->end - entry->begin) / sizeof(float); i++, bytes += 4) {
        uint32_t bits = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
                        (uint32_t)bytes[3] << 24;
        memcpy(&out[i], &bits, sizeof bits);
    }
    return 0;
}

const char *safetensors_metadata(const struct safetensors *file, const char *key)
{
    return json_string_value(json_object_get(json_object_get(file->header, "__metadata__"), key));
}
