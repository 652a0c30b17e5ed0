/* Memory: transpose square matrices of bytes, halfwords and words: one side sequential, the other strided.
 *
 * Stores of every width, and a stride of whole rows. scale = rounds over 128 x 128 elements, or, from scale
 * 100 on, rounds of 100 over 1024 x 1024. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MAXIMUM 1024

static uint8_t bytes[2][MAXIMUM * MAXIMUM];
static uint16_t halfwords[2][MAXIMUM * MAXIMUM];
static uint32_t words[2][MAXIMUM * MAXIMUM];

#define DEFINE_TRANSPOSE(type)                                                                                 \
    static void transpose_##type(type *restrict to, const type *restrict from, unsigned n)                    \
    {                                                                                                          \
        for (unsigned row = 0; row < n; row++)                                                                 \
            for (unsigned column = 0; column < n; column++)                                                    \
                to[column * n + row] = (type)(from[row * n + column] + row);                                   \
    }

DEFINE_TRANSPOSE(uint8_t)
DEFINE_TRANSPOSE(uint16_t)
DEFINE_TRANSPOSE(uint32_t)

int main(int argc, char **argv)
{
    unsigned scale = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    unsigned n = scale < 100 ? 128 : MAXIMUM;
    unsigned rounds = scale < 100 ? scale : scale / 100;
    for (unsigned i = 0; i < n * n; i++) {
        bytes[0][i] = (uint8_t)(i * 13);
        halfwords[0][i] = (uint16_t)(i * 7919);
        words[0][i] = i * 2654435761u;
    }
    for (unsigned round = 0; round < rounds; round++) {
        unsigned from = round & 1;
        transpose_uint8_t(bytes[!from], bytes[from], n);
        transpose_uint16_t(halfwords[!from], halfwords[from], n);
        transpose_uint32_t(words[!from], words[from], n);
    }
    uint32_t checksum = 0;
    for (unsigned i = 0; i < n * n; i += 127)
        checksum = checksum * 33 + bytes[rounds & 1][i] + halfwords[rounds & 1][i] + words[rounds & 1][i];
    printf("transpose: %u x %u, %u rounds, checksum %08x\n", n, n, rounds, (unsigned)checksum);
    return 0;
}
