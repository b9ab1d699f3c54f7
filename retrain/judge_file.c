/* The judge's memory on disk, so that a restart does not begin every trial anew. Only this program, on this
 * machine, reads it: plain structs behind a header that must fit. See judge.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "retrain/commands.h"
#include "retrain/judge.h"

struct header {
    char magic[8];
    uint64_t layout; /* of the structs: another program's file is not read */
    struct adwin drift;
    char drift_of[NETWORK_VERSION_SIZE], settled[NETWORK_VERSION_SIZE];
};

struct trial_header {
    char old[65], young[65];
    uint64_t count, next_look;
};

static const char magic[8] = "fsjudge1";

static uint64_t layout(void)
{
    return sizeof(struct header) << 32 | sizeof(struct trial_header) << 16 | sizeof(struct trial_pair);
}

static void put_trial(const struct trial *trial, struct buffer *out)
{
    struct trial_header header = {.count = trial->count, .next_look = trial->next_look};
    memcpy(header.old, trial->old, sizeof header.old);
    memcpy(header.young, trial->young, sizeof header.young);
    buffer_append(out, &header, sizeof header);
    buffer_append(out, trial->pairs, trial->count * sizeof *trial->pairs);
}

int judge_save(struct judge *judge, const char *path)
{
    struct buffer out;
    struct header header = {.layout = layout(), .drift = judge->drift};
    memcpy(header.magic, magic, sizeof magic);
    memcpy(header.drift_of, judge->drift_of, sizeof header.drift_of);
    memcpy(header.settled, judge->settled, sizeof header.settled);
    buffer_init(&out, 0);
    buffer_append(&out, &header, sizeof header);
    put_trial(&judge->shadow, &out);
    put_trial(&judge->watch, &out);
    int result = buffer_error(&out);
    if (result == 0)
        result = command_write_file(path, buffer_str(&out));
    buffer_fini(&out);
    if (result == 0)
        judge->changed = false;
    return result;
}

static bool get_trial(FILE *file, struct trial *trial)
{
    struct trial_header header;
    if (fread(&header, sizeof header, 1, file) != 1 || header.count > TRIAL_MOST || header.old[64] ||
        header.young[64] || fread(trial->pairs, sizeof *trial->pairs, header.count, file) != header.count)
        return false;
    memcpy(trial->old, header.old, sizeof trial->old);
    memcpy(trial->young, header.young, sizeof trial->young);
    trial->count = header.count;
    trial->next_look = header.next_look;
    return true;
}

static bool drift_fits(const struct adwin *drift)
{
    for (size_t i = 0; i < ADWIN_ROWS; i++)
        if (drift->rows[i].count > ADWIN_BUCKETS)
            return false;
    return true;
}

static bool same(const struct trial *a, const struct trial *b)
{
    return trial_running(a) && strcmp(a->old, b->old) == 0 && strcmp(a->young, b->young) == 0;
}

static void take_over(struct judge *judge, const struct header *header, const struct judge *read)
{
    memcpy(judge->settled, header->settled, sizeof judge->settled);
    if (strcmp(judge->drift_of, header->drift_of) == 0) {
        judge->drift = header->drift;
        judge->drift.delta = judge->options.drift_delta;
    }
    if (same(&judge->shadow, &read->shadow))
        judge->shadow = read->shadow;
    if (same(&judge->watch, &read->watch))
        judge->watch = read->watch;
    if (strcmp(judge->watch.young, judge->settled) == 0)
        fs_drop(trial_set(&judge->watch, "", "")); /* watched to its end already */
}

int judge_load(struct judge *judge, const char *path)
{
    struct header header;
    FILE *file = fopen(path, "rb");
    if (!file)
        return -errno;
    struct judge *read = calloc(1, sizeof *read);
    bool fine = read && fread(&header, sizeof header, 1, file) == 1 &&
                memcmp(header.magic, magic, sizeof magic) == 0 && header.layout == layout() &&
                drift_fits(&header.drift) && !header.drift_of[NETWORK_VERSION_SIZE - 1] &&
                !header.settled[NETWORK_VERSION_SIZE - 1] && get_trial(file, &read->shadow) &&
                get_trial(file, &read->watch) && fgetc(file) == EOF;
    if (fine)
        take_over(judge, &header, read);
    free(read);
    (void)fclose(file); /* only read from */
    return fine ? 0 : -EBADMSG;
}
