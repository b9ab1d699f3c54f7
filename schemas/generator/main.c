/* generate OUTPUT_DIR SCHEMA.avsc...: writes messages.h and messages.c into OUTPUT_DIR. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/generator/emit.h"

static void write_file(const char *directory, const char *name, void (*emit)(FILE *, const struct model *),
                       const struct model *model)
{
    char path[4096];
    int size = snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *out = size > 0 && (size_t)size < sizeof path ? fopen(path, "w") : NULL;
    if (!out) {
        (void)fprintf(stderr, "generate: %s/%s: %s\n", directory, name, strerror(errno));
        exit(1);
    }
    emit(out, model);
    if (fclose(out) != 0) {
        (void)fprintf(stderr, "generate: %s: %s\n", path, strerror(errno));
        exit(1);
    }
}

int main(int argc, char **argv)
{
    static struct model model;
    if (argc < 3) {
        (void)fprintf(stderr, "usage: generate OUTPUT_DIR SCHEMA.avsc...\n");
        return 2;
    }
    for (int i = 2; i < argc; i++)
        model_load(&model, argv[i]);
    write_file(argv[1], "messages.h", emit_header, &model);
    write_file(argv[1], "messages.c", emit_source, &model);
    return 0;
}
