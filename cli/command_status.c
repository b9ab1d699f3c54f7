/* forestall status: executions and nodes as they are. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/find.h"
#include "cli/message_json.h"
#include "cli/reader.h"
#include "cli/report.h"
#include "cli/text.h"
#include "common/clock.h"
#include "common/map.h"
#include "common/uuid.h"

#define NAME "status"
#define EXECUTIONS_MAX 100000
#define NODES_MAX 20000
#define NODE_GONE_US 30000000 /* it speaks every second; an older word is told as old */

struct command_options {
    struct target_options target;
    int64_t limit;
    bool all;
};

#define FIELD(field) offsetof(struct command_options, field)

static const struct argument arguments[] = {
    {"limit", ARGUMENT_INT, FIELD(limit), 1, EXECUTIONS_MAX, "N",
     "ended executions shown, newest first [10]"},
    {"all", ARGUMENT_FLAG, FIELD(all), 0, 0, NULL, "all ended executions"},
};

static const struct usage usage = {
    "forestall status [OPTION]... [EXECUTION]",
    "Shows what waits, what runs, what ended last, and the nodes; with an id that execution alone.",
    NULL,
};

struct row {
    uint8_t id[16];
    enum msg_execution_phase phase;
    int32_t attempt, priority;
    int64_t enqueued_us, changed_us, first_started_us, peak_bytes, memory_limit_bytes;
    enum msg_cause cause;
    int exit_status;
    const char *outcome;
    char code[129], node[129], reason[200];
    bool forgotten; /* its tombstone came */
};

struct node {
    char name[129], pool[129];
    int64_t time_us, capacity_bytes, free_bytes;
    int32_t capacity_cpu, free_cpu;
    size_t running, shorts;
    bool draining;
};

struct table {
    struct map *places; /* execution -> place in rows + 1 */
    struct row *rows;
    struct node *nodes;
    size_t row_count, row_capacity, node_count, node_capacity;
    uint64_t dropped;
};

/* --- gathering --- */

/* Room for one more; false at the bound or without memory, which is counted. */
static bool grow(struct table *table, void **items, size_t count, size_t *capacity, size_t size, size_t max)
{
    if (count < *capacity)
        return true;
    size_t wanted = FS_MIN(FS_MAX(*capacity * 2, (size_t)64), max);
    void *larger = wanted > count ? realloc(*items, wanted * size) : NULL; /* bounded by max: no overflow */
    if (!larger) {
        table->dropped++;
        return false;
    }
    *items = larger;
    *capacity = wanted;
    return true;
}

static struct row *find_row(struct table *table, struct str id)
{
    size_t place = (size_t)(uintptr_t)map_get(table->places, id.data, id.size);
    return place ? &table->rows[place - 1] : NULL;
}

static struct row *add_row(struct table *table, struct str id)
{
    if (!grow(table, (void **)&table->rows, table->row_count, &table->row_capacity, sizeof *table->rows,
              EXECUTIONS_MAX))
        return NULL;
    if (map_put(table->places, id.data, id.size, (void *)(uintptr_t)(table->row_count + 1)) < 0) {
        table->dropped++;
        return NULL;
    }
    return &table->rows[table->row_count++];
}

static void take_state(struct table *table, const struct msg_execution_state *state)
{
    struct str id = {(const char *)state->execution, sizeof state->execution};
    struct row *row = find_row(table, id);
    if (!row)
        row = add_row(table, id);
    if (!row)
        return;
    *row = (struct row){.phase = state->phase,
                        .attempt = state->attempt,
                        .priority = state->request.priority,
                        .enqueued_us = state->enqueued_us,
                        .changed_us = state->changed_us,
                        .first_started_us = state->first_started_us,
                        .peak_bytes = state->memory_peak_bytes,
                        .memory_limit_bytes = state->limits.memory_bytes,
                        .cause = state->cause,
                        .exit_status = report_exit_status(state),
                        .outcome = report_outcome(state)};
    memcpy(row->id, state->execution, sizeof row->id);
    (void)str_copy(row->code, sizeof row->code, state->request.code);
    (void)str_copy(row->node, sizeof row->node, state->node);
    (void)str_copy(row->reason, sizeof row->reason, state->reason);
}

static void forget_row(struct table *table, struct str id)
{
    struct row *row = find_row(table, id);
    if (row)
        row->forgotten = true;
}

static void drop_forgotten(struct table *table)
{
    size_t kept = 0;
    for (size_t i = 0; i < table->row_count; i++)
        if (!table->rows[i].forgotten)
            table->rows[kept++] = table->rows[i];
    table->row_count = kept;
}

static void table_fini(struct table *table)
{
    map_destroy(table->places);
    free(table->rows);
    free(table->nodes);
}

static void take_node(struct table *table, const struct msg_node_status *status)
{
    struct node *node = NULL;
    for (size_t i = 0; i < table->node_count && !node; i++)
        if (str_equal(status->node, str_of(table->nodes[i].name)))
            node = &table->nodes[i];
    if (!node) {
        if (!grow(table, (void **)&table->nodes, table->node_count, &table->node_capacity, sizeof *node,
                  NODES_MAX))
            return;
        node = &table->nodes[table->node_count++];
    }
    *node = (struct node){.time_us = status->time_us,
                          .capacity_bytes = status->capacity.memory_bytes,
                          .free_bytes = status->free.memory_bytes,
                          .capacity_cpu = status->capacity.cpu_millicores,
                          .free_cpu = status->free.cpu_millicores,
                          .running = status->running.count,
                          .shorts = status->short_.count,
                          .draining = status->draining};
    (void)str_copy(node->name, sizeof node->name, status->node);
    (void)str_copy(node->pool, sizeof node->pool, status->pool);
}

static int on_message(void *context, const struct reader_message *message)
{
    struct table *table = context;
    if (message->type == &msg_execution_state_type && message->message)
        take_state(table, message->message);
    else if (message->type == &msg_execution_state_type)
        forget_row(table, message->key);
    else if (message->message)
        take_node(table, message->message);
    return 0;
}

/* --- showing --- */

static int compare_rows(const void *a, const void *b)
{
    const struct row *left = a, *right = b;
    bool left_done = left->phase == MSG_EXECUTION_PHASE_DONE,
         right_done = right->phase == MSG_EXECUTION_PHASE_DONE;
    if (left_done != right_done)
        return left_done ? 1 : -1;
    int64_t first = left_done ? right->changed_us : left->enqueued_us;
    int64_t second = left_done ? left->changed_us : right->enqueued_us;
    if (first != second)
        return first > second ? 1 : -1;
    return memcmp(left->id, right->id, sizeof left->id); /* qsort(3) wants equals to be equal */
}

static json_t *row_json(const struct row *row)
{
    return json_pack(
        "{s:o,s:s,s:s,s:o,s:i,s:i,s:s,s:I,s:I,s:o,s:I,s:s}", "execution", message_json_uuid(row->id), "code",
        row->code, "phase", msg_execution_phase_name(row->phase), "outcome",
        row->phase == MSG_EXECUTION_PHASE_DONE ? json_string(row->outcome) : json_null(), "attempt",
        (int)row->attempt, "priority", (int)row->priority, "node", row->node, "memory_limit_bytes",
        (json_int_t)row->memory_limit_bytes, "peak_bytes", (json_int_t)row->peak_bytes, "exit_status",
        row->phase == MSG_EXECUTION_PHASE_DONE ? json_integer(row->exit_status) : json_null(), "changed_us",
        (json_int_t)row->changed_us, "reason", row->reason);
}

static json_t *node_json(const struct node *node)
{
    return json_pack("{s:s,s:s,s:I,s:I,s:I,s:i,s:i,s:I,s:b}", "node", node->name, "pool", node->pool,
                     "time_us", (json_int_t)node->time_us, "memory_bytes", (json_int_t)node->capacity_bytes,
                     "free_memory_bytes", (json_int_t)node->free_bytes, "cpu_millicores",
                     (int)node->capacity_cpu, "free_cpu_millicores", (int)node->free_cpu, "running",
                     (json_int_t)node->running, "draining", (int)node->draining);
}

static int print_json(const struct table *table, size_t shown)
{
    json_t *executions = json_array(), *nodes = json_array();
    bool whole = executions && nodes;
    for (size_t i = 0; whole && i < shown; i++)
        whole = json_array_append_new(executions, row_json(&table->rows[i])) == 0;
    for (size_t i = 0; whole && i < table->node_count; i++)
        whole = json_array_append_new(nodes, node_json(&table->nodes[i])) == 0;
    json_t *root = json_pack("{s:o,s:o,s:I}", "executions", executions, "nodes", nodes, "not_shown",
                             (json_int_t)(table->row_count - shown));
    return message_json_print(root) < 0 || !whole ? EXIT_FAILED : EXIT_SUCCESS;
}

static void print_rows(const struct table *table, size_t shown, int64_t now_us)
{
    char id[UUID_TEXT_SIZE], peak[32], limit[32], age[32];
    printf("%-36s  %-20s %-16s %3s %8s %8s %9s  %s\n", "EXECUTION", "CODE", "STATE", "TRY", "PEAK", "LIMIT",
           "SINCE", "REASON");
    for (size_t i = 0; i < shown; i++) {
        const struct row *row = &table->rows[i];
        bool done = row->phase == MSG_EXECUTION_PHASE_DONE;
        uuid_format(row->id, id);
        printf("%-36s  %-20s %-16s %3d %8s %8s %9s  %s\n", id, row->code,
               done ? row->outcome : msg_execution_phase_name(row->phase), (int)row->attempt,
               text_bytes(row->peak_bytes, true, peak), text_bytes(row->memory_limit_bytes, true, limit),
               text_duration(FS_MAX(now_us - row->changed_us, 0) / 1000, age), row->reason);
    }
}

static void print_nodes(const struct table *table, int64_t now_us)
{
    char capacity[32], room[32], age[32];
    printf("%-36s  %-20s %8s %8s %8s %8s %8s  %s\n", "NODE", "POOL", "MEMORY", "FREE", "CPU", "FREE",
           "RUNNING", "STATE");
    for (size_t i = 0; i < table->node_count; i++) {
        const struct node *node = &table->nodes[i];
        int64_t silent_us = now_us - node->time_us;
        printf("%-36s  %-20s %8s %8s %7dm %7dm %8zu  ", node->name, node->pool,
               text_bytes(node->capacity_bytes, true, capacity), text_bytes(node->free_bytes, false, room),
               (int)node->capacity_cpu, (int)node->free_cpu, node->running);
        if (silent_us > NODE_GONE_US)
            printf("silent for %s\n", text_duration(silent_us / 1000, age));
        else
            printf("%s%s\n", node->draining ? "draining" : "up",
                   node->shorts ? ", short of what was wanted" : "");
    }
}

static int print_table(const struct table *table, size_t shown)
{
    size_t waiting = 0, running = 0, done = 0;
    for (size_t i = 0; i < table->row_count; i++) {
        if (table->rows[i].phase == MSG_EXECUTION_PHASE_DONE)
            done++;
        else if (table->rows[i].phase == MSG_EXECUTION_PHASE_RUNNING)
            running++;
        else
            waiting++;
    }
    int64_t now_us = clock_realtime_us();
    printf("%zu waiting, %zu running, %zu ended, %zu node%s\n", waiting, running, done, table->node_count,
           table->node_count == 1 ? "" : "s");
    if (shown > 0) {
        printf("\n");
        print_rows(table, shown, now_us);
    }
    if (table->row_count > shown)
        printf("(%zu older ones: --all)\n", table->row_count - shown);
    if (table->node_count > 0) {
        printf("\n");
        print_nodes(table, now_us);
    }
    return fflush(stdout) == EOF ? EXIT_FAILED : EXIT_SUCCESS;
}

static int show(const struct command_options *options, struct table *table)
{
    size_t shown = 0, ended = 0;
    drop_forgotten(table);
    if (table->row_count > 0)
        qsort(table->rows, table->row_count, sizeof *table->rows, compare_rows);
    while (shown < table->row_count) {
        bool done = table->rows[shown].phase == MSG_EXECUTION_PHASE_DONE;
        if (done && !options->all && ended++ >= (size_t)options->limit)
            break;
        shown++;
    }
    int status = options->target.json ? print_json(table, shown) : print_table(table, shown);
    if (table->dropped > 0)
        return command_fail(NAME, EXIT_FAILED, "%" PRIu64 " more did not fit", table->dropped);
    return status;
}

static int show_all(const struct command_options *options, const struct target *target)
{
    static const char *const topics[] = {TOPIC_EXECUTIONS_STATE, TOPIC_NODES};
    char error[1024];
    struct table table = {.places = map_create(EXECUTIONS_MAX)};
    if (!table.places)
        return command_fail(NAME, EXIT_FAILED, "out of memory");
    struct reader *reader = reader_open(target, error, sizeof error);
    int result = reader ? reader_add_topics(reader, topics, FS_COUNT(topics), STREAM_FROM_BEGINNING, error,
                                            sizeof error)
                        : -EHOSTDOWN;
    if (result == 0) {
        result = reader_scan(reader, on_message, &table, options->target.timeout_ms);
        (void)snprintf(error, sizeof error, "reading the topics: %s", strerror(result < 0 ? -result : 0));
    }
    int status = result < 0 ? command_fail(NAME, EXIT_FAILED, "%s", error) : show(options, &table);
    reader_close(reader);
    table_fini(&table);
    return status;
}

static int show_one(const struct command_options *options, const struct target *target, const char *text)
{
    char error[1024];
    uint8_t id[16];
    struct execution *execution;
    struct table table = {0};
    if (uuid_parse(str_of(text), id) < 0)
        return command_fail(NAME, EXIT_USAGE, "%s is not an execution's id", text);
    if (find_execution(target, &options->target, id, &execution, error, sizeof error) < 0)
        return command_fail(NAME, EXIT_FAILED, "%s: %s", text, error);
    const struct msg_execution_state *state = execution_state(execution);
    int status = EXIT_SUCCESS;
    if (options->target.json) {
        if (message_json_print(message_json(&msg_execution_state_type, state)) < 0)
            status = EXIT_FAILED;
    } else {
        table.places = map_create(1);
        if (table.places)
            take_state(&table, state);
        if (table.row_count > 0)
            print_rows(&table, 1, clock_realtime_us());
        table_fini(&table);
    }
    execution_destroy(execution);
    return status;
}

int command_status(int argc, char **argv)
{
    struct command_options options = {.target = TARGET_OPTIONS_DEFAULT, .limit = 10};
    struct argument_set sets[] = {{arguments, FS_COUNT(arguments), &options},
                                  target_arguments(&options.target)};
    char error[1024];
    struct target target;
    int words;
    int result = arguments_parse(sets, FS_COUNT(sets), &usage, ARGUMENTS_ANYWHERE, argc, argv, &words, error,
                                 sizeof error);
    if (result != 0)
        return result < 0 ? command_misuse(NAME, error) : EXIT_SUCCESS;
    if (words > 1)
        return command_misuse(NAME, "more than one execution is given");
    if (target_open(&options.target, &target, error, sizeof error) < 0)
        return command_fail(NAME, EXIT_FAILED, "%s", error);
    int status = words == 1 ? show_one(&options, &target, argv[1]) : show_all(&options, &target);
    target_close(&target);
    return status;
}
