/* Records of the topic `schemas`: a writer's schema (JSON) under its fingerprint (16 hex digits), and under
 * its id in the schema registry (8 hex digits) when there is one: so that whoever reads needs no registry. */
#ifndef FORESTALL_SCHEMAS_SCHEMA_RECORD_H
#define FORESTALL_SCHEMAS_SCHEMA_RECORD_H

#include "schemas/codec.h"

#define SCHEMA_KEY_FINGERPRINT 16
#define SCHEMA_KEY_ID 8
#define SCHEMA_KEY_SIZE (SCHEMA_KEY_FINGERPRINT + 1)

/* The key, terminated; returns its length. */
size_t schema_record_key(uint64_t fingerprint, char out[SCHEMA_KEY_SIZE]);
size_t schema_record_id_key(uint32_t id, char out[SCHEMA_KEY_SIZE]);
/* True when the codec knows that schema now. False: not such a record, a tombstone, or one that cannot be
 * learned, which concerns only those who meet a message written with it. */
bool schema_record_learn(struct codec *codec, struct str key, struct str value);

#endif
