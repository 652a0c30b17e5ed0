/* Single: blur an image of 64 x 64 floats with a separable filter, then sharpen it again by the difference.
 *
 * Multiplications and additions over rows and columns, clamped at the borders and to [0, 1].
 * scale = number of rounds. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define SIZE 64
#define RADIUS 3

static float image[SIZE][SIZE], rows[SIZE][SIZE], blurred[SIZE][SIZE];
static const float weights[2 * RADIUS + 1] = {0.03f, 0.11f, 0.22f, 0.28f, 0.22f, 0.11f, 0.03f};

static int inside(int position)
{
    return position < 0 ? 0 : position >= SIZE ? SIZE - 1 : position;
}

static void blur(void)
{
    for (int y = 0; y < SIZE; y++)
        for (int x = 0; x < SIZE; x++) {
            float sum = 0;
            for (int k = -RADIUS; k <= RADIUS; k++)
                sum += weights[k + RADIUS] * image[y][inside(x + k)];
            rows[y][x] = sum;
        }
    for (int y = 0; y < SIZE; y++)
        for (int x = 0; x < SIZE; x++) {
            float sum = 0;
            for (int k = -RADIUS; k <= RADIUS; k++)
                sum += weights[k + RADIUS] * rows[inside(y + k)][x];
            blurred[y][x] = sum;
        }
}

static void sharpen(float amount)
{
    for (int y = 0; y < SIZE; y++)
        for (int x = 0; x < SIZE; x++) {
            float sharpened = image[y][x] + amount * (image[y][x] - blurred[y][x]);
            image[y][x] = sharpened < 0 ? 0 : sharpened > 1 ? 1 : sharpened;
        }
}

int main(int argc, char **argv)
{
    unsigned scale = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    for (int y = 0; y < SIZE; y++)
        for (int x = 0; x < SIZE; x++)
            image[y][x] = (float)((x * x + 3 * y * y + x * y) % 256) / 255.0f;
    for (unsigned round = 0; round < scale; round++) {
        blur();
        sharpen(round % 2 == 0 ? -0.9f : 0.8f); /* a negative amount blurs */
    }
    double total = 0;
    for (int y = 0; y < SIZE; y++)
        for (int x = 0; x < SIZE; x++)
            total += image[y][x] * (1 + y);
    printf("blur: %u rounds, weighted sum %.17g, centre %.9g\n", scale, total, image[SIZE / 2][SIZE / 2]);
    return 0;
}
