/* Redis for the services: one hash per key, guarded by its revision; pipelined and bounded in time.
 *
 * store.c and store_connection.c are the only files that call hiredis. One thread per store. Guarantees
 * - No call blocks longer than the time-out (default 500 ms; a name in the address is resolved by libc before
 * that).
 * - While Redis is away calls answer -EHOSTDOWN at once; a new connection is tried after a back-off (50 ms
 * doubling to 2 s). A reply that does not come in time ends the connection, so replies never get out of step.
 * - store_set_if_newer() never replaces a newer revision (a script, atomic in Redis): repeating and
 * reordering writes is harmless. It gives no durability of its own: the `allocations` topic is the truth,
 * Redis is rebuilt from it. store_generation() changes with each new connection: a change means that Redis
 * may have lost its content. Keys are built by the callers ("forestall:allocation:{code}"); the braces are
 * the hash tag of Redis Cluster. store_open() also succeeds while Redis is away: the service decides,
 * store_ping() tells why. */
#ifndef FORESTALL_COMMON_STORE_H
#define FORESTALL_COMMON_STORE_H

#include "common/base.h"

struct arena;
struct store;

#define STORE_FIELDS_MAX 64 /* fields of one hash, without `revision` */

struct store_options {
    const char *address;  /* "host:port", "[v6]:port" or "/path/of/unix.sock" */
    const char *prefix;   /* put before every key; NULL: none */
    const char *password; /* NULL: none */
    int timeout_ms;       /* 0: 500 */
};

struct store_field {
    struct str name, value;
};

/* Result of one queued command, in the order of queueing. status as the direct call returns it; fields are
 * set for a get that succeeded (status = number of fields) and are valid during the callback only. */
typedef void store_reply_fn(void *context, size_t index, int status, const struct store_field *fields,
                            size_t count);

/* NULL: the address is malformed or memory is short (error says so). Tries to connect once; Redis being away
 * is not an error here. */
FS_MUST_CHECK struct store *store_open(const struct store_options *options, char *error, size_t error_size);
void store_close(struct store *store);
/* 0, or -EHOSTDOWN with a text that names the address, the reason and what to do; -EACCES (password). */
FS_MUST_CHECK int store_ping(struct store *store, char *error, size_t error_size);
/* Text of the newest failure, "" when none. */
const char *store_error(const struct store *store);
/* Number of connections made so far; see above. */
uint64_t store_generation(const struct store *store);

/* Makes the hash at key exactly these fields plus `revision`, unless the stored revision is the same or
 * higher. revision >= 0. 1: set, 0: not newer, -EHOSTDOWN (the effect is unknown: repeat), -E2BIG, -EINVAL,
 * -EIO (Redis refused: store_error()). */
FS_MUST_CHECK int store_set_if_newer(struct store *store, const char *key, int64_t revision,
                                     const struct store_field *fields, size_t count);
/* Fills up to max fields (with `revision`), names and values copied into the arena. Number of fields,
 * -ENOENT, -EHOSTDOWN, -E2BIG (more than max), -ENOMEM, -EIO. */
FS_MUST_CHECK int store_get(struct store *store, const char *key, struct store_field *out, size_t max,
                            struct arena *arena);
/* 1: was there, 0: was not, -EHOSTDOWN, -EIO. */
FS_MUST_CHECK int store_delete(struct store *store, const char *key);

/* Pipelining: queue up to 1,024 commands, then flush once. Queueing does not touch the network.
 * 0, -EAGAIN (full: flush first), -E2BIG, -EINVAL, -ENOMEM. */
FS_MUST_CHECK int store_queue_set_if_newer(struct store *store, const char *key, int64_t revision,
                                           const struct store_field *fields, size_t count);
FS_MUST_CHECK int store_queue_get(struct store *store, const char *key);
FS_MUST_CHECK int store_queue_delete(struct store *store, const char *key);
/* Sends the queue, reads all replies, empties the queue. on_reply (may be NULL) is called once per command;
 * those without an answer get -EHOSTDOWN. 0, or -EHOSTDOWN when any has none. */
FS_MUST_CHECK int store_flush(struct store *store, store_reply_fn *on_reply, void *context);

/* One field of a result; an empty str with data NULL when it is not there. */
struct str store_field_get(const struct store_field *fields, size_t count, const char *name);

#endif
