/* A layer's matrix products in a training's window, of bfloat16 numbers (bfloat16.h). The sums, and
 * everything that is not a product, stay in single precision; so do the weights that learn. */
#ifndef FORESTALL_MODEL_TRAIN_PRODUCTS_H
#define FORESTALL_MODEL_TRAIN_PRODUCTS_H

#include "model/network.h"

struct train_products;

/* Whether this CPU has such products. */
bool train_products_available(void);

/* Of a network's layer, whose inputs from first_input on are asked for their gradient. NULL: out of memory.
 */
struct train_products *train_products_create(const struct network *network, size_t layer, size_t first_input,
                                             size_t window, size_t lanes);
void train_products_destroy(struct train_products *products);
/* Before a window: takes the weights as they are now. */
void train_products_begin(struct train_products *products);
/* joined [lanes][inputs + hidden + 1] of step t, which is kept; gates [lanes][4 * hidden]: out. */
void train_products_forward(struct train_products *products, size_t t, const real *joined, real *gates);
/* gates: the gradients of step t. Adds to the gradient of the weights; grad_joined [lanes][inputs -
 * first_input + hidden]: out, NULL = not asked for. */
void train_products_backward(struct train_products *products, size_t t, const real *gates, real *grad_joined,
                             real *grad_weight);

#endif
