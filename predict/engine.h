/* The running attempts and their state: takes samples, makes one batched step of the champion (and of the
 * network beside it) for all that came, and tells the risks that are due.
 *
 * - State per (execution, attempt) in a bounded table; the one without samples for longest is dropped when it
 * is full.
 * - A sample costs one step; a wave holds each attempt once, so an attempt's second sample ends the wave.
 * - A tick out of the agents' cycle (Tick.extra) is answered from the state as it is and leaves it so:
 * networks are trained on the cycle.
 * - The network beside the champion ("shadow") is a challenger, or the next champion until its states have
 * seen as many ticks as training does: so a swap has warm state and nothing ever stops.
 * - Without a champion the fallback decides (fallback.h).
 * - Adding samples and stepping never call malloc; installing a network does.
 * No broker, no clock. One thread. */
#ifndef FORESTALL_PREDICT_ENGINE_H
#define FORESTALL_PREDICT_ENGINE_H

#include "model/network.h"
#include "predict/codes.h"
#include "predict/publish.h"

#define ENGINE_WAVE 1024 /* most samples of one step */

struct engine;

/* A risk that is due; consumed_us is set, published_us is not. Borrowed for the call. */
typedef void engine_risk_fn(void *context, struct msg_risk *risk);

struct engine_options {
    size_t executions;      /* at least 4 * ENGINE_WAVE */
    int64_t training_ticks; /* T: ticks after which a state is warm */
    struct publish_rules rules;
    engine_risk_fn *tell;
    void *context;
};

struct engine_counters {
    uint64_t samples, waves, attempts, idle, muted;
    uint64_t risks[MSG_RISK_KIND_COUNT];
    uint64_t shadow_ticks;  /* samples the shadow scored as well */
    double shadow_distance; /* sum of |its probability - the champion's| over them */
};

/* One tick; everything borrowed until engine_flush. */
struct engine_tick {
    const struct msg_tick *tick;
    int32_t partition;
    int64_t consumed_us, now_ms;
    bool muted; /* build the state, tell nothing */
};

/* codes is borrowed. NULL when out of memory. */
struct engine *engine_create(const struct engine_options *options, struct codes *codes);
void engine_destroy(struct engine *engine);

/* Takes one sample of the tick. May step and tell when the wave is full. */
void engine_add(struct engine *engine, const struct engine_tick *tick, const struct msg_sample *sample);
/* Steps what was added and tells what is due. */
void engine_flush(struct engine *engine);

/* The network that is to decide from now on, or as soon as its states are warm when attempts are running.
 * Takes it over, also on error. NULL: no model, the fallback decides. 0, -ENOMEM (the old one stays). Not
 * within a wave. */
FS_MUST_CHECK int engine_set_champion(struct engine *engine, struct network *network, int64_t now_ms);
/* The network that scores beside; NULL: none. Waits until a champion being warmed has taken over. The same
 * results. */
FS_MUST_CHECK int engine_set_challenger(struct engine *engine, struct network *network);
/* NULL when there is none. */
const struct network *engine_champion(const struct engine *engine);
const struct network *engine_challenger(const struct engine *engine);
/* True while the next champion warms up. */
bool engine_warming(const struct engine *engine);

/* To be called about once a second: drops attempts without samples for idle_ms, lets a warm champion take
 * over. */
void engine_tend(struct engine *engine, int64_t now_ms, int64_t idle_ms);
/* Drops the state of all attempts that came from this partition. */
void engine_forget(struct engine *engine, int32_t partition);
/* The fewest ticks that the state of an attempt of this partition was built from, of those that still run and
 * were running before; UINT32_MAX when there is none. Linear. */
uint32_t engine_least_ticks(const struct engine *engine, int32_t partition);
size_t engine_running(const struct engine *engine);
uint64_t engine_evicted(const struct engine *engine);
uint64_t engine_swaps(const struct engine *engine); /* champions that took over */
const struct engine_counters *engine_counters(const struct engine *engine);

#endif
