/* See allocations.h. */
#include "queue/allocations.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "schemas/name.h"

#define KEY_MAX (NAME_SIZE_MAX + 32)

struct allocations {
    struct store *store;
    const char *address;
    bool away;
    struct allocations_counters counters;
    allocations_fn *on_allocation; /* of the call under way */
    void *context;
    size_t answered;
};

/* --- reading one hash --- */

static int parse_number(struct str text, int64_t most, int64_t *out)
{
    char digits[32], *end;
    if (text.size == 0 || text.size >= sizeof digits || text.data[0] == ' ')
        return -EINVAL;
    (void)str_copy(digits, sizeof digits, text); /* fits */
    errno = 0;
    long long value = strtoll(digits, &end, 10);
    if (errno != 0 || *end != '\0' || value < 0 || value > most)
        return -EINVAL;
    *out = value;
    return 0;
}

/* A field that is not there leaves *out as it is. */
static int number_field(const struct store_field *fields, size_t count, const char *name, int64_t most,
                        int64_t *out)
{
    struct str text = store_field_get(fields, count, name);
    return text.data ? parse_number(text, most, out) : 0;
}

static int parse_limits(const struct store_field *fields, size_t count, const char *prefix,
                        struct msg_limits *out)
{
    static const char *const names[] = {"memory_bytes", "cpu_millicores", "cpu_weight",     "io_read_bps",
                                        "io_write_bps", "io_weight",      "net_egress_bps", "net_priority"};
    static const int64_t most[] = {INT64_MAX, INT32_MAX, 10000, INT64_MAX, INT64_MAX, 10000, INT64_MAX, 7};
    int64_t values[FS_COUNT(names)] = {0};
    char name[64];
    for (size_t i = 0; i < FS_COUNT(names); i++) {
        (void)snprintf(name, sizeof name, "%s%s", prefix, names[i]);
        if (number_field(fields, count, name, most[i], &values[i]) < 0)
            return -EINVAL;
    }
    *out = (struct msg_limits){.memory_bytes = values[0],
                               .cpu_millicores = (int32_t)values[1],
                               .cpu_weight = (int32_t)values[2],
                               .io_read_bps = values[3],
                               .io_write_bps = values[4],
                               .io_weight = (int32_t)values[5],
                               .net_egress_bps = values[6],
                               .net_priority = (int32_t)values[7]};
    return 0;
}

static int parse_raised(struct str text, unsigned *out)
{
    unsigned set = 0;
    for (size_t at = 0; at < text.size;) {
        const char *comma = memchr(text.data + at, ',', text.size - at);
        size_t end = comma ? (size_t)(comma - text.data) : text.size;
        struct str word = {text.data + at, end - at};
        enum msg_cause cause = MSG_CAUSE_MEMORY;
        while (cause < MSG_CAUSE_COUNT && !str_equal(word, str_of(msg_cause_name(cause))))
            cause++;
        if (cause == MSG_CAUSE_COUNT)
            return -EINVAL;
        set |= CAUSE_BIT(cause);
        at = end + 1;
    }
    *out = set & CAUSE_RESOURCES;
    return 0;
}

int allocation_parse(const struct store_field *fields, size_t count, struct allocation *out)
{
    int64_t pinned = 0, permille = 0;
    struct allocation result = {.exists = true, .read = true};
    if (!store_field_get(fields, count, "revision").data ||
        number_field(fields, count, "revision", INT64_MAX, &result.revision) < 0 ||
        number_field(fields, count, "pinned", 1, &pinned) < 0 ||
        number_field(fields, count, "held_out_permille", 1000, &permille) < 0 ||
        number_field(fields, count, "memory_most_bytes", INT64_MAX, &result.memory_most_bytes) < 0 ||
        parse_limits(fields, count, "", &result.limits) < 0 ||
        parse_limits(fields, count, "ceiling_", &result.ceiling) < 0 ||
        parse_raised(store_field_get(fields, count, "raised"), &result.raised) < 0)
        return -EINVAL;
    int points = knots_parse(store_field_get(fields, count, "memory_by_input"), result.by_input);
    if (points < 0)
        return points;
    result.by_input_count = (uint32_t)points;
    if (result.memory_most_bytes > 0 && result.memory_most_bytes < INT64_MAX &&
        result.ceiling.memory_bytes == 0)
        result.ceiling.memory_bytes = result.memory_most_bytes;
    result.pinned = pinned != 0;
    result.held_out_permille = (int32_t)permille;
    *out = result;
    return 0;
}

/* --- the connection --- */

struct allocations *allocations_open(const struct store_options *options, char *error, size_t error_size)
{
    struct allocations *allocations = calloc(1, sizeof *allocations);
    if (!allocations) {
        (void)snprintf(error, error_size, "out of memory");
        return NULL;
    }
    allocations->address = options->address;
    allocations->store = store_open(options, error, error_size);
    if (allocations->store)
        return allocations;
    free(allocations);
    return NULL;
}

void allocations_close(struct allocations *allocations)
{
    if (!allocations)
        return;
    store_close(allocations->store);
    free(allocations);
}

const struct allocations_counters *allocations_counters(const struct allocations *allocations)
{
    return &allocations->counters;
}

bool allocations_reachable(const struct allocations *allocations)
{
    return !allocations->away;
}

static void on_reply(void *context, size_t index, int status, const struct store_field *fields, size_t count)
{
    struct allocations *allocations = context;
    struct allocation allocation = {.read = true, .memory_most_bytes = INT64_MAX}; /* nobody fixed anything */
    bool known = status == -ENOENT || (status >= 0 && allocation_parse(fields, count, &allocation) == 0);
    if (status == -ENOENT)
        allocations->counters.absent++;
    else if (status >= 0)
        *(known ? &allocations->counters.read : &allocations->counters.unreadable) += 1;
    else
        allocations->counters.unanswered++;
    allocations->answered = index + 1;
    allocations->on_allocation(allocations->context, index, known ? &allocation : NULL);
}

static void tell(struct allocations *allocations, bool away)
{
    if (away == allocations->away)
        return;
    allocations->away = away;
    if (away)
        log_warn("redis_away",
                 "address=%s reason=\"%s\" effect=\"last known allocations and requested limits are used\"",
                 allocations->address, store_error(allocations->store));
    else
        log_info("redis_back", "address=%s", allocations->address);
}

void allocations_read(struct allocations *allocations, const struct str *codes, size_t count,
                      allocations_fn *on_allocation, void *context)
{
    char key[KEY_MAX];
    size_t queued = 0;
    allocations->on_allocation = on_allocation;
    allocations->context = context;
    allocations->answered = 0;
    while (queued < count) {
        (void)snprintf(key, sizeof key, "allocation:{%.*s}", (int)codes[queued].size, codes[queued].data);
        if (store_queue_get(allocations->store, key) < 0)
            break;
        queued++;
    }
    tell(allocations, store_flush(allocations->store, on_reply, allocations) < 0);
    for (size_t i = allocations->answered; i < count; i++) { /* memory was short */
        allocations->counters.unanswered++;
        on_allocation(context, i, NULL);
    }
}
