/* Allocation: build binary trees, walk them, and release them; some live long, most die young.
 *
 * Nodes come from a free list over chunks, written out here so that guest and host run the same allocator
 * (lists.c uses the C library's). scale = number of short-lived trees of 2^10 - 1 nodes; the long-lived one is rebuilt every 64 of them. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CHUNK 256 /* nodes */

struct tree {
    struct tree *left, *right;
    uint32_t value;
};

static struct tree *free_nodes; /* linked through `left` */

static struct tree *allocate_node(void)
{
    if (free_nodes == NULL) {
        struct tree *chunk = malloc(CHUNK * sizeof *chunk);
        if (chunk == NULL) {
            fprintf(stderr, "trees: out of memory\n");
            exit(1);
        }
        for (unsigned i = 0; i < CHUNK; i++) {
            chunk[i].left = free_nodes;
            free_nodes = &chunk[i];
        }
    }
    struct tree *node = free_nodes;
    free_nodes = node->left;
    return node;
}

static void free_node(struct tree *node)
{
    node->left = free_nodes;
    free_nodes = node;
}

static struct tree *build(unsigned depth, uint32_t value)
{
    struct tree *node = allocate_node();
    node->value = value;
    node->left = depth > 1 ? build(depth - 1, value * 2) : NULL;
    node->right = depth > 1 ? build(depth - 1, value * 2 + 1) : NULL;
    return node;
}

static uint32_t checksum(const struct tree *node)
{
    return node == NULL ? 0 : node->value + checksum(node->left) * 3 - checksum(node->right);
}

static void release(struct tree *node)
{
    if (node->left != NULL)
        release(node->left);
    if (node->right != NULL)
        release(node->right);
    free_node(node);
}

int main(int argc, char **argv)
{
    unsigned scale = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    struct tree *long_lived = build(11, 1);
    uint32_t sum = 0;
    for (unsigned round = 0; round < scale; round++) {
        struct tree *short_lived = build(10, round);
        sum = sum * 5 + checksum(short_lived);
        if (round % 64 == 63) {
            sum ^= checksum(long_lived);
            release(long_lived);
            long_lived = build(11, round);
        }
        release(short_lived);
    }
    sum ^= checksum(long_lived);
    release(long_lived);
    printf("trees: %u trees, checksum %08x\n", scale, (unsigned)sum);
    return 0;
}
