/* CSV of finished executions: code,start_s,runtime_s,peak_memory_bytes,requested_memory_bytes and, if there,
 * input_bytes,evaluate. Fields may stand in double quotes; other columns are passed over. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "replay/trace.h"

#define FIELDS_MAX 64

enum column { CODE, START, RUNTIME, PEAK, REQUESTED, INPUT, EVALUATE, COLUMN_COUNT };

static const struct {
    const char *name;
    bool needed;
} columns[COLUMN_COUNT] = {
    [CODE] = {"code", true},
    [START] = {"start_s", true},
    [RUNTIME] = {"runtime_s", true},
    [PEAK] = {"peak_memory_bytes", true},
    [REQUESTED] = {"requested_memory_bytes", true},
    [INPUT] = {"input_bytes", false},
    [EVALUATE] = {"evaluate", false},
};

struct reader {
    const char *path;
    size_t line;
    int at[COLUMN_COUNT]; /* field of each column; -1: not there */
    char *fields[FIELDS_MAX];
    int count;
    char *error;
    size_t error_size;
};

static int complain(struct reader *reader, const char *what, const char *value)
{
    (void)snprintf(reader->error, reader->error_size, "%s:%zu: %s%s%.80s", reader->path, reader->line, what,
                   value ? " " : "", value ? value : "");
    return -EINVAL;
}

/* One field from *at, ended in place; the next one's start, NULL after the last. A doubled quote is one. */
static char *split_field(char *at, char **field)
{
    char *out = at, *in = at;
    bool quoted = *in == '"';
    in += quoted;
    *field = out;
    for (; *in; in++) {
        if (quoted && *in == '"' && in[1] == '"')
            in++;
        else if (quoted && *in == '"') {
            quoted = false;
            continue;
        } else if (!quoted && *in == ',')
            break;
        *out++ = *in;
    }
    char *next = *in == ',' ? in + 1 : NULL;
    *out = '\0';
    return next;
}

static int split(struct reader *reader, char *line)
{
    size_t size = strlen(line);
    while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r'))
        line[--size] = '\0';
    reader->count = 0;
    for (char *at = line; at; reader->count++) {
        if (reader->count == FIELDS_MAX)
            return complain(reader, "more than 64 fields", NULL);
        at = split_field(at, &reader->fields[reader->count]);
    }
    return 0;
}

static int read_header(struct reader *reader, char *line)
{
    int result = split(reader, strncmp(line, "\xef\xbb\xbf", 3) == 0 ? line + 3 : line);
    for (size_t c = 0; c < COLUMN_COUNT; c++) {
        reader->at[c] = -1;
        for (int i = 0; i < reader->count; i++)
            if (strcmp(reader->fields[i], columns[c].name) == 0)
                reader->at[c] = i;
        if (result == 0 && columns[c].needed && reader->at[c] < 0)
            result = complain(reader, "the header has no column", columns[c].name);
    }
    return result;
}

/* A number that is finite and not negative; an empty optional one is `otherwise`. */
static int number(struct reader *reader, enum column column, double otherwise, double *out)
{
    int at = reader->at[column];
    const char *text = at >= 0 && at < reader->count ? reader->fields[at] : "";
    char *end;
    *out = otherwise;
    if (!*text && (!columns[column].needed || column == REQUESTED))
        return 0;
    *out = strtod(text, &end);
    if (end == text || *end || !isfinite(*out) || *out < 0)
        return complain(reader, columns[column].name, *text ? text : "is empty");
    return 0;
}

static int read_row(struct reader *reader, char *line, struct trace_row *row)
{
    double evaluate;
    int result = split(reader, line);
    if (result < 0)
        return result;
    const char *code = reader->at[CODE] < reader->count ? reader->fields[reader->at[CODE]] : "";
    *row = (struct trace_row){.code = str_of(code)};
    if (row->code.size == 0 || row->code.size > TRACE_CODE_MAX)
        return complain(reader, "code must have 1 to 128 bytes:", code);
    if (number(reader, START, 0, &row->start_s) < 0 || number(reader, RUNTIME, 0, &row->runtime_s) < 0 ||
        number(reader, PEAK, 0, &row->peak_bytes) < 0 ||
        number(reader, REQUESTED, 0, &row->requested_bytes) < 0 ||
        number(reader, INPUT, NAN, &row->input_bytes) < 0 || number(reader, EVALUATE, 1, &evaluate) < 0)
        return -EINVAL;
    row->evaluate = evaluate != 0;
    return 0;
}

static int read_lines(struct reader *reader, FILE *file, struct trace *trace)
{
    char *line = NULL;
    size_t size = 0;
    int result = 0;
    while (result == 0 && getline(&line, &size, file) >= 0) {
        struct trace_row row;
        reader->line++;
        if (reader->line == 1) {
            result = read_header(reader, line);
            continue;
        }
        if (line[strspn(line, " \t\r\n")] == '\0')
            continue;
        result = read_row(reader, line, &row);
        if (result == 0)
            result = trace_add(trace, &row);
    }
    free(line);
    if (result == 0 && reader->line == 0)
        result = complain(reader, "is empty: a header and rows are wanted", NULL);
    return result;
}

int trace_add_csv(struct trace *trace, const char *path, char *error, size_t error_size)
{
    struct reader reader = {.path = path, .error = error, .error_size = error_size};
    FILE *file = fopen(path, "re");
    int result = file ? read_lines(&reader, file, trace) : -errno;
    if (result < 0 && result != -EINVAL)
        (void)snprintf(error, error_size, "%s: %s", path, strerror(-result));
    if (file)
        (void)fclose(file); /* only read from */
    return result;
}
