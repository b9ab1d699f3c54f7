/* The names people choose: what codes, pools and nodes may be called. Pure. */
#ifndef FORESTALL_SCHEMAS_NAME_H
#define FORESTALL_SCHEMAS_NAME_H

#include "common/base.h"

#define NAME_SIZE_MAX 128 /* bytes of a code and of a pool */

/* One of [A-Za-z0-9._:+@/-]. */
bool name_char_valid(char c);
/* 1..most bytes of them. */
bool name_valid(struct str name, size_t most);

#endif
