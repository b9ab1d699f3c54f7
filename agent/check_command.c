/* See check_command.h. */
#include "agent/check_command.h"

#include <errno.h>
#include <stdio.h>

bool check_command_take(int *argc, char **argv, bool *json)
{
    bool check = false, wants_json = false;
    int kept = 1;
    for (int i = 1; i < *argc; i++)
        check = check || strcmp(argv[i], "--check") == 0;
    for (int i = 1; check && i < *argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            wants_json = true;
        else if (strcmp(argv[i], "--check") != 0)
            argv[kept++] = argv[i];
    }
    if (check) {
        argv[kept] = NULL;
        *argc = kept;
    }
    *json = wants_json;
    return check;
}

static void try_machine(const struct agent_options *options, struct check *out)
{
    struct cgroup_host_options host = {
        .subtree = options->cgroup,
        .net_device = options->net_device[0] ? options->net_device : NULL,
        .net_namespace = options->net_namespace[0] ? options->net_namespace : NULL,
    };
    check_run(&host, out);
}

static void append_text(struct buffer *out, const char *text)
{
    buffer_printf(out, "\"");
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\')
            buffer_printf(out, "\\%c", *c);
        else if ((unsigned char)*c < 0x20)
            buffer_printf(out, "\\u%04x", (unsigned)*c);
        else
            buffer_append(out, c, 1);
    }
    buffer_printf(out, "\"");
}

static void append_json(const struct check *check, struct buffer *out)
{
    buffer_printf(out, "{\"passed\": %s, \"items\": [", check_passed(check) ? "true" : "false");
    for (size_t i = 0; i < check->count; i++) {
        const struct check_item *item = &check->items[i];
        buffer_printf(out, "%s{\"name\": ", i ? ", " : "");
        append_text(out, item->name);
        buffer_printf(out, ", \"ok\": %s, \"required\": %s, \"detail\": ", item->ok ? "true" : "false",
                      item->required ? "true" : "false");
        append_text(out, item->detail);
        buffer_printf(out, ", \"advice\": ");
        append_text(out, item->advice);
        buffer_printf(out, "}");
    }
    buffer_printf(out, "]}\n");
}

int check_command_run(const struct agent_options *options, bool json)
{
    struct check check = {.count = 0};
    struct buffer text;
    try_machine(options, &check);
    buffer_init(&text, 0);
    if (json)
        append_json(&check, &text);
    else
        check_print(&check, &text);
    bool written = buffer_error(&text) == 0 && fwrite(text.data, 1, text.size, stdout) == text.size &&
                   fflush(stdout) == 0;
    buffer_fini(&text);
    return written && check_passed(&check) ? 0 : 1;
}

int check_command_required(const struct agent_options *options, char *error, size_t error_size)
{
    struct check check = {.count = 0};
    try_machine(options, &check);
    for (size_t i = 0; i < check.count; i++) {
        const struct check_item *item = &check.items[i];
        if (item->ok || !item->required)
            continue;
        (void)snprintf(error, error_size,
                       "this machine cannot run executions: %s: %s; %s (see forestall-agent --check)",
                       item->name, item->detail, item->advice);
        return -EPERM;
    }
    return 0;
}
