/* What the agent's tests share: a peer per test with its agent, programs to admit, conditions to wait for.
 * Everything fails the running test when it does not come true. */
#ifndef FORESTALL_TESTS_AGENT_SCENARIO_H
#define FORESTALL_TESTS_AGENT_SCENARIO_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/agent/peer.h"

#define MIB (1LL << 20)
#define WAIT_MS 20000

/* A test with a peer of its own in *state; it skips itself without root. */
#define SCENARIO(function) cmocka_unit_test_setup_teardown(function, scenario_set_up, scenario_tear_down)
int scenario_set_up(void **state);
int scenario_tear_down(void **state);

/* Grows to 80 MiB, 2 MiB every 20 ms. */
#define GROW                                                                                                 \
    "import time\n"                                                                                          \
    "a=[]\n"                                                                                                 \
    "for i in range(40):\n"                                                                                  \
    " a.append(bytearray(b'x')*(2<<20))\n"                                                                   \
    " time.sleep(0.02)\n"

/* Starts the agent with these further arguments and waits for its connection. */
struct peer *started(void **state, const char *const *arguments);
/* kill -9, then a new one with these arguments, connected. */
void restarted(struct peer *peer, const char *const *arguments);

/* Admissions with a limit on memory (0 = none); valid until the next call. */
struct msg_admission shell(struct peer *peer, const char *script, int64_t memory_bytes);
struct msg_admission python(struct peer *peer, const char *script, int64_t memory_bytes);

/* Path of a file in the attempt's directory. */
void attempt_file(const struct peer *peer, const struct msg_admission *admission, const char *name, char *out,
                  size_t size);
/* Where the agent keeps the attempt's directory until it is removed. */
void gone_directory(const struct peer *peer, const struct msg_admission *admission, char *out, size_t size);
/* Makes the file that a program of the test waits for. */
void let_end(const char *go);
/* What a file holds, without the newline at its end. */
void read_text(const char *path, char *out, size_t size);

/* Conditions for peer_wait; context: the execution's id, except as said. */
struct scenario_wanted {
    const uint8_t *execution;
    enum msg_event_kind kind;
    size_t count;
};
bool scenario_has_events(struct peer *peer, void *wanted /* struct scenario_wanted */);
bool has_record(struct peer *peer, void *execution);
bool has_sample(struct peer *peer, void *execution);
bool in_brake(struct peer *peer, void *execution);
bool uses_20_mib(struct peer *peer, void *execution);
bool node_is_empty(struct peer *peer, void *nothing);
bool file_exists(struct peer *peer, void *path);
bool file_is_gone(struct peer *peer, void *path);
bool was_logged(struct peer *peer, void *text);

/* Waits for the first event of that kind, and for the only record. */
struct msg_execution_event *wait_event(struct peer *peer, const struct msg_admission *admission,
                                       enum msg_event_kind kind);
struct msg_execution_record *wait_record(struct peer *peer, struct msg_admission *admission);
/* The program was executed and a sample of it came. */
void wait_running(struct peer *peer, struct msg_admission *admission);
/* SIGTERM: it ends well and leaves no cgroup. */
void stop_cleanly(struct peer *peer);

#endif
