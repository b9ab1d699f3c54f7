/* Inside common/config only: one value of one option. */
#ifndef FORESTALL_COMMON_CONFIG_VALUE_H
#define FORESTALL_COMMON_CONFIG_VALUE_H

#include "common/config.h"

/* Parses text as the option asks and writes the field. 0, -EINVAL (not of its form) or -ERANGE. Strings are
 * borrowed. */
FS_MUST_CHECK int config_value_store(const struct config_option *option, const char *text, void *target);
/* Prints "key = value" as it could stand in an INI file; secret ones as a comment that says "(set)", so that
 * what is printed can be read back without taking that for the value. */
void config_value_print(const struct config_option *option, const void *target);
/* The same for a value that is secret, whatever its type. */
void config_value_print_secret(const char *key, const char *value);
/* How a value of the type is written, for messages. */
const char *config_type_form(enum config_type type);

#endif
