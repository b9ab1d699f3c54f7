/* The loop: waits for sockets, Kafka, the clock and SIGTERM in one epoll; reads; does the rest once per turn.
 * See ingest.h. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "ingest/ingest.h"

/* Reports and orders wait for at most this much to be judged: 4 MiB, some milliseconds. */
#define EVENTS_PER_TURN 64
#define READ_BYTES ((size_t)64 << 10)
#define SWEEP_MS 250

/* Each connection's bytes before they are frames; one for all, because nothing stays in it. */
static uint8_t scratch[READ_BYTES];

static void end_of_bytes(struct ingest *ingest, struct connection *connection, ssize_t got)
{
    if (got == -EAGAIN)
        return;
    peers_close(ingest, connection, got == 0 ? CLOSE_PEER : CLOSE_ERROR,
                got == 0 ? "closed by the agent" : strerror((int)-got));
}

static void on_connection(struct ingest *ingest, struct connection *connection, uint32_t events)
{
    if (connection->listed[LIST_CLOSED])
        return;
    if (events & EPOLLOUT)
        peers_touch(ingest, connection);
    if (!(events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
        return;
    uplink_look(ingest);
    if (!peers_reading(connection)) { /* blocked: only a dead peer is of interest */
        if (events & (EPOLLERR | EPOLLHUP))
            peers_close(ingest, connection, CLOSE_PEER, "gone while it was not read");
        return;
    }
    ssize_t got = transport_read(connection->transport, scratch, sizeof scratch);
    if (got <= 0)
        end_of_bytes(ingest, connection, got);
    else if (connection->times.state != SESSION_LEAVING) /* what comes after a REJECT is of no use */
        frames_take(ingest, connection, scratch, (size_t)got);
}

static void poll_kafka(struct ingest *ingest)
{
    struct stream_batch batch;
    int result = stream_poll(ingest->stream, &batch, 0);
    if (result < 0)
        ingest->failure = result;
    for (size_t i = 0; result > 0 && i < batch.count; i++)
        downlink_take(ingest, &batch.messages[i]);
    stream_batch_release(&batch);
}

static void show_state(struct ingest *ingest)
{
    struct counters *counters = &ingest->counters;
    metric_set(counters->inflight_bytes, (double)delivery_bytes(ingest->deliveries));
    metric_set(counters->stalled,
               delivery_stalled_ms(ingest->deliveries, ingest->now_ms) >= ingest->options->stall_ms);
    metric_set(counters->blocked_now, (double)ingest->lists[LIST_BLOCKED].count);
    metric_set(counters->held_now, (double)ingest->lists[LIST_HELD].count);
    metric_set(counters->parked_now, (double)ingest->lists[LIST_PARKED].count);
    metric_set(counters->broker_errors, (double)stream_counters(ingest->stream)->broker_errors);
}

static void show_ready(struct ingest *ingest)
{
    bool stalled = ingest->gate == GATE_CLOSED;
    bool caught_up = stream_caught_up(ingest->stream);
    service_ready(ingest->service, caught_up && !stalled,
                  stalled     ? "Kafka is behind"
                  : caught_up ? "ready"
                              : "reading schemas");
}

static void sweep(struct ingest *ingest)
{
    uint64_t expirations;
    ssize_t size = read(ingest->timer_fd, &expirations, sizeof expirations);
    (void)size; /* EAGAIN: swept already */
    uplink_look(ingest);
    peers_sweep(ingest);
    parked_retry_all(ingest);
    show_state(ingest);
    show_ready(ingest);
}

/* What is due after the events of a turn: reports first, they open the gate. */
static void finish_turn(struct ingest *ingest)
{
    poll_kafka(ingest);
    uplink_look(ingest);
    if (ingest->learned) {
        ingest->learned = false;
        parked_retry_all(ingest);
    }
    uplink_go_on(ingest);
    peers_flush(ingest);
    peers_bury(ingest);
}

static void turn(struct ingest *ingest)
{
    struct epoll_event events[EVENTS_PER_TURN];
    int count = epoll_wait(ingest->epoll_fd, events, EVENTS_PER_TURN, SWEEP_MS);
    ingest->now_ms = clock_monotonic_ms();
    for (int i = 0; i < count; i++) {
        void *source = events[i].data.ptr;
        if (source == &ingest->listener)
            peers_accept(ingest);
        else if (source == &ingest->timer_fd)
            sweep(ingest);
        else if (source != ingest) /* Kafka and SIGTERM are looked at in any case */
            on_connection(ingest, source, events[i].events);
    }
    finish_turn(ingest);
}

/* --- stopping --- */

static bool drained(const struct ingest *ingest)
{
    if (delivery_bytes(ingest->deliveries) > 0)
        return false;
    for (const struct connection *c = ingest->lists[LIST_ALL].first; c; c = c->next[LIST_ALL])
        if (connection_pending(c) > 0)
            return false;
    return true;
}

/* Nobody new, nothing read; what Kafka confirms until the time is over is acknowledged. */
static void drain(struct ingest *ingest)
{
    struct epoll_event events[EVENTS_PER_TURN];
    int64_t deadline_ms = clock_monotonic_ms() + ingest->options->stop_timeout_ms;
    listener_close(ingest->listener);
    ingest->listener = NULL;
    for (struct connection *c = ingest->lists[LIST_ALL].first; c; c = c->next[LIST_ALL]) {
        connection_list(&ingest->lists[LIST_BLOCKED], LIST_BLOCKED, c);
        peers_watch(ingest, c);
    }
    while (ingest->failure == 0 && !drained(ingest) &&
           (ingest->now_ms = clock_monotonic_ms()) < deadline_ms) {
        int count = epoll_wait(ingest->epoll_fd, events, EVENTS_PER_TURN, 20);
        for (int i = 0; i < count; i++) {
            void *source = events[i].data.ptr;
            if (source != ingest && source != &ingest->timer_fd)
                on_connection(ingest, source, events[i].events);
        }
        poll_kafka(ingest);
        peers_flush(ingest);
        peers_bury(ingest);
    }
}

static void close_all(struct ingest *ingest)
{
    struct connection *next;
    for (struct connection *connection = ingest->lists[LIST_ALL].first; connection; connection = next) {
        next = connection->next[LIST_ALL];
        peers_close(ingest, connection, CLOSE_STOPPING, "this ingest is stopping");
    }
    peers_bury(ingest);
}

static int watch(struct ingest *ingest, int fd, void *source)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
    return epoll_ctl(ingest->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int open_loop(struct ingest *ingest)
{
    struct itimerspec period = {.it_interval = {0, SWEEP_MS * 1000000L},
                                .it_value = {0, SWEEP_MS * 1000000L}};
    ingest->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    ingest->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (ingest->epoll_fd < 0 || ingest->timer_fd < 0 ||
        timerfd_settime(ingest->timer_fd, 0, &period, NULL) < 0)
        return -errno;
    int result = watch(ingest, ingest->timer_fd, &ingest->timer_fd);
    if (result == 0)
        result = watch(ingest, listener_fd(ingest->listener), &ingest->listener);
    if (result == 0)
        result = watch(ingest, stream_fd(ingest->stream), ingest);
    return result == 0 ? watch(ingest, service_stop_fd(), ingest) : result;
}

int loop_run(struct ingest *ingest)
{
    int result = open_loop(ingest);
    ingest->now_ms = clock_monotonic_ms();
    ingest->accepting = true;
    while (result == 0 && ingest->failure == 0 && !service_stopping())
        turn(ingest);
    if (result == 0) {
        service_ready(ingest->service, false, "stopping");
        drain(ingest);
    }
    close_all(ingest);
    if (ingest->timer_fd >= 0)
        (void)close(ingest->timer_fd);
    if (ingest->epoll_fd >= 0)
        (void)close(ingest->epoll_fd);
    return result < 0 ? result : ingest->failure;
}
