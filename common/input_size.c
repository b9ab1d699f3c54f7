/* See input_size.h. */
#include "common/input_size.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEASURED_MAX 1024 /* names looked at */
#define NAME_SIZE_MAX 4096
#define SEPARATORS " \t\n\"'`=:,;<>|&(){}"

struct search {
    int directory, looked;
    int64_t bytes;
};

/* Stays within its type: sparse files may be as large as one likes. */
static void add(struct search *search, const struct stat *status)
{
    if (S_ISREG(status->st_mode) && status->st_size > 0)
        search->bytes =
            status->st_size < INT64_MAX - search->bytes ? search->bytes + status->st_size : INT64_MAX;
}

/* False: no file of this name. */
static bool measure(struct search *search, const char *name)
{
    struct stat status;
    if (search->looked >= MEASURED_MAX || *name == '\0')
        return false;
    search->looked++;
    if (fstatat(search->directory, name, &status, 0) != 0)
        return false;
    add(search, &status);
    return true;
}

/* By the convention of compilers, converters and dd what comes behind it is written. */
static bool is_output_option(const char *word, size_t size)
{
    static const char *const words[] = {"-o", "--output", "--out", "--outfile", "--output-file"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strlen(words[i]) == size && memcmp(words[i], word, size) == 0)
            return true;
    return false;
}

/* `--output=FILE`, `of=FILE` */
static bool assigns_output(const char *word, size_t size)
{
    return is_output_option(word, size) || (size == 2 && memcmp(word, "of", 2) == 0);
}

/* Within a text also `set output 'FILE'`. */
static bool writes_next(const char *word, size_t size, char after)
{
    return is_output_option(word, size) || (size == 6 && memcmp(word, "output", 6) == 0) ||
           (after == '=' && assigns_output(word, size));
}

/* What a shell's command, a script in an argument or an address may name; what stands behind a > or an option
 * for the output is written. */
static void measure_words(struct search *search, const char *text)
{
    char name[NAME_SIZE_MAX], before = '\0';
    bool written = false;
    for (const char *at = text; *at && search->looked < MEASURED_MAX;) {
        size_t gap = strspn(at, SEPARATORS);
        for (size_t i = 0; i < gap; i++)
            before = strchr(" \t\"'", at[i]) ? before : at[i];
        at += gap;
        size_t size = strcspn(at, SEPARATORS);
        if (before != '>' && !written && size > 0 && size < sizeof name) {
            memcpy(name, at, size);
            name[size] = '\0';
            (void)measure(search, name); /* most words are no files */
        }
        written = writes_next(at, size, at[size]);
        before = '\0';
        at += size;
    }
}

int64_t input_size(const char *cwd, char *const *argv, int stdin_fd)
{
    struct stat status;
    struct search search = {.directory = cwd ? open(cwd, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : AT_FDCWD};
    for (int i = 1; argv[0] && argv[i] && search.looked < MEASURED_MAX; i++) {
        const char *equals = strchr(argv[i], '=');
        if ((i > 1 && is_output_option(argv[i - 1], strlen(argv[i - 1]))) ||
            (equals && assigns_output(argv[i], (size_t)(equals - argv[i]))))
            continue;
        if (!measure(&search, argv[i]) && !(equals && measure(&search, equals + 1)))
            measure_words(&search, argv[i]);
    }
    if (stdin_fd >= 0 && fstat(stdin_fd, &status) == 0)
        add(&search, &status);
    if (search.directory >= 0)
        (void)close(search.directory); /* only looked at */
    return search.bytes;
}
