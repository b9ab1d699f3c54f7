/* See model_file.h. */
#include "cli/model_file.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/message_json.h"
#include "model/safetensors.h"

#define FILE_MAX ((size_t)64 << 20) /* as predict.model_bytes */
#define METADATA "__metadata__"

static int complain(const char *name, const char *reason, int result, char *error, size_t error_size)
{
    (void)snprintf(error, error_size, "%s: %s", name, reason);
    return result;
}

int model_file_take(char *bytes, size_t size, const char *name, struct model_file *out, char *error,
                    size_t error_size)
{
    char reason[256] = "out of memory";
    struct safetensors *checked;
    struct model_file made = {.bytes = bytes, .size = size};
    struct str text = {bytes, size};
    if (safetensors_open(text, &checked, reason, sizeof reason) < 0) {
        (void)snprintf(error, error_size, "%s is not a safetensors file: %s", name, reason);
        free(bytes);
        return -EBADMSG;
    }
    safetensors_close(checked);
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | (uint8_t)bytes[i];
    made.header = json_loadb(bytes + 8, (size_t)length, 0, NULL); /* the length was checked */
    if (!made.header || models_version(text, made.version) < 0) {
        model_file_fini(&made);
        return complain(name, "out of memory", -ENOMEM, error, error_size);
    }
    *out = made;
    return 0;
}

int model_file_load(const char *path, struct model_file *out, char *error, size_t error_size)
{
    FILE *file = fopen(path, "rbe");
    if (!file)
        return complain(path, strerror(errno), -ENOENT, error, error_size);
    char *bytes = malloc(FILE_MAX + 1);
    size_t size = bytes ? fread(bytes, 1, FILE_MAX + 1, file) : 0;
    bool failed = ferror(file) != 0;
    (void)fclose(file); /* only read from */
    if (!bytes || failed || size > FILE_MAX) {
        free(bytes);
        return complain(path,
                        size > FILE_MAX ? "larger than any model"
                        : failed        ? "cannot be read"
                                        : "out of memory",
                        -EIO, error, error_size);
    }
    char *fitting = realloc(bytes, size + 1);
    return model_file_take(fitting ? fitting : bytes, size, path, out, error, error_size);
}

void model_file_fini(struct model_file *file)
{
    free(file->bytes);
    json_decref(file->header);
    *file = (struct model_file){0};
}

const char *model_file_metadata(const struct model_file *file, const char *key)
{
    const char *text = json_string_value(json_object_get(json_object_get(file->header, METADATA), key));
    return text ? text : "";
}

/* --- differences --- */

static int add_metadata(json_t *out, const struct model_file *a, const struct model_file *b)
{
    const char *key;
    json_t *value, *one = json_object_get(a->header, METADATA), *other = json_object_get(b->header, METADATA);
    json_object_foreach (one, key, value)
        if (!json_equal(value, json_object_get(other, key)) &&
            json_object_set_new(
                out, key, json_pack("[s,s]", model_file_metadata(a, key), model_file_metadata(b, key))) < 0)
            return -ENOMEM;
    json_object_foreach (other, key, value)
        if (!json_object_get(one, key) &&
            json_object_set_new(out, key, json_pack("[s,s]", "", model_file_metadata(b, key))) < 0)
            return -ENOMEM;
    return 0;
}

/* The tensor's numbers, to be freed; NULL: it is not there, or out of memory. */
static float *read_tensor(const struct safetensors *file, const char *name, size_t *count)
{
    size_t dimensions, shape[SAFETENSORS_DIMENSIONS_MAX], total = 1;
    if (safetensors_shape(file, name, &dimensions, shape) < 0)
        return NULL;
    for (size_t i = 0; i < dimensions; i++)
        total *= shape[i]; /* of a checked file: no more than its bytes */
    float *numbers = calloc(total + 1, sizeof *numbers);
    if (numbers && safetensors_read(file, name, shape, dimensions, numbers) < 0) {
        free(numbers);
        return NULL;
    }
    *count = total;
    return numbers;
}

static json_t *distance(const struct safetensors *a, const struct safetensors *b, const char *name)
{
    size_t size = 0, other_size = 0;
    double apart = 0, length = 0;
    float *one = read_tensor(a, name, &size), *other = read_tensor(b, name, &other_size);
    bool comparable = one && other && size == other_size;
    for (size_t i = 0; comparable && i < size; i++) {
        double d = (double)one[i] - (double)other[i];
        apart += d * d;
        length += (double)one[i] * (double)one[i];
    }
    free(one);
    free(other);
    if (!comparable)
        return json_null();
    return message_json_number(apart == 0 ? 0 : length > 0 ? sqrt(apart / length) : INFINITY);
}

static int add_tensors(json_t *out, const struct model_file *a, const struct model_file *b)
{
    char error[64];
    const char *name;
    json_t *tensor;
    struct safetensors *one, *other;
    if (safetensors_open((struct str){a->bytes, a->size}, &one, error, sizeof error) < 0)
        return -ENOMEM; /* it was checked already */
    if (safetensors_open((struct str){b->bytes, b->size}, &other, error, sizeof error) < 0) {
        safetensors_close(one);
        return -ENOMEM;
    }
    int result = 0;
    json_object_foreach (a->header, name, tensor)
        if (strcmp(name, METADATA) != 0 && json_object_set_new(out, name, distance(one, other, name)) < 0)
            result = -ENOMEM;
    json_object_foreach (b->header, name, tensor)
        if (strcmp(name, METADATA) != 0 && !json_object_get(a->header, name) &&
            json_object_set_new(out, name, json_null()) < 0)
            result = -ENOMEM;
    safetensors_close(one);
    safetensors_close(other);
    return result;
}

json_t *model_file_diff(const struct model_file *a, const struct model_file *b)
{
    json_t *metadata = json_object(), *tensors = json_object();
    if (!metadata || !tensors || add_metadata(metadata, a, b) < 0 || add_tensors(tensors, a, b) < 0) {
        json_decref(metadata);
        json_decref(tensors);
        return NULL;
    }
    return json_pack("{s:o,s:o}", "metadata", metadata, "tensors", tensors);
}
