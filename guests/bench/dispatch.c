/* Indirect jumps: calls through function pointers, as objects with methods and as a state machine make them.
 *
 * A heap of shapes of four kinds answers three messages through tables of methods; a scanner's states are
 * functions returning the next state. scale = number of rounds. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define SHAPES 512
#define TEXT 8192

struct shape;

struct methods {
    uint32_t (*area)(const struct shape *);
    uint32_t (*perimeter)(const struct shape *);
    void (*grow)(struct shape *, int32_t);
};

struct shape {
    const struct methods *methods;
    int32_t width, height;
};

static uint32_t rectangle_area(const struct shape *s) { return (uint32_t)(s->width * s->height); }
static uint32_t rectangle_perimeter(const struct shape *s) { return (uint32_t)(2 * (s->width + s->height)); }
static void rectangle_grow(struct shape *s, int32_t by) { s->width += by, s->height -= by; }
static uint32_t triangle_area(const struct shape *s) { return (uint32_t)(s->width * s->height) / 2; }
static uint32_t triangle_perimeter(const struct shape *s) { return (uint32_t)(3 * s->width); }
static void triangle_grow(struct shape *s, int32_t by) { s->width ^= by; }
static uint32_t circle_area(const struct shape *s) { return (uint32_t)(s->width * s->width) * 355u / 113u; }
static uint32_t circle_perimeter(const struct shape *s) { return (uint32_t)s->width * 710u / 113u; }
static void circle_grow(struct shape *s, int32_t by) { s->width += 2 * by; }
static void square_grow(struct shape *s, int32_t by) { s->height = s->width += by; }

static const struct methods kinds[4] = {
    {rectangle_area, rectangle_perimeter, rectangle_grow},
    {triangle_area, triangle_perimeter, triangle_grow},
    {circle_area, circle_perimeter, circle_grow},
    {rectangle_area, rectangle_perimeter, square_grow},
};

static struct shape shapes[SHAPES];
static char text[TEXT];
static uint32_t words, numbers, others;

struct state { /* a function returning a function needs a structure around it */
    struct state (*next)(char letter);
};

static struct state between(char letter);

static struct state in_word(char letter)
{
    return letter >= 'a' && letter <= 'z' ? (struct state){in_word} : between(letter);
}

static struct state in_number(char letter)
{
    return letter >= '0' && letter <= '9' ? (struct state){in_number} : between(letter);
}

static struct state between(char letter)
{
    if (letter >= 'a' && letter <= 'z') {
        words++;
        return (struct state){in_word};
    }
    if (letter >= '0' && letter <= '9') {
        numbers++;
        return (struct state){in_number};
    }
    others++;
    return (struct state){between};
}

int main(int argc, char **argv)
{
    unsigned scale = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    uint32_t random_state = 99, checksum = 0;
    for (unsigned i = 0; i < SHAPES; i++) {
        random_state = random_state * 1664525u + 1013904223u;
        shapes[i] = (struct shape){&kinds[random_state >> 30], (int32_t)(i % 37), (int32_t)(i % 23)};
    }
    for (unsigned i = 0; i < TEXT; i++) {
        random_state = random_state * 1664525u + 1013904223u;
        text[i] = "abcdefghijklmnop01234567 .,;etao"[random_state >> 27];
    }
    for (unsigned round = 0; round < scale; round++) {
        for (unsigned i = 0; i < SHAPES; i++) {
            struct shape *s = &shapes[i];
            s->methods->grow(s, (int32_t)(round & 7) - 3);
            checksum = checksum * 3 + s->methods->area(s) + s->methods->perimeter(s);
        }
        struct state state = {between};
        for (unsigned i = 0; i < TEXT; i++)
            state = state.next(text[i]);
    }
    printf("dispatch: %u rounds, checksum %08x, %u words, %u numbers, %u others\n", scale, (unsigned)checksum,
           (unsigned)words, (unsigned)numbers, (unsigned)others);
    return 0;
}
