/* See http.h. At most 32 connections, 5 s each: a scraper that hangs cannot hold anything. */
#include "common/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define CONNECTIONS_MAX 32
#define TIMEOUT_S 5

struct http_server {
    struct MHD_Daemon *daemon;
    const struct metrics *metrics;
    atomic_bool ready;
    _Atomic(const char *) reason;
};

static enum MHD_Result respond(struct MHD_Connection *connection, unsigned status, const char *type,
                               const void *body, size_t size)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    (void)MHD_add_response_header(response, "Content-Type", type); /* without it the body is still right */
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result respond_text(struct MHD_Connection *connection, unsigned status, const char *text)
{
    return respond(connection, status, "text/plain", text, strlen(text));
}

static enum MHD_Result respond_metrics(struct http_server *server, struct MHD_Connection *connection)
{
    struct buffer out;
    enum MHD_Result result;
    buffer_init(&out, 4u << 20);
    metrics_render(server->metrics, &out);
    if (buffer_error(&out))
        result = respond_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory\n");
    else
        result = respond(connection, MHD_HTTP_OK, "text/plain; version=0.0.4", out.data, out.size);
    buffer_fini(&out);
    return result;
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    struct http_server *server = context;
    (void)version;
    (void)upload;
    (void)upload_size;
    (void)state;
    if (strcmp(method, "GET") != 0)
        return respond_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
    if (strcmp(url, "/metrics") == 0)
        return respond_metrics(server, connection);
    if (strcmp(url, "/healthz") == 0)
        return respond_text(connection, MHD_HTTP_OK, "ok\n");
    if (strcmp(url, "/readyz") == 0) {
        bool ready = atomic_load(&server->ready);
        return respond_text(connection, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
                            atomic_load(&server->reason));
    }
    return respond_text(connection, MHD_HTTP_NOT_FOUND, "try /metrics, /healthz or /readyz\n");
}

struct http_server *http_open(const char *address, uint16_t port, const struct metrics *metrics, char *error,
                              size_t error_size)
{
    struct sockaddr_in bound = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, address, &bound.sin_addr) != 1) {
        (void)snprintf(error, error_size, "http address %s is not an IPv4 address", address);
        return NULL;
    }
    struct http_server *server = calloc(1, sizeof *server);
    if (!server) {
        (void)snprintf(error, error_size, "out of memory");
        return NULL;
    }
    server->metrics = metrics;
    server->reason = "starting\n";
    errno = 0;
    server->daemon =
        MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, answer, server, MHD_OPTION_SOCK_ADDR,
                         &bound, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                         TIMEOUT_S, MHD_OPTION_END);
    if (!server->daemon) {
        (void)snprintf(error, error_size,
                       "cannot serve metrics on %s:%u: %s; choose another --service.http_port, or 0 for none",
                       address, port, strerror(errno ? errno : EADDRINUSE));
        free(server);
        return NULL;
    }
    return server;
}

uint16_t http_port(const struct http_server *server)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info ? info->port : 0;
}

void http_set_ready(struct http_server *server, bool ready, const char *reason)
{
    atomic_store(&server->reason, reason);
    atomic_store(&server->ready, ready);
}

void http_close(struct http_server *server)
{
    if (!server)
        return;
    MHD_stop_daemon(server->daemon);
    free(server);
}
