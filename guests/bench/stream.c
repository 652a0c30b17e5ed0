/* Memory: the four kernels of the STREAM idea (copy, scale, add, triad) on integers.
 *
 * At full scale the three arrays are 8 MiB each, larger together than most second-level caches;
 * scale = number of passes over 16 Ki elements, or over the whole arrays from scale 128 on. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MAXIMUM (2u << 20) /* elements */

static uint32_t a[MAXIMUM], b[MAXIMUM], c[MAXIMUM];

static void copy(uint32_t *restrict to, const uint32_t *restrict from, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        to[i] = from[i] ^ 1;
}

static void scale_by(uint32_t *restrict to, const uint32_t *restrict from, uint32_t factor, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        to[i] = from[i] * factor;
}

static void add(uint32_t *restrict to, const uint32_t *restrict x, const uint32_t *restrict y, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        to[i] = x[i] + y[i];
}

static void triad(uint32_t *restrict to, const uint32_t *restrict x, const uint32_t *restrict y, uint32_t factor,
                  unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        to[i] = x[i] + factor * y[i];
}

int main(int argc, char **argv)
{
    unsigned scale = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    unsigned n = scale < 128 ? 16384 : MAXIMUM;
    unsigned passes = scale < 128 ? scale : scale / 128;
    for (unsigned i = 0; i < n; i++)
        a[i] = i * 2654435761u;
    for (unsigned pass = 0; pass < passes; pass++) {
        copy(c, a, n);
        scale_by(b, c, 3 + pass, n);
        add(c, a, b, n);
        triad(a, b, c, 5 + pass, n);
    }
    uint32_t checksum = 0;
    for (unsigned i = 0; i < n; i += 61)
        checksum = (checksum << 5 | checksum >> 27) ^ a[i] ^ b[i] ^ c[i];
    printf("stream: %u elements, %u passes, checksum %08x\n", n, passes, (unsigned)checksum);
    return 0;
}
