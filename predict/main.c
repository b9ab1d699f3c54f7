/* forestall-predict: LSTM state per running execution, one step per sample, risks; learns from what finished.
 * What it does is in predict.h. */
#include <stdio.h>
#include <stdlib.h>

#include "predict/predict.h"

static int serve(struct service *service, const struct predict_options *options)
{
    static struct predict predict; /* too large for a stack */
    char error[512];
    int result = predict_open(&predict, service, options, error, sizeof error);
    if (result < 0) {
        (void)fprintf(stderr, "%s: %s\n", service->name, error);
        return EXIT_FAILURE;
    }
    log_info("started", "codes=%zu model=%s", codes_count(predict.codes),
             engine_champion(predict.engine) ? engine_champion(predict.engine)->version : "histogram");
    while (result == 0 && !service_stopping())
        result = predict_step(&predict);
    if (result < 0)
        log_error("failed", "reason=\"%s\"", predict.failure_text);
    predict_close(&predict);
    log_info("stopped", "result=%d", result);
    return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct service service;
    struct predict_options options = {0};
    int result = service_open(
        &service, PREDICT_SERVICE,
        "Predicts for every running execution whether it will fail, and learns from those that ended.",
        "forestall_predict_", predict_option_table, predict_option_count, &options, argc, argv);
    if (result != 0)
        return result > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    int status = serve(&service, &options);
    service_close(&service);
    return status;
}
