/* What of an address may be shown: everything but the user and password in it. */
#ifndef FORESTALL_COMMON_URL_H
#define FORESTALL_COMMON_URL_H

#include "common/base.h"

/* Splits an address around its user and password: "https://user:word@host/path" into "https://" and
 * "host/path". True when there is such a part. It reaches to the last @, wherever that stands and whether or
 * not the rest is a URL: rather too much is hidden than a part of a password shown. A path ("/...") has none.
 * Both parts point into address. */
bool url_split_user(const char *address, struct str *before, struct str *after);

#endif
