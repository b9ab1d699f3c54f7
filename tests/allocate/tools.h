/* A codec and an arena for one test. */
#ifndef FORESTALL_TESTS_ALLOCATE_TOOLS_H
#define FORESTALL_TESTS_ALLOCATE_TOOLS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/arena.h"
#include "schemas/codec.h"

struct tools {
    struct codec *codec;
    struct arena *arena;
};

/* Of cmocka: fresh ones in *state. */
int tools_set_up(void **state);
int tools_tear_down(void **state);

#endif
