/* See trace.h. */
#include "replay/trace.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/map.h"

#define NAMES_BLOCK ((size_t)1 << 20)
#define NAMES_MAX ((size_t)4 << 30)
#define RECORDS_MAX ((size_t)8 << 30)
#define MIB 1048576.0
#define LEAST_MIB 16 /* below it a container runtime hardly starts */

int trace_open(struct trace *trace)
{
    *trace = (struct trace){.arena = arena_create(NAMES_BLOCK, NAMES_MAX)};
    int result = trace->arena ? records_open(&trace->records, RECORDS_MAX) : -ENOMEM;
    if (result < 0)
        trace_close(trace);
    return result;
}

void trace_close(struct trace *trace)
{
    if (trace->records.codec)
        records_close(&trace->records);
    free(trace->rows);
    free(trace->dead);
    arena_destroy(trace->arena);
    *trace = (struct trace){0};
}

int trace_add(struct trace *trace, const struct trace_row *row)
{
    if (trace->count == trace->capacity) {
        size_t capacity = trace->capacity ? 2 * trace->capacity : 256;
        struct trace_row *rows = realloc(trace->rows, capacity * sizeof *rows);
        if (!rows)
            return -ENOMEM;
        trace->rows = rows;
        trace->capacity = capacity;
    }
    char *code = arena_strdup(trace->arena, row->code);
    if (!code)
        return -ENOMEM;
    trace->rows[trace->count] = *row;
    trace->rows[trace->count++].code.data = code;
    return 0;
}

int trace_add_file(struct trace *trace, const char *path, char *error, size_t error_size)
{
    struct stat status;
    FILE *file;
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return trace_add_records(trace, path, error, error_size);
    if (!(file = fopen(path, "rbe"))) {
        int result = -errno;
        (void)snprintf(error, error_size, "%s: %s", path, strerror(-result));
        return result;
    }
    int first = fgetc(file);
    (void)fclose(file); /* only read from */
    return first == 0   /* u32 big-endian length of a record, at most 16 MiB */
               ? trace_add_records(trace, path, error, error_size)
               : trace_add_csv(trace, path, error, error_size);
}

/* qsort is not stable: rows that start together stay in the order of the files. */
static int by_start(const void *a, const void *b)
{
    const struct trace_row *x = a, *y = b;
    if (x->start_s != y->start_s)
        return x->start_s < y->start_s ? -1 : 1;
    return x->code.data < y->code.data ? -1 : x->code.data > y->code.data;
}

static bool in_order(const struct trace *trace)
{
    for (size_t i = 1; i < trace->count; i++)
        if (trace->rows[i].start_s < trace->rows[i - 1].start_s)
            return false;
    return true;
}

static double rounded_up(double bytes)
{
    return exp2(ceil(log2(fmax(bytes / MIB, LEAST_MIB)) - 1e-9)) * MIB;
}

int trace_finish(struct trace *trace, double share)
{
    int result = trace_use_records(trace);
    if (result < 0)
        return result;
    struct map *first = map_create(trace->count + 1);
    result = first ? 0 : -ENOMEM;
    if (!in_order(trace))
        qsort(trace->rows, trace->count, sizeof *trace->rows, by_start);
    for (size_t i = 0; result == 0 && i < trace->count; i++) {
        struct trace_row *row = &trace->rows[i], *known = map_get(first, row->code.data, row->code.size);
        if (row->requested_bytes > 0)
            continue;
        if (!known)
            result = map_put(first, row->code.data, row->code.size, row);
        row->requested_bytes = known ? known->requested_bytes : rounded_up(row->peak_bytes * share);
    }
    map_destroy(first);
    return result;
}

double trace_largest(const struct trace *trace)
{
    double largest = 0;
    for (size_t i = 0; i < trace->count; i++)
        largest = fmax(largest, fmax(trace->rows[i].peak_bytes, trace->rows[i].requested_bytes));
    return largest;
}

size_t trace_codes(const struct trace *trace)
{
    struct map *codes = map_create(trace->count + 1);
    bool counted = codes != NULL;
    for (size_t i = 0; counted && i < trace->count; i++)
        counted = map_put(codes, trace->rows[i].code.data, trace->rows[i].code.size, &trace->rows[i]) == 0;
    size_t count = counted ? map_count(codes) : trace->count;
    map_destroy(codes);
    return count;
}
