/* forestall model: the models on the topic `models`, or a file of one. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/message_json.h"
#include "cli/reader.h"
#include "cli/text.h"
#include "common/installed.h"

#define NAME "model"
#define MODELS_MAX 16
#define HEADER_MAX (1u << 20) /* as model/safetensors.h */

static const struct usage usage = {
    "forestall model ls|show [OPTION]... [FILE]",
    "ls lists the models that were published (role, version, scores). show FILE tells what a safetensors "
    "file holds;\n"
    "without FILE the shipped model beside this program.",
    NULL,
};

/* --- ls --- */

struct models {
    json_t *items; /* by role, the newest */
};

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

static int on_model(void *context, const struct reader_message *message)
{
    struct models *models = context;
    const struct msg_model *model = message->message;
    if (!model || model->chunk != 0 || json_object_size(models->items) >= MODELS_MAX)
        return 0;
    json_t *item =
        json_pack("{s:o,s:o,s:I,s:o,s:o,s:I,s:I,s:o,s:o}", "role", message_json_text(model->role), "version",
                  message_json_text(model->version), "bytes", (json_int_t)model->total_bytes, "sha256",
                  message_json_text(model->sha256), "parent", message_json_text(model->parent), "records",
                  (json_int_t)model->records, "created_us", (json_int_t)model->created_us, "metrics",
                  metrics_json(&model->metrics), "note", message_json_text(model->note));
    return json_object_setn_new(models->items, model->role.data, model->role.size, item) < 0 ? -ENOMEM : 0;
}

static void print_models(json_t *items)
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
    static const char *const topics[] = {TOPIC_MODELS};
    char error[1024];
    struct target target;
    struct models models = {json_object()};
    if (target_open(options, &target, error, sizeof error) < 0) {
        json_decref(models.items);
        return command_fail(NAME, EXIT_FAILED, "%s", error);
    }
    struct reader *reader = models.items ? reader_open(&target, error, sizeof error) : NULL;
    int result = reader ? reader_add_topics(reader, topics, 1, STREAM_FROM_BEGINNING, error, sizeof error)
                        : -EHOSTDOWN;
    if (result == 0) {
        result = reader_scan(reader, on_model, &models, options->timeout_ms);
        (void)snprintf(error, sizeof error, "reading models: %s", strerror(result < 0 ? -result : 0));
    }
    int status = 0;
    if (result < 0)
        status = command_fail(NAME, EXIT_FAILED, "%s", models.items ? error : "out of memory");
    else if (options->json)
        status = message_json_print(json_incref(models.items)) < 0 ? EXIT_FAILED : 0;
    else
        print_models(models.items);
    reader_close(reader);
    target_close(&target);
    json_decref(models.items);
    return status;
}

/* --- show --- */

/* The header of a safetensors file: u64 little-endian size, JSON. Only looked at, so the tensors are not
 * checked. */
static json_t *read_header(const char *path, char *error, size_t error_size)
{
    uint8_t length[8];
    uint64_t size = 0;
    json_t *header = NULL;
    FILE *file = fopen(path, "rbe");
    if (!file) {
        (void)snprintf(error, error_size, "%s: %s", path, strerror(errno));
        return NULL;
    }
    if (fread(length, 1, sizeof length, file) == sizeof length)
        for (int i = 7; i >= 0; i--)
            size = size << 8 | length[i];
    char *text = size > 1 && size <= HEADER_MAX ? malloc((size_t)size) : NULL;
    if (text && fread(text, 1, (size_t)size, file) == size)
        header = json_loadb(text, (size_t)size, 0, NULL);
    if (!json_is_object(header)) {
        (void)snprintf(error, error_size, "%s is not a safetensors file", path);
        json_decref(header);
        header = NULL;
    }
    free(text);
    (void)fclose(file);
    return header;
}

static void print_header(const char *path, json_t *header)
{
    const char *name, *key;
    json_t *tensor, *value;
    printf("%s\n", path);
    json_object_foreach (json_object_get(header, "__metadata__"), key, value)
        printf("  %-24s %s\n", key, json_string_value(value) ? json_string_value(value) : "?");
    json_object_foreach (header, name, tensor) {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        char *shape = json_dumps(json_object_get(tensor, "shape"), JSON_COMPACT | JSON_ENCODE_ANY);
        const char *type = json_string_value(json_object_get(tensor, "dtype"));
        printf("  tensor %-24s %s %s\n", name, type ? type : "?", shape ? shape : "?");
        free(shape);
    }
}

static int show(const struct target_options *options, const char *path)
{
    char error[4500], shipped[4300];
    int found = path ? 0 : installed_path(INSTALLED_MODEL, shipped, sizeof shipped);
    if (found < 0)
        return command_fail(NAME, EXIT_FAILED, "the shipped model cannot be found: %s", strerror(-found));
    path = path ? path : shipped;
    json_t *header = read_header(path, error, sizeof error);
    if (!header)
        return command_fail(NAME, EXIT_FAILED, "%s", error);
    if (options->json)
        return message_json_print(json_pack("{s:s,s:o}", "file", path, "header", header)) < 0 ? EXIT_FAILED
                                                                                              : 0;
    print_header(path, header);
    json_decref(header);
    return fflush(stdout) == EOF ? EXIT_FAILED : 0;
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
    if (words == 1 && strcmp(argv[1], "ls") == 0)
        return list(&options);
    if ((words == 1 || words == 2) && strcmp(argv[1], "show") == 0)
        return show(&options, words == 2 ? argv[2] : NULL);
    return command_misuse(NAME, "ls or show [FILE] is needed");
}
