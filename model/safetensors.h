/* The safetensors container: u64 little-endian header length, JSON header, tensor bytes. Only F32 tensors and
 * text metadata. Source: huggingface/safetensors, README "Format". Readable by Python's `safetensors`;
 * reading trusts nothing. */
#ifndef FORESTALL_MODEL_SAFETENSORS_H
#define FORESTALL_MODEL_SAFETENSORS_H

#include "common/base.h"
#include "common/buffer.h"

#define SAFETENSORS_TENSORS_MAX 64
#define SAFETENSORS_DIMENSIONS_MAX 4
#define SAFETENSORS_HEADER_MAX (1u << 20)

struct safetensors_tensor {
    const char *name;
    size_t dimensions, shape[SAFETENSORS_DIMENSIONS_MAX];
    const float *data;
};

struct safetensors_metadata {
    const char *key, *value;
};

/* Appends a whole file. Tensors are written in the order given. 0, -ENOMEM, -EMSGSIZE. */
FS_MUST_CHECK int safetensors_encode(const struct safetensors_tensor *tensors, size_t count,
                                     const struct safetensors_metadata *metadata, size_t metadata_count,
                                     struct buffer *out);

struct safetensors;
/* Checks everything: header, dtypes, shapes against offsets, no gap, no overlap, nothing past the end. bytes
 * are borrowed. 0; -EBADMSG with error; -ENOMEM. */
FS_MUST_CHECK int safetensors_open(struct str bytes, struct safetensors **out, char *error,
                                   size_t error_size);
void safetensors_close(struct safetensors *file);
/* The tensor's elements copied to out when it has exactly this shape; -ENOENT or -EBADMSG. */
FS_MUST_CHECK int safetensors_read(const struct safetensors *file, const char *name, const size_t *shape,
                                   size_t dimensions, float *out);
/* The shape of a tensor: 0, -ENOENT. */
FS_MUST_CHECK int safetensors_shape(const struct safetensors *file, const char *name, size_t *dimensions,
                                    size_t shape[SAFETENSORS_DIMENSIONS_MAX]);
/* NULL when absent. */
const char *safetensors_metadata(const struct safetensors *file, const char *key);

#endif
