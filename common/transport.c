/* See transport.h. */
#include "common/transport.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Thousands of agents come back at once after a restart; the kernel caps it at somaxconn. */
#define BACKLOG 4096
/* A peer whose machine vanished while nobody reads from it (back-pressure): unacknowledged pings end it. */
#define USER_TIMEOUT_MS 30000

struct listener {
    int fd;
    char address[TRANSPORT_ADDRESS_MAX];
};

struct transport {
    int fd;
};

/* --- addresses --- */

static int split(const char *address, char *host, size_t host_size, char *port, size_t port_size)
{
    const char *colon = strrchr(address, ':');
    struct str name = {address, colon ? (size_t)(colon - address) : 0};
    if (!colon || name.size == 0 || !colon[1])
        return -EINVAL;
    if (name.size > 2 && name.data[0] == '[' && name.data[name.size - 1] == ']') { /* [::1]:7400 */
        name.data++;
        name.size -= 2;
    }
    return str_copy(host, host_size, name) && str_copy(port, port_size, str_of(colon + 1)) ? 0 : -EINVAL;
}

bool transport_address_valid(struct str address)
{
    char text[TRANSPORT_ADDRESS_MAX], host[256], port[32];
    return str_copy(text, sizeof text, address) && split(text, host, sizeof host, port, sizeof port) == 0 &&
           !strpbrk(text, " \t,");
}

/* The first socket that open_one makes of what the address stands for: its descriptor, or negative with a
 * sentence in error; verb: what was to be done there. */
static int open_first(const char *address, int flags, int (*open_one)(const struct addrinfo *info),
                      const char *verb, char *error, size_t error_size)
{
    char host[256], port[32];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags}, *list;
    if (split(address, host, sizeof host, port, sizeof port) < 0) {
        (void)snprintf(error, error_size, "%.100s is not host:port", address);
        return -EINVAL;
    }
    int found = getaddrinfo(host, port, &hints, &list);
    if (found) {
        (void)snprintf(error, error_size, "cannot find %.100s: %s", address, gai_strerror(found));
        return -EHOSTUNREACH;
    }
    int fd = -EHOSTUNREACH;
    for (const struct addrinfo *info = list; info && fd < 0; info = info->ai_next)
        fd = open_one(info);
    freeaddrinfo(list);
    if (fd < 0)
        (void)snprintf(error, error_size, "cannot %s %.100s: %s", verb, address, strerror(-fd));
    return fd;
}

static int open_socket(const struct addrinfo *info)
{
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd < 0 ? -errno : fd;
}

static int fail_socket(int fd, int error)
{
    (void)close(fd);
    return error;
}

/* --- one stream --- */

/* A tick must not wait for more bytes; without it: slower, not wrong. */
static void send_at_once(int fd)
{
    int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/* Takes over fd. */
static int wrap(int fd, struct transport **out)
{
    struct transport *transport = malloc(sizeof *transport);
    if (!transport)
        return fail_socket(fd, -ENOMEM);
    transport->fd = fd;
    *out = transport;
    return 0;
}

static int begin_connect(const struct addrinfo *info)
{
    int fd = open_socket(info);
    if (fd < 0)
        return fd;
    send_at_once(fd);
    if (connect(fd, info->ai_addr, info->ai_addrlen) < 0 && errno != EINPROGRESS)
        return fail_socket(fd, -errno);
    return fd;
}

int transport_connect(const char *address, char *error, size_t error_size, struct transport **out)
{
    int result = open_first(address, AI_ADDRCONFIG, begin_connect, "connect to", error, error_size);
    if (result < 0)
        return result;
    result = wrap(result, out);
    if (result < 0)
        (void)snprintf(error, error_size, "cannot connect to %.100s: out of memory", address);
    return result;
}

void transport_close(struct transport *transport)
{
    if (!transport)
        return;
    (void)close(transport->fd);
    free(transport);
}

int transport_fd(const struct transport *transport)
{
    return transport->fd;
}

int transport_establish(struct transport *transport)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer, error_size = sizeof(int);
    int error = 0;
    if (getsockopt(transport->fd, SOL_SOCKET, SO_ERROR, &error, &error_size) < 0 || error)
        return error ? -error : -errno;
    if (getpeername(transport->fd, (struct sockaddr *)&peer, &size) == 0)
        return 1;
    return errno == ENOTCONN ? 0 : -errno;
}

ssize_t transport_read(struct transport *transport, void *out, size_t size)
{
    ssize_t got;
    do {
        got = recv(transport->fd, out, size, 0);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? (errno == EWOULDBLOCK ? -EAGAIN : -errno) : got;
}

ssize_t transport_write(struct transport *transport, const void *data, size_t size)
{
    ssize_t written;
    do {
        written = send(transport->fd, data, size, MSG_NOSIGNAL);
    } while (written < 0 && errno == EINTR);
    return written < 0 ? (errno == EWOULDBLOCK ? -EAGAIN : -errno) : written;
}

void transport_finish(struct transport *transport)
{
    (void)shutdown(transport->fd, SHUT_WR); /* the peer may be gone already */
}

/* --- listening --- */

static int listen_at(const struct addrinfo *info)
{
    int one = 1;
    int fd = open_socket(info);
    if (fd < 0)
        return fd;
    /* Without SO_REUSEADDR a restart could not listen for a minute. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
        bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    return fail_socket(fd, -errno);
}

static void name_address(const struct sockaddr_storage *address, socklen_t size, char *out, size_t out_size)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (getnameinfo((const struct sockaddr *)address, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        (void)snprintf(out, out_size, "?");
    else
        (void)snprintf(out, out_size, address->ss_family == AF_INET6 ? "[%.200s]:%.20s" : "%.200s:%.20s",
                       host, port);
}

int listener_open(const char *address, char *error, size_t error_size, struct listener **out)
{
    int fd = open_first(address, AI_PASSIVE, listen_at, "listen at", error, error_size);
    if (fd < 0)
        return fd;
    struct listener *listener = calloc(1, sizeof *listener);
    struct sockaddr_storage bound = {0};
    socklen_t size = sizeof bound;
    if (!listener || getsockname(fd, (struct sockaddr *)&bound, &size) < 0) {
        int result = listener ? -errno : -ENOMEM;
        (void)snprintf(error, error_size, "cannot listen at %.100s: %s", address, strerror(-result));
        free(listener);
        return fail_socket(fd, result);
    }
    listener->fd = fd;
    name_address(&bound, size, listener->address, sizeof listener->address);
    *out = listener;
    return 0;
}

void listener_close(struct listener *listener)
{
    if (!listener)
        return;
    (void)close(listener->fd);
    free(listener);
}

int listener_fd(const struct listener *listener)
{
    return listener->fd;
}

const char *listener_address(const struct listener *listener)
{
    return listener->address;
}

int listener_accept(struct listener *listener, char *peer, size_t peer_size, struct transport **out)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    unsigned timeout_ms = USER_TIMEOUT_MS;
    int fd = accept4(listener->fd, (struct sockaddr *)&address, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
    send_at_once(fd);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms,
                     sizeof timeout_ms); /* failing costs a late time-out, not correctness */
    int result = wrap(fd, out);
    if (result < 0)
        return result;
    name_address(&address, size, peer, peer_size);
    return 1;
}
