/* See train_checkpoint.h. The file: magic, fingerprint, sum of the rest, the parts one after the other. Of
 * this machine only: nobody else goes on with a training. */
#include "model/train_checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/hash.h"

#define MAGIC 0x31746b6370667366u

struct header {
    uint64_t magic, fingerprint, sum;
};

static uint8_t *take(const struct train_checkpoint_part *parts, size_t count, size_t *size)
{
    *size = 0;
    for (size_t i = 0; i < count; i++)
        *size += parts[i].size;
    return malloc(*size ? *size : 1);
}

static int write_whole(const char *path, const struct header *header, const uint8_t *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (!file)
        return -errno;
    bool ok = fwrite(header, sizeof *header, 1, file) == 1 && fwrite(bytes, 1, size, file) == size &&
              fflush(file) == 0 && fsync(fileno(file)) == 0;
    int error = ok ? 0 : -errno;
    if (fclose(file) != 0 && error == 0)
        error = -errno;
    return error;
}

int train_checkpoint_write(const char *path, uint64_t fingerprint, const struct train_checkpoint_part *parts,
                           size_t count)
{
    char beside[4096];
    size_t size, at = 0;
    if (snprintf(beside, sizeof beside, "%s.new", path) >= (int)sizeof beside)
        return -ENAMETOOLONG;
    uint8_t *bytes = take(parts, count, &size);
    if (!bytes)
        return -ENOMEM;
    for (size_t i = 0; i < count; at += parts[i++].size)
        memcpy(bytes + at, parts[i].data, parts[i].size);
    struct header header = {MAGIC, fingerprint, hash_bytes(bytes, size)};
    int result = write_whole(beside, &header, bytes, size);
    free(bytes);
    if (result == 0 && rename(beside, path) < 0)
        result = -errno;
    if (result < 0)
        (void)unlink(beside); /* half of one is of no use; the one before stays */
    return result;
}

int train_checkpoint_read(const char *path, uint64_t fingerprint, const struct train_checkpoint_part *parts,
                          size_t count)
{
    struct header header;
    size_t size, at = 0;
    FILE *file = fopen(path, "rb");
    if (!file)
        return -errno;
    uint8_t *bytes = take(parts, count, &size);
    int result = bytes ? 0 : -ENOMEM;
    if (result == 0 && (fread(&header, sizeof header, 1, file) != 1 || fread(bytes, 1, size, file) != size ||
                        fgetc(file) != EOF || header.magic != MAGIC || header.fingerprint != fingerprint ||
                        header.sum != hash_bytes(bytes, size)))
        result = -EBADMSG;
    for (size_t i = 0; result == 0 && i < count; at += parts[i++].size)
        memcpy(parts[i].data, bytes + at, parts[i].size);
    (void)fclose(file); /* only read from */
    free(bytes);
    return result;
}
