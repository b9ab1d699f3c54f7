/* forestall-retrain: trains the backbone from records. Commands: train, calibrate, merge, evaluate, challenge
 * (files only); without one it is the service, which collects records from Kafka and runs `challenge` on
 * them. */
#include <stdio.h>
#include <string.h>

#include "retrain/commands.h"
#include "retrain/service.h"

struct command {
    const char *name, *description;
    int (*run)(const struct retrain_options *options, char *const *more, int count);
};

static const struct command commands[] = {
    {"train", "Trains a model: forestall-retrain train --out FILE [options] --records FILE...",
     command_train},
    {"calibrate",
     "Calibrates a model anew on the validation part: forestall-retrain calibrate --model FILE --out FILE "
     "[options] --records FILE...",
     command_calibrate},
    {"merge", "Makes one model of several, to be calibrated: forestall-retrain merge --out FILE MODEL...",
     command_merge},
    {"evaluate", "Scores a model: forestall-retrain evaluate --model FILE [options] --records FILE...",
     command_evaluate},
    {"challenge",
     "Trains from the champion and compares: forestall-retrain challenge --champion FILE --out FILE "
     "[options] "
     "--records DIRECTORY...",
     command_challenge},
};

static int run_command(const struct command *command, int argc, char **argv)
{
    struct retrain_options options = {0};
    char error[512] = "out of memory";
    struct config *config = config_create("forestall-retrain", command->description);
    int result = config ? config_add(config, retrain_options, retrain_option_count, &options) : -1, count,
        status = 1;
    if (result == 0)
        result = config_load(config, argc - 1, argv + 1, error, sizeof error);
    if (result == 1) {
        status = 0;
    } else if (result < 0) {
        (void)command_fail(command->name, error);
    } else {
        char *const *more = config_arguments(config, &count);
        status = command->run(&options, more, count);
    }
    config_destroy(config);
    return status;
}

static int serve(struct service *service, const struct retrain_options *options)
{
    static struct retrain retrain;
    char error[512];
    int result = retrain_open(&retrain, service, options, error, sizeof error);
    if (result < 0) {
        (void)command_fail("cannot start", error);
        return 1;
    }
    log_info("ready", "records=%zu directory=\"%s\"", reservoir_count(retrain.reservoir), retrain.directory);
    while (result == 0 && !service_stopping())
        result = retrain_step(&retrain);
    if (result < 0)
        log_error("failed", "reason=\"%s\"", retrain.failure);
    retrain_close(&retrain);
    log_info("stopped", "result=%d", result);
    return result < 0 ? 1 : 0;
}

static int run_service(int argc, char **argv)
{
    struct service service;
    struct retrain_options options = {0};
    int result = service_open(
        &service, RETRAIN_SERVICE,
        "Trains the model from what failed and a sample of what finished, and publishes what wins. "
        "Commands on files: train, calibrate, merge, evaluate, challenge.",
        "forestall_retrain_", retrain_options, retrain_option_count, &options, argc, argv);
    if (result != 0)
        return result > 0 ? 0 : 1;
    int status = serve(&service, &options);
    service_close(&service);
    return status;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < FS_COUNT(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return run_command(&commands[i], argc, argv);
    return run_service(argc, argv);
}
