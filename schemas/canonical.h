/* A schema's identity: the parsing canonical form and its CRC-64-AVRO.
 * Source: Apache Avro 1.11 specification, "Parsing Canonical Form for Schemas" and "Schema Fingerprints". */
#ifndef FORESTALL_SCHEMAS_CANONICAL_H
#define FORESTALL_SCHEMAS_CANONICAL_H

#include <jansson.h>

#include "common/base.h"

/* The canonical form as a terminated string to be freed, or NULL when out of memory or not a schema. */
char *canonical_form(const json_t *schema);
uint64_t canonical_fingerprint(const char *text, size_t size);

#endif
