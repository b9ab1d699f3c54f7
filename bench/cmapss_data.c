/* See cmapss_data.h. */
#include "bench/cmapss_data.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct reader {
    FILE *file;
    char path[PATH_MAX];
    char *line;
    size_t capacity, number; /* number of the line, from 1 */
    char *error;
    size_t error_size;
};

static int refuse(const struct reader *reader, const char *what)
{
    (void)snprintf(reader->error, reader->error_size, "%s:%zu: %s", reader->path, reader->number, what);
    return -EBADMSG;
}

static int reader_open(struct reader *reader, const char *directory, const char *name, char *error,
                       size_t size)
{
    *reader = (struct reader){.error = error, .error_size = size};
    (void)snprintf(reader->path, sizeof reader->path, "%s/%s", directory, name); /* too long: not found */
    reader->file = fopen(reader->path, "re");
    if (reader->file)
        return 0;
    (void)snprintf(error, size, "%s: %s: give the directory of PM_train.txt, PM_test.txt and PM_truth.txt",
                   reader->path, strerror(errno));
    return -ENOENT;
}

static void reader_close(struct reader *reader)
{
    free(reader->line);
    (void)fclose(reader->file); /* only read */
}

/* The numbers of the next line that has any: 1 and all of values, 0 at the end, -EBADMSG. */
static int read_numbers(struct reader *reader, double *values, size_t count)
{
    size_t found = 0;
    while (found == 0) {
        if (getline(&reader->line, &reader->capacity, reader->file) < 0)
            return ferror(reader->file) ? refuse(reader, "cannot be read") : 0;
        reader->number++;
        char *at = reader->line + strspn(reader->line, " \t\r\n"), *end;
        for (; *at; at = end + strspn(end, " \t\r\n")) {
            double value = strtod(at, &end);
            if (end == at || !isfinite(value))
                return refuse(reader, "not a number");
            if (found == count)
                return refuse(reader, "too many columns");
            values[found++] = value;
        }
    }
    return found == count ? 1 : refuse(reader, "too few columns");
}

static bool grow(void **array, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity)
        return true;
    size_t wanted = *capacity ? 2 * *capacity : 1024, bytes;
    void *bigger = size_multiply(wanted, size, &bytes) ? realloc(*array, bytes) : NULL;
    if (!bigger)
        return false;
    *array = bigger;
    *capacity = wanted;
    return true;
}

/* Engines are numbered from 1, cycles of each from 1. */
static int read_series(struct reader *reader, struct cmapss_set *set)
{
    double row[2 + CMAPSS_COLUMNS];
    size_t engine_capacity = 0, row_capacity = 0;
    int result;
    while ((result = read_numbers(reader, row, FS_COUNT(row))) > 0) {
        void *engines = set->engines, *block = set->block;
        bool ok = grow(&engines, &engine_capacity, set->count, sizeof *set->engines);
        set->engines = engines;
        ok = grow(&block, &row_capacity, set->cycles, sizeof(double) * CMAPSS_COLUMNS) && ok;
        set->block = block;
        if (!ok)
            return -ENOMEM;
        if (set->cycles == CMAPSS_ROWS_MAX)
            return refuse(reader, "more rows than any published file has");
        if (set->count == 0 || row[0] != (double)set->count)
            set->engines[set->count++] = (struct cmapss_engine){0};
        struct cmapss_engine *engine = &set->engines[set->count - 1];
        if (row[0] != (double)set->count || row[1] != (double)++engine->cycles)
            return refuse(reader, "engines and the cycles of each must count 1, 2, 3 without a gap");
        memcpy(set->block + set->cycles++ * CMAPSS_COLUMNS, row + 2, sizeof(double) * CMAPSS_COLUMNS);
    }
    const double *rows = set->block;
    for (size_t i = 0; i < set->count; i++) { /* only now: the block has moved while it grew */
        set->engines[i].rows = rows;
        rows += set->engines[i].cycles * CMAPSS_COLUMNS;
    }
    return result < 0 ? result : set->count > 0 ? 0 : refuse(reader, "no rows");
}

static int read_truth(struct reader *reader, struct cmapss_set *set)
{
    double remaining;
    size_t engine = 0;
    int result;
    while ((result = read_numbers(reader, &remaining, 1)) > 0) {
        if (engine == set->count || remaining < 0 || remaining > CMAPSS_ROWS_MAX)
            return refuse(reader, "not the remaining cycles of an engine of PM_test.txt");
        set->engines[engine++].remaining = (size_t)remaining;
    }
    return result < 0 ? result : engine == set->count ? 0 : refuse(reader, "fewer lines than engines");
}

static int read_file(const char *directory, const char *name,
                     int (*read)(struct reader *, struct cmapss_set *), struct cmapss_set *set, char *error,
                     size_t size)
{
    struct reader reader;
    int result = reader_open(&reader, directory, name, error, size);
    if (result < 0)
        return result;
    result = read(&reader, set);
    if (result == -ENOMEM)
        (void)snprintf(error, size, "%s: out of memory", reader.path);
    reader_close(&reader);
    return result;
}

int cmapss_read(const char *directory, struct cmapss_set *train, struct cmapss_set *test, char *error,
                size_t error_size)
{
    *train = *test = (struct cmapss_set){0};
    int result = read_file(directory, "PM_train.txt", read_series, train, error, error_size);
    if (result == 0)
        result = read_file(directory, "PM_test.txt", read_series, test, error, error_size);
    if (result == 0)
        result = read_file(directory, "PM_truth.txt", read_truth, test, error, error_size);
    if (result < 0) {
        cmapss_fini(train);
        cmapss_fini(test);
    }
    return result;
}

void cmapss_fini(struct cmapss_set *set)
{
    free(set->engines);
    free(set->block);
    *set = (struct cmapss_set){0};
}
