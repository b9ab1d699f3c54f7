/* See train_products.h. */
#include "model/train_products.h"

#include <stdlib.h>

#include "model/bfloat16.h"

struct train_products {
    const struct network_layer *layer;
    size_t lanes, width, gates, first;    /* width: inputs, h and 1; first: input asked for its gradient */
    size_t row;                           /* of joined, in numbers: width, made even */
    uint16_t *joined;                     /* [window][lanes, made even][row] */
    uint16_t *slopes;                     /* [lanes, made even][gates] */
    uint32_t *joined_pairs, *slope_pairs; /* [lanes / 2, rounded up][width or gates]: of two lanes */
    uint32_t *weight, *turned;            /* packed */
};

bool train_products_available(void)
{
    return bfloat16_available();
}

static size_t even(size_t count)
{
    return count + count % 2;
}

static size_t asked(const struct train_products *p)
{
    return p->width - 1 - p->first;
}

struct train_products *train_products_create(const struct network *network, size_t layer, size_t first_input,
                                             size_t window, size_t lanes)
{
    struct train_products *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->layer = &network->layers[layer];
    p->lanes = lanes;
    p->width = p->layer->inputs + network->shape.hidden + 1;
    p->gates = 4 * network->shape.hidden;
    p->first = first_input;
    p->row = even(p->width);
    size_t pairs = even(lanes) / 2,
           panels = p->gates + BFLOAT16_PANEL; /* slope_pairs is read to a panel's end */
    p->joined = calloc(window * even(lanes), p->row * sizeof *p->joined);
    p->slopes = calloc(even(lanes), p->gates * sizeof *p->slopes);
    p->joined_pairs = calloc(pairs, p->width * sizeof *p->joined_pairs);
    p->slope_pairs = calloc(pairs * p->gates + panels, sizeof *p->slope_pairs);
    p->weight = calloc(bfloat16_packed(p->width, p->gates), sizeof *p->weight);
    p->turned = calloc(bfloat16_packed(p->gates, asked(p)), sizeof *p->turned);
    if (p->joined && p->slopes && p->joined_pairs && p->slope_pairs && p->weight && p->turned)
        return p;
    train_products_destroy(p);
    return NULL;
}

void train_products_destroy(struct train_products *p)
{
    if (!p)
        return;
    free(p->joined);
    free(p->slopes);
    free(p->joined_pairs);
    free(p->slope_pairs);
    free(p->weight);
    free(p->turned);
    free(p);
}

void train_products_begin(struct train_products *p)
{
    bfloat16_pack(p->layer->weight, p->width, p->gates, p->weight);
    bfloat16_pack_turned(p->layer->weight + p->first * p->gates, p->gates, asked(p), p->turned);
}

/* Two numbers that lie side by side are a pair as they are: little endian, as every CPU with these products
 * is. */
static const uint32_t *as_pairs(const uint16_t *numbers)
{
    return (const void *)numbers;
}

void train_products_forward(struct train_products *p, size_t t, const real *joined, real *gates)
{
    uint16_t *rounded = p->joined + t * even(p->lanes) * p->row;
    for (size_t lane = 0; lane < p->lanes; lane++)
        bfloat16_round(joined + lane * p->width, p->width, rounded + lane * p->row);
    bfloat16_multiply(&(struct bfloat16_product){.rows = p->lanes,
                                                 .columns = p->gates,
                                                 .pairs = p->row / 2,
                                                 .a = as_pairs(rounded),
                                                 .a_row = p->row / 2,
                                                 .a_pair = 1,
                                                 .b = p->weight,
                                                 .b_panel = p->row / 2 * BFLOAT16_PANEL,
                                                 .b_pair = BFLOAT16_PANEL,
                                                 .c = gates,
                                                 .c_row = p->gates});
}

void train_products_backward(struct train_products *p, size_t t, const real *gates, real *grad_joined,
                             real *grad_weight)
{
    const uint16_t *joined = p->joined + t * even(p->lanes) * p->row;
    bfloat16_round(gates, p->lanes * p->gates, p->slopes);
    for (size_t pair = 0; pair < even(p->lanes) / 2; pair++) {
        const uint16_t *inputs = joined + 2 * pair * p->row, *slopes = p->slopes + 2 * pair * p->gates;
        bfloat16_pair(inputs, inputs + p->row, p->width, p->joined_pairs + pair * p->width);
        bfloat16_pair(slopes, slopes + p->gates, p->gates, p->slope_pairs + pair * p->gates);
    }
    bfloat16_multiply(&(struct bfloat16_product){.rows = p->width,
                                                 .columns = p->gates,
                                                 .pairs = even(p->lanes) / 2,
                                                 .a = p->joined_pairs,
                                                 .a_row = 1,
                                                 .a_pair = p->width,
                                                 .b = p->slope_pairs,
                                                 .b_panel = BFLOAT16_PANEL,
                                                 .b_pair = p->gates,
                                                 .c = grad_weight,
                                                 .c_row = p->gates,
                                                 .add = true});
    if (grad_joined)
        bfloat16_multiply(&(struct bfloat16_product){.rows = p->lanes,
                                                     .columns = asked(p),
                                                     .pairs = p->gates / 2,
                                                     .a = as_pairs(p->slopes),
                                                     .a_row = p->gates / 2,
                                                     .a_pair = 1,
                                                     .b = p->turned,
                                                     .b_panel = p->gates / 2 * BFLOAT16_PANEL,
                                                     .b_pair = BFLOAT16_PANEL,
                                                     .c = grad_joined,
                                                     .c_row = asked(p)});
}
