/* Double: fast Fourier transforms (radix 2, in place) of 256 points, forth and back.
 *
 * Butterflies with strides that double; the roots of unity come from half-angle formulas, which need only
 * operations that IEEE 754 rounds correctly. scale = number of pairs of transforms. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define LOGARITHM 8
#define N (1 << LOGARITHM)

struct complex {
    double re, im;
};

static struct complex signal[N], root[N / 2]; /* root[k] = exp(-2 pi i k / N) */

static struct complex multiply(struct complex a, struct complex b)
{
    return (struct complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

static void find_roots(void)
{
    struct complex power[LOGARITHM]; /* power[b] = exp(-2 pi i 2^b / N) */
    double cosine = 0;
    power[LOGARITHM - 1] = (struct complex){-1, 0};
    for (int bit = LOGARITHM - 2; bit >= 0; bit--) {
        power[bit] = (struct complex){cosine, -sqrt(1 - cosine * cosine)};
        cosine = sqrt((1 + cosine) / 2);
    }
    for (int k = 0; k < N / 2; k++) {
        root[k] = (struct complex){1, 0};
        for (int bit = 0; bit < LOGARITHM; bit++)
            if (k >> bit & 1)
                root[k] = multiply(root[k], power[bit]);
    }
}

static void reorder(void)
{
    for (int i = 0, reversed = 0; i < N; i++) {
        if (i < reversed) {
            struct complex swapped = signal[i];
            signal[i] = signal[reversed];
            signal[reversed] = swapped;
        }
        int bit = N >> 1;
        for (; reversed & bit; bit >>= 1)
            reversed ^= bit;
        reversed |= bit;
    }
}

static void transform(int inverse)
{
    reorder();
    for (int half = 1; half < N; half *= 2)
        for (int start = 0; start < N; start += 2 * half)
            for (int k = 0; k < half; k++) {
                struct complex factor = root[k * (N / 2 / half)];
                if (inverse)
                    factor.im = -factor.im;
                struct complex odd = multiply(factor, signal[start + k + half]);
                struct complex even = signal[start + k];
                signal[start + k] = (struct complex){even.re + odd.re, even.im + odd.im};
                signal[start + k + half] = (struct complex){even.re - odd.re, even.im - odd.im};
            }
}

int main(int argc, char **argv)
{
    unsigned scale = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    find_roots();
    for (int i = 0; i < N; i++)
        signal[i] = (struct complex){(i * 37 % 64) / 32.0 - 1, (i * 11 % 32) / 16.0 - 1};
    double power = 0;
    for (unsigned round = 0; round < scale; round++) {
        transform(0);
        power += signal[round % N].re * signal[round % N].re + signal[round % N].im * signal[round % N].im;
        transform(1);
        for (int i = 0; i < N; i++) {
            signal[i].re /= N;
            signal[i].im /= N;
        }
    }
    double sum = 0;
    for (int i = 0; i < N; i++)
        sum += signal[i].re - signal[i].im;
    printf("fft: %u pairs of transforms, power %.17g, sum %.17g\n", scale, power, sum);
    return 0;
}
