/* See fields.h. */
#include "allocate/fields.h"

#include <inttypes.h>
#include <stdio.h>

static void add(struct fields *fields, const char *name, struct str value)
{
    fields->items[fields->count++] = (struct store_field){str_of(name), value};
}

static void add_number(struct fields *fields, const char *name, int64_t value)
{
    char *text = fields->texts[fields->count];
    (void)snprintf(text, FIELDS_TEXT_MAX, "%" PRId64, value);
    add(fields, name, str_of(text));
}

static void add_limits(struct fields *fields, const struct msg_limits *limits)
{
    add_number(fields, "memory_bytes", limits->memory_bytes);
    add_number(fields, "cpu_millicores", limits->cpu_millicores);
    add_number(fields, "cpu_weight", limits->cpu_weight);
    add_number(fields, "io_read_bps", limits->io_read_bps);
    add_number(fields, "io_write_bps", limits->io_write_bps);
    add_number(fields, "io_weight", limits->io_weight);
    add_number(fields, "net_egress_bps", limits->net_egress_bps);
    add_number(fields, "net_priority", limits->net_priority);
}

static void add_before(struct fields *fields, const struct msg_limits *before)
{
    add_number(fields, "before_memory_bytes", before->memory_bytes);
    add_number(fields, "before_cpu_millicores", before->cpu_millicores);
    add_number(fields, "before_io_read_bps", before->io_read_bps);
    add_number(fields, "before_io_write_bps", before->io_write_bps);
    add_number(fields, "before_net_egress_bps", before->net_egress_bps);
}

static struct str join_causes(struct fields *fields, const struct msg_cause_array *raised)
{
    size_t used = 0;
    fields->raised[0] = '\0';
    for (size_t i = 0; i < raised->count && used < sizeof fields->raised; i++) {
        int size = snprintf(fields->raised + used, sizeof fields->raised - used, "%s%s", used ? "," : "",
                            msg_cause_name(raised->items[i]));
        used += size > 0 ? (size_t)size : 0;
    }
    return str_of(fields->raised);
}

static struct str join_knots(struct fields *fields, const struct msg_input_knot_array *points)
{
    struct knot knots[KNOTS_MAX];
    size_t count = FS_MIN(points->count, (size_t)KNOTS_MAX);
    for (size_t i = 0; i < count; i++)
        knots[i] = (struct knot){points->items[i].input_bytes, points->items[i].memory_bytes};
    knots_format(knots, count, fields->by_input);
    return str_of(fields->by_input);
}

void fields_fill(struct fields *fields, const struct msg_allocation *allocation)
{
    fields->count = 0;
    add_limits(fields, &allocation->limits);
    add_before(fields, &allocation->before);
    char *probability = fields->texts[fields->count];
    (void)snprintf(probability, FIELDS_TEXT_MAX, "%.6g", (double)allocation->probability);
    add(fields, "probability", str_of(probability));
    add(fields, "reason", allocation->reason);
    add(fields, "raised", join_causes(fields, &allocation->raised));
    add_number(fields, "good_since_raise", allocation->good_since_raise);
    add_number(fields, "pinned", allocation->pinned ? 1 : 0);
    add_number(fields, "memory_most_bytes", allocation->memory_most_bytes);
    add_number(fields, "held_out_permille", allocation->held_out_permille);
    add_number(fields, "runs", allocation->runs);
    add_number(fields, "updated_us", allocation->updated_us);
    add(fields, "memory_by_input",
        join_knots(fields, &allocation->by_input)); /* also when empty: replaces the last one */
}
