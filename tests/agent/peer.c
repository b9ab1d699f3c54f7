/* See peer.h. */
#include "tests/agent/peer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/disk.h"
#include "common/clock.h"
#include "common/uuid.h"

#define ARENA_BYTES (256u << 20)

struct peer *peer_create(void)
{
    static int number;
    struct peer *peer = calloc(1, sizeof *peer);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    assert_non_null(peer);
    peer->fd = -1;
    peer->arena = arena_create(1 << 20, ARENA_BYTES);
    peer->codec = codec_create();
    assert_non_null(peer->arena);
    assert_non_null(peer->codec);
    buffer_init(&peer->in, 0);
    (void)snprintf(peer->state_dir, sizeof peer->state_dir, "/tmp/forestall-test-%d-%d", (int)getpid(),
                   ++number);
    (void)snprintf(peer->subtree, sizeof peer->subtree, "forestall-test-%d-%d", (int)getpid(), number);
    (void)snprintf(peer->log_path, sizeof peer->log_path, "%s.log", peer->state_dir);
    peer->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(peer->listen_fd >= 0);
    assert_int_equal(bind(peer->listen_fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(peer->listen_fd, 8), 0);
    assert_int_equal(getsockname(peer->listen_fd, (struct sockaddr *)&address, &size), 0);
    peer->port = ntohs(address.sin_port);
    return peer;
}

void peer_disconnect(struct peer *peer)
{
    if (peer->fd >= 0)
        (void)close(peer->fd);
    peer->fd = -1;
    buffer_reset(&peer->in);
}

static void send_frame(struct peer *peer, enum frame_type type, bool numbered, uint64_t number,
                       struct str payload)
{
    struct buffer out;
    buffer_init(&out, 0);
    if (numbered)
        frame_append_numbered(&out, type, number, payload);
    else
        frame_append(&out, type, payload);
    if (peer->fd >= 0 && send(peer->fd, out.data, out.size, MSG_NOSIGNAL) != (ssize_t)out.size)
        peer_disconnect(peer);
    buffer_fini(&out);
}

/* Decoded into memory that lives as long as the peer. */
static void *decode(struct peer *peer, const struct msg_type *type, struct str framed)
{
    char *bytes = arena_alloc(peer->arena, 1, framed.size + 1);
    void *value = arena_alloc(peer->arena, 1, type->size);
    assert_non_null(bytes);
    assert_non_null(value);
    memcpy(bytes, framed.data, framed.size);
    assert_int_equal(codec_decode(peer->codec, type, (struct str){bytes, framed.size}, peer->arena, value),
                     0);
    return value;
}

static void keep(struct peer *peer, const struct frame *frame, const struct msg_type *type)
{
    uint64_t number;
    struct str rest;
    assert_int_equal(frame_number(frame->payload, &number, &rest), 0);
    bool known = false;
    for (size_t i = 0; i < peer->kept_count; i++)
        known = known || peer->kept[i].number == number;
    if (!known) { /* what comes again under its number is the same thing */
        assert_true(peer->kept_count < PEER_KEPT_MAX);
        peer->kept[peer->kept_count++] = (struct peer_message){frame->type, number, decode(peer, type, rest)};
    }
    if (peer->hold_acks)
        peer->acks_held++;
    else
        send_frame(peer, FRAME_ACK, true, number, (struct str){0});
}

static void note_sample(struct peer *peer, const struct msg_tick *tick, const struct msg_sample *sample)
{
    size_t i = 0;
    while (i < peer->newest_count && memcmp(peer->newest[i].sample->execution, sample->execution, 16) != 0)
        i++;
    assert_true(i < PEER_SAMPLES_MAX);
    peer->newest[i] = (struct peer_newest){tick, sample};
    peer->newest_count = FS_MAX(peer->newest_count, i + 1);
}

static void take_tick(struct peer *peer, struct msg_tick *tick)
{
    peer->tick = tick;
    peer->ticks++;
    for (size_t i = 0; i < tick->samples.count; i++)
        note_sample(peer, tick, &tick->samples.items[i]);
    if (peer->on_tick)
        peer->on_tick(peer, tick);
}

static void take(struct peer *peer, const struct frame *frame)
{
    uint64_t number;
    struct str rest;
    switch (frame->type) {
    case FRAME_HELLO:
        peer->hello = *(struct msg_hello *)decode(peer, &msg_hello_type, frame->payload);
        if (peer->reject) {
            peer->rejected++;
            send_frame(peer, FRAME_REJECT, false, 0, str_of(peer->reject));
            peer_disconnect(peer);
            break;
        }
        peer->hellos++;
        send_frame(peer, FRAME_WELCOME, false, 0, (struct str){0});
        break;
    case FRAME_TICK:
        take_tick(peer, decode(peer, &msg_tick_type, frame->payload));
        break;
    case FRAME_STATUS:
        peer->status = decode(peer, &msg_node_status_type, frame->payload);
        break;
    case FRAME_EVENT:
        keep(peer, frame, &msg_execution_event_type);
        break;
    case FRAME_RECORD:
        assert_true(frame->payload.size <= (512u << 10) + 8);
        keep(peer, frame, &msg_execution_record_type);
        break;
    case FRAME_PING:
        assert_int_equal(frame_number(frame->payload, &number, &rest), 0);
        send_frame(peer, FRAME_PONG, true, number, (struct str){0});
        break;
    default:
        break;
    }
}

static void serve(struct peer *peer, int wait_ms)
{
    struct pollfd polled[2] = {{.fd = peer->mute ? -1 : peer->listen_fd, .events = POLLIN},
                               {.fd = peer->mute ? -1 : peer->fd, .events = POLLIN}};
    if (poll(polled, 2, wait_ms) <= 0)
        return;
    if (polled[0].revents) {
        peer_disconnect(peer);
        peer->fd = accept4(peer->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        return;
    }
    uint8_t *room = buffer_reserve(&peer->in, 65536);
    assert_non_null(room);
    ssize_t got = recv(peer->fd, room, 65536, 0);
    if (got <= 0) {
        peer_disconnect(peer);
        return;
    }
    peer->in.size += (size_t)got;
    struct frame frame;
    size_t used = 0;
    int result;
    while ((result = frame_next(peer->in.data + used, peer->in.size - used, FRAME_MAX_DEFAULT, &frame)) ==
           1) {
        used += frame.size;
        take(peer, &frame);
        if (peer->fd < 0)
            return;
    }
    assert_int_equal(result, 0);
    buffer_consume(&peer->in, used);
}

bool peer_wait(struct peer *peer, bool (*condition)(struct peer *, void *), void *context, int timeout_ms)
{
    int64_t until = clock_monotonic_ms() + timeout_ms;
    while (!condition(peer, context)) {
        int64_t left = until - clock_monotonic_ms();
        if (left <= 0)
            return false;
        serve(peer, (int)FS_MIN(left, 20));
    }
    return true;
}

static bool is_connected(struct peer *peer, void *hellos)
{
    return peer->hellos > *(size_t *)hellos;
}

bool peer_wait_connected(struct peer *peer)
{
    size_t hellos = peer->hellos;
    return peer_wait(peer, is_connected, &hellos, 10000);
}

void peer_destroy(struct peer *peer)
{
    peer_kill_agent(peer);
    peer_end_cgroups(peer);
    fs_drop(disk_remove_tree(AT_FDCWD, peer->state_dir, NULL));
    if (getenv("FORESTALL_TEST_LOG"))
        print_message("the agent's log: %s\n", peer->log_path);
    else
        (void)unlink(peer->log_path);
    (void)close(peer->listen_fd);
    arena_destroy(peer->arena);
    codec_destroy(peer->codec);
    buffer_fini(&peer->in);
    free(peer);
}

struct msg_admission peer_admission(struct peer *peer, struct str *argv, size_t argc, int64_t memory_bytes)
{
    static struct str env[] = {{"PATH=/usr/bin:/bin", 18}};
    int64_t now_us = clock_realtime_us();
    struct msg_admission admission = {.action = MSG_ACTION_RUN,
                                      .node = str_of("test-node"),
                                      .attempt = 1,
                                      .placement = ++peer->placement,
                                      .expires_us = now_us + 10000000,
                                      .limits = {.memory_bytes = memory_bytes},
                                      .propensity = 0.98f};
    memcpy(admission.incarnation, peer->hello.incarnation, 16);
    uuid_v7(admission.request.execution, now_us / 1000);
    admission.request.code = str_of("test-code");
    admission.request.pool = str_of("test-pool");
    admission.request.argv.items = argv;
    admission.request.argv.count = argc;
    admission.request.env.items = env;
    admission.request.env.count = FS_COUNT(env);
    admission.request.max_attempts = 3;
    admission.request.submitted_us = now_us;
    return admission;
}

void peer_send_bytes(struct peer *peer, const void *bytes, size_t size)
{
    if (peer->fd >= 0 && send(peer->fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size)
        peer_disconnect(peer);
}

static void send_message(struct peer *peer, enum frame_type type, const struct msg_type *message_type,
                         const void *message)
{
    struct buffer framed;
    buffer_init(&framed, 0);
    assert_int_equal(codec_encode(message_type, message, &framed), 0);
    send_frame(peer, type, false, 0, buffer_str(&framed));
    buffer_fini(&framed);
}

void peer_send_admission(struct peer *peer, const struct msg_admission *admission)
{
    send_message(peer, FRAME_ADMISSION, &msg_admission_type, admission);
}

void peer_send_adjustment(struct peer *peer, const struct msg_adjustment *adjustment)
{
    send_message(peer, FRAME_ADJUSTMENT, &msg_adjustment_type, adjustment);
}

struct msg_adjustment peer_adjustment(const struct peer *peer, const struct msg_admission *admission,
                                      int64_t memory_bytes)
{
    static int64_t decision;
    int64_t now_us = clock_realtime_us();
    struct msg_adjustment adjustment = {.node = str_of("test-node"),
                                        .attempt = admission->attempt,
                                        .code = admission->request.code,
                                        .epoch = peer->tick ? peer->tick->epoch : 1,
                                        .sequence = peer->tick ? peer->tick->sequence : 1,
                                        .decision = ++decision,
                                        .expires_us = now_us + 2000000,
                                        .limits = {.memory_bytes = memory_bytes},
                                        .direction = MSG_DIRECTION_RAISE,
                                        .cause = MSG_CAUSE_MEMORY,
                                        .probability = 0.9f,
                                        .model_version = str_of("test"),
                                        .reason = str_of("a test raises"),
                                        .decided_us = now_us};
    memcpy(adjustment.execution, admission->request.execution, 16);
    memcpy(adjustment.incarnation, admission->incarnation, 16);
    return adjustment;
}

size_t peer_events(const struct peer *peer, const uint8_t execution[16], enum msg_event_kind kind,
                   struct msg_execution_event **out)
{
    size_t count = 0;
    for (size_t i = 0; i < peer->kept_count; i++) {
        struct msg_execution_event *event = peer->kept[i].value;
        if (peer->kept[i].type != FRAME_EVENT || event->kind != kind ||
            memcmp(event->execution, execution, 16) != 0)
            continue;
        count++;
        if (out)
            *out = event;
    }
    return count;
}

size_t peer_records(const struct peer *peer, const uint8_t execution[16], struct msg_execution_record **out)
{
    size_t count = 0;
    for (size_t i = 0; i < peer->kept_count; i++) {
        struct msg_execution_record *record = peer->kept[i].value;
        if (peer->kept[i].type != FRAME_RECORD || memcmp(record->execution, execution, 16) != 0)
            continue;
        count++;
        if (out)
            *out = record;
    }
    return count;
}

const struct msg_sample *peer_sample(const struct peer *peer, const uint8_t execution[16])
{
    for (size_t i = 0; i < peer->newest_count; i++)
        if (memcmp(peer->newest[i].sample->execution, execution, 16) == 0)
            return peer->newest[i].sample;
    return NULL;
}

double peer_gauge(const struct msg_counters *counters, const char *name)
{
    for (size_t i = 0; i < counters->custom.count; i++)
        if (str_equal(counters->custom.items[i].name, str_of(name)))
            return counters->custom.items[i].value;
    return (double)NAN;
}

void peer_forget_samples(struct peer *peer)
{
    peer->newest_count = 0;
    peer->tick = NULL;
}
