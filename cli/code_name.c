/* See code_name.h. */
#include "cli/code_name.h"

struct interpreter {
    const char *name;        /* matches NAME and NAME followed by a version */
    const char *inline_code; /* letters of the options that carry the program itself */
    const char *with_value;  /* letters of the options that take the next word */
    const char *names_code;  /* letters of the options whose value names the program */
};

/* From the manual pages: python(1), perlrun(1), bash(1), ruby(1), node(1), php(1), java(1), gawk(1),
 * Rscript(1). */
static const struct interpreter interpreters[] = {
    {"python", "c", "WX", "m"}, {"pypy", "c", "WX", "m"}, {"perl", "eE", "", ""},
    {"ruby", "e", "ICrEK", ""}, {"node", "ep", "r", ""},  {"nodejs", "ep", "r", ""},
    {"php", "r", "cdz", "f"},   {"bash", "c", "oO", ""},  {"sh", "c", "o", ""},
    {"dash", "c", "o", ""},     {"ksh", "c", "o", ""},    {"zsh", "c", "o", ""},
    {"lua", "e", "l", ""},      {"Rscript", "e", "", ""}, {"java", "", "p", "j"},
    {"tclsh", "", "", ""},      {"wish", "", "", ""},     {"gawk", "", "FvEil", "f"},
    {"awk", "", "Fv", "f"},     {"mawk", "", "Fv", "f"},
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool is_version(const char *text)
{
    return strspn(text, "0123456789.-") == strlen(text);
}

static const struct interpreter *find_interpreter(const char *name)
{
    for (size_t i = 0; i < FS_COUNT(interpreters); i++) {
        size_t size = strlen(interpreters[i].name);
        if (strncmp(name, interpreters[i].name, size) == 0 && is_version(name + size))
            return &interpreters[i];
    }
    return NULL;
}

static void append(char *out, struct str text)
{
    size_t used = strlen(out);
    for (size_t i = 0; i < text.size && used < CODE_NAME_MAX; i++)
        out[used++] = name_char_valid(text.data[i]) ? text.data[i] : '_';
    out[used] = '\0';
}

static bool names_program(const struct interpreter *interpreter, char option)
{
    return option != '\0' && strchr(interpreter->names_code, option);
}

/* The word of argv that names the script, NULL when there is none. */
static const char *find_script(const struct interpreter *interpreter, char *const *argv)
{
    bool java = strcmp(interpreter->name, "java") == 0, awk = strstr(interpreter->name, "awk") != NULL;
    for (size_t i = 1; argv[i]; i++) {
        const char *word = argv[i];
        if (word[0] != '-' || word[1] == '\0')
            return awk ? NULL : word; /* awk's first word is the program itself */
        if (strcmp(word, "--") == 0)
            return awk ? NULL : argv[i + 1];
        if (word[1] == '-')
            continue;
        if (java) {
            if (strcmp(word, "-jar") == 0)
                return argv[i + 1];
            if ((strcmp(word, "-cp") == 0 || strcmp(word, "-classpath") == 0) && argv[i + 1])
                i++;
            continue;
        }
        char last = word[strlen(word) - 1];
        if (strchr(interpreter->inline_code, last) || strchr(interpreter->inline_code, word[1]))
            return NULL;
        if (names_program(interpreter, last))
            return argv[i + 1];
        if (names_program(interpreter, word[1]))
            return word + 2;
        if (word[2] == '\0' && strchr(interpreter->with_value, word[1]) && argv[i + 1])
            i++;
    }
    return NULL;
}

void code_name_default(char *const *argv, char out[CODE_NAME_MAX + 1])
{
    const char *name = argv[0] ? base_name(argv[0]) : "";
    const struct interpreter *interpreter = find_interpreter(name);
    const char *script = interpreter ? find_script(interpreter, argv) : NULL;
    out[0] = '\0';
    append(out, str_of(name));
    if (out[0] == '\0')
        append(out, str_of("_"));
    if (!script || !*base_name(script) || strlen(out) == CODE_NAME_MAX)
        return;
    append(out, str_of(":"));
    append(out, str_of(base_name(script)));
}

bool code_name_valid(struct str name)
{
    return name_valid(name, CODE_NAME_MAX);
}
