/* See model_roles.h. */
#include "cli/model_roles.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/submit.h"

#define MODEL_MAX ((size_t)64 << 20) /* as predict.model_bytes */
#define ARENA_BLOCK ((size_t)64 << 10)
#define ARENA_MAX ((size_t)16 << 20)

static struct str keep_text(struct arena *arena, struct str text)
{
    const char *copy = arena_strdup(arena, text);
    return str_of(copy ? copy : "");
}

static int keep_head(struct arena *arena, const struct msg_model *model, struct msg_model *out)
{
    struct msg_double_entry *metrics = arena_alloc(arena, model->metrics.count + 1, sizeof *metrics);
    if (!metrics)
        return -ENOMEM;
    for (size_t i = 0; i < model->metrics.count; i++)
        metrics[i] = (struct msg_double_entry){keep_text(arena, model->metrics.items[i].key),
                                               model->metrics.items[i].value};
    *out = *model;
    out->role = keep_text(arena, model->role);
    out->version = keep_text(arena, model->version);
    out->sha256 = keep_text(arena, model->sha256);
    out->parent = keep_text(arena, model->parent);
    out->note = keep_text(arena, model->note);
    out->metrics.items = metrics;
    out->bytes.data = NULL;
    out->bytes.size = 0;
    return 0;
}

static void drop(struct model_roles *roles, enum models_role role)
{
    models_drop(roles->models, role);
    free(roles->roles[role].bytes);
    roles->roles[role] = (struct model_role){0};
}

static int keep_bytes(struct model_role *role, struct str bytes)
{
    char *copy = malloc(bytes.size + 1);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, bytes.data, bytes.size);
    free(role->bytes);
    role->bytes = copy;
    role->size = bytes.size;
    return 0;
}

static int on_model(void *context, const struct reader_message *message)
{
    struct model_roles *roles = context;
    const struct msg_model *model = message->message;
    enum models_role role;
    int32_t number;
    char error[128];
    struct str bytes;
    if (models_role_of(message->key, &role, &number) < 0)
        return 0;
    if (!model) {
        if (number == 0)
            drop(roles, role);
        return 0;
    }
    struct model_role *to = &roles->roles[role];
    if (number == 0) {
        free(to->bytes);
        *to = (struct model_role){.there = true};
        if (keep_head(roles->arena, model, &to->head) < 0)
            return -ENOMEM;
    }
    int result = models_take(roles->models, role, model, &bytes, error, sizeof error);
    return result > 0 ? keep_bytes(to, bytes) : result == -ENOMEM ? result : 0; /* damaged: without bytes */
}

static int read_topic(struct model_roles *roles, int64_t timeout_ms, char *error, size_t error_size)
{
    static const char *const topics[] = {TOPIC_MODELS};
    roles->reader = reader_open(&roles->target, error, error_size);
    if (!roles->reader)
        return -EHOSTDOWN;
    int result = reader_add_topics(roles->reader, topics, 1, STREAM_FROM_BEGINNING, error, error_size);
    if (result < 0)
        return result;
    result = reader_scan(roles->reader, on_model, roles, timeout_ms);
    if (result < 0)
        (void)snprintf(error, error_size, "reading models: %s", strerror(-result));
    return result;
}

int model_roles_open(const struct target_options *options, struct model_roles *out, char *error,
                     size_t error_size)
{
    *out = (struct model_roles){0};
    int result = target_open(options, &out->target, error, error_size);
    if (result < 0)
        return result;
    out->models = models_create(MODEL_MAX);
    out->arena = arena_create(ARENA_BLOCK, ARENA_MAX);
    (void)snprintf(error, error_size, "out of memory");
    result = out->models && out->arena ? read_topic(out, options->timeout_ms, error, error_size) : -ENOMEM;
    if (result < 0)
        model_roles_close(out);
    return FS_MIN(result, 0);
}

void model_roles_close(struct model_roles *roles)
{
    for (int role = 0; role < MODELS_ROLE_COUNT; role++)
        free(roles->roles[role].bytes);
    models_destroy(roles->models);
    reader_close(roles->reader);
    arena_destroy(roles->arena);
    target_close(&roles->target);
    *roles = (struct model_roles){0};
}

int model_roles_find(const char *name, enum models_role *out)
{
    for (int role = 0; role < MODELS_ROLE_COUNT; role++)
        if (strcmp(name, models_role_name((enum models_role)role)) == 0) {
            *out = (enum models_role)role;
            return 0;
        }
    return -EINVAL;
}

int model_roles_set(struct model_roles *roles, enum models_role role, const struct model_file *model,
                    const struct msg_model *head, char *error, size_t error_size)
{
    struct stream *stream = reader_stream(roles->reader);
    if (!model)
        return submit_delete(stream, TOPIC_MODELS, str_of(models_role_name(role)), error, error_size);
    struct str bytes = {model->bytes, model->size};
    int result = 0;
    for (size_t chunk = 0; chunk < models_chunks(bytes.size, MODELS_CHUNK_BYTES) && result == 0; chunk++) {
        char key[MODELS_KEY_SIZE];
        struct msg_model message;
        models_chunk(role, bytes, head, chunk, MODELS_CHUNK_BYTES, key, &message);
        result =
            submit_publish(stream, TOPIC_MODELS, str_of(key), &msg_model_type, &message, error, error_size);
    }
    return result;
}
