/* See link.h. */
#include "agent/link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/random.h>

#include "common/transport.h"

#define CONNECT_TIMEOUT_MS 5000
#define OUT_TARGET (256u << 10) /* bytes made ready at a time */
#define SPOOL_SHARE                                                                                          \
    (64u << 10) /* of them for the spool while ticks wait: a backlog must not make them late */
#define IN_CHUNK (64u << 10)
#define ADDRESS_MAX 280

enum state { LINK_DOWN, LINK_CONNECTING, LINK_GREETING, LINK_UP };

struct link {
    struct link_options options;
    struct link_handler handler;
    struct spool *spool;
    struct transport *transport;
    enum state state;
    size_t next_address;
    int64_t retry_ms, backoff_ms; /* LINK_DOWN: when to try again */
    int64_t since_ms;             /* of the state, for time-outs */
    int64_t heard_ms, pinged_ms, contact_ms;
    uint64_t cursor, ping_token;
    struct buffer out, in, ticks /* whole frames, oldest first */, status;
    size_t out_sent, ticks_taken /* bytes at the front of ticks that are gone */;
    uint64_t ticks_dropped;
};

struct link *link_create(const struct link_options *options, const struct link_handler *handler,
                         struct spool *spool)
{
    struct link *link = calloc(1, sizeof *link);
    if (!link)
        return NULL;
    link->options = *options;
    link->handler = *handler;
    link->spool = spool;
    link->backoff_ms = LINK_BACKOFF_LEAST_MS;
    buffer_init(&link->out, 0);
    buffer_init(&link->in, 0);
    buffer_init(&link->ticks, 0);
    buffer_init(&link->status, 0);
    return link;
}

void link_destroy(struct link *link)
{
    if (!link)
        return;
    transport_close(link->transport);
    buffer_fini(&link->out);
    buffer_fini(&link->in);
    buffer_fini(&link->ticks);
    buffer_fini(&link->status);
    free(link);
}

/* Half to all of the back-off, so that the agents of a restarted ingest do not come back in step. */
static int64_t jittered(int64_t backoff_ms)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
        random = 1u << 31; /* early at boot: the middle */
    return backoff_ms / 2 + (int64_t)((double)random / 4294967296.0 * 0.5 * (double)backoff_ms);
}

static void go_down(struct link *link, int64_t now_ms, const char *reason)
{
    transport_close(link->transport);
    link->transport = NULL;
    link->state = LINK_DOWN;
    link->retry_ms = now_ms + jittered(link->backoff_ms);
    link->backoff_ms = FS_MIN(link->backoff_ms * 2, LINK_BACKOFF_MOST_MS);
    buffer_reset(&link->out);
    buffer_reset(&link->in);
    link->out_sent = 0;
    link->handler.note(link->handler.context, "link_down", reason);
}

/* The next of the addresses in turn, trimmed. */
static void pick_address(struct link *link, char out[ADDRESS_MAX])
{
    const char *list = link->options.addresses;
    size_t count = 1, index;
    for (const char *c = list; *c; c++)
        count += *c == ',';
    index = link->next_address++ % count;
    for (; index > 0; index--)
        list = strchr(list, ',') + 1;
    list += strspn(list, " ");
    (void)str_copy(out, ADDRESS_MAX, (struct str){list, strcspn(list, ", ")}); /* cut: it will not be found */
}

static void begin(struct link *link, int64_t now_ms)
{
    char address[ADDRESS_MAX], error[256];
    pick_address(link, address);
    if (transport_connect(address, error, sizeof error, &link->transport) < 0) {
        go_down(link, now_ms, error);
        return;
    }
    link->state = LINK_CONNECTING;
    link->since_ms = now_ms;
}

static void greet(struct link *link, int64_t now_ms)
{
    struct buffer hello;
    buffer_init(&hello, 0);
    link->handler.greet(link->handler.context, &hello);
    frame_append(&link->out, FRAME_HELLO, buffer_str(&hello));
    buffer_fini(&hello);
    link->state = LINK_GREETING;
    link->since_ms = now_ms;
    link->heard_ms = now_ms;
    link->pinged_ms = now_ms;
}

static void welcome(struct link *link, int64_t now_ms)
{
    link->state = LINK_UP;
    link->since_ms = now_ms;
    link->backoff_ms = LINK_BACKOFF_LEAST_MS;
    link->cursor = 0; /* all that is not acknowledged goes out again */
    link->handler.welcomed(link->handler.context, &link->out);
    link->handler.note(link->handler.context, "link_up", "welcomed");
}

/* --- in --- */

static int take_reject(struct link *link, const struct frame *frame)
{
    char reason[256];
    (void)str_copy(reason, sizeof reason, frame->payload); /* for people: cut is fine */
    link->handler.note(link->handler.context, "link_rejected", reason);
    link->backoff_ms = LINK_BACKOFF_MOST_MS;
    return -EACCES;
}

static int take_frame(struct link *link, const struct frame *frame, int64_t now_ms)
{
    uint64_t number;
    struct str rest;
    if (frame->type == FRAME_REJECT)
        return take_reject(link, frame);
    if (frame->type == FRAME_WELCOME && link->state == LINK_GREETING) {
        welcome(link, now_ms);
        return 0;
    }
    if (frame->type == FRAME_ADMISSION || frame->type == FRAME_ADJUSTMENT) {
        if (link->state != LINK_UP)
            return -EPROTO;
        (frame->type == FRAME_ADMISSION ? link->handler.admission
                                        : link->handler.adjustment)(link->handler.context, frame->payload);
        return 0;
    }
    if (frame->type != FRAME_ACK && frame->type != FRAME_PING && frame->type != FRAME_PONG)
        return -EPROTO;
    if (frame_number(frame->payload, &number, &rest) < 0)
        return -EBADMSG;
    if (frame->type == FRAME_ACK)
        (void)spool_ack(link->spool, number); /* repeats are fine */
    else if (frame->type == FRAME_PING)
        frame_append_numbered(&link->out, FRAME_PONG, number, (struct str){0});
    return 0;
}

static int take_frames(struct link *link, int64_t now_ms)
{
    struct frame frame;
    size_t used = 0;
    int result;
    while ((result = frame_next(link->in.data + used, link->in.size - used, FRAME_MAX_DEFAULT, &frame)) ==
           1) {
        link->heard_ms = now_ms;
        result = take_frame(link, &frame, now_ms);
        if (result < 0)
            return result;
        /* A ping from ingest says that it lives, not that it reaches Kafka: the lease is not extended by it.
         */
        if (link->state == LINK_UP && frame.type != FRAME_PING)
            link->contact_ms = now_ms;
        used += frame.size;
    }
    buffer_consume(&link->in, used);
    return result;
}

static int read_all(struct link *link, int64_t now_ms)
{
    for (int round = 0; round < 16; round++) { /* bounded: sampling must not wait for a flood */
        uint8_t *room = buffer_reserve(&link->in, IN_CHUNK);
        if (!room)
            return -ENOMEM;
        ssize_t got = transport_read(link->transport, room, IN_CHUNK);
        if (got == -EAGAIN)
            return 0;
        if (got <= 0)
            return got < 0 ? (int)got : -ECONNRESET;
        link->in.size += (size_t)got;
        int result = take_frames(link, now_ms);
        if (result < 0)
            return result;
    }
    return 0;
}

/* --- out --- */

static size_t out_pending(const struct link *link)
{
    return link->out.size - link->out_sent;
}

static void fill_spool(struct link *link)
{
    struct spool_entry entry;
    size_t target = link->ticks_taken < link->ticks.size ? SPOOL_SHARE : OUT_TARGET;
    int result = 1;
    while (out_pending(link) < target &&
           (result == 1 || result == -EBADMSG)) { /* damage is counted by the spool */
        result = spool_next(link->spool, &link->cursor, &entry);
        if (result == 1)
            frame_append_numbered(&link->out, (enum frame_type)entry.kind, entry.number, entry.payload);
    }
}

static void fill_ticks(struct link *link)
{
    struct frame frame;
    while (out_pending(link) < OUT_TARGET &&
           frame_next(link->ticks.data + link->ticks_taken, link->ticks.size - link->ticks_taken, SIZE_MAX,
                      &frame) == 1) {
        buffer_append(&link->out, link->ticks.data + link->ticks_taken, frame.size);
        link->ticks_taken += frame.size;
    }
    if (link->ticks_taken == link->ticks.size) {
        buffer_reset(&link->ticks);
        link->ticks_taken = 0;
    }
}

static void fill(struct link *link)
{
    if (link->state != LINK_UP)
        return;
    fill_spool(link);
    if (link->status.size > 0 && out_pending(link) < OUT_TARGET) {
        buffer_append_str(&link->out, buffer_str(&link->status));
        buffer_reset(&link->status);
    }
    fill_ticks(link);
}

static int write_all(struct link *link)
{
    for (;;) {
        fill(link);
        if (buffer_error(&link->out) < 0)
            return buffer_error(&link->out);
        if (out_pending(link) == 0)
            break;
        ssize_t written =
            transport_write(link->transport, link->out.data + link->out_sent, out_pending(link));
        if (written == -EAGAIN)
            return 0;
        if (written < 0)
            return (int)written;
        link->out_sent += (size_t)written;
        if (link->out_sent == link->out.size) {
            buffer_reset(&link->out);
            link->out_sent = 0;
        } else if (link->out_sent >= OUT_TARGET) {
            buffer_consume(&link->out, link->out_sent);
            link->out_sent = 0;
        }
    }
    return 0;
}

/* --- steps --- */

static int step_up(struct link *link, int64_t now_ms)
{
    int result = read_all(link, now_ms);
    if (result < 0)
        return result;
    if (now_ms - link->heard_ms >= LINK_SILENCE_MS)
        return -ETIMEDOUT;
    if (now_ms - link->pinged_ms >= LINK_PING_MS && link->state == LINK_UP) {
        link->pinged_ms = now_ms;
        frame_append_numbered(&link->out, FRAME_PING, ++link->ping_token, (struct str){0});
    }
    return write_all(link);
}

void link_step(struct link *link, int64_t now_ms)
{
    if (link->state == LINK_DOWN && now_ms >= link->retry_ms)
        begin(link, now_ms);
    if (link->state == LINK_CONNECTING) {
        int result = transport_establish(link->transport);
        if (result == 0 && now_ms - link->since_ms >= CONNECT_TIMEOUT_MS)
            result = -ETIMEDOUT;
        if (result < 0)
            go_down(link, now_ms, strerror(-result));
        else if (result == 1)
            greet(link, now_ms);
    }
    if (link->state == LINK_GREETING || link->state == LINK_UP) {
        int result = step_up(link, now_ms);
        if (result < 0)
            go_down(link, now_ms, strerror(-result));
    }
}

int link_fd(const struct link *link, short *events)
{
    if (link->state == LINK_DOWN)
        return -1;
    *events = link->state == LINK_CONNECTING ? POLLOUT : POLLIN;
    if (link->state != LINK_CONNECTING && out_pending(link) > 0)
        *events |= POLLOUT;
    return transport_fd(link->transport);
}

int64_t link_wait_ms(const struct link *link, int64_t now_ms)
{
    int64_t until = link->state == LINK_DOWN         ? link->retry_ms
                    : link->state == LINK_CONNECTING ? link->since_ms + CONNECT_TIMEOUT_MS
                    : link->state == LINK_GREETING
                        ? link->heard_ms + LINK_SILENCE_MS
                        : FS_MIN(link->pinged_ms + LINK_PING_MS, link->heard_ms + LINK_SILENCE_MS);
    return FS_MAX(until - now_ms, 0);
}

bool link_up(const struct link *link)
{
    return link->state == LINK_UP;
}

int64_t link_contact_ms(const struct link *link)
{
    return link->contact_ms;
}

static void drop_oldest_ticks(struct link *link, size_t need)
{
    struct frame frame;
    while (link->ticks.size - link->ticks_taken + need > link->options.queue_bytes &&
           frame_next(link->ticks.data + link->ticks_taken, link->ticks.size - link->ticks_taken, SIZE_MAX,
                      &frame) == 1) {
        link->ticks_taken += frame.size;
        link->ticks_dropped++;
    }
    if (link->ticks_taken > link->options.queue_bytes / 2) {
        buffer_consume(&link->ticks, link->ticks_taken);
        link->ticks_taken = 0;
    }
}

void link_push_tick(struct link *link, struct str framed)
{
    if (framed.size + FRAME_HEADER_SIZE > FS_MIN(link->options.queue_bytes, (size_t)FRAME_MAX_DEFAULT)) {
        link->ticks_dropped++;
        return;
    }
    drop_oldest_ticks(link, framed.size + FRAME_HEADER_SIZE);
    frame_append(&link->ticks, FRAME_TICK, framed);
    if (buffer_error(&link->ticks) < 0) { /* out of memory: begin anew, empty */
        link->ticks_dropped++;
        buffer_fini(&link->ticks);
        buffer_init(&link->ticks, 0);
        link->ticks_taken = 0;
    }
}

void link_set_status(struct link *link, struct str framed)
{
    buffer_reset(&link->status);
    frame_append(&link->status, FRAME_STATUS, framed);
    if (buffer_error(&link->status) < 0)
        buffer_reset(&link->status); /* the next one comes in a second */
}

uint64_t link_ticks_dropped(const struct link *link)
{
    return link->ticks_dropped;
}
