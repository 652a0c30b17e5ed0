/* Memory: follow pointers through one random cycle of nodes (Sattolo's shuffle).
 *
 * Every node fills a cache line of 64 bytes. The cycle has 4,096 * scale nodes, at most 32 MiB of them, larger
 * than the caches, so that each step waits for memory; scale * 16,384 steps are taken. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MAXIMUM (512u << 10) /* nodes */

struct node {
    uint32_t next; /* an index, so that guests and host use the same 64 bytes */
    uint32_t payload[15];
};

static struct node nodes[MAXIMUM];
static uint32_t random_state = 12345;

static uint32_t random_below(uint32_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % limit;
}

static void link_one_cycle(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        nodes[i].next = i;
        nodes[i].payload[0] = i * 40503u;
    }
    for (uint32_t i = count - 1; i > 0; i--) {
        uint32_t j = random_below(i);
        uint32_t swapped = nodes[i].next;
        nodes[i].next = nodes[j].next;
        nodes[j].next = swapped;
    }
}

int main(int argc, char **argv)
{
    uint32_t scale = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1;
    uint32_t count = scale < MAXIMUM / 4096 ? 4096 * scale : MAXIMUM;
    uint32_t steps = 16384 * scale + 77;
    link_one_cycle(count);
    uint32_t position = 0, checksum = 0;
    for (uint32_t step = 0; step < steps; step++) {
        checksum = (checksum << 1 | checksum >> 31) + nodes[position].payload[0];
        position = nodes[position].next;
    }
    printf("chase: %u nodes, %u steps, at %u, checksum %08x\n", (unsigned)count, (unsigned)steps,
           (unsigned)position, (unsigned)checksum);
    return 0;
}
