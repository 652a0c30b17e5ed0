/* Double: the spectral norm of an infinite matrix's corner, by the power method.
 *
 * The matrix is computed, not stored: integer arithmetic, a conversion and a division per element.
 * scale = number of iterations at size 40. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define N 40

static double element(int i, int j)
{
    return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1);
}

static void multiply(const double *restrict v, double *restrict result)
{
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int j = 0; j < N; j++)
            sum += element(i, j) * v[j];
        result[i] = sum;
    }
}

static void multiply_transposed(const double *restrict v, double *restrict result)
{
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int j = 0; j < N; j++)
            sum += element(j, i) * v[j];
        result[i] = sum;
    }
}

int main(int argc, char **argv)
{
    unsigned scale = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    static double u[N], v[N], between[N];
    double total = 0;
    for (unsigned iteration = 0; iteration < scale; iteration++) {
        if (iteration % 16 == 0)
            for (int i = 0; i < N; i++)
                u[i] = 1 + (iteration + i) % 5; /* start over from another vector */
        multiply(u, between);
        multiply_transposed(between, v);
        double uv = 0, vv = 0;
        for (int i = 0; i < N; i++) {
            uv += u[i] * v[i];
            vv += v[i] * v[i];
        }
        for (int i = 0; i < N; i++)
            u[i] = v[i] / sqrt(vv);
        total += sqrt(vv / uv);
    }
    printf("spectral: %u iterations, sum of estimates %.17g\n", scale, total);
    return 0;
}
