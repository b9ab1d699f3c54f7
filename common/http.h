/* The three pages every service has: /metrics (Prometheus), /healthz (alive) and /readyz (assigned and caught
 * up). libmicrohttpd's own thread answers; it reads atomics only. */
#ifndef FORESTALL_COMMON_HTTP_H
#define FORESTALL_COMMON_HTTP_H

#include "common/metrics.h"

struct http_server;

/* address: an IPv4 address to bind; port 0 takes any. NULL with error set when it cannot listen. metrics is
 * borrowed. */
struct http_server *http_open(const char *address, uint16_t port, const struct metrics *metrics, char *error,
                              size_t error_size);
uint16_t http_port(const struct http_server *server);
/* Until the first call /readyz answers 503 "starting". reason must outlive the server (a literal). */
void http_set_ready(struct http_server *server, bool ready, const char *reason);
void http_close(struct http_server *server);

#endif
