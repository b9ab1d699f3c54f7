/* Where the files lie that were built or installed together with the running program. */
#ifndef FORESTALL_COMMON_INSTALLED_H
#define FORESTALL_COMMON_INSTALLED_H

#include "common/base.h"

#define INSTALLED_MODEL "../share/forestall/champion.safetensors" /* the model that is shipped */
#define INSTALLED_REFERENCE                                                                                  \
    "../share/forestall/reference.records" /* records no new model may be worse on                           \
                                            */

/* The path of what lies at `relative` from the program's own directory ("" = the directory itself, without a
 * slash at its end); nothing is looked for there. 0; negative errno of reading /proc/self/exe; -ENAMETOOLONG.
 */
FS_MUST_CHECK int installed_path(const char *relative, char *out, size_t size);

#endif
