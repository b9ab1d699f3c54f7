/* See engine.h. */
#include "predict/engine.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "predict/fallback.h"
#include "predict/succession.h"
#include "predict/table.h"

#define KEY_SIZE 20 /* execution and attempt */

/* A running attempt. */
struct attempt {
    int32_t partition;
    uint32_t shadow_ticks;  /* steps under the network beside the champion */
    uint64_t shadow_number; /* succession.number of that one */
    uint32_t ticks;         /* of the agent's cycle, since its state was begun */
    uint64_t wave;          /* in which it is */
    int64_t seen_ms;
    int64_t started_us, first_us; /* of the attempt; of the sample its state began with */
    struct feature_state features;
    struct profile_summary known; /* of runs like it; runs = 0: nothing is known */
    int64_t known_revision;       /* of the profile that this is of */
    struct forecast_levels levels;
    uint64_t levels_swaps; /* succession.swaps when the levels were begun: they are of that champion */
    struct publish_memory told;
};

/* One sample of a wave. */
struct row {
    struct attempt *attempt;
    const struct code *code; /* NULL: nothing known */
    const struct msg_tick *tick;
    const struct msg_sample *sample;
    int64_t consumed_us;
    bool muted;
    bool aside;                  /* out of the cycle: told, but the state stays as it was */
    struct feature_state before; /* of one that is aside */
};

struct engine {
    struct engine_options options;
    struct codes *codes;
    struct table *attempts;
    struct succession networks;
    uint64_t wave;
    size_t count;
    struct row rows[ENGINE_WAVE];
    uint32_t indexes[ENGINE_WAVE];
    real *pointers[ENGINE_WAVE];
    float features[ENGINE_WAVE][FEATURE_COUNT];
    struct engine_counters counters;
};

struct engine *engine_create(const struct engine_options *options, struct codes *codes)
{
    assert(options->executions >= (size_t)4 * ENGINE_WAVE); /* the oldest one is never in the current wave */
    struct engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return NULL;
    engine->options = *options;
    engine->codes = codes;
    engine->wave = 1;
    engine->networks = (struct succession){
        .attempts = options->executions, .rows = ENGINE_WAVE, .training_ticks = options->training_ticks};
    engine->attempts = table_create(options->executions, KEY_SIZE, sizeof(struct attempt));
    if (engine->attempts)
        return engine;
    free(engine);
    return NULL;
}

void engine_destroy(struct engine *engine)
{
    if (!engine)
        return;
    succession_close(&engine->networks);
    table_destroy(engine->attempts);
    free(engine);
}

/* --- networks --- */

const struct network *engine_champion(const struct engine *engine)
{
    return engine->networks.champion.network;
}

const struct network *engine_challenger(const struct engine *engine)
{
    return engine->networks.warming ? NULL : engine->networks.shadow.network;
}

bool engine_warming(const struct engine *engine)
{
    return engine->networks.warming;
}

int engine_set_champion(struct engine *engine, struct network *network, int64_t now_ms)
{
    assert(engine->count == 0);
    return succession_set_champion(&engine->networks, network, now_ms, table_count(engine->attempts) > 0);
}

int engine_set_challenger(struct engine *engine, struct network *network)
{
    assert(engine->count == 0);
    return succession_set_challenger(&engine->networks, network);
}

/* --- samples --- */

static struct attempt *find_attempt(struct engine *engine, const struct msg_sample *sample)
{
    uint8_t key[KEY_SIZE];
    memcpy(key, sample->execution, sizeof sample->execution);
    memcpy(key + sizeof sample->execution, &sample->attempt, sizeof sample->attempt);
    struct attempt *attempt = table_find(engine->attempts, key, sizeof key);
    if (attempt) {
        table_touch(engine->attempts, attempt);
        return attempt;
    }
    attempt = table_add(engine->attempts, key, sizeof key);
    lane_clear_state(&engine->networks.champion, table_index(engine->attempts, attempt));
    lane_clear_state(&engine->networks.shadow, table_index(engine->attempts, attempt));
    engine->counters.attempts++;
    return attempt;
}

static void begin_sample(struct engine *engine, struct attempt *attempt, const struct engine_tick *tick,
                         const struct msg_sample *sample)
{
    if (attempt->wave == 0) {
        attempt->started_us = sample->started_us;
        attempt->first_us = tick->tick->time_us;
    }
    attempt->partition = tick->partition;
    attempt->seen_ms = tick->now_ms;
    attempt->wave = engine->wave;
    attempt->ticks += !tick->tick->extra;
}

/* Summed up again only when the profile changed. */
static const struct profile_summary *known_of(struct attempt *attempt, const struct code *code,
                                              const struct msg_sample *sample)
{
    if (!code)
        return NULL;
    if (attempt->known_revision != code->profile.revision) {
        const struct request_identity what = {sample->command, sample->input_bytes};
        profile_summarise(&code->profile, &what, &attempt->known);
        attempt->known_revision = code->profile.revision;
    }
    return &attempt->known;
}

void engine_add(struct engine *engine, const struct engine_tick *tick, const struct msg_sample *sample)
{
    struct attempt *attempt = find_attempt(engine, sample);
    if (attempt->wave == engine->wave || engine->count == ENGINE_WAVE)
        engine_flush(engine);
    struct row *row = &engine->rows[engine->count];
    row->attempt = attempt;
    row->code = codes_find(engine->codes, sample->code);
    row->tick = tick->tick;
    row->sample = sample;
    row->consumed_us = tick->consumed_us;
    row->muted = tick->muted;
    row->aside = tick->tick->extra;
    if (row->aside)
        row->before = attempt->features;
    struct feature_input input = {.time_us = tick->tick->time_us,
                                  .started_us = sample->started_us,
                                  .timeout_ms = sample->timeout_ms,
                                  .attempt = sample->attempt,
                                  .input_bytes = sample->input_bytes,
                                  .limits = &sample->limits,
                                  .counters = &sample->counters,
                                  .profile = known_of(attempt, row->code, sample)};
    begin_sample(engine, attempt, tick, sample);
    features_step(&attempt->features, &input, engine->features[engine->count]);
    engine->indexes[engine->count++] = (uint32_t)table_index(engine->attempts, attempt);
}

/* The head of this code that was fitted to the champion: its own, or the shadow's of before the swap. */
static const struct online_head *head_of(const struct engine *engine, const struct code *code)
{
    const char *version = engine->networks.champion.network->version;
    if (!code)
        return NULL;
    if (online_ready(&code->profile.head, version))
        return &code->profile.head;
    return online_ready(&code->profile.shadow, version) ? &code->profile.shadow : NULL;
}

/* Another champion's levels begin anew: its thresholds are of its own odds. A tick out of the cycle is
 * answered, not remembered. */
static void follow(const struct engine *engine, const struct row *at, struct forecast *forecast)
{
    struct attempt *attempt = at->attempt;
    bool same = attempt->levels_swaps == engine->networks.swaps;
    struct forecast_levels levels = same ? attempt->levels : (struct forecast_levels){0};
    const float *features = engine->features[at - engine->rows];
    forecast_follow(forecast, &levels, at->tick->time_us, &at->sample->limits,
                    features[FEATURE_HAS_PROFILE] > 0);
    if (at->aside)
        return;
    attempt->levels = levels;
    attempt->levels_swaps = engine->networks.swaps;
}

static void forecast_row(const struct engine *engine, size_t row, const struct online_head *head,
                         const struct usage *usage, float logits[NETWORK_CAUSES], struct forecast *out)
{
    const struct network *network = engine->networks.champion.network;
    const struct network_output *output = &engine->networks.champion.out[row];
    network_calibrate(network, output->logits, logits);
    if (head)
        online_apply(head, network->version, logits, logits);
    forecast_from(network, logits, output, usage, out);
    follow(engine, &engine->rows[row], out);
}

static void count_shadow(struct engine *engine, struct attempt *attempt)
{
    struct succession *networks = &engine->networks;
    if (!networks->shadow.network)
        return;
    if (attempt->shadow_number != networks->number)
        attempt->shadow_ticks = 0;
    attempt->shadow_number = networks->number;
    attempt->shadow_ticks++;
    networks->warmest = FS_MAX(networks->warmest, attempt->shadow_ticks);
}

static void compare_shadow(struct engine *engine, size_t row, const struct forecast *forecast)
{
    float none = 1;
    if (!engine->networks.shadow.network)
        return;
    for (size_t i = 0; i < NETWORK_CAUSES; i++)
        none *= 1 - engine->networks.shadow.out[row].probabilities[i];
    engine->counters.shadow_ticks++;
    engine->counters.shadow_distance += fabs((double)(1 - none) - (double)forecast->probability);
}

static size_t explain_row(struct engine *engine, size_t row, const struct online_head *head,
                          const float *logits, const struct forecast *forecast,
                          struct msg_contribution terms[EXPLAIN_TERMS])
{
    const struct lane *lane = &engine->networks.champion;
    size_t cause = (size_t)(forecast->cause - MSG_CAUSE_MEMORY);
    struct explain_input input = {.network = lane->network,
                                  .scratch = lane->scratch,
                                  .state = lane->before + row * lane->state_size,
                                  .features = engine->features[row],
                                  .head = head,
                                  .cause = cause,
                                  .logit = logits[cause]};
    return explain(lane->explainer, &input, terms);
}

/* The network was trained on the cycle: what came in between is answered, not remembered. */
static void undo_row(struct engine *engine, size_t row)
{
    struct row *at = &engine->rows[row];
    at->attempt->features = at->before;
    lane_undo(&engine->networks.champion, engine->indexes[row], row);
    lane_undo(&engine->networks.shadow, engine->indexes[row], row);
}

static void tell_row(struct engine *engine, size_t row)
{
    const struct row *at = &engine->rows[row];
    const struct network *network = engine->networks.champion.network;
    const struct online_head *head = network ? head_of(engine, at->code) : NULL;
    struct msg_contribution terms[EXPLAIN_TERMS];
    struct publish_view view;
    struct forecast forecast;
    struct usage usage;
    struct msg_risk risk;
    float logits[NETWORK_CAUSES];

    if (!at->aside)
        count_shadow(engine, at->attempt);
    usage_read(&at->attempt->features, &at->sample->counters, &usage);
    if (network)
        forecast_row(engine, row, head, &usage, logits, &forecast); /* levels are state, of a muted one too */
    if (at->muted) {
        engine->counters.muted++;
        return;
    }
    if (!network)
        fallback_forecast(&at->attempt->features, engine->features[row], &at->sample->limits, &usage,
                          at->code ? &at->attempt->known : NULL, &forecast, terms);
    compare_shadow(engine, row, &forecast);
    forecast_risk(at->tick, at->sample, &usage, &forecast, network ? network->version : FALLBACK_VERSION,
                  &risk);
    forecast_view(&risk, &view);
    if (!publish_due(&engine->options.rules, &at->attempt->told, &view, &risk.kind))
        return;
    risk.consumed_us = at->consumed_us;
    risk.profile_revision = at->code ? at->code->profile.revision : 0;
    risk.explanation.items = terms;
    risk.explanation.count =
        network ? explain_row(engine, row, head, logits, &forecast, terms) : (size_t)FALLBACK_TERMS;
    engine->counters.risks[risk.kind]++;
    engine->options.tell(engine->options.context, &risk);
    publish_told(&at->attempt->told, &view);
}

void engine_flush(struct engine *engine)
{
    size_t count = engine->count;
    if (count == 0)
        return;
    lane_step(&engine->networks.champion, engine->features[0], engine->indexes, engine->pointers, count);
    lane_step(&engine->networks.shadow, engine->features[0], engine->indexes, engine->pointers, count);
    engine->counters.samples += count;
    engine->counters.waves++;
    for (size_t row = 0; row < count; row++) {
        tell_row(engine, row);
        if (engine->rows[row].aside)
            undo_row(engine, row);
    }
    engine->count = 0;
    engine->wave++;
}

/* --- housekeeping --- */

void engine_tend(struct engine *engine, int64_t now_ms, int64_t idle_ms)
{
    assert(engine->count == 0);
    struct attempt *oldest;
    while ((oldest = table_oldest(engine->attempts)) && now_ms - oldest->seen_ms >= idle_ms) {
        table_remove(engine->attempts, oldest);
        engine->counters.idle++;
    }
    succession_tend(&engine->networks, now_ms, table_count(engine->attempts) > 0);
}

void engine_forget(struct engine *engine, int32_t partition)
{
    assert(engine->count == 0);
    struct attempt *next;
    for (struct attempt *attempt = table_oldest(engine->attempts); attempt; attempt = next) {
        next = table_newer(engine->attempts, attempt);
        if (attempt->partition == partition)
            table_remove(engine->attempts, attempt);
    }
}

#define ALIVE_US 5000000       /* behind the newest sample of the partition: longer means ended */
#define JUST_STARTED_US 500000 /* a first sample so soon after the start is the first of all */

uint32_t engine_least_ticks(const struct engine *engine, int32_t partition)
{
    uint32_t least = UINT32_MAX;
    int64_t newest_us = INT64_MIN, behind_us, after_us;
    for (const struct attempt *a = table_oldest(engine->attempts); a; a = table_newer(engine->attempts, a))
        if (a->partition == partition)
            newest_us = FS_MAX(newest_us, a->features.time_us);
    for (const struct attempt *a = table_oldest(engine->attempts); a; a = table_newer(engine->attempts, a)) {
        bool alive = a->partition == partition &&
                     !__builtin_sub_overflow(newest_us, a->features.time_us, &behind_us) &&
                     behind_us <= ALIVE_US;
        bool began_earlier =
            !__builtin_sub_overflow(a->first_us, a->started_us, &after_us) && after_us > JUST_STARTED_US;
        if (alive && began_earlier)
            least = FS_MIN(least, a->ticks);
    }
    return least;
}

size_t engine_running(const struct engine *engine)
{
    return table_count(engine->attempts);
}

uint64_t engine_evicted(const struct engine *engine)
{
    return table_evicted(engine->attempts);
}

uint64_t engine_swaps(const struct engine *engine)
{
    return engine->networks.swaps;
}

const struct engine_counters *engine_counters(const struct engine *engine)
{
    return &engine->counters;
}
