/* See ours.h. */
#include "replay/ours.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/installed.h"
#include "common/buffer.h"
#include "model/network_widen.h"
#include "replay/ours_internal.h"

#define EXECUTIONS ((size_t)4 * ENGINE_WAVE) /* the least an engine takes; one try runs at a time */
#define TRAINING_TICKS 64
#define REFRESH_US 4800000 /* predict's defaults */
#define CHANGE 0.02
#define LEARN_TICKS 600
#define MODEL_MAX ((size_t)64 << 20)

static void keep_risk(void *context, struct msg_risk *risk)
{
    struct ours_tools *tools = context;
    tools->risk = *risk;
    tools->risk.explanation.count = 0; /* borrowed for the call */
    tools->told = true;
}

static int read_file(const char *path, struct buffer *out)
{
    FILE *file = fopen(path, "rbe");
    if (!file)
        return -errno;
    uint8_t *room = buffer_reserve(out, 65536);
    size_t size = 0;
    while (room && (size = fread(room, 1, 65536, file)) > 0) {
        out->size += size;
        room = buffer_reserve(out, 65536);
    }
    int result = ferror(file) ? -EIO : buffer_error(out);
    (void)fclose(file); /* only read from */
    return result;
}

static int load_network(const char *path, struct network **out, char *error, size_t error_size)
{
    struct buffer bytes;
    char why[256] = "";
    buffer_init(&bytes, MODEL_MAX);
    int result = read_file(path, &bytes);
    if (result == 0)
        result = network_load_current(buffer_str(&bytes), out, why, sizeof why);
    if (result < 0)
        (void)snprintf(error, error_size, "%s: %s", path, why[0] ? why : strerror(-result));
    buffer_fini(&bytes);
    return result;
}

static int make_codes(struct ours_tools *tools)
{
    const struct engine_options options = {
        .executions = EXECUTIONS,
        .training_ticks = TRAINING_TICKS,
        .rules = {REFRESH_US, CHANGE},
        .tell = keep_risk,
        .context = tools,
    };
    struct codes *codes = codes_create(tools->code_count);
    struct engine *engine = codes && tools->learner ? engine_create(&options, codes) : NULL;
    if (!codes || (tools->learner && !engine)) {
        codes_destroy(codes);
        return -ENOMEM;
    }
    tools->codes = codes;
    tools->engine = engine;
    return 0;
}

static int open_series(struct ours_tools *tools, const char *model, char *error, size_t error_size)
{
    char shipped[4300];
    struct network *network = NULL;
    if (strcmp(model, "none") == 0)
        return 0;
    if (!*model && installed_path(INSTALLED_MODEL, shipped, sizeof shipped) < 0) {
        (void)snprintf(error, error_size, "the shipped model cannot be found: name one with --model FILE");
        return -ENOENT;
    }
    int result = load_network(*model ? model : shipped, &network, error, error_size);
    return result < 0 ? result : engine_set_champion(tools->engine, network, 0);
}

int ours_open(struct ours_tools **out, const char *model, bool with_series, size_t codes, char *error,
              size_t error_size)
{
    struct ours_tools *tools = calloc(1, sizeof *tools);
    (void)snprintf(error, error_size, "out of memory");
    if (!tools)
        return -ENOMEM;
    tools->code_count = codes < 16 ? 16 : codes;
    tools->learner = with_series ? learner_create(LEARN_TICKS) : NULL;
    int result = with_series && !tools->learner ? -ENOMEM : make_codes(tools);
    if (result == 0 && with_series)
        result = open_series(tools, model, error, error_size);
    if (result == 0)
        *out = tools;
    else
        ours_close(tools);
    return result;
}

void ours_close(struct ours_tools *tools)
{
    if (!tools)
        return;
    engine_destroy(tools->engine);
    codes_destroy(tools->codes);
    learner_destroy(tools->learner);
    free(tools);
}

void ours_reset(struct ours_tools *tools)
{
    struct code *next;
    for (struct code *code = codes_first(tools->codes); code; code = next) {
        next = codes_next(tools->codes, code);
        codes_drop(tools->codes, str_of(code->profile.code));
    }
}
