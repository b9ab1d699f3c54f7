/* Run-to-failure series of turbofan engines (NASA C-MAPSS, Saxena & Goebel 2008) as three text files:
 *   PM_train.txt  engine, cycle, 3 settings, 21 sensors a line; every engine runs until it fails
 *   PM_test.txt   the same, each series cut some time before the failure
 *   PM_truth.txt  cycles left after each series of PM_test.txt, one a line
 * Data from outside: what is not exactly so is refused with file and line. */
#ifndef FORESTALL_BENCH_CMAPSS_DATA_H
#define FORESTALL_BENCH_CMAPSS_DATA_H

#include "common/base.h"

#define CMAPSS_SETTINGS 3
#define CMAPSS_SENSORS 21
#define CMAPSS_COLUMNS (CMAPSS_SETTINGS + CMAPSS_SENSORS)
#define CMAPSS_ROWS_MAX 1000000 /* of a file; the largest published one has 61,249 */

struct cmapss_engine {
    const double *rows; /* [cycles][CMAPSS_COLUMNS], in the set's block */
    size_t cycles;
    size_t remaining; /* cycles after the last row until the failure */
};

struct cmapss_set {
    struct cmapss_engine *engines;
    size_t count, cycles;
    double *block;
};

/* Both sets of a directory. 0; -ENOENT, -EBADMSG, -ENOMEM with error saying what is wrong where. */
FS_MUST_CHECK int cmapss_read(const char *directory, struct cmapss_set *train, struct cmapss_set *test,
                              char *error, size_t error_size);
void cmapss_fini(struct cmapss_set *set);

#endif
