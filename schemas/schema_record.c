/* See schema_record.h. */
#include "schemas/schema_record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

size_t schema_record_key(uint64_t fingerprint, char out[SCHEMA_KEY_SIZE])
{
    return (size_t)snprintf(out, SCHEMA_KEY_SIZE, "%016" PRIx64, fingerprint);
}

size_t schema_record_id_key(uint32_t id, char out[SCHEMA_KEY_SIZE])
{
    return (size_t)snprintf(out, SCHEMA_KEY_SIZE, "%08" PRIx32, id);
}

bool schema_record_learn(struct codec *codec, struct str key, struct str value)
{
    char text[SCHEMA_KEY_SIZE], *end;
    if (!value.data || !key.data || (key.size != SCHEMA_KEY_FINGERPRINT && key.size != SCHEMA_KEY_ID))
        return false;
    (void)str_copy(text, sizeof text, key); /* as long as the buffer at most */
    uint64_t number = strtoull(text, &end, 16);
    if (*end != '\0')
        return false;
    return key.size == SCHEMA_KEY_ID ? codec_learn_id(codec, (uint32_t)number, value) == 0
                                     : codec_learn(codec, number, value) == 0;
}
