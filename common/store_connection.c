/* Connecting, sending and receiving with hiredis 0.14 or later, never beyond a deadline. */
#include "common/store_connection.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/url.h"

#define BACKOFF_FIRST_MS 50
#define BACKOFF_LONGEST_MS 2000

static void disconnect(struct store_connection *connection, const char *reason)
{
    snprintf(
        connection->error, sizeof connection->error,
        "Redis at %s: %s; is it running there? Set its address with redis (\"host:port\" or a socket's path)",
        connection->address, reason);
    if (connection->redis)
        redisFree(connection->redis);
    connection->redis = NULL;
    connection->backoff_ms = connection->backoff_ms == 0
                                 ? BACKOFF_FIRST_MS
                                 : FS_MIN(connection->backoff_ms * 2, BACKOFF_LONGEST_MS);
    connection->retry_at_ms = clock_monotonic_ms() + connection->backoff_ms;
}

static bool wait_for(const struct store_connection *connection, short events, int64_t deadline_ms)
{
    struct pollfd fd = {.fd = connection->redis->fd, .events = events};
    for (;;) {
        int64_t left_ms = deadline_ms - clock_monotonic_ms();
        if (left_ms <= 0)
            return false;
        int ready = poll(&fd, 1, (int)left_ms);
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return false;
    }
}

bool store_connection_send(struct store_connection *connection, int64_t deadline_ms)
{
    int done = 0;
    while (!done) {
        if (!wait_for(connection, POLLOUT, deadline_ms)) {
            disconnect(connection, "does not take the command in time");
            return false;
        }
        if (redisBufferWrite(connection->redis, &done) != REDIS_OK) {
            disconnect(connection, connection->redis->errstr);
            return false;
        }
    }
    return true;
}

redisReply *store_connection_receive(struct store_connection *connection, int64_t deadline_ms)
{
    void *reply = NULL;
    for (;;) {
        if (redisGetReplyFromReader(connection->redis, &reply) != REDIS_OK) {
            disconnect(connection, connection->redis->errstr);
            return NULL;
        }
        if (reply)
            return reply;
        if (!wait_for(connection, POLLIN, deadline_ms)) {
            disconnect(connection, "does not answer in time");
            return NULL;
        }
        if (redisBufferRead(connection->redis) != REDIS_OK) {
            disconnect(connection, connection->redis->errstr);
            return NULL;
        }
    }
}

/* One command whose reply is a status; false: disconnected or refused (connection->error says what). */
static bool ask(struct store_connection *connection, int argc, const char **argv, int64_t deadline_ms,
                char *text, size_t text_size)
{
    if (redisAppendCommandArgv(connection->redis, argc, argv, NULL) != REDIS_OK) {
        disconnect(connection, "out of memory");
        return false;
    }
    redisReply *reply = store_connection_send(connection, deadline_ms)
                            ? store_connection_receive(connection, deadline_ms)
                            : NULL;
    if (!reply)
        return false;
    bool ok = reply->type != REDIS_REPLY_ERROR;
    if (ok && text)
        snprintf(text, text_size, "%s", reply->str ? reply->str : "");
    if (!ok && strncmp(reply->str, "NOAUTH", 6) == 0)
        connection->refused_password = true;
    if (!ok)
        disconnect(connection, reply->str);
    freeReplyObject(reply);
    return ok;
}

bool store_connection_load_script(struct store_connection *connection, int64_t deadline_ms)
{
    const char *argv[] = {"SCRIPT", "LOAD", connection->script};
    return ask(connection, 3, argv, deadline_ms, connection->script_sha, sizeof connection->script_sha);
}

static bool open_socket(struct store_connection *connection, int64_t left_ms)
{
    struct timeval timeout = {.tv_sec = left_ms / 1000, .tv_usec = left_ms % 1000 * 1000};
    connection->redis = connection->port
                            ? redisConnectWithTimeout(connection->host, connection->port, timeout)
                            : redisConnectUnixWithTimeout(connection->host, timeout);
    if (!connection->redis || connection->redis->err) {
        disconnect(connection, connection->redis ? connection->redis->errstr : "out of memory");
        return false;
    }
    int flags = fcntl(connection->redis->fd, F_GETFL);
    if (flags < 0 || fcntl(connection->redis->fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        disconnect(connection, "cannot make the socket non-blocking");
        return false;
    }
    (void)fcntl(connection->redis->fd, F_SETFD, FD_CLOEXEC); /* failing: children keep it open, harmless */
    connection->redis->flags &= ~REDIS_BLOCK;                /* EAGAIN is then not an error for hiredis */
    return true;
}

bool store_connection_ready(struct store_connection *connection, int64_t deadline_ms)
{
    if (connection->redis)
        return true;
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms < connection->retry_at_ms || !open_socket(connection, FS_MAX(deadline_ms - now_ms, 1)))
        return false;
    connection->refused_password = false;
    const char *auth[] = {"AUTH", connection->password};
    if (connection->password && !ask(connection, 2, auth, deadline_ms, NULL, 0)) {
        connection->refused_password = true;
        return false;
    }
    if (!store_connection_load_script(connection, deadline_ms))
        return false;
    connection->generation++;
    connection->backoff_ms = 0;
    connection->error[0] = '\0';
    return true;
}

static bool parse_address(struct store_connection *connection, const char *address, char *error,
                          size_t error_size)
{
    struct str before, after;
    if (url_split_user(address, &before, &after)) { /* host:port behind it would pass */
        snprintf(error, error_size,
                 "redis = \"%.*s(set)@%s\": not host:port; a password goes into redis_password",
                 (int)before.size, before.data, after.data);
        return false;
    }
    if (address[0] == '/') {
        connection->host = strdup(address);
        return connection->host != NULL;
    }
    const char *colon = strrchr(address, ':');
    char *end = NULL;
    long port = colon ? strtol(colon + 1, &end, 10) : 0;
    if (!colon || colon == address || *end != '\0' || port < 1 || port > 65535) {
        snprintf(error, error_size, "redis = \"%s\": not host:port and not the path of a socket", address);
        return false;
    }
    bool bracketed = address[0] == '[' && colon[-1] == ']';
    size_t size = (size_t)(colon - address);
    connection->host = bracketed ? strndup(address + 1, size - 2) : strndup(address, size);
    connection->port = (int)port;
    return connection->host != NULL;
}

bool store_connection_init(struct store_connection *connection, const char *address, const char *password,
                           const char *script, char *error, size_t error_size)
{
    *connection = (struct store_connection){.script = script};
    snprintf(error, error_size, "out of memory");
    connection->address = strdup(address);
    if (password && password[0])
        connection->password = strdup(password);
    if (connection->address && (connection->password || !password || !password[0]) &&
        parse_address(connection, address, error, error_size))
        return true;
    store_connection_fini(connection);
    return false;
}

void store_connection_fini(struct store_connection *connection)
{
    if (connection->redis)
        redisFree(connection->redis);
    free(connection->host);
    free(connection->password);
    free(connection->address);
    *connection = (struct store_connection){0};
}

bool store_connection_ping(struct store_connection *connection, int64_t deadline_ms)
{
    const char *argv[] = {"PING"};
    return store_connection_ready(connection, deadline_ms) && ask(connection, 1, argv, deadline_ms, NULL, 0);
}

bool store_connection_append(struct store_connection *connection, const char *bytes, size_t size)
{
    if (redisAppendFormattedCommand(connection->redis, bytes, size) == REDIS_OK)
        return true;
    disconnect(connection, "out of memory");
    return false;
}
