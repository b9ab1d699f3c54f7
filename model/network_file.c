/* A network as a safetensors file. Tensors: lstm.<l>.weight [inputs + hidden, 4 hidden], lstm.<l>.bias,
 * head.weight, head.bias, features.mean, features.scale, segments (only where there are any) [segments, 3]
 * (feature, low, scale), calibration.slope, calibration.intercept, calibration.horizon_slope,
 * calibration.horizon_intercept (files of before there were horizons lack the last two, and their head is
 * NETWORK_OUTPUTS_LEAST wide). Metadata: format, features_version, feature_names, horizon_ms, bound (of
 * scaled features; none in files of before), thresholds (memory, cpu, io, net, other), threshold (the one of
 * memory; in files without thresholds that of all). The version of a model is the SHA-256 of its bytes. */
#include <errno.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/buffer.h"
#include "model/network.h"
#include "model/safetensors.h"

#define FORMAT "forestall-network-1"
#define NAME_SIZE 48
#define SEGMENT_NUMBERS 3

static int set_version(struct network *network, struct str bytes)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_Digest(bytes.data, bytes.size, digest, &size, EVP_sha256(), NULL) != 1)
        return -ENOMEM;
    for (unsigned i = 0; i < size; i++)
        (void)snprintf(network->version + (size_t)2 * i, 3, "%02x", digest[i]);
    return 0;
}

/* What a file has in another form than the network: the heads, only as many as it knows, and segments. */
struct head {
    size_t columns;
    real *weight, *bias; /* [hidden][columns], [columns] */
    float *segments;     /* [segments][SEGMENT_NUMBERS] */
};

static bool head_init(struct head *head, const struct network *network, size_t columns)
{
    *head = (struct head){.columns = columns};
    head->weight = calloc(network->shape.hidden * columns, sizeof *head->weight);
    head->bias = calloc(columns, sizeof *head->bias);
    head->segments = calloc(network->shape.segments * SEGMENT_NUMBERS + 1, sizeof *head->segments);
    return head->weight && head->bias && head->segments;
}

static void head_fini(struct head *head)
{
    free(head->weight);
    free(head->bias);
    free(head->segments);
}

/* Between the file's width and the network's; what the file lacks stays zero. */
static void head_copy(struct head *head, struct network *network, bool into_network)
{
    for (size_t row = 0; row <= network->shape.hidden; row++) {
        bool bias = row == network->shape.hidden;
        real *file = bias ? head->bias : head->weight + row * head->columns;
        real *ours = bias ? network->head_bias : network->head_weight + row * NETWORK_OUTPUTS;
        if (into_network)
            memset(ours, 0, NETWORK_OUTPUTS * sizeof *ours);
        memcpy(into_network ? ours : file, into_network ? file : ours, head->columns * sizeof *ours);
    }
}

static void segments_into_file(const struct network *network, float *out)
{
    for (size_t i = 0; i < network->shape.segments; i++) {
        const struct network_segment *segment = &network->segments[i];
        const float numbers[SEGMENT_NUMBERS] = {(float)segment->feature, segment->low, segment->scale};
        memcpy(out + i * SEGMENT_NUMBERS, numbers, sizeof numbers);
    }
}

static int segments_from_file(struct network *network, const float *from)
{
    for (size_t i = 0; i < network->shape.segments; i++, from += SEGMENT_NUMBERS) {
        if (!(from[0] >= 0 && from[0] < (float)network->shape.inputs && from[2] > 0))
            return -EBADMSG;
        network->segments[i] = (struct network_segment){(size_t)from[0], from[1], from[2]};
    }
    return 0;
}

#define TENSORS_MAX (2 * NETWORK_LAYERS_MAX + 9)

/* The network's tensors in file order; names of layers live in `names`. Returns how many. */
static size_t list_tensors(const struct network *network, const struct head *head,
                           char names[NETWORK_LAYERS_MAX][2][NAME_SIZE],
                           struct safetensors_tensor out[TENSORS_MAX])
{
    size_t hidden = network->shape.hidden, count = 0;
    for (size_t l = 0; l < network->shape.layers; l++) {
        const struct network_layer *layer = &network->layers[l];
        (void)snprintf(names[l][0], sizeof names[l][0], "lstm.%zu.weight", l);
        (void)snprintf(names[l][1], sizeof names[l][1], "lstm.%zu.bias", l);
        out[count++] =
            (struct safetensors_tensor){names[l][0], 2, {layer->inputs + hidden, 4 * hidden}, layer->weight};
        out[count++] = (struct safetensors_tensor){names[l][1], 1, {4 * hidden}, layer->bias};
    }
    out[count++] = (struct safetensors_tensor){"head.weight", 2, {hidden, head->columns}, head->weight};
    out[count++] = (struct safetensors_tensor){"head.bias", 1, {head->columns}, head->bias};
    out[count++] = (struct safetensors_tensor){"features.mean", 1, {network->shape.inputs}, network->mean};
    out[count++] = (struct safetensors_tensor){"features.scale", 1, {network->shape.inputs}, network->scale};
    if (network->shape.segments > 0)
        out[count++] = (struct safetensors_tensor){
            "segments", 2, {network->shape.segments, SEGMENT_NUMBERS}, head->segments};
    out[count++] = (struct safetensors_tensor){"calibration.slope", 1, {NETWORK_CAUSES}, network->slope};
    out[count++] =
        (struct safetensors_tensor){"calibration.intercept", 1, {NETWORK_CAUSES}, network->intercept};
    if (head->columns < NETWORK_OUTPUTS)
        return count;
    out[count++] = (struct safetensors_tensor){
        "calibration.horizon_slope", 2, {NETWORK_HORIZONS, NETWORK_CAUSES}, network->horizon_slope[0]};
    out[count++] = (struct safetensors_tensor){"calibration.horizon_intercept",
                                               2,
                                               {NETWORK_HORIZONS, NETWORK_CAUSES},
                                               network->horizon_intercept[0]};
    return count;
}

static void print_thresholds(const struct network *network, char *out, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < NETWORK_CAUSES && used < size; i++)
        used +=
            (size_t)snprintf(out + used, size - used, "%s%.9g", i ? "," : "", (double)network->thresholds[i]);
}

int network_save(struct network *network, const char *const *feature_names, struct buffer *out)
{
    char names[NETWORK_LAYERS_MAX][2][NAME_SIZE], features[16], horizon[16], bound[32], threshold[32],
        thresholds[NETWORK_CAUSES * 32];
    struct safetensors_tensor tensors[TENSORS_MAX];
    struct buffer list;
    struct head head;
    size_t start = out->size, columns = network->has_horizons ? NETWORK_OUTPUTS : NETWORK_OUTPUTS_LEAST;
    int error = head_init(&head, network, columns) ? 0 : -ENOMEM;
    buffer_init(&list, 0);
    for (size_t i = 0; i < network->shape.inputs; i++)
        buffer_printf(&list, "%s%s", i ? "," : "", feature_names[i]);
    buffer_append(&list, "", 1);
    (void)snprintf(features, sizeof features, "%d", network->features_version);
    (void)snprintf(horizon, sizeof horizon, "%d", network->horizon_ms);
    (void)snprintf(bound, sizeof bound, "%.9g", (double)network->bound);
    (void)snprintf(threshold, sizeof threshold, "%.9g", (double)network->thresholds[0]);
    print_thresholds(network, thresholds, sizeof thresholds);
    const struct safetensors_metadata metadata[] = {
        {"format", FORMAT},      {"features_version", features}, {"feature_names", (const char *)list.data},
        {"horizon_ms", horizon}, {"threshold", threshold},       {"thresholds", thresholds},
        {"bound", bound}};
    size_t keys = FS_COUNT(metadata) - (isinf(network->bound) ? 1 : 0);
    if (!error)
        error = buffer_error(&list);
    if (!error) {
        head_copy(&head, network, false);
        segments_into_file(network, head.segments);
        error =
            safetensors_encode(tensors, list_tensors(network, &head, names, tensors), metadata, keys, out);
    }
    head_fini(&head);
    buffer_fini(&list);
    return error ? error
                 : set_version(network, (struct str){(const char *)out->data + start, out->size - start});
}

static int number(const struct safetensors *file, const char *key, double least, double most, double *out)
{
    const char *text = safetensors_metadata(file, key);
    char *end;
    double value = text ? strtod(text, &end) : NAN;
    if (!text || end == text || *end || !(value >= least && value <= most))
        return -EBADMSG;
    *out = value;
    return 0;
}

/* Files of before every cause had its own have one for all. */
static int read_thresholds(const struct safetensors *file, float out[NETWORK_CAUSES])
{
    double one;
    const char *text = safetensors_metadata(file, "thresholds");
    if (number(file, "threshold", 0, 1, &one))
        return -EBADMSG;
    for (size_t i = 0; i < NETWORK_CAUSES; i++) {
        char *end;
        double value = text ? strtod(text, &end) : one;
        if (text && (end == text || *end != (i + 1 < NETWORK_CAUSES ? ',' : '\0')))
            return -EBADMSG;
        if (!(value >= 0 && value <= 1))
            return -EBADMSG;
        out[i] = (float)value;
        text = text ? end + 1 : NULL;
    }
    return 0;
}

static int read_shape(const struct safetensors *file, struct network_shape *out, size_t *columns)
{
    size_t dimensions, shape[SAFETENSORS_DIMENSIONS_MAX], layers = 0;
    char name[NAME_SIZE];
    if (safetensors_shape(file, "features.mean", &dimensions, shape) || dimensions != 1)
        return -EBADMSG;
    out->inputs = shape[0];
    if (safetensors_shape(file, "head.weight", &dimensions, shape) || dimensions != 2 ||
        (shape[1] != NETWORK_OUTPUTS && shape[1] != NETWORK_OUTPUTS_LEAST))
        return -EBADMSG;
    out->hidden = shape[0];
    *columns = shape[1];
    out->segments = 0;
    if (safetensors_shape(file, "segments", &dimensions, shape) == 0) {
        if (dimensions != 2 || shape[1] != SEGMENT_NUMBERS)
            return -EBADMSG;
        out->segments = shape[0];
    }
    do
        (void)snprintf(name, sizeof name, "lstm.%zu.weight", layers);
    while (safetensors_shape(file, name, &dimensions, shape) == 0 && ++layers <= NETWORK_LAYERS_MAX);
    out->layers = layers;
    return 0;
}

static bool all_finite(const struct safetensors_tensor *tensor)
{
    size_t count = 1;
    for (size_t i = 0; i < tensor->dimensions; i++)
        count *= tensor->shape[i];
    for (size_t i = 0; i < count; i++)
        if (!isfinite(tensor->data[i]))
            return false;
    return true;
}

static int read_tensors(const struct safetensors *file, struct network *network, const struct head *head,
                        char *error, size_t error_size)
{
    char names[NETWORK_LAYERS_MAX][2][NAME_SIZE];
    struct safetensors_tensor tensors[TENSORS_MAX];
    size_t count = list_tensors(network, head, names, tensors);
    for (size_t i = 0; i < count; i++) {
        float *into = (float *)(uintptr_t)tensors[i].data; /* the network is ours to fill */
        if (safetensors_read(file, tensors[i].name, tensors[i].shape, tensors[i].dimensions, into) ||
            !all_finite(&tensors[i])) {
            (void)snprintf(error, error_size,
                           "model: tensor %s is missing, has another shape or is not finite",
                           tensors[i].name);
            return -EBADMSG;
        }
    }
    return 0;
}

/* Fills the network's tensors; 0, -EBADMSG with error, -ENOMEM. */
static int read_weights(const struct safetensors *file, struct network *network, size_t columns, char *error,
                        size_t error_size)
{
    struct head head;
    int result = -ENOMEM;
    if (head_init(&head, network, columns))
        result = read_tensors(file, network, &head, error, error_size);
    if (result == 0)
        head_copy(&head, network, true);
    if (result == 0 && (result = segments_from_file(network, head.segments)) < 0)
        (void)snprintf(error, error_size, "model: a segment names no feature or has no width");
    head_fini(&head);
    network->has_horizons = columns == NETWORK_OUTPUTS;
    return result;
}

static int read_network(const struct safetensors *file, struct network **out, char *error, size_t error_size)
{
    struct network_shape shape;
    double features, horizon, bound = INFINITY;
    size_t columns;
    float thresholds[NETWORK_CAUSES];
    const char *format = safetensors_metadata(file, "format");
    if (!format || strcmp(format, FORMAT) != 0 || number(file, "features_version", 0, 1e6, &features) ||
        number(file, "horizon_ms", 100, 3600000, &horizon) || read_thresholds(file, thresholds) ||
        (safetensors_metadata(file, "bound") && number(file, "bound", 1e-6, 1e6, &bound)) ||
        read_shape(file, &shape, &columns)) {
        (void)snprintf(error, error_size,
                       "model: not a %s file: metadata or shapes are missing or out of range", FORMAT);
        return -EBADMSG;
    }
    struct network *network = network_create(&shape, 0);
    if (!network) {
        (void)snprintf(error, error_size, "model: shape %zu + %zu x %zu x %zu is not supported", shape.inputs,
                       shape.segments, shape.hidden, shape.layers);
        return -EBADMSG;
    }
    network->features_version = (int32_t)features;
    network->horizon_ms = (int32_t)horizon;
    network->bound = (float)bound;
    memcpy(network->thresholds, thresholds, sizeof thresholds);
    int result = read_weights(file, network, columns, error, error_size);
    if (result)
        network_destroy(network);
    else
        network_find_blocks(network);
    if (result == 0)
        *out = network;
    return result;
}

int network_load(struct str bytes, struct network **out, char *error, size_t error_size)
{
    struct safetensors *file;
    struct network *network;
    int result = safetensors_open(bytes, &file, error, error_size);
    if (result)
        return result;
    result = read_network(file, &network, error, error_size);
    safetensors_close(file);
    if (result)
        return result;
    result = set_version(network, bytes);
    if (result)
        network_destroy(network);
    else
        *out = network;
    return result;
}
