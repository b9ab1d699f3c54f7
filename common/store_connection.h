/* The connection behind a store: reconnecting with back-off, reads and writes up to a deadline, the script
 * loaded. Only store.c and store_connection.c include this and hiredis. */
#ifndef FORESTALL_COMMON_STORE_CONNECTION_H
#define FORESTALL_COMMON_STORE_CONNECTION_H

#include <hiredis/hiredis.h>

#include "common/base.h"

#define STORE_SHA_SIZE 40

struct store_connection {
    char *address, *host, *password; /* host: a path when port is 0 */
    int port;
    redisContext *redis; /* NULL: not connected */
    const char *script;
    char script_sha[STORE_SHA_SIZE + 1];
    uint64_t generation;
    int64_t retry_at_ms;
    int backoff_ms;
    bool refused_password;
    char error[256];
};

/* False: error says why. Does not connect. password may be NULL; script is borrowed. */
bool store_connection_init(struct store_connection *connection, const char *address, const char *password,
                           const char *script, char *error, size_t error_size);
void store_connection_fini(struct store_connection *connection);
/* True when connected, authenticated and the script is loaded; tries at most once per back-off. */
bool store_connection_ready(struct store_connection *connection, int64_t deadline_ms);
/* Loads the script again: Redis forgets it when it restarts or is told to. */
bool store_connection_load_script(struct store_connection *connection, int64_t deadline_ms);
/* Asks whether Redis answers. */
bool store_connection_ping(struct store_connection *connection, int64_t deadline_ms);
bool store_connection_append(struct store_connection *connection, const char *bytes, size_t size);
/* Sends what was appended. False: disconnected, error is set. */
bool store_connection_send(struct store_connection *connection, int64_t deadline_ms);
/* The next reply, for freeReplyObject(). NULL: disconnected, error is set. */
redisReply *store_connection_receive(struct store_connection *connection, int64_t deadline_ms);

#endif
