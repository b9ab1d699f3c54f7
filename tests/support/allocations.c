/* See allocations.h. */
#include "tests/support/allocations.h"

static size_t calls, left;
static bool armed, failed;

static bool fails_now(void)
{
    calls++;
    if (!armed || left-- > 0)
        return false;
    armed = false;
    failed = true;
    return true;
}

size_t allocations_count(void)
{
    return calls;
}

void allocations_fail(size_t after)
{
    left = after;
    armed = true;
    failed = false;
}

bool allocations_failed(void)
{
    armed = false;
    return failed;
}

/* NOLINTBEGIN(cert-dcl37-c): these names are the linker's, which puts them in place of the plain ones */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails_now() ? NULL : __real_realloc(memory, size);
}
/* NOLINTEND(cert-dcl37-c) */
