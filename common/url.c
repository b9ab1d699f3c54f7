/* See url.h. */
#include "common/url.h"

#define SCHEME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-."

static size_t scheme_size(const char *address)
{
    size_t letters = strspn(address, SCHEME_LETTERS);
    return strncmp(address + letters, "://", 3) == 0 ? letters + 3 : 0;
}

bool url_split_user(const char *address, struct str *before, struct str *after)
{
    const char *at = address[0] == '/' ? NULL : strrchr(address, '@');
    *before = (struct str){address, at ? scheme_size(address) : 0};
    *after = str_of(at ? at + 1 : address);
    return at != NULL;
}
