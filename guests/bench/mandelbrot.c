/* Double: escape times of a part of the Mandelbrot set.
 *
 * A short loop of multiplications and additions, one comparison that decides everything.
 * scale = lines of 64 points. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define WIDTH 64
#define MAXIMUM 200

static unsigned escape_time(double cx, double cy)
{
    double x = 0, y = 0;
    for (unsigned n = 0; n < MAXIMUM; n++) {
        double xx = x * x, yy = y * y;
        if (xx + yy > 4)
            return n;
        y = 2 * x * y + cy;
        x = xx - yy + cx;
    }
    return MAXIMUM;
}

int main(int argc, char **argv)
{
    unsigned scale = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    uint32_t checksum = 0, inside = 0;
    for (unsigned line = 0; line < scale; line++)
        for (unsigned column = 0; column < WIDTH; column++) {
            unsigned n = escape_time(-2.0 + column * 3.0 / WIDTH, -1.25 + line * 2.5 / scale);
            inside += n == MAXIMUM;
            checksum = checksum * 7 + n;
        }
    printf("mandelbrot: %u lines, %u points inside, checksum %08x\n", scale, (unsigned)inside, (unsigned)checksum);
    return 0;
}
