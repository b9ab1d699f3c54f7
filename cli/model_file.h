/* What a model's bytes hold: metadata and tensors of a safetensors file, shown and compared. */
#ifndef FORESTALL_CLI_MODEL_FILE_H
#define FORESTALL_CLI_MODEL_FILE_H

#include <jansson.h>

#include "common/base.h"
#include "model/models.h"

struct model_file {
    char *bytes; /* [size], owned */
    size_t size;
    char version[MODELS_VERSION_SIZE]; /* SHA-256 of the bytes */
    json_t *header;
};

/* The file at the path, checked in every respect but what the numbers mean. 0; negative errno with a
 * sentence. */
FS_MUST_CHECK int model_file_load(const char *path, struct model_file *out, char *error, size_t error_size);
/* The same of bytes that are given up; on error they are freed. */
FS_MUST_CHECK int model_file_take(char *bytes, size_t size, const char *name, struct model_file *out,
                                  char *error, size_t error_size);
void model_file_fini(struct model_file *file);
/* A text of the metadata; "" when there is none. */
const char *model_file_metadata(const struct model_file *file, const char *key);
/* Metadata that differs, and for each tensor of either |a - b| / |a| (Euclidean), null where the shapes
 * differ or one lacks it. A new reference; NULL when out of memory. */
json_t *model_file_diff(const struct model_file *a, const struct model_file *b);

#endif
