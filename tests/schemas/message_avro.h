/* The same message as a generic avro-c value: the second oracle of the generated codecs. */
#ifndef FORESTALL_TESTS_SCHEMAS_MESSAGE_AVRO_H
#define FORESTALL_TESTS_SCHEMAS_MESSAGE_AVRO_H

#include <avro.h>

#include "schemas/messages.h"

/* Sets value (of the type's schema) from the C struct; 0 or avro-c's error. */
FS_MUST_CHECK int message_to_avro(const struct msg_type *type, const void *message, avro_value_t *value);

#endif
