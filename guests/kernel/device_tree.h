/* The flattened device tree by which the loader says what the machine has (Devicetree Specification, chapter 5). */
#ifndef DEVICE_TREE_H
#define DEVICE_TREE_H

#include <stdbool.h>

/* A node; {0} is before the first one. */
struct node {
	const char *name;
	const unsigned *inside; /* behind the name */
};

/* Whether this is a device tree; it is then the one that the functions below read. */
bool device_tree_open(const void *blob);

/* Go on to the next node, first the root, then in the order of the tree; false behind the last. */
bool next_node(struct node *node);

/* The first node whose name is this, or this and a unit address: "memory" is "memory@0", too. */
bool find_node(struct node *node, const char *name);

/* A property of a node and its length in bytes; NULL if there is none. */
const void *property(const struct node *node, const char *name, unsigned *length);

/* A 32-bit cell of a property; `otherwise` if there is no such property, or not as many cells. */
unsigned property_cell(const struct node *node, const char *name, unsigned index, unsigned otherwise);

#endif
