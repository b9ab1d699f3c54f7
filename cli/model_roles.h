/* Who has which role on the topic `models`, with the bytes, and changing it. */
#ifndef FORESTALL_CLI_MODEL_ROLES_H
#define FORESTALL_CLI_MODEL_ROLES_H

#include "cli/model_file.h"
#include "cli/reader.h"

struct model_role {
    bool there;            /* published and not withdrawn since */
    struct msg_model head; /* as published, its texts and metrics in the arena; without bytes */
    char *bytes;           /* [size]; NULL: its chunks are not all there, or damaged */
    size_t size;
};

struct model_roles {
    struct model_role roles[MODELS_ROLE_COUNT];
    struct models *models; /* puts chunks together */
    struct arena *arena;
    struct reader *reader;
    struct target target;
};

/* Reads all of the topic. 0, or negative with a sentence. */
FS_MUST_CHECK int model_roles_open(const struct target_options *options, struct model_roles *out, char *error,
                                   size_t error_size);
void model_roles_close(struct model_roles *roles);
/* The role of that name; -EINVAL. */
FS_MUST_CHECK int model_roles_find(const char *name, enum models_role *out);
/* Publishes these bytes under the role, or (NULL) nobody. 0, or negative with a sentence. */
FS_MUST_CHECK int model_roles_set(struct model_roles *roles, enum models_role role,
                                  const struct model_file *model, const struct msg_model *head, char *error,
                                  size_t error_size);

#endif
