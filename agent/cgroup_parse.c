/* See cgroup_parse.h. Everything walks a struct str line by line and word by word; no NUL is needed or
 * written. */
#include "agent/cgroup_parse.h"

#include <errno.h>

const char *const cgroup_hierarchy_names[CGROUP_HIERARCHY_COUNT] = {
    "memory", "cpu", "cpuacct", "blkio", "pids", "freezer", "unified",
};

/* Takes the text up to the separator off *rest; the separator is dropped. false at the end. *ended: the
 * separator was there. */
static bool take_until(struct str *rest, char separator, struct str *part, bool *ended)
{
    if (rest->size == 0)
        return false;
    const char *end = memchr(rest->data, separator, rest->size);
    size_t size = end ? (size_t)(end - rest->data) : rest->size;
    *part = (struct str){rest->data, size};
    *ended = end != NULL;
    size += end != NULL;
    rest->data += size;
    rest->size -= size;
    return true;
}

static bool take_line(struct str *rest, struct str *line)
{
    bool ended;
    return take_until(rest, '\n', line, &ended);
}

/* Only lines that have their newline: a number cut in two would be a smaller number. */
static bool take_whole_line(struct str *rest, struct str *line)
{
    bool ended;
    return take_until(rest, '\n', line, &ended) && ended;
}

static bool take_word(struct str *rest, struct str *word)
{
    bool ended;
    while (rest->size > 0 && (*rest->data == ' ' || *rest->data == '\t' || *rest->data == '\n')) {
        rest->data++;
        rest->size--;
    }
    return take_until(rest, ' ', word, &ended);
}

static bool starts_with(struct str text, const char *prefix)
{
    size_t size = strlen(prefix);
    return text.size >= size && memcmp(text.data, prefix, size) == 0;
}

static struct str skip(struct str text, size_t size)
{
    return (struct str){text.data + size, text.size - size};
}

/* Digits at the front of *text, saturating; false when there are none. */
static bool take_digits(struct str *text, int64_t *out)
{
    int64_t value = 0;
    size_t used = 0;
    for (; used < text->size && text->data[used] >= '0' && text->data[used] <= '9'; used++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, text->data[used] - '0', &value))
            value = INT64_MAX;
    }
    if (used == 0)
        return false;
    *text = skip(*text, used);
    *out = value;
    return true;
}

int cgroup_parse_number(struct str text, int64_t *out)
{
    int64_t value;
    if (starts_with(text, "max")) {
        *out = CGROUP_UNLIMITED;
        return 0;
    }
    bool negative = text.size > 0 && text.data[0] == '-';
    if (negative)
        text = skip(text, 1);
    if (!take_digits(&text, &value))
        return -EINVAL;
    *out = negative ? -value : value;
    return 0;
}

static bool parse_pair(struct str line, const char *name, size_t name_size, int64_t *value)
{
    if (line.size <= name_size + 1 || line.data[name_size] != ' ' || memcmp(line.data, name, name_size) != 0)
        return false;
    struct str number = skip(line, name_size + 1);
    return take_digits(&number, value);
}

size_t cgroup_parse_keyed(struct str text, const struct cgroup_parse_key *keys, size_t count)
{
    struct str line;
    size_t met = 0;
    while (met < count && take_whole_line(&text, &line)) {
        for (size_t i = 0; i < count; i++) {
            if (line.size == 0 || keys[i].name[0] != line.data[0])
                continue;
            if (parse_pair(line, keys[i].name, strlen(keys[i].name), keys[i].value)) {
                met++;
                break;
            }
        }
    }
    return met;
}

static bool parse_total(struct str line, int64_t *out)
{
    struct str word;
    while (take_word(&line, &word)) {
        if (!starts_with(word, "total="))
            continue;
        word = skip(word, 6);
        return take_digits(&word, out);
    }
    return false;
}

int cgroup_parse_psi(struct str text, int64_t *some_us, int64_t *full_us)
{
    struct str line;
    int64_t some = -1, full = 0;
    while (take_whole_line(&text, &line)) {
        if (starts_with(line, "some "))
            (void)(parse_total(line, &some)); /* stays -1: -EINVAL below */
        else if (starts_with(line, "full ") && !parse_total(line, &full))
            full = 0;
    }
    if (some < 0)
        return -EINVAL;
    *some_us = some;
    *full_us = full;
    return 0;
}

void cgroup_parse_stacked_majors(struct str proc_devices, struct cgroup_parse_majors *out)
{
    static const char *const stacked[] = {"loop", "md", "mdp", "device-mapper", "zram"};
    struct str line, word;
    bool block = false;
    memset(out, 0, sizeof *out);
    while (take_line(&proc_devices, &line)) {
        int64_t major;
        if (starts_with(line, "Block devices:"))
            block = true;
        if (!block || !take_word(&line, &word) || !take_digits(&word, &major) || major >= 512)
            continue;
        if (!take_word(&line, &word))
            continue;
        for (size_t i = 0; i < FS_COUNT(stacked); i++) {
            if (str_equal(word, str_of(stacked[i])))
                out->bits[major / 64] |= 1ULL << (major % 64);
        }
    }
}

bool cgroup_parse_is_stacked(const struct cgroup_parse_majors *majors, uint32_t major)
{
    return major < 512 && (majors->bits[major / 64] >> (major % 64) & 1);
}

/* "MAJ:MIN" as a whole word. */
static bool parse_device(struct str word, uint32_t *major, uint32_t *minor)
{
    int64_t first, second;
    if (!take_digits(&word, &first) || word.size == 0 || word.data[0] != ':')
        return false;
    word = skip(word, 1);
    if (!take_digits(&word, &second) || word.size > 0 || first > UINT32_MAX || second > UINT32_MAX)
        return false;
    *major = (uint32_t)first;
    *minor = (uint32_t)second;
    return true;
}

static void add_saturated(int64_t *sum, int64_t value)
{
    if (__builtin_add_overflow(*sum, value, sum))
        *sum = INT64_MAX;
}

void cgroup_parse_blkio(struct str text, const struct cgroup_parse_majors *stacked, int64_t *reads,
                        int64_t *writes)
{
    struct str line, word, kind;
    int64_t read_sum = 0, write_sum = 0, value;
    while (take_whole_line(&text, &line)) {
        uint32_t major, minor;
        if (!take_word(&line, &word) || !parse_device(word, &major, &minor) ||
            cgroup_parse_is_stacked(stacked, major))
            continue;
        if (!take_word(&line, &kind) || !take_word(&line, &word) || !take_digits(&word, &value))
            continue;
        if (str_equal(kind, str_of("Read")))
            add_saturated(&read_sum, value);
        else if (str_equal(kind, str_of("Write")))
            add_saturated(&write_sum, value);
    }
    *reads = read_sum;
    *writes = write_sum;
}

/* What follows "name=". */
static bool parse_assignment(struct str word, const char *name, struct str *value)
{
    size_t size = strlen(name);
    if (!starts_with(word, name) || word.size <= size + 1 || word.data[size] != '=')
        return false;
    *value = skip(word, size + 1);
    return true;
}

/* "name=123": a count, never negative. */
static bool parse_counter(struct str word, const char *name, int64_t *value)
{
    struct str text;
    return parse_assignment(word, name, &text) && take_digits(&text, value);
}

/* "name=123", "name=max" */
static bool parse_limit(struct str word, const char *name, int64_t *value)
{
    struct str text;
    return parse_assignment(word, name, &text) && cgroup_parse_number(text, value) == 0;
}

void cgroup_parse_io_stat(struct str text, const struct cgroup_parse_majors *stacked,
                          struct cgroup_parse_io *out)
{
    struct str line, word;
    struct cgroup_parse_io sum = {0};
    while (take_whole_line(&text, &line)) {
        uint32_t major, minor;
        int64_t value;
        if (!take_word(&line, &word) || !parse_device(word, &major, &minor) ||
            cgroup_parse_is_stacked(stacked, major))
            continue;
        while (take_word(&line, &word)) {
            if (parse_counter(word, "rbytes", &value))
                add_saturated(&sum.read_bytes, value);
            else if (parse_counter(word, "wbytes", &value))
                add_saturated(&sum.write_bytes, value);
            else if (parse_counter(word, "rios", &value))
                add_saturated(&sum.read_ops, value);
            else if (parse_counter(word, "wios", &value))
                add_saturated(&sum.write_ops, value);
        }
    }
    *out = sum;
}

/* The rest of the line that begins with this device. */
static bool find_device_line(struct str text, uint32_t major, uint32_t minor, struct str *rest)
{
    struct str word;
    while (take_whole_line(&text, rest)) {
        uint32_t line_major, line_minor;
        if (take_word(rest, &word) && parse_device(word, &line_major, &line_minor) && line_major == major &&
            line_minor == minor)
            return true;
    }
    return false;
}

int64_t cgroup_parse_device_value(struct str text, uint32_t major, uint32_t minor)
{
    struct str rest, word;
    int64_t value;
    if (!find_device_line(text, major, minor, &rest) || !take_word(&rest, &word) ||
        !take_digits(&word, &value))
        return 0;
    return value;
}

void cgroup_parse_io_max(struct str text, uint32_t major, uint32_t minor, int64_t *read_bps,
                         int64_t *write_bps)
{
    struct str rest, word;
    int64_t value;
    *read_bps = *write_bps = 0;
    if (!find_device_line(text, major, minor, &rest))
        return;
    while (take_word(&rest, &word)) {
        if (parse_limit(word, "rbps", &value))
            *read_bps = value == CGROUP_UNLIMITED ? 0 : value;
        else if (parse_limit(word, "wbps", &value))
            *write_bps = value == CGROUP_UNLIMITED ? 0 : value;
    }
}

int cgroup_parse_cpu_max(struct str text, int64_t *quota_us, int64_t *period_us)
{
    struct str quota_word, period_word;
    int64_t quota, period;
    if (!take_word(&text, &quota_word) || !take_word(&text, &period_word))
        return -EINVAL;
    if (cgroup_parse_number(quota_word, &quota) < 0 || cgroup_parse_number(period_word, &period) < 0 ||
        period <= 0)
        return -EINVAL;
    *quota_us = quota;
    *period_us = period;
    return 0;
}

bool cgroup_parse_has_word(struct str text, const char *word)
{
    struct str found;
    struct str wanted = str_of(word);
    while (take_word(&text, &found)) {
        while (found.size > 0 && found.data[found.size - 1] == '\n')
            found.size--;
        if (str_equal(found, wanted))
            return true;
    }
    return false;
}
