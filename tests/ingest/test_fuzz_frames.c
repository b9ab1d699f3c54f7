/* Runs the fuzz target over its corpus, and over mutations of it, for a bounded number of inputs; meant for
 * the sanitizers. With the argument --write it makes the corpus anew from the valid messages. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "schemas/codec.h"
#include "schemas/frame.h"
#include "tests/ingest/sample_messages.h"

#define INPUT_MAX ((size_t)1 << 16)
#define MUTATIONS 150 /* of each file */
#define FILES_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t next(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static size_t mutate(uint64_t *state, uint8_t *data, size_t size)
{
    for (size_t changes = 1 + next(state) % 6; changes > 0 && size > 1; changes--) {
        size_t at = next(state) % size, other = next(state) % size, length = next(state) % 32;
        switch (next(state) % 5) {
        case 0:
            data[at] = (uint8_t)next(state);
            break;
        case 1:
            data[at] ^= (uint8_t)(1u << next(state) % 8);
            break;
        case 2: /* a piece twice */
            length = FS_MIN(length, FS_MIN(size - FS_MAX(at, other), INPUT_MAX - size));
            memmove(data + at + length, data + at, size - at);
            size += length;
            break;
        case 3:
            length = FS_MIN(length, size - at - (at == 0));
            memmove(data + at, data + at + length, size - at - length);
            size -= length;
            break;
        default:
            memset(data + at, next(state) % 2 ? 0xff : 0x80, FS_MIN(length, size - at));
        }
    }
    return size;
}

static size_t load(const char *directory, const char *name, uint8_t *out)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, out, INPUT_MAX) : -1;
    if (fd >= 0)
        (void)close(fd);
    return size > 0 ? (size_t)size : 0;
}

static int run(const char *directory, uint64_t seed)
{
    static uint8_t original[INPUT_MAX], mutated[INPUT_MAX];
    size_t files = 0, inputs = 0;
    DIR *opened = opendir(directory);
    if (!opened)
        return perror(directory), EXIT_FAILURE;
    (void)printf("seed %" PRIu64 "\n", seed);
    for (struct dirent *entry; (entry = readdir(opened)) && files < FILES_MAX;) {
        size_t size = entry->d_name[0] == '.' ? 0 : load(directory, entry->d_name, original);
        if (size == 0)
            continue;
        files++;
        (void)LLVMFuzzerTestOneInput(original, size);
        for (int i = 0; i < MUTATIONS; i++, inputs++) {
            memcpy(mutated, original, size);
            size_t changed = mutate(&seed, mutated, size);
            (void)LLVMFuzzerTestOneInput(mutated, changed);
        }
    }
    (void)closedir(opened);
    (void)printf("%zu files, %zu mutations\n", files, inputs);
    return files > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* --- making the corpus --- */

static void save(const char *directory, const char *name, uint8_t how, const struct buffer *frames)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    if (!file)
        return perror(path);
    (void)fputc(how, file);
    (void)fwrite(frames->data, 1, frames->size, file);
    (void)fclose(file);
}

static void add(struct buffer *frames, enum frame_type frame, uint64_t number, const struct msg_type *type,
                const void *message)
{
    struct buffer payload;
    buffer_init(&payload, 0);
    if (codec_encode(type, message, &payload) < 0)
        abort();
    if (number > 0)
        frame_append_numbered(frames, frame, number, buffer_str(&payload));
    else
        frame_append(frames, frame, buffer_str(&payload));
    buffer_fini(&payload);
}

static void write_corpus(const char *directory)
{
    static const struct {
        const char *name;
        uint8_t how;
    } ways[] = {{"all", 1},           {"pieces", 1 | 2},       {"queue-full", 1 | 4},
                {"too-large", 1 | 8}, {"kafka-fails", 1 | 16}, {"kafka-late", 1 | 32}};
    struct msg_hello hello = sample_hello();
    struct msg_tick tick = sample_tick();
    struct msg_node_status status = sample_status();
    struct msg_execution_event event = sample_event();
    struct msg_execution_record record = sample_record();
    struct buffer frames;
    buffer_init(&frames, 0);
    add(&frames, FRAME_HELLO, 0, &msg_hello_type, &hello);
    save(directory, "hello", 0, &frames);
    add(&frames, FRAME_TICK, 0, &msg_tick_type, &tick);
    save(directory, "hello-tick-pieces", 2, &frames);
    add(&frames, FRAME_HELLO, 0, &msg_hello_type, &hello);
    save(directory, "hello-twice", 0, &frames);
    buffer_reset(&frames);
    frame_append_numbered(&frames, FRAME_SCHEMA, msg_hello_type.fingerprint, str_of(msg_hello_type.json));
    frame_append_numbered(&frames, FRAME_PING, 1, (struct str){0});
    frame_append_numbered(&frames, FRAME_PONG, 2, (struct str){0});
    save(directory, "schema-ping-pong", 1, &frames);
    buffer_reset(&frames);
    add(&frames, FRAME_TICK, 0, &msg_tick_type, &tick);
    add(&frames, FRAME_STATUS, 0, &msg_node_status_type, &status);
    add(&frames, FRAME_EVENT, 1, &msg_execution_event_type, &event);
    add(&frames, FRAME_RECORD, 2, &msg_execution_record_type, &record);
    for (size_t i = 0; i < FS_COUNT(ways); i++)
        save(directory, ways[i].name, ways[i].how, &frames);
    buffer_reset(&frames);
    buffer_append(&frames, "\x80\x00\x00\x00\x04", 5);
    save(directory, "two-gibibytes", 1, &frames);
    buffer_fini(&frames);
}

/* The messages as they are written today: the files were written with the schemas of their day. */
static int run_fresh(uint64_t seed)
{
    char directory[] = "/tmp/forestall-corpus-XXXXXX", path[1024];
    if (!mkdtemp(directory))
        return perror(directory), EXIT_FAILURE;
    write_corpus(directory);
    int status = run(directory, seed);
    DIR *opened = opendir(directory);
    for (struct dirent *entry; opened && (entry = readdir(opened));) {
        (void)snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        (void)unlink(path); /* "." and ".." stay */
    }
    if (opened)
        (void)closedir(opened);
    (void)rmdir(directory);
    return status;
}

int main(int argc, char **argv)
{
    const char *text = getenv("FORESTALL_SEED");
    uint64_t seed = text ? strtoul(text, NULL, 10) : (uint64_t)getpid();
    if (argc == 3 && strcmp(argv[1], "--write") == 0)
        return write_corpus(argv[2]), EXIT_SUCCESS;
    if (argc != 2)
        return (void)fprintf(stderr, "usage: %s CORPUS | --write CORPUS\n", argv[0]), EXIT_FAILURE;
    int status = run(argv[1], seed);
    return status == EXIT_SUCCESS ? run_fresh(seed) : status;
}
