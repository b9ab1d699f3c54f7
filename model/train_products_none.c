/* See train_products.h: there are none, of other CPUs and in double precision. */
#include "model/train_products.h"

bool train_products_available(void)
{
    return false;
}

struct train_products *train_products_create(const struct network *network, size_t layer, size_t first_input,
                                             size_t window, size_t lanes)
{
    (void)network;
    (void)layer;
    (void)first_input;
    (void)window;
    (void)lanes;
    return NULL;
}

void train_products_destroy(struct train_products *products)
{
    (void)products;
}

void train_products_begin(struct train_products *products)
{
    (void)products;
}

void train_products_forward(struct train_products *products, size_t t, const real *joined, real *gates)
{
    (void)products;
    (void)t;
    (void)joined;
    (void)gates;
}

void train_products_backward(struct train_products *products, size_t t, const real *gates, real *grad_joined,
                             real *grad_weight)
{
    (void)products;
    (void)t;
    (void)gates;
    (void)grad_joined;
    (void)grad_weight;
}
