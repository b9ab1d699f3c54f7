/* Which message a topic carries; one topic for each message, one message for each topic. */
#ifndef FORESTALL_SCHEMAS_TOPIC_TYPES_H
#define FORESTALL_SCHEMAS_TOPIC_TYPES_H

#include "schemas/type.h"

/* NULL: not one of ours, or no message (schemas, quarantine). */
const struct msg_type *topic_type(const char *topic);
/* The topic of a message with this name (Avro's, without the namespace); NULL: it is in none. */
const char *topic_of_message(struct str name);
/* Walks all pairs from *cursor = 0; false at the end. */
bool topic_type_next(size_t *cursor, const char **topic, const struct msg_type **type);

#endif
