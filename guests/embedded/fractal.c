/* Draws the Mandelbrot set with letters: a second of floating-point work that leaves a picture.
 *
 * argv[1]: samples per letter in each direction (12 unless given). */
#include <stdio.h>
#include <stdlib.h>

#define WIDTH 78
#define HEIGHT 34
#define MAXIMUM 1000 /* iterations */

static unsigned escape_time(double cx, double cy)
{
    double x = 0, y = 0, xx = 0, yy = 0;
    unsigned n = 0;
    for (; n < MAXIMUM && xx + yy <= 4; n++) {
        y = 2 * x * y + cy;
        x = xx - yy + cx;
        xx = x * x;
        yy = y * y;
    }
    return n;
}

static char letter(unsigned mean)
{
    static const char letters[] = " .,:;+ox%#@";
    unsigned shade = 0;
    while (mean > 1 && shade < sizeof letters - 2) {
        mean = mean * 3 / 5;
        shade++;
    }
    return letters[shade];
}

int main(int argc, char **argv)
{
    unsigned samples = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 12;
    if (samples == 0 || samples > 1000) {
        fprintf(stderr, "usage: fractal [samples per letter, 1 to 1000]\n");
        return 2;
    }
    for (unsigned row = 0; row < HEIGHT; row++) {
        char line[WIDTH + 1];
        for (unsigned column = 0; column < WIDTH; column++) {
            unsigned sum = 0;
            for (unsigned i = 0; i < samples * samples; i++) {
                double cx = -2.2 + 3.2 * (column + (i % samples + 0.5) / samples) / WIDTH;
                double cy = -1.25 + 2.5 * (row + (i / samples + 0.5) / samples) / HEIGHT;
                sum += escape_time(cx, cy);
            }
            line[column] = letter(sum / (samples * samples));
        }
        line[WIDTH] = '\0';
        puts(line);
    }
    return 0;
}
