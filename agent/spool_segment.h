/* One segment file of the spool: its name and the bytes of its entries. Stateless; what is waiting and what
 * is acknowledged is spool.c's.
 *
 * A segment is named after its first number (20 digits, ".log"). An entry, all numbers big-endian: u32
 * payload size, u32 CRC of what follows, u64 number, u8 kind, payload. */
#ifndef FORESTALL_AGENT_SPOOL_SEGMENT_H
#define FORESTALL_AGENT_SPOOL_SEGMENT_H

#include "agent/spool.h"

#define SEGMENT_HEADER 17 /* bytes of an entry before its payload */
#define SEGMENT_NUMBER 8  /* bytes of a number */

/* First numbers of all segments in a directory, rising; the caller frees. 0 or negative errno. */
FS_MUST_CHECK int segment_list(int directory_fd, uint64_t **out, size_t *count);
/* A descriptor or negative errno. */
FS_MUST_CHECK int segment_open(int directory_fd, uint64_t first, int flags);
/* 0, also when it is gone already, or negative errno. */
FS_MUST_CHECK int segment_unlink(int directory_fd, uint64_t first);

/* The entry at an offset; scratch (SEGMENT_HEADER + SPOOL_PAYLOAD_MAX) holds its payload. Bytes it takes;
 * -EBADMSG when it is torn or damaged; negative errno. */
FS_MUST_CHECK int64_t segment_read(int fd, int64_t offset, uint8_t *scratch, struct spool_entry *out);
/* Appends an entry by way of scratch. 0, or negative errno: a part of it may be there. */
FS_MUST_CHECK int segment_write(int fd, const struct spool_entry *entry, uint8_t *scratch);

void segment_put_number(uint8_t at[SEGMENT_NUMBER], uint64_t number);
uint64_t segment_get_number(const uint8_t at[SEGMENT_NUMBER]);

#endif
