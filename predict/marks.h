/* A set of names of fixed size, one bit for each hash: it may hold one that was never put in, because another
 * has the same bit (of 2^23: a million names fill an eighth), and never misses one that was. Nothing leaves.
 */
#ifndef FORESTALL_PREDICT_MARKS_H
#define FORESTALL_PREDICT_MARKS_H

#include "common/base.h"

struct marks;

/* 1 MiB. NULL when out of memory. */
struct marks *marks_create(void);
void marks_destroy(struct marks *marks);
void marks_add(struct marks *marks, struct str name);
bool marks_hold(const struct marks *marks, struct str name);

#endif
