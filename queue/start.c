/* See start.h. */
#include "queue/start.h"

#include "common/hash.h"
#include "queue/room.h"

/* The same draw for the same attempt on every machine and after every restart. */
static double draw(const struct start_wish *wish)
{
    uint8_t key[20];
    memcpy(key, wish->execution, 16);
    for (int i = 0; i < 4; i++)
        key[16 + i] = (uint8_t)((uint32_t)wish->attempt >> (24 - 8 * i));
    return hash_unit(key, sizeof key);
}

/* Only first attempts: to start a retry with the limits that just failed would waste it. */
static void choose_arm(const struct start_wish *wish, const struct allocation *allocation, struct start *out)
{
    double share = allocation->exists ? (double)allocation->held_out_permille / 1000 : 0;
    out->arm = MSG_ARM_TREATED;
    out->propensity = 1;
    if (share <= 0 || wish->attempt > 1)
        return;
    share = FS_MIN(share, 1);
    if (draw(wish) < share) {
        out->arm = MSG_ARM_HELD_OUT;
        out->propensity = (float)share;
    } else {
        out->propensity = (float)(1 - share);
    }
}

static void fill_gaps(struct msg_limits *limits, const struct msg_limits *from)
{
    for (enum room_resource r = 0; r < ROOM_COUNT; r++)
        if (room_get(limits, r) == 0)
            room_set(limits, r, room_get(from, r));
    if (limits->cpu_weight == 0)
        limits->cpu_weight = from->cpu_weight;
    if (limits->io_weight == 0)
        limits->io_weight = from->io_weight;
    if (limits->net_priority == 0)
        limits->net_priority = from->net_priority;
}

static void use_retry(const struct start_wish *wish, const struct allocation *allocation, struct start *out)
{
    if (allocation->exists && allocation->pinned && allocation->revision >= wish->retry_revision)
        return; /* a person pinned it, maybe since */
    for (enum room_resource r = 0; r < ROOM_COUNT; r++) {
        int64_t least = room_get(&wish->retry, r), most = room_get(&allocation->ceiling, r);
        if (allocation->exists && most > 0) /* it was not known when there was no verdict */
            least = FS_MIN(least, most);
        if (least != 0 && room_more(room_get(&out->limits, r), least))
            room_set(&out->limits, r, least);
    }
    out->raised |= wish->retry_raised;
    out->revision = FS_MAX(out->revision, wish->retry_revision);
}

static void clip(const struct start_wish *wish, bool pinned, struct msg_limits *limits)
{
    for (enum room_resource r = 0; r < ROOM_COUNT; r++) {
        int64_t most = room_get(&wish->largest, r), amount = room_get(limits, r);
        bool asked = r == ROOM_MEMORY && (pinned || amount == room_get(&wish->requested, r));
        if (amount > most && most > 0 && !asked)
            room_set(limits, r, most);
    }
}

/* How far CPU, I/O and network may be lessened: to what was requested, else to half; a retry's raise stays.
 */
static void choose_least(const struct start_wish *wish, bool pinned, struct start *out)
{
    out->least = out->limits;
    for (enum room_resource r = ROOM_CPU; r < ROOM_COUNT && !pinned; r++) {
        int64_t amount = room_get(&out->limits, r), requested = room_get(&wish->requested, r);
        bool raised = wish->retry_raised & CAUSE_BIT(room_cause(r));
        int64_t least = requested > 0 ? FS_MIN(requested, amount) : amount / 2;
        if (raised)
            least = FS_MIN(FS_MAX(least, room_get(&wish->retry, r)), amount);
        room_set(&out->least, r, least);
    }
}

/* Who tells the size of the input gets what executions of that size need. */
static void size_for_input(const struct start_wish *wish, const struct allocation *allocation,
                           struct msg_limits *limits)
{
    double bytes = knots_value(allocation->by_input, allocation->by_input_count, wish->input_bytes);
    if (allocation->pinned || limits->memory_bytes <= 0 || !(bytes >= 1))
        return;
    int64_t mib = bytes < 8e18 ? (int64_t)((bytes - 1) / 1048576) + 1 : INT64_MAX >> 20;
    limits->memory_bytes = mib << 20;
}

void start_choose(const struct start_config *config, const struct start_wish *wish,
                  const struct allocation *allocation, struct start *out)
{
    const struct msg_limits defaults = {.memory_bytes = config->default_memory_bytes,
                                        .cpu_millicores =
                                            (int32_t)FS_MIN(config->default_cpu_millicores, INT32_MAX)};
    *out = (struct start){.limits = wish->requested};
    choose_arm(wish, allocation, out);
    bool allocated = allocation->exists && out->arm == MSG_ARM_TREATED;
    bool pinned = allocated && allocation->pinned;
    if (allocated) {
        out->limits = allocation->limits;
        out->revision = allocation->revision;
        out->raised = allocation->raised;
        size_for_input(wish, allocation, &out->limits);
    }
    if (!pinned) {
        fill_gaps(&out->limits, &wish->requested);
        fill_gaps(&out->limits, &defaults);
    }
    if (wish->attempt > 1)
        use_retry(wish, allocation, out);
    clip(wish, pinned, &out->limits);
    choose_least(wish, pinned, out);
}

static bool raise_one(struct msg_limits *limits, enum room_resource resource, double step, int64_t ceiling,
                      int64_t largest)
{
    int64_t before = room_get(limits, resource);
    if (before == 0)
        return false;
    double wanted = (double)before * step;
    int64_t after = wanted < 9e18 ? (int64_t)wanted : INT64_MAX;
    if (ceiling > 0)
        after = FS_MIN(after, ceiling);
    if (largest > 0)
        after = FS_MIN(after, largest);
    if (after <= before)
        return false;
    room_set(limits, resource, after);
    return true;
}

bool start_raise(struct msg_limits *limits, enum msg_cause cause, double step,
                 const struct allocation *allocation, const struct msg_limits *largest)
{
    bool raised = false;
    if (allocation->exists && allocation->pinned)
        return false;
    for (enum room_resource r = 0; r < ROOM_COUNT; r++)
        if (room_cause(r) == cause)
            raised |= raise_one(limits, r, step, room_get(&allocation->ceiling, r), room_get(largest, r));
    return raised;
}
