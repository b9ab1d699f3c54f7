/* See local_renew.h. */
#include "cli/local_renew.h"

#include <stdlib.h>

#include "common/topics.h"
#include "schemas/codec.h"

#define ARENA_BLOCK_BYTES (64u << 10)
#define ARENA_BYTES (16u << 20)

struct local_renew {
    struct codec *codec;
    struct arena *arena;
    struct buffer bytes;
};

struct local_renew *local_renew_create(void)
{
    struct local_renew *renew = calloc(1, sizeof *renew);
    if (!renew)
        return NULL;
    buffer_init(&renew->bytes, 0);
    renew->codec = codec_create();
    renew->arena = arena_create(ARENA_BLOCK_BYTES, ARENA_BYTES);
    if (renew->codec && renew->arena)
        return renew;
    local_renew_destroy(renew);
    return NULL;
}

void local_renew_destroy(struct local_renew *renew)
{
    if (!renew)
        return;
    codec_destroy(renew->codec);
    arena_destroy(renew->arena);
    buffer_fini(&renew->bytes);
    free(renew);
}

static bool encode(struct local_renew *renew, const struct msg_type *type, const void *message)
{
    buffer_reset(&renew->bytes);
    return codec_encode(type, message, &renew->bytes) == 0;
}

struct str local_renew_value(void *context, const char *topic, struct str value)
{
    struct local_renew *renew = context;
    bool renewed = false;
    arena_reset(renew->arena);
    if (strcmp(topic, TOPIC_ALLOCATIONS) == 0) {
        struct msg_allocation allocation;
        if (codec_decode(renew->codec, &msg_allocation_type, value, renew->arena, &allocation) == 0) {
            allocation.through.count = 0;
            renewed = encode(renew, &msg_allocation_type, &allocation);
        }
    } else if (strcmp(topic, TOPIC_CODES) == 0) {
        struct msg_code_profile profile;
        if (codec_decode(renew->codec, &msg_code_profile_type, value, renew->arena, &profile) == 0) {
            profile.through.count = 0;
            renewed = encode(renew, &msg_code_profile_type, &profile);
        }
    }
    return renewed ? buffer_str(&renew->bytes) : value;
}
