/* A profile to and from the CodeProfile message. Data from outside is checked whole before anything is taken.
 */
#include <errno.h>

#include "model/profile.h"

static enum msg_cause cause_of_name(struct str name)
{
    for (int cause = MSG_CAUSE_NONE + 1; cause < MSG_CAUSE_COUNT; cause++)
        if (str_equal(name, str_of(msg_cause_name((enum msg_cause)cause))))
            return (enum msg_cause)cause;
    return MSG_CAUSE_NONE;
}

static int load_histograms(struct profile *profile, const struct msg_code_profile *message)
{
    const struct msg_histogram *const from[PROFILE_QUANTITY_COUNT] = {
        [PROFILE_MEMORY_PEAK] = &message->memory_peak, [PROFILE_CPU_PEAK] = &message->cpu_peak,
        [PROFILE_CPU_TIME] = &message->cpu_time,       [PROFILE_DURATION] = &message->duration,
        [PROFILE_IO_PEAK] = &message->io_peak,         [PROFILE_NET_PEAK] = &message->net_peak,
        [PROFILE_IO_TOTAL] = &message->io_total,       [PROFILE_NET_TOTAL] = &message->net_total,
    };
    for (size_t i = 0; i < PROFILE_QUANTITY_COUNT; i++) {
        int result = histogram_load(&profile->histograms[i], from[i]);
        if (result < 0)
            return result;
    }
    return 0;
}

static int load_through(struct profile *profile, const struct msg_code_profile *message)
{
    if (message->through.count > PROFILE_THROUGH_MAX)
        return -EBADMSG;
    for (size_t i = 0; i < message->through.count; i++) {
        const struct msg_partition_offset *from = &message->through.items[i];
        struct profile_position *to = &profile->through[i];
        if (from->topic.size >= sizeof to->topic || from->offset < 0)
            return -EBADMSG;
        str_copy(to->topic, sizeof to->topic, from->topic);
        to->partition = from->partition;
        to->offset = from->offset;
    }
    profile->through_count = (uint32_t)message->through.count;
    return 0;
}

/* Runs that are too many, of all or of a command, push the oldest out. */
static int load_recent(struct profile *profile, const struct msg_code_profile *message)
{
    for (size_t i = 0; i < message->recent.count; i++) {
        const struct msg_command_run *from = &message->recent.items[i];
        struct profile_run run = {.what = {from->command, from->input_bytes},
                                  .finished = from->finished,
                                  .memory_peak = from->memory_peak,
                                  .cpu_time_s = from->cpu_time,
                                  .duration_s = from->duration,
                                  .io_total = from->io_total,
                                  .net_total = from->net_total};
        if (rise_load(&run.rise, &from->rise_s, &from->rise_cpu_s) < 0 || !profile_recent_add(profile, &run))
            return -EBADMSG;
    }
    return 0;
}

int profile_load(struct profile *profile, const struct msg_code_profile *message)
{
    struct profile loaded;
    if (message->code.size == 0 || message->code.size >= PROFILE_CODE_MAX || message->revision < 0 ||
        message->runs < 0 || message->finished < 0)
        return -EBADMSG;
    profile_init(&loaded, message->code);
    loaded.revision = message->revision;
    loaded.updated_us = message->updated_us;
    loaded.runs = message->runs;
    loaded.finished = message->finished;
    for (size_t i = 0; i < message->failures.count; i++) {
        enum msg_cause cause = cause_of_name(message->failures.items[i].key);
        if (cause != MSG_CAUSE_NONE && message->failures.items[i].value > 0)
            loaded.failures[cause] = message->failures.items[i].value;
    }
    int result = load_histograms(&loaded, message);
    if (result < 0 || (result = load_through(&loaded, message)) < 0 ||
        (result = load_recent(&loaded, message)) < 0)
        return result;
    /* A head of another format is no fault of the profile: counts and histograms still hold, the head starts
     * anew. */
    online_load(&loaded.head, message->model_version, &message->head, &message->calibration);
    online_load(&loaded.shadow, message->shadow_version, &message->shadow_head, &message->shadow_calibration);
    *profile = loaded;
    return 0;
}

static int store_histograms(const struct profile *profile, struct arena *arena, struct msg_code_profile *out)
{
    struct msg_histogram *const to[PROFILE_QUANTITY_COUNT] = {
        [PROFILE_MEMORY_PEAK] = &out->memory_peak, [PROFILE_CPU_PEAK] = &out->cpu_peak,
        [PROFILE_CPU_TIME] = &out->cpu_time,       [PROFILE_DURATION] = &out->duration,
        [PROFILE_IO_PEAK] = &out->io_peak,         [PROFILE_NET_PEAK] = &out->net_peak,
        [PROFILE_IO_TOTAL] = &out->io_total,       [PROFILE_NET_TOTAL] = &out->net_total,
    };
    for (size_t i = 0; i < PROFILE_QUANTITY_COUNT; i++) {
        int result = histogram_store(&profile->histograms[i], arena, to[i]);
        if (result < 0)
            return result;
    }
    return 0;
}

static int store_lists(const struct profile *profile, struct arena *arena, struct msg_code_profile *out)
{
    out->failures.items = arena_alloc(arena, MSG_CAUSE_COUNT, sizeof *out->failures.items);
    out->through.items = arena_alloc(arena, profile->through_count, sizeof *out->through.items);
    if (!out->failures.items || !out->through.items)
        return -ENOMEM;
    for (int cause = MSG_CAUSE_NONE + 1; cause < MSG_CAUSE_COUNT; cause++) {
        if (profile->failures[cause] == 0)
            continue;
        out->failures.items[out->failures.count].key = str_of(msg_cause_name((enum msg_cause)cause));
        out->failures.items[out->failures.count++].value = profile->failures[cause];
    }
    out->through.count = profile->through_count;
    for (uint32_t i = 0; i < profile->through_count; i++) {
        out->through.items[i].topic = str_of(profile->through[i].topic);
        out->through.items[i].partition = profile->through[i].partition;
        out->through.items[i].offset = profile->through[i].offset;
    }
    return 0;
}

static int store_recent(const struct profile *profile, struct arena *arena, struct msg_code_profile *out)
{
    out->recent.items = arena_alloc(arena, profile->recent_count, sizeof *out->recent.items);
    if (!out->recent.items)
        return -ENOMEM;
    out->recent.count = profile->recent_count;
    for (uint32_t i = 0; i < profile->recent_count; i++) {
        const struct profile_run *run = &profile->recent[i];
        out->recent.items[i] = (struct msg_command_run){.command = run->what.command,
                                                        .input_bytes = run->what.input_bytes,
                                                        .finished = run->finished,
                                                        .memory_peak = run->memory_peak,
                                                        .cpu_time = run->cpu_time_s,
                                                        .duration = run->duration_s,
                                                        .io_total = run->io_total,
                                                        .net_total = run->net_total};
        bool known = rise_known(&run->rise);
        out->recent.items[i].rise_s = rise_store(run->rise.s, known);
        out->recent.items[i].rise_cpu_s = rise_store(run->rise.cpu_s, known);
    }
    return 0;
}

int profile_store(const struct profile *profile, struct arena *arena, struct msg_code_profile *out)
{
    struct msg_code_profile stored = {.code = str_of(profile->code),
                                      .revision = profile->revision,
                                      .updated_us = profile->updated_us,
                                      .runs = profile->runs,
                                      .finished = profile->finished,
                                      .model_version = str_of(profile->head.version),
                                      .shadow_version = str_of(profile->shadow.version),
                                      .examples = profile->head.examples};
    int result = store_histograms(profile, arena, &stored);
    if (result < 0 || (result = store_lists(profile, arena, &stored)) < 0 ||
        (result = store_recent(profile, arena, &stored)) < 0)
        return result;
    result = online_store(&profile->head, arena, &stored.head, &stored.calibration);
    if (result < 0)
        return result;
    result = online_store(&profile->shadow, arena, &stored.shadow_head, &stored.shadow_calibration);
    if (result < 0)
        return result;
    *out = stored;
    return 0;
}
