/* A whole ingest without Kafka and without its loop: the test is the agent at one end of a socket and Kafka
 * at the other. */
#ifndef FORESTALL_TESTS_INGEST_RIG_H
#define FORESTALL_TESTS_INGEST_RIG_H

#include "ingest/ingest.h"
#include "tests/ingest/fake_stream.h"
#include "tests/ingest/sample_messages.h"

struct rig {
    struct ingest ingest;
    struct service service;
    struct ingest_options options;
};

/* An agent's end of a connection, and ingest's. */
struct rig_peer {
    int fd;
    struct connection *connection; /* dangling once ingest has buried it */
    struct buffer in;
};

/* NULL: something it needs is missing. */
struct rig *rig_create(void);
void rig_destroy(struct rig *rig);
/* Of cmocka: a rig in *state. */
int rig_set_up(void **state);
int rig_tear_down(void **state);
/* What the loop does after each turn. */
void rig_turn(struct rig *rig);
/* The clock of the sessions goes on by this; then the sweep. */
void rig_later(struct rig *rig, int64_t ms);

struct rig_peer rig_connect(struct rig *rig);
/* Connects and greets with the identity of sample_messages.h. */
struct rig_peer rig_greeted(struct rig *rig);
void rig_disconnect(struct rig_peer *peer);
/* Hands bytes to ingest, as its loop would. */
void rig_give(struct rig *rig, const struct rig_peer *peer, const void *bytes, size_t size);
void rig_give_frame(struct rig *rig, const struct rig_peer *peer, enum frame_type type, struct str payload);
/* A message framed and, unless number is 0, numbered. */
void rig_give_message(struct rig *rig, const struct rig_peer *peer, enum frame_type type,
                      const struct msg_type *kind, const void *message, uint64_t number);
/* The event of sample_messages.h under this number. */
void rig_give_event(struct rig *rig, struct rig_peer *peer, uint64_t number);
/* The tick of sample_messages.h with this sequence. */
void rig_give_tick(struct rig *rig, struct rig_peer *peer, int64_t sequence);
/* The number a frame begins with. */
uint64_t rig_number(struct frame frame);
/* A message of a topic, as the downlink takes it; borrows all of it. */
struct stream_message rig_order(const char *topic, const char *node, struct str value);
/* The next frame put out to the agent; false when there is none. The payload lives until the next call, and
 * has a zero behind it. */
bool rig_take(struct rig_peer *peer, struct frame *out);
/* The last of the frames put out, which must be of this type. */
struct frame rig_last(struct rig_peer *peer, enum frame_type type);

#endif
