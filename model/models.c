/* See models.h. */
#include "model/models.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#define DIGEST_TEXT 65
#define CHUNKS_MAX 4096

struct piece {
    uint8_t *data; /* NULL: not there yet */
    size_t size;
};

struct assembly {
    char sha256[DIGEST_TEXT]; /* "" = nothing */
    int64_t total_bytes;
    int32_t chunks, received;
    size_t received_bytes;
    struct piece *pieces;
    uint8_t *whole; /* of the complete one handed out last */
};

struct models {
    size_t max_bytes;
    struct assembly roles[MODELS_ROLE_COUNT];
};

struct models *models_create(size_t max_bytes)
{
    struct models *models = calloc(1, sizeof *models);
    if (models)
        models->max_bytes = max_bytes;
    return models;
}

static void drop_pieces(struct assembly *assembly)
{
    for (int32_t i = 0; i < assembly->chunks; i++)
        free(assembly->pieces[i].data);
    free(assembly->pieces);
    uint8_t *whole = assembly->whole;
    *assembly = (struct assembly){.whole = whole};
}

void models_drop(struct models *models, enum models_role role)
{
    struct assembly *assembly = &models->roles[role];
    drop_pieces(assembly);
    free(assembly->whole);
    assembly->whole = NULL;
}

void models_destroy(struct models *models)
{
    if (!models)
        return;
    for (int role = 0; role < MODELS_ROLE_COUNT; role++)
        models_drop(models, (enum models_role)role);
    free(models);
}

const char *models_role_name(enum models_role role)
{
    static const char *const names[MODELS_ROLE_COUNT] = {"champion", "challenger", "previous"};
    return names[role];
}

int models_role_of(struct str key, enum models_role *role, int32_t *chunk)
{
    for (int r = 0; r < MODELS_ROLE_COUNT; r++) {
        struct str name = str_of(models_role_name((enum models_role)r));
        if (key.size < name.size || memcmp(key.data, name.data, name.size) != 0)
            continue;
        int32_t number = 0;
        size_t at = name.size;
        if (at < key.size && key.data[at] == '/')
            at++;
        else if (at < key.size)
            continue;
        for (; at < key.size && key.data[at] >= '0' && key.data[at] <= '9' && number < CHUNKS_MAX; at++)
            number = number * 10 + (key.data[at] - '0');
        if (at < key.size)
            continue;
        *role = (enum models_role)r;
        *chunk = number;
        return 0;
    }
    return -EINVAL;
}

static int refuse(struct assembly *assembly, char *error, size_t error_size, const char *reason)
{
    drop_pieces(assembly);
    (void)snprintf(error, error_size, "%s", reason);
    return -EBADMSG;
}

static int begin(struct models *models, struct assembly *assembly, const struct msg_model *chunk, char *error,
                 size_t error_size)
{
    drop_pieces(assembly);
    if (chunk->sha256.size != DIGEST_TEXT - 1 || chunk->chunks < 1 || chunk->chunks > CHUNKS_MAX)
        return refuse(assembly, error, error_size, "its sha256 or its number of chunks is not valid");
    if (chunk->total_bytes < 1 || (uint64_t)chunk->total_bytes > models->max_bytes)
        return refuse(assembly, error, error_size, "it is larger than predict.model_bytes allows");
    assembly->pieces = calloc((size_t)chunk->chunks, sizeof *assembly->pieces);
    if (!assembly->pieces)
        return -ENOMEM;
    str_copy(assembly->sha256, sizeof assembly->sha256, chunk->sha256);
    assembly->total_bytes = chunk->total_bytes;
    assembly->chunks = chunk->chunks;
    return 0;
}

static bool belongs(const struct assembly *assembly, const struct msg_model *chunk)
{
    return assembly->sha256[0] && str_equal(chunk->sha256, str_of(assembly->sha256)) &&
           chunk->chunks == assembly->chunks && chunk->total_bytes == assembly->total_bytes;
}

static int keep(struct assembly *assembly, const struct msg_model *chunk)
{
    struct piece *piece = &assembly->pieces[chunk->chunk];
    uint8_t *data = malloc(FS_MAX(chunk->bytes.size, (size_t)1));
    if (!data)
        return -ENOMEM;
    if (chunk->bytes.size > 0)
        memcpy(data, chunk->bytes.data, chunk->bytes.size);
    assembly->received += !piece->data;
    assembly->received_bytes += chunk->bytes.size - piece->size;
    free(piece->data);
    *piece = (struct piece){data, chunk->bytes.size};
    return 0;
}

int models_version(struct str model, char out[MODELS_VERSION_SIZE])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (EVP_Digest(model.data, model.size, digest, &length, EVP_sha256(), NULL) != 1 ||
        length * 2 + 1 != MODELS_VERSION_SIZE)
        return -ENOMEM;
    for (unsigned i = 0; i < length; i++)
        (void)snprintf(out + (size_t)2 * i, 3, "%02x", digest[i]);
    return 0;
}

static bool digest_is(const uint8_t *data, size_t size, const char *expected)
{
    char text[MODELS_VERSION_SIZE];
    return models_version((struct str){(const char *)data, size}, text) == 0 && strcmp(text, expected) == 0;
}

/* All chunks are there: joined and checked. */
static int complete(struct assembly *assembly, struct str *bytes, char *error, size_t error_size)
{
    size_t total = (size_t)assembly->total_bytes, at = 0;
    if (assembly->received_bytes != total)
        return refuse(assembly, error, error_size, "its chunks do not add up to its size");
    free(assembly->whole);
    assembly->whole = malloc(total);
    if (!assembly->whole)
        return -ENOMEM;
    for (int32_t i = 0; i < assembly->chunks; i++) {
        memcpy(assembly->whole + at, assembly->pieces[i].data, assembly->pieces[i].size);
        at += assembly->pieces[i].size;
    }
    if (!digest_is(assembly->whole, total, assembly->sha256))
        return refuse(assembly, error, error_size, "its bytes do not have the sha256 it names: damaged");
    drop_pieces(assembly);
    *bytes = (struct str){(const char *)assembly->whole, total};
    return 1;
}

int models_take(struct models *models, enum models_role role, const struct msg_model *chunk,
                struct str *bytes, char *error, size_t error_size)
{
    struct assembly *assembly = &models->roles[role];
    int result = belongs(assembly, chunk) ? 0 : begin(models, assembly, chunk, error, error_size);
    if (result < 0)
        return result;
    if (chunk->chunk < 0 || chunk->chunk >= assembly->chunks ||
        chunk->bytes.size >
            (size_t)assembly->total_bytes - (assembly->received_bytes - assembly->pieces[chunk->chunk].size))
        return refuse(assembly, error, error_size, "a chunk does not fit its number of chunks or its size");
    result = keep(assembly, chunk);
    if (result < 0)
        return result;
    return assembly->received < assembly->chunks ? 0 : complete(assembly, bytes, error, error_size);
}

/* --- writing --- */

size_t models_chunks(size_t bytes, size_t chunk_bytes)
{
    return bytes == 0 ? 1 : (bytes + chunk_bytes - 1) / chunk_bytes;
}

void models_chunk(enum models_role role, struct str model, const struct msg_model *head, size_t chunk,
                  size_t chunk_bytes, char key[MODELS_KEY_SIZE], struct msg_model *out)
{
    size_t from = chunk * chunk_bytes;
    *out = *head;
    out->role = str_of(models_role_name(role));
    out->chunk = (int32_t)chunk;
    out->chunks = (int32_t)models_chunks(model.size, chunk_bytes);
    out->bytes.data = model.data + from;
    out->bytes.size = FS_MIN(chunk_bytes, model.size - from);
    out->total_bytes = (int64_t)model.size;
    out->sha256 = head->version; /* a model's version is the SHA-256 of its bytes */
    if (chunk == 0)
        (void)snprintf(key, MODELS_KEY_SIZE, "%s", models_role_name(role));
    else
        (void)snprintf(key, MODELS_KEY_SIZE, "%s/%zu", models_role_name(role), chunk);
}
