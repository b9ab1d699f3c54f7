/* See rig.h. */
#include "tests/ingest/rig.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"

static bool open_parts(struct rig *rig)
{
    struct ingest *ingest = &rig->ingest;
    char error[256];
    struct delivery_handler handler = {.context = ingest, .settled = uplink_settled, .reduce = uplink_reduce};
    ingest->codec = codec_create();
    ingest->arena = arena_create(1u << 16, 64u << 20);
    ingest->reduce = arena_create(1u << 16, 64u << 20);
    ingest->nodes = map_create(1000);
    ingest->published = map_create(1000);
    ingest->deliveries = delivery_create(NULL, "ingest", &handler);
    ingest->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    bool listening = listener_open("127.0.0.1:0", error, sizeof error, &ingest->listener) == 0;
    rig->service.metrics = metrics_create("forestall_ingest_");
    return ingest->codec && ingest->arena && ingest->reduce && ingest->nodes && ingest->published &&
           ingest->deliveries && ingest->epoll_fd >= 0 && listening && rig->service.metrics;
}

struct rig *rig_create(void)
{
    struct rig *rig = calloc(1, sizeof *rig);
    if (!rig)
        return NULL;
    rig->options = (struct ingest_options){.max_connections = 100,
                                           .frame_bytes = 1 << 20,
                                           .output_bytes = 1 << 20,
                                           .unacked_bytes = 1 << 16,
                                           .inflight_bytes = 1 << 20,
                                           .stall_ms = 5000,
                                           .hold_ms = 60000,
                                           .clock_skew_ms = 3600000,
                                           .quarantine_rate = 100};
    rig->service.name = "forestall-ingest";
    rig->ingest = (struct ingest){.options = &rig->options,
                                  .service = &rig->service,
                                  .timer_fd = -1,
                                  .accepting = true,
                                  .limiter = {.burst = 0}};
    rig->ingest.now_ms = clock_monotonic_ms();
    if (!open_parts(rig)) {
        rig_destroy(rig);
        return NULL;
    }
    counters_register(rig->service.metrics, &rig->ingest.counters);
    return rig;
}

void rig_destroy(struct rig *rig)
{
    struct ingest *ingest = &rig->ingest;
    struct connection *next;
    for (struct connection *connection = ingest->lists[LIST_ALL].first; connection; connection = next) {
        next = connection->next[LIST_ALL];
        peers_close(ingest, connection, CLOSE_STOPPING, "the end of the test");
    }
    peers_bury(ingest);
    fake_stream_refuse(0);
    fake_stream_report_all(-ECANCELED);
    delivery_destroy(ingest->deliveries);
    listener_close(ingest->listener);
    map_destroy(ingest->nodes);
    map_destroy(ingest->published);
    arena_destroy(ingest->arena);
    arena_destroy(ingest->reduce);
    codec_destroy(ingest->codec);
    metrics_destroy(rig->service.metrics);
    if (ingest->epoll_fd >= 0)
        (void)close(ingest->epoll_fd);
    fake_stream_reset();
    free(rig);
}

int rig_set_up(void **state)
{
    *state = rig_create();
    return *state ? 0 : -1;
}

int rig_tear_down(void **state)
{
    rig_destroy(*state);
    return 0;
}

void rig_turn(struct rig *rig)
{
    uplink_look(&rig->ingest);
    uplink_go_on(&rig->ingest);
    peers_flush(&rig->ingest);
    peers_bury(&rig->ingest);
}

void rig_later(struct rig *rig, int64_t ms)
{
    rig->ingest.now_ms += ms;
    peers_sweep(&rig->ingest);
    parked_retry_all(&rig->ingest);
    rig_turn(rig);
}

struct rig_peer rig_connect(struct rig *rig)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const char *colon = strrchr(listener_address(rig->ingest.listener), ':');
    struct connection *last = rig->ingest.lists[LIST_ALL].last;
    struct rig_peer peer = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    address.sin_port = htons((uint16_t)strtol(colon + 1, NULL, 10));
    if (peer.fd < 0 || connect(peer.fd, (struct sockaddr *)&address, sizeof address) < 0)
        abort();
    while (rig->ingest.lists[LIST_ALL].last == last) /* connected means queued at the listener */
        peers_accept(&rig->ingest);
    peer.connection = rig->ingest.lists[LIST_ALL].last;
    return peer;
}

void rig_disconnect(struct rig_peer *peer)
{
    (void)close(peer->fd);
    buffer_fini(&peer->in);
}

void rig_give(struct rig *rig, const struct rig_peer *peer, const void *bytes, size_t size)
{
    uint8_t *copy = malloc(size); /* exactly as long: a sanitizer sees any read behind it */
    if (size > 0)
        memcpy(copy, bytes, size);
    if (size > 0 && peers_reading(peer->connection))
        frames_take(&rig->ingest, peer->connection, copy, size);
    free(copy);
}

void rig_give_frame(struct rig *rig, const struct rig_peer *peer, enum frame_type type, struct str payload)
{
    struct buffer out;
    buffer_init(&out, 0);
    frame_append(&out, type, payload);
    rig_give(rig, peer, out.data, out.size);
    buffer_fini(&out);
}

void rig_give_message(struct rig *rig, const struct rig_peer *peer, enum frame_type type,
                      const struct msg_type *kind, const void *message, uint64_t number)
{
    struct buffer payload;
    buffer_init(&payload, 0);
    if (number > 0)
        buffer_append_u64be(&payload, number);
    if (codec_encode(kind, message, &payload) < 0)
        abort();
    rig_give_frame(rig, peer, type, buffer_str(&payload));
    buffer_fini(&payload);
}

struct rig_peer rig_greeted(struct rig *rig)
{
    struct rig_peer peer = rig_connect(rig);
    struct msg_hello hello = sample_hello();
    rig_give_message(rig, &peer, FRAME_HELLO, &msg_hello_type, &hello, 0);
    rig_turn(rig);
    (void)rig_last(&peer, FRAME_WELCOME);
    return peer;
}

bool rig_take(struct rig_peer *peer, struct frame *out)
{
    static struct buffer taken;
    for (;;) {
        if (frame_next(peer->in.data, peer->in.size, SIZE_MAX, out) == 1) {
            buffer_reset(&taken);
            buffer_append(&taken, peer->in.data, out->size);
            buffer_append(&taken, "", 1);
            buffer_consume(&peer->in, out->size);
            if (frame_next(taken.data, taken.size, SIZE_MAX, out) != 1)
                abort();
            return true;
        }
        uint8_t *room = buffer_reserve(&peer->in, 1 << 16);
        ssize_t got = room ? recv(peer->fd, room, 1 << 16, MSG_DONTWAIT) : -1;
        if (got <= 0)
            return false;
        peer->in.size += (size_t)got;
    }
}

struct frame rig_last(struct rig_peer *peer, enum frame_type type)
{
    struct frame frame, last = {0};
    while (rig_take(peer, &frame))
        last = frame;
    if (last.type != type)
        (void)fprintf(stderr, "last frame is of type %d, not %d\n", last.type, type);
    assert(last.type == type);
    return last;
}

uint64_t rig_number(struct frame frame)
{
    uint64_t number = 0;
    struct str rest;
    if (frame_number(frame.payload, &number, &rest) < 0)
        abort();
    return number;
}

struct stream_message rig_order(const char *topic, const char *node, struct str value)
{
    return (struct stream_message){.topic = str_of(topic),
                                   .key = node,
                                   .key_size = strlen(node),
                                   .value = value.data,
                                   .value_size = value.size};
}

void rig_give_event(struct rig *rig, struct rig_peer *peer, uint64_t number)
{
    struct msg_execution_event event = sample_event();
    rig_give_message(rig, peer, FRAME_EVENT, &msg_execution_event_type, &event, number);
}

void rig_give_tick(struct rig *rig, struct rig_peer *peer, int64_t sequence)
{
    struct msg_tick tick = sample_tick();
    tick.sequence = sequence;
    rig_give_message(rig, peer, FRAME_TICK, &msg_tick_type, &tick, 0);
}
