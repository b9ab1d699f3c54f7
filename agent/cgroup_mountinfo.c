/* The mountinfo reader of cgroup_parse.h: which mount of which cgroup hierarchy to work in. proc(5) has the
 * format. */
#include "agent/cgroup_parse.h"

/* One line: ID PARENT MAJ:MIN ROOT PATH OPTIONS [TAGS...] - TYPE SOURCE SUPER_OPTIONS */
struct line {
    struct str root, path, options, type, super_options;
};

static bool next_field(struct str *rest, char separator, struct str *field)
{
    if (rest->size == 0)
        return false;
    const char *end = memchr(rest->data, separator, rest->size);
    field->data = rest->data;
    field->size = end ? (size_t)(end - rest->data) : rest->size;
    size_t used = field->size + (end != NULL);
    rest->data += used;
    rest->size -= used;
    return true;
}

static bool split_line(struct str text, struct line *out)
{
    struct str field;
    for (int i = 0; i < 3; i++) {
        if (!next_field(&text, ' ', &field))
            return false;
    }
    if (!next_field(&text, ' ', &out->root) || !next_field(&text, ' ', &out->path) ||
        !next_field(&text, ' ', &out->options))
        return false;
    do {
        if (!next_field(&text, ' ', &field))
            return false;
    } while (!str_equal(field, str_of("-")));
    return next_field(&text, ' ', &out->type) && next_field(&text, ' ', &field) &&
           next_field(&text, ' ', &out->super_options);
}

/* "\040" and friends; false when it does not fit. */
static bool decode_path(struct str text, char *out, size_t capacity)
{
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '\\' && i + 3 < text.size) {
            unsigned value = 0;
            for (size_t k = 1; k <= 3; k++)
                value = value * 8 + (unsigned)(text.data[i + k] - '0') % 8;
            c = (char)(value & 0xff);
            i += 3;
        }
        if (size + 1 >= capacity || c == '\0')
            return false;
        out[size++] = c;
    }
    out[size] = '\0';
    return size > 0 && out[0] == '/';
}

static bool has_option(struct str options, const char *name)
{
    struct str option;
    while (next_field(&options, ',', &option)) {
        if (str_equal(option, str_of(name)))
            return true;
    }
    return false;
}

/* Hierarchies a mount is of, as bits. */
static unsigned hierarchies_of(const struct line *line)
{
    unsigned bits = 0;
    if (str_equal(line->type, str_of("cgroup2")))
        return 1U << CGROUP_UNIFIED;
    if (!str_equal(line->type, str_of("cgroup")))
        return 0;
    for (unsigned i = 0; i < CGROUP_UNIFIED; i++) {
        if (has_option(line->super_options, cgroup_hierarchy_names[i]))
            bits |= 1U << i;
    }
    return bits;
}

static int score(const struct cgroup_mount *mount)
{
    return mount->present ? 1 + 2 * mount->writable + mount->whole : 0;
}

/* A mount hides what an earlier one showed at its path and below. */
static void cover(struct cgroup_mount mounts[CGROUP_HIERARCHY_COUNT], const char *path)
{
    size_t size = strlen(path);
    for (size_t i = 0; i < CGROUP_HIERARCHY_COUNT; i++) {
        const char *other = mounts[i].path;
        if (mounts[i].present && strncmp(other, path, size) == 0 &&
            (other[size] == '\0' || other[size] == '/' || size == 1))
            mounts[i] = (struct cgroup_mount){0};
    }
}

void cgroup_parse_mountinfo(struct str text, struct cgroup_mount out[CGROUP_HIERARCHY_COUNT])
{
    struct str row;
    memset(out, 0, sizeof out[0] * CGROUP_HIERARCHY_COUNT);
    while (next_field(&text, '\n', &row)) {
        struct line line;
        struct cgroup_mount mount = {.present = true};
        if (!split_line(row, &line) || !decode_path(line.path, mount.path, sizeof mount.path))
            continue;
        cover(out, mount.path);
        mount.writable = has_option(line.options, "rw") && has_option(line.super_options, "rw");
        mount.whole = str_equal(line.root, str_of("/"));
        unsigned bits = hierarchies_of(&line);
        for (size_t i = 0; i < CGROUP_HIERARCHY_COUNT; i++) {
            if ((bits >> i & 1) && score(&mount) >= score(&out[i]))
                out[i] = mount;
        }
    }
}
