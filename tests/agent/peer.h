/* A test's own ingest: listens on a free port, starts the real agent against it, speaks frames, keeps what
 * the agent says. */
#ifndef FORESTALL_TESTS_AGENT_PEER_H
#define FORESTALL_TESTS_AGENT_PEER_H

#include <sys/types.h>

#include "common/arena.h"
#include "schemas/codec.h"
#include "schemas/frame.h"

#define PEER_KEPT_MAX 4096
#define PEER_SAMPLES_MAX 1024

struct peer_message {
    enum frame_type type;
    uint64_t number;
    void *value; /* the decoded message of that type */
};

/* The newest sample of one execution. */
struct peer_newest {
    const struct msg_tick *tick;
    const struct msg_sample *sample;
};

struct peer {
    int listen_fd, fd; /* fd -1: no agent is connected */
    uint16_t port;
    pid_t agent;
    char state_dir[256], subtree[64];
    char log_path[264]; /* the agents' stderr, one after the other */
    struct arena *arena;
    struct codec *codec;
    struct buffer in;
    struct msg_hello hello;
    size_t hellos, ticks, acks_held;
    bool hold_acks;     /* keep silent about events and records */
    bool mute;          /* read nothing, answer nothing, as if the cable was cut */
    const char *reject; /* answer a HELLO with this reason; NULL = welcome */
    size_t rejected;
    struct peer_message kept[PEER_KEPT_MAX]; /* events and records */
    size_t kept_count;
    struct msg_tick *tick; /* the newest */
    struct peer_newest newest[PEER_SAMPLES_MAX];
    size_t newest_count;
    void (*on_tick)(struct peer *, const struct msg_tick *); /* NULL = none */
    void *context;                                           /* of on_tick */
    struct msg_node_status *status;
    int64_t placement;
};

/* Temporary state directory, subtree forestall-test-<pid>-<n>. NULL only when out of memory. */
struct peer *peer_create(void);
/* Starts the agent with these further arguments (NULL-terminated). */
void peer_start_agent(struct peer *peer, const char *const *arguments);
/* Serves until condition(peer, context) or the deadline; true when it came true. */
bool peer_wait(struct peer *peer, bool (*condition)(struct peer *, void *), void *context, int timeout_ms);
bool peer_wait_connected(struct peer *peer);
/* Starts an agent that is expected to end by itself: its exit status; what it wrote to stdout and stderr in
 * out, cut. uid 0 = as the test. */
int peer_run_agent(struct peer *peer, unsigned uid, const char *const *arguments, char *out, size_t size);
/* True when a line of the agents' logs has this in it. */
bool peer_logged(const struct peer *peer, const char *text);
/* Bytes as they are, for what no ingest would send. */
void peer_send_bytes(struct peer *peer, const void *bytes, size_t size);
/* Closes the agent's connection. */
void peer_disconnect(struct peer *peer);
/* kill -9, reaped. */
void peer_kill_agent(struct peer *peer);
/* SIGTERM; its exit status. */
int peer_stop_agent(struct peer *peer);
/* Ends everything it started, removes cgroups and files. False when a cgroup or process was left by the agent
 * itself. */
void peer_destroy(struct peer *peer);
bool peer_cgroups_left(const struct peer *peer);
/* Kills what runs in the agent's cgroups and removes them. */
void peer_end_cgroups(const struct peer *peer);

/* An admission for argv under memory (0 = none), new execution id, valid 10 s. */
struct msg_admission peer_admission(struct peer *peer, struct str *argv, size_t argc, int64_t memory_bytes);
void peer_send_admission(struct peer *peer, const struct msg_admission *admission);
void peer_send_adjustment(struct peer *peer, const struct msg_adjustment *adjustment);
struct msg_adjustment peer_adjustment(const struct peer *peer, const struct msg_admission *admission,
                                      int64_t memory_bytes);
/* How many events of that kind came for the execution; the last of them in *out (may be NULL). */
size_t peer_events(const struct peer *peer, const uint8_t execution[16], enum msg_event_kind kind,
                   struct msg_execution_event **out);
size_t peer_records(const struct peer *peer, const uint8_t execution[16], struct msg_execution_record **out);
/* The newest; NULL when none came yet. */
const struct msg_sample *peer_sample(const struct peer *peer, const uint8_t execution[16]);
/* A gauge's value among them; NAN: it is not there. */
double peer_gauge(const struct msg_counters *counters, const char *name);
/* Forgets all samples, so that the next one is one of a later agent. */
void peer_forget_samples(struct peer *peer);

#endif
