/* Any message of schemas/ as JSON, by the generated description of its fields; for --json. */
#ifndef FORESTALL_CLI_MESSAGE_JSON_H
#define FORESTALL_CLI_MESSAGE_JSON_H

#include <jansson.h>

#include "schemas/messages.h"

/* Names as in schemas/; enums in lower case, Uuids in their usual text, other fixed as hex, bytes as their
 * number, not-a-number as null, texts that are not UTF-8 with '?' for the bad bytes. A new reference, NULL
 * when out of memory. */
json_t *message_json(const struct msg_type *type, const void *message);
/* A text that need not be UTF-8. */
json_t *message_json_text(struct str text);
json_t *message_json_uuid(const uint8_t id[16]);
/* Null when it is not finite: JSON has no such numbers. */
json_t *message_json_number(double value);

/* Writes one JSON value and a newline to standard output, indented for people when it is a terminal; releases
 * value. 0, or -ENOMEM/-EIO with a line on standard error. */
FS_MUST_CHECK int message_json_print(json_t *value);

#endif
