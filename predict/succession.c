/* See succession.h. */
#include "predict/succession.h"

#define TICK_MS 100 /* of the agents' sampling: bounds a warm-up when every attempt is short */

void succession_close(struct succession *succession)
{
    lane_close(&succession->champion);
    lane_close(&succession->shadow);
    network_destroy(succession->waiting);
    succession->waiting = NULL;
}

static int open_shadow(struct succession *succession, struct network *network)
{
    struct lane lane;
    int result = lane_open(&lane, network, succession->attempts, succession->rows);
    if (result < 0)
        return result;
    lane_close(&succession->shadow);
    succession->shadow = lane;
    succession->number++;
    succession->warmest = 0;
    return 0;
}

/* A challenger that gave way to a champion's warm-up goes on, from zero. */
static void resume_challenger(struct succession *succession)
{
    struct network *next = succession->waiting;
    succession->waiting = NULL;
    if (next)
        fs_drop(open_shadow(succession, next)); /* out of memory: no challenger then, nothing else is lost */
}

static void take_over(struct succession *succession)
{
    lane_close(&succession->champion);
    succession->champion = succession->shadow;
    succession->shadow = (struct lane){0};
    succession->warming = false;
    succession->swaps++;
    resume_challenger(succession);
}

static int set_champion_now(struct succession *succession, struct network *network)
{
    struct lane lane = {0};
    int result = network ? lane_open(&lane, network, succession->attempts, succession->rows) : 0;
    if (result < 0)
        return result;
    lane_close(&succession->champion);
    succession->champion = lane;
    succession->swaps++;
    return 0;
}

/* A challenger gives its place to the next champion and comes back after it. */
static void set_challenger_aside(struct succession *succession)
{
    if (!succession->shadow.network || succession->warming)
        return;
    network_destroy(succession->waiting);
    succession->waiting = succession->shadow.network;
    succession->shadow.network = NULL;
    lane_close(&succession->shadow);
}

static bool same_version(const struct network *a, const struct network *b)
{
    return a && b && str_equal(str_of(a->version), str_of(b->version));
}

static bool warm(const struct succession *succession, int64_t now_ms, bool running)
{
    return succession->warmest >= succession->training_ticks || !running ||
           now_ms - succession->warming_ms >= 2 * succession->training_ticks * TICK_MS;
}

static int begin_warming(struct succession *succession, struct network *network, int64_t now_ms, bool running)
{
    if (same_version(
            network,
            succession->shadow.network)) { /* it has been scoring beside: its states are what is needed */
        network_destroy(network);
    } else {
        set_challenger_aside(succession);
        int result = open_shadow(succession, network);
        if (result < 0)
            return result;
    }
    succession->warming = true;
    succession->warming_ms = now_ms;
    if (warm(succession, now_ms, running))
        take_over(succession);
    return 0;
}

int succession_set_champion(struct succession *succession, struct network *network, int64_t now_ms,
                            bool running)
{
    bool known = same_version(network, succession->champion.network);
    if (succession->warming && same_version(network, succession->shadow.network)) {
        network_destroy(network);
        return 0;
    }
    if (succession->warming) { /* another one is wanted by now */
        lane_close(&succession->shadow);
        succession->warming = false;
    }
    int result = 0;
    if (known)
        network_destroy(network);
    else if (network && succession->champion.network && running)
        return begin_warming(succession, network, now_ms, running);
    else
        result = set_champion_now(succession, network);
    resume_challenger(succession);
    return result;
}

int succession_set_challenger(struct succession *succession, struct network *network)
{
    if (succession->warming) {
        network_destroy(succession->waiting);
        succession->waiting = network;
        return 0;
    }
    if (network)
        return open_shadow(succession, network);
    lane_close(&succession->shadow);
    return 0;
}

void succession_tend(struct succession *succession, int64_t now_ms, bool running)
{
    if (succession->warming && warm(succession, now_ms, running))
        take_over(succession);
}
