/* See order.h. Of 1,200 MiB a tenth is kept for raises: beside the 1,000 MiB nothing else fits, and of the
 * others only one at a time. */
#include "demo/order.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "common/uuid.h"
#include "demo/process.h"

#define SUBMIT_TIMEOUT_MS 30000
#define START_TIMEOUT_MS 60000
#define END_TIMEOUT_MS 60000

/* `forestall submit` prints the execution's id. */
static int submit(const char *code, const char *memory, const char *seconds, const struct demo_places *places,
                  uint8_t execution[16])
{
    char program[512], path[512], line[128] = "";
    (void)snprintf(program, sizeof program, "%s/forestall", places->bin);
    (void)snprintf(path, sizeof path, "%s/%s-submit.log", places->work, code);
    const char *argv[] = {program,    "submit", "--state", places->state, "--code", code,
                          "--memory", memory,   "--",      "sleep",       seconds,  NULL};
    (void)unlink(path); /* of a submission before */
    int status = process_run(argv, path, SUBMIT_TIMEOUT_MS);
    if (status != 0)
        return status < 0 ? status : -EIO;
    FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    int result = fgets(line, sizeof line, file) ? 0 : -EBADMSG;
    (void)fclose(file);
    line[strcspn(line, "\r\n")] = '\0';
    return result ? result : uuid_parse(str_of(line), execution);
}

static int64_t started_us(struct watch *watch, const uint8_t execution[16])
{
    const struct watched *seen = watch_find(watch, execution);
    return seen && seen->record ? seen->record->started_us : 0;
}

static int run(struct order *order, const struct demo_case *what, struct trial *raised,
               const struct demo_places *places, struct watch *watch, char *error, size_t error_size)
{
    static const char *const codes[ORDER_WAITING] = {"demo-waiting-1", "demo-waiting-2"};
    uint8_t full[16], waiting[ORDER_WAITING][16];
    int result = submit("demo-full", "1000M", "4", places, full);
    if (!result)
        result = watch_wait(watch, full, 0, START_TIMEOUT_MS);
    for (size_t i = 0; i < ORDER_WAITING && !result; i++)
        result = submit(codes[i], "950M", "0.2", places, waiting[i]);
    if (!result)
        result = trial_start(raised, TRIAL_NEXT, what, places);
    if (!result)
        result = trial_finish(raised, watch, error, error_size);
    for (size_t i = 0; i < ORDER_WAITING && !result; i++)
        result = watch_wait(watch, waiting[i], 1, END_TIMEOUT_MS);
    if (result)
        return result;
    order->started_us[0] = raised->record->started_us;
    order->raised_first = true;
    for (size_t i = 0; i < ORDER_WAITING; i++) {
        order->started_us[1 + i] = started_us(watch, waiting[i]);
        order->raised_first = order->raised_first && order->started_us[0] < order->started_us[1 + i];
    }
    order->known = true;
    return 0;
}

int order_run(struct order *order, const struct demo_case *what, struct trial *raised,
              const struct demo_places *places, struct watch *watch, char *error, size_t error_size)
{
    *order = (struct order){0};
    (void)snprintf(error, error_size, "%s", "");
    int result = run(order, what, raised, places, watch, error, error_size);
    if (result < 0 && error[0] == '\0')
        (void)snprintf(error, error_size, "the waiting line: %s", strerror(-result));
    return result;
}
