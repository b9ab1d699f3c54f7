/* See name.h. */
#include "schemas/name.h"

bool name_char_valid(char c)
{
    static const char others[] = "._:+@/-";
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return plain || memchr(others, c, sizeof others - 1);
}

bool name_valid(struct str name, size_t most)
{
    if (name.size == 0 || name.size > most)
        return false;
    for (size_t i = 0; i < name.size; i++)
        if (!name_char_valid(name.data[i]))
            return false;
    return true;
}
