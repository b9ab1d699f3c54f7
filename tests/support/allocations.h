/* What a test's program takes from the heap: counted, and failing on demand. For targets that CMake declares
 * with ALLOCATIONS; calls from libraries linked dynamically are not seen. Not for tests with threads. */
#ifndef FORESTALL_TESTS_SUPPORT_ALLOCATIONS_H
#define FORESTALL_TESTS_SUPPORT_ALLOCATIONS_H

#include <stdbool.h>
#include <stddef.h>

/* Calls of malloc, calloc and realloc so far. */
size_t allocations_count(void);
/* Lets one call fail: the one after `after` more have succeeded. */
void allocations_fail(size_t after);
/* No call fails any more. True when the one that was to fail had come. */
bool allocations_failed(void);

#endif
