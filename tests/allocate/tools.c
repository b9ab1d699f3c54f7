/* See tools.h. */
#include "tests/allocate/tools.h"

#include <stdlib.h>

int tools_set_up(void **state)
{
    struct tools *tools = calloc(1, sizeof *tools);
    if (!tools)
        return -1;
    tools->codec = codec_create();
    tools->arena = arena_create(1 << 16, 64 << 20);
    *state = tools;
    return tools->codec && tools->arena ? 0 : -1;
}

int tools_tear_down(void **state)
{
    struct tools *tools = *state;
    arena_destroy(tools->arena);
    codec_destroy(tools->codec);
    free(tools);
    return 0;
}
