/* Files of the commands; see commands.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/unwritable.h"
#include "model/network_widen.h"
#include "retrain/commands.h"

#define MODEL_MAX ((size_t)64 << 20)

int command_fail(const char *what, const char *why)
{
    (void)fprintf(stderr, "forestall-retrain: %s: %s\n", what, why);
    return 1;
}

int command_load_records(const struct retrain_options *options, char *const *more, int count,
                         struct record_set *out)
{
    char error[512];
    if (!options->records || !*options->records)
        return command_fail("no records", "say --records FILE or DIRECTORY"), -EINVAL;
    int result = records_open(out, (size_t)options->max_record_bytes);
    if (result < 0)
        return command_fail("records", strerror(-result)), result;
    result = records_add(out, options->records, error, sizeof error);
    for (int i = 0; i < count && result == 0; i++)
        result = records_add(out, more[i], error, sizeof error);
    if (result < 0) {
        records_close(out);
        return command_fail("cannot read records", error), result;
    }
    (void)fprintf(stderr, "records %zu, unreadable %zu, files cut off %zu\n", out->count, out->refused,
                  out->cut_files);
    return 0;
}

struct network *command_load_network(const char *path)
{
    char error[256] = "out of memory";
    struct network *network = NULL;
    if (!*path)
        return command_fail("no model is named", "say --model FILE (challenge: --champion FILE)"), NULL;
    char *bytes = malloc(MODEL_MAX);
    FILE *file = fopen(path, "rb");
    size_t size = file && bytes ? fread(bytes, 1, MODEL_MAX, file) : 0;
    if (!file)
        (void)snprintf(error, sizeof error, "%s", strerror(errno));
    else if (bytes && network_load_current((struct str){bytes, size}, &network, error, sizeof error) < 0)
        network = NULL; /* error says why */
    if (file)
        (void)fclose(file); /* only read from */
    free(bytes);
    if (!network)
        (void)command_fail(path, error);
    return network;
}

int command_write_file(const char *path, struct str bytes)
{
    char beside[4096];
    if (snprintf(beside, sizeof beside, "%s.new", path) >= (int)sizeof beside)
        return command_fail(path, "the name is too long"), -ENAMETOOLONG;
    if (unwritable_special(path))
        return command_fail(path, "is no regular file, it would be replaced: name another"), -EEXIST;
    FILE *file = fopen(beside, "wb");
    bool ok = file && fwrite(bytes.data, 1, bytes.size, file) == bytes.size && fflush(file) == 0 &&
              fsync(fileno(file)) == 0;
    int error = errno;
    if (file && fclose(file) != 0 && ok) {
        ok = false;
        error = errno;
    }
    if (ok && rename(beside, path) < 0) {
        ok = false;
        error = errno;
    }
    if (file && !ok)
        (void)unlink(beside); /* what stays is not looked at */
    if (ok)
        return 0;
    char why[256];
    (void)snprintf(why, sizeof why,
                   "%s: nothing was written, what was there before stays; make room or name another file",
                   strerror(error));
    (void)command_fail(path, why);
    return -error;
}

int command_save_network(const char *path, struct network *network)
{
    struct buffer bytes;
    buffer_init(&bytes, 0);
    int result = network_save(network, fit_feature_names(), &bytes);
    if (result < 0)
        (void)command_fail("cannot encode the model", strerror(-result));
    else
        result = command_write_file(path, buffer_str(&bytes));
    if (result == 0)
        (void)fprintf(stderr, "wrote %s: %zu bytes, version %s, thresholds %.3f %.3f %.3f %.3f %.3f\n", path,
                      bytes.size, network->version, (double)network->thresholds[0],
                      (double)network->thresholds[1], (double)network->thresholds[2],
                      (double)network->thresholds[3], (double)network->thresholds[4]);
    buffer_fini(&bytes);
    return result;
}

void command_report(void *context, const struct fit_progress *progress)
{
    (void)context;
    if (progress->resumed && progress->epoch == progress->resumed + 1)
        (void)fprintf(stderr, "resumed after epoch %zu\n", progress->resumed);
    if (progress->members > 1)
        (void)fprintf(stderr, "member %zu/%zu ", progress->member, progress->members);
    (void)fprintf(
        stderr,
        "epoch %zu/%zu loss %.5f validation %.5f best %.5f (epoch %zu) %.0f ticks/s, at most %.0f s left\n",
        progress->epoch, progress->epochs, progress->train_loss, progress->validation_loss,
        progress->best_loss, progress->best_epoch, progress->ticks_per_second, progress->remaining_s);
}
