/* UUIDs: version 7 (RFC 9562) for executions, so that they sort by time. */
#ifndef FORESTALL_COMMON_UUID_H
#define FORESTALL_COMMON_UUID_H

#include "common/base.h"

#define UUID_SIZE 16
#define UUID_TEXT_SIZE 37

/* now_ms: Unix milliseconds, 48 bits are kept. Random bits from getrandom(2). */
void uuid_v7(uint8_t out[UUID_SIZE], int64_t now_ms);
/* Lower-case 8-4-4-4-12 text, terminated. */
void uuid_format(const uint8_t id[UUID_SIZE], char out[UUID_TEXT_SIZE]);
/* 0, or -EINVAL when text is not 36 characters of that form (either case). */
FS_MUST_CHECK int uuid_parse(struct str text, uint8_t out[UUID_SIZE]);

#endif
