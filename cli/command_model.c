/* forestall model: the models in use, on the topic `models` or in files, and who has which role. */
#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/message_json.h"
#include "cli/model_roles.h"
#include "cli/text.h"
#include "common/clock.h"
#include "common/installed.h"

#define NAME "model"
#define SHIPPED "shipped"

static const struct usage usage = {
    "forestall model ls | show [MODEL] | diff MODEL MODEL | promote [MODEL] | rollback [OPTION]...",
    "MODEL is a role (champion, challenger, previous), the word shipped, or a safetensors file.\n"
    "ls lists who has which role (version, scores, why). show tells what a model holds, the shipped one "
    "without\n"
    "MODEL. diff tells in what two differ. promote makes a model champion, without MODEL the challenger; "
    "the\n"
    "champion becomes previous. rollback makes previous champion again, or the shipped one when there is "
    "none.\n"
    "forestall-predict takes over without a stop, once the new model's states are warm.",
    "  forestall model diff champion challenger\n"
    "  forestall model promote ./retrained.safetensors",
};

/* --- ls --- */

static json_t *metrics_json(const struct msg_double_map *metrics)
{
    json_t *out = json_object();
    for (size_t i = 0; out && i < metrics->count; i++)
        if (json_object_setn_new(out, metrics->items[i].key.data, metrics->items[i].key.size,
                                 message_json_number(metrics->items[i].value)) < 0) {
            json_decref(out);
            return NULL;
        }
    return out;
}

static json_t *head_json(const struct msg_model *model)
{
    return json_pack("{s:o,s:o,s:I,s:o,s:o,s:I,s:I,s:o,s:o}", "role", message_json_text(model->role),
                     "version", message_json_text(model->version), "bytes", (json_int_t)model->total_bytes,
                     "sha256", message_json_text(model->sha256), "parent", message_json_text(model->parent),
                     "records", (json_int_t)model->records, "created_us", (json_int_t)model->created_us,
                     "metrics", metrics_json(&model->metrics), "note", message_json_text(model->note));
}

static json_t *roles_json(const struct model_roles *roles)
{
    json_t *out = json_object();
    for (int role = 0; out && role < MODELS_ROLE_COUNT; role++)
        if (roles->roles[role].there && json_object_set_new(out, models_role_name((enum models_role)role),
                                                            head_json(&roles->roles[role].head)) < 0) {
            json_decref(out);
            return NULL;
        }
    return out;
}

static void print_roles(json_t *items)
{
    const char *role, *name;
    json_t *item, *value;
    char size[32], when[32];
    json_object_foreach (items, role, item) {
        printf("%-11s %s  %s, %" JSON_INTEGER_FORMAT " records, %s\n", role,
               json_string_value(json_object_get(item, "version")),
               text_bytes(json_integer_value(json_object_get(item, "bytes")), false, size),
               json_integer_value(json_object_get(item, "records")),
               text_time(json_integer_value(json_object_get(item, "created_us")), when));
        json_object_foreach (json_object_get(item, "metrics"), name, value)
            printf("    %-30s %.4g\n", name, json_number_value(value));
        printf("    %s\n", json_string_value(json_object_get(item, "note")));
    }
    if (json_object_size(items) == 0)
        printf("none was published: the shipped one is used\n");
}

static int list(const struct target_options *options)
{
    char error[1024];
    struct model_roles roles;
    if (model_roles_open(options, &roles, error, sizeof error) < 0)
        return command_fail(NAME, EXIT_FAILED, "%s", error);
    json_t *items = roles_json(&roles);
    model_roles_close(&roles);
    if (!items)
        return command_fail(NAME, EXIT_FAILED, "out of memory");
    if (options->json)
        return message_json_print(items) < 0 ? EXIT_FAILED : 0;
    print_roles(items);
    json_decref(items);
    return fflush(stdout) == EOF ? EXIT_FAILED : 0;
}

/* --- one model --- */

static int load_shipped(struct model_file *out, char *error, size_t error_size)
{
    char path[4300];
    int result = installed_path(INSTALLED_MODEL, path, sizeof path);
    if (result == 0)
        return model_file_load(path, out, error, error_size);
    (void)snprintf(error, error_size, "the shipped model cannot be found: %s", strerror(-result));
    return result;
}

static int load_role(const struct model_roles *roles, enum models_role role, struct model_file *out,
                     char *error, size_t error_size)
{
    const struct model_role *from = &roles->roles[role];
    if (!from->there || !from->bytes) {
        (void)snprintf(error, error_size, from->there ? "the %s on the topic is damaged" : "there is no %s",
                       models_role_name(role));
        return -ENOENT;
    }
    char *copy = malloc(from->size + 1);
    if (!copy) {
        (void)snprintf(error, error_size, "out of memory");
        return -ENOMEM;
    }
    memcpy(copy, from->bytes, from->size);
    return model_file_take(copy, from->size, models_role_name(role), out, error, error_size);
}

/* A role, "shipped" or a file. The topic is only read for a role. */
static int load(const struct target_options *options, const char *name, struct model_file *out, char *error,
                size_t error_size)
{
    enum models_role role;
    struct model_roles roles;
    if (!name || strcmp(name, SHIPPED) == 0)
        return load_shipped(out, error, error_size);
    if (model_roles_find(name, &role) < 0)
        return model_file_load(name, out, error, error_size);
    int result = model_roles_open(options, &roles, error, error_size);
    if (result < 0)
        return result;
    result = load_role(&roles, role, out, error, error_size);
    model_roles_close(&roles);
    return result;
}

static void print_header(const char *name, const struct model_file *model)
{
    const char *tensor_name, *key;
    json_t *tensor, *value;
    printf("%s\n  %-24s %s\n", name, "version", model->version);
    json_object_foreach (json_object_get(model->header, "__metadata__"), key, value)
        printf("  %-24s %s\n", key, json_string_value(value) ? json_string_value(value) : "?");
    json_object_foreach (model->header, tensor_name, tensor) {
        if (strcmp(tensor_name, "__metadata__") == 0)
            continue;
        char *shape = json_dumps(json_object_get(tensor, "shape"), JSON_COMPACT | JSON_ENCODE_ANY);
        const char *type = json_string_value(json_object_get(tensor, "dtype"));
        printf("  tensor %-24s %s %s\n", tensor_name, type ? type : "?", shape ? shape : "?");
        free(shape);
    }
}

static int show(const struct target_options *options, const char *name)
{
    char error[4500];
    struct model_file model = {0};
    if (load(options, name, &model, error, sizeof error) < 0)
        return command_fail(NAME, EXIT_FAILED, "%s", error);
    int status = 0;
    name = name ? name : SHIPPED;
    if (options->json)
        status = message_json_print(json_pack("{s:s,s:s,s:O}", "file", name, "version", model.version,
                                              "header", model.header)) < 0
                     ? EXIT_FAILED
                     : 0;
    else
        print_header(name, &model);
    model_file_fini(&model);
    return fflush(stdout) == EOF ? EXIT_FAILED : status;
}

/* --- diff --- */

static void print_diff(json_t *diff)
{
    const char *name;
    json_t *value;
    json_object_foreach (json_object_get(diff, "metadata"), name, value)
        printf("%-24s %s -> %s\n", name, json_string_value(json_array_get(value, 0)),
               json_string_value(json_array_get(value, 1)));
    json_object_foreach (json_object_get(diff, "tensors"), name, value) {
        if (json_is_number(value))
            printf("tensor %-24s changed by %.3g %%\n", name, 100 * json_number_value(value));
        else
            printf("tensor %-24s not in both, or of another shape\n", name);
    }
}

static int diff(const struct target_options *options, const char *const names[2])
{
    char error[4500];
    struct model_file models[2] = {{0}};
    json_t *found = NULL;
    int result = load(options, names[0], &models[0], error, sizeof error);
    if (result == 0)
        result = load(options, names[1], &models[1], error, sizeof error);
    if (result == 0) {
        (void)snprintf(error, sizeof error, "out of memory");
        found = model_file_diff(&models[0], &models[1]);
        if (!found || json_object_set_new(found, "versions",
                                          json_pack("[s,s]", models[0].version, models[1].version)) < 0)
            result = -ENOMEM;
    }
    int status = result < 0 ? command_fail(NAME, EXIT_FAILED, "%s", error) : 0;
    if (status == 0 && options->json)
        status = message_json_print(json_incref(found)) < 0 ? EXIT_FAILED : 0;
    else if (status == 0 && strcmp(models[0].version, models[1].version) == 0)
        printf("the same model: %s\n", models[0].version);
    else if (status == 0)
        print_diff(found);
    json_decref(found);
    model_file_fini(&models[0]);
    model_file_fini(&models[1]);
    return fflush(stdout) == EOF ? EXIT_FAILED : status;
}

/* --- promote, rollback --- */

static const char *who(void)
{
    const struct passwd *entry = getpwuid(geteuid());
    return entry ? entry->pw_name : "unknown";
}

/* What stands beside a model that was in the topic, or of one that was not. */
static struct msg_model head_of(const struct model_roles *roles, const struct model_file *model,
                                const char *note)
{
    struct msg_model head = {0};
    for (int role = 0; role < MODELS_ROLE_COUNT; role++)
        if (roles->roles[role].there && str_equal(roles->roles[role].head.version, str_of(model->version)))
            head = roles->roles[role].head;
    head.version = str_of(model->version);
    head.created_us = clock_realtime_us();
    if (note)
        head.note = str_of(note);
    return head;
}

static int tell(const struct target_options *options, const char *champion, const char *before)
{
    if (options->json)
        return message_json_print(json_pack("{s:s,s:s}", "champion", champion, "before", before)) < 0
                   ? EXIT_FAILED
                   : 0;
    printf("champion %s\nbefore   %s\n", champion, before);
    return fflush(stdout) == EOF ? EXIT_FAILED : 0;
}

/* The champion becomes previous, the model champion; a challenger that it was is none any more. The order is
 * that of forestall-retrain: a kill in between loses nothing. */
static int make_champion(struct model_roles *roles, const struct model_file *champion,
                         const struct model_file *model, char *error, size_t error_size)
{
    char note[160];
    (void)snprintf(note, sizeof note, "promoted by %.100s", who());
    struct msg_model old = head_of(roles, champion, NULL), young = head_of(roles, model, note);
    const struct model_role *challenger = &roles->roles[MODELS_CHALLENGER];
    int result = model_roles_set(roles, MODELS_PREVIOUS, champion, &old, error, error_size);
    if (result == 0)
        result = model_roles_set(roles, MODELS_CHAMPION, model, &young, error, error_size);
    if (result == 0 && challenger->there && str_equal(challenger->head.version, str_of(model->version)))
        result = model_roles_set(roles, MODELS_CHALLENGER, NULL, NULL, error, error_size);
    return result;
}

static int load_champion(const struct model_roles *roles, struct model_file *out, char *error,
                         size_t error_size)
{
    /* With a damaged one on the topic predict uses the shipped one. */
    return roles->roles[MODELS_CHAMPION].bytes ? load_role(roles, MODELS_CHAMPION, out, error, error_size)
                                               : load_shipped(out, error, error_size);
}

/* predict would refuse it, and the old champion would go on: said before anything is changed. */
static int check_fits(const struct model_file *model, const struct model_file *champion, char *error,
                      size_t error_size)
{
    static const char *const keys[] = {"format", "features_version", "feature_names"};
    for (size_t i = 0; i < FS_COUNT(keys); i++)
        if (strcmp(model_file_metadata(model, keys[i]), model_file_metadata(champion, keys[i])) != 0) {
            (void)snprintf(error, error_size, "it does not fit these services: its %s is not the champion's",
                           keys[i]);
            return -EINVAL;
        }
    if (strcmp(model->version, champion->version) != 0)
        return 0;
    (void)snprintf(error, error_size, "it is champion already: %s", model->version);
    return -EEXIST;
}

static int promote(const struct target_options *options, const char *name)
{
    char error[4500];
    enum models_role role = MODELS_CHALLENGER;
    struct model_roles roles;
    struct model_file model = {0}, champion = {0};
    if (model_roles_open(options, &roles, error, sizeof error) < 0)
        return command_fail(NAME, EXIT_FAILED, "%s", error);
    int result = !name || model_roles_find(name, &role) == 0
                     ? load_role(&roles, role, &model, error, sizeof error)
                     : load(options, name, &model, error, sizeof error);
    if (result == 0)
        result = load_champion(&roles, &champion, error, sizeof error);
    if (result == 0)
        result = check_fits(&model, &champion, error, sizeof error);
    if (result == 0)
        result = make_champion(&roles, &champion, &model, error, sizeof error);
    int status = result < 0 ? command_fail(NAME, EXIT_FAILED, "%s", error)
                            : tell(options, model.version, champion.version);
    model_file_fini(&model);
    model_file_fini(&champion);
    model_roles_close(&roles);
    return status;
}

static int rollback(const struct target_options *options)
{
    char error[4500], note[160];
    struct model_roles roles;
    struct model_file previous = {0};
    if (model_roles_open(options, &roles, error, sizeof error) < 0)
        return command_fail(NAME, EXIT_FAILED, "%s", error);
    bool kept = roles.roles[MODELS_PREVIOUS].there, any = roles.roles[MODELS_CHAMPION].there;
    int result = any ? 0 : -ENOENT;
    if (!any)
        (void)snprintf(error, sizeof error, "the shipped model is in use: there is nothing to go back from");
    if (result == 0)
        result = kept ? load_role(&roles, MODELS_PREVIOUS, &previous, error, sizeof error)
                      : load_shipped(&previous, error, sizeof error);
    (void)snprintf(note, sizeof note, "rolled back by %.100s", who());
    if (result == 0 && kept) {
        struct msg_model head = head_of(&roles, &previous, note);
        result = model_roles_set(&roles, MODELS_CHAMPION, &previous, &head, error, sizeof error);
        if (result == 0)
            result = model_roles_set(&roles, MODELS_PREVIOUS, NULL, NULL, error, sizeof error);
    } else if (result == 0) {
        result = model_roles_set(&roles, MODELS_CHAMPION, NULL, NULL, error, sizeof error);
    }
    char before[MODELS_VERSION_SIZE] = "";
    if (any)
        (void)str_copy(before, sizeof before, roles.roles[MODELS_CHAMPION].head.version);
    int status =
        result < 0 ? command_fail(NAME, EXIT_FAILED, "%s", error) : tell(options, previous.version, before);
    model_file_fini(&previous);
    model_roles_close(&roles);
    return status;
}

int command_model(int argc, char **argv)
{
    struct target_options options = TARGET_OPTIONS_DEFAULT;
    struct argument_set sets[] = {target_arguments(&options)};
    char error[256];
    int words;
    int result = arguments_parse(sets, FS_COUNT(sets), &usage, ARGUMENTS_ANYWHERE, argc, argv, &words, error,
                                 sizeof error);
    if (result != 0)
        return result < 0 ? command_misuse(NAME, error) : 0;
    const char *verb = words > 0 ? argv[1] : "", *first = words > 1 ? argv[2] : NULL;
    if (words == 1 && strcmp(verb, "ls") == 0)
        return list(&options);
    if (words <= 2 && strcmp(verb, "show") == 0)
        return show(&options, first);
    if (words == 3 && strcmp(verb, "diff") == 0)
        return diff(&options, (const char *const[]){first, argv[3]});
    if (words <= 2 && strcmp(verb, "promote") == 0)
        return promote(&options, first);
    if (words == 1 && strcmp(verb, "rollback") == 0)
        return rollback(&options);
    return command_misuse(NAME, "ls, show [MODEL], diff MODEL MODEL, promote [MODEL] or rollback is needed");
}
