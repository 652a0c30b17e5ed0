/* Integer: products of 32 x 32 matrices of 32-bit integers, summed in 64 bits.
 *
 * One multiply-accumulate per inner step: on MIPS, the HI/LO accumulator. scale = number of products. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define N 32

static int32_t a[N][N], b[N][N], c[N][N];

static void multiply(void)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            int64_t sum = 0;
            for (int k = 0; k < N; k++)
                sum += (int64_t)a[i][k] * b[k][j];
            c[i][j] = (int32_t)(sum ^ sum >> 32);
        }
}

int main(int argc, char **argv)
{
    unsigned scale = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = (i * 7919 + j * 104729) ^ 0x55;
            b[i][j] = (i - j) * 65537 + 3;
        }
    for (unsigned round = 0; round < scale; round++) {
        multiply();
        for (int i = 0; i < N; i++) /* the result becomes the next left-hand side */
            for (int j = 0; j < N; j++)
                a[i][j] = c[i][j] + (int32_t)round;
    }
    uint32_t checksum = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            checksum = checksum * 31 + (uint32_t)c[i][j];
    printf("product: %u products, checksum %08x\n", scale, (unsigned)checksum);
    return 0;
}
