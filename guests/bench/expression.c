/* Calls: a recursive-descent parser that evaluates generated arithmetic expressions.
 *
 * expression = term {("+" | "-") term}; term = factor {("*" | "/") factor};
 * factor = number | "-" factor | "(" expression ")". scale = number of expressions. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static char text[65536];
static unsigned length;
static const char *cursor;
static uint32_t random_state = 1;

static unsigned random_below(unsigned limit)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 16) % limit;
}

static void generate(unsigned depth)
{
    if (length > sizeof text - 64 || depth == 0 || random_below(8) == 0) {
        length += (unsigned)sprintf(text + length, "%u", random_below(10000));
    } else if (random_below(3) == 0) {
        text[length++] = '(';
        generate(depth - 1);
        text[length++] = ')';
    } else if (random_below(10) == 0) {
        text[length++] = '-';
        generate(0);
    } else {
        generate(depth - 1);
        text[length++] = ' ';
        text[length++] = "+-*/"[random_below(4)];
        text[length++] = ' ';
        generate(depth - 1);
    }
    text[length] = '\0';
}

static uint32_t parse_expression(void);

static void skip_blanks(void)
{
    while (*cursor == ' ')
        cursor++;
}

static uint32_t parse_factor(void)
{
    skip_blanks();
    if (*cursor == '-') {
        cursor++;
        return -parse_factor();
    }
    if (*cursor == '(') {
        cursor++;
        uint32_t value = parse_expression();
        skip_blanks();
        if (*cursor == ')')
            cursor++;
        return value;
    }
    uint32_t value = 0;
    while (*cursor >= '0' && *cursor <= '9')
        value = value * 10 + (uint32_t)(*cursor++ - '0');
    return value;
}

static uint32_t parse_term(void)
{
    uint32_t value = parse_factor();
    for (;;) {
        skip_blanks();
        if (*cursor == '*') {
            cursor++;
            value *= parse_factor();
        } else if (*cursor == '/') {
            cursor++;
            uint32_t divisor = parse_factor();
            value = divisor == 0 ? 0 : value / divisor;
        } else {
            return value;
        }
    }
}

static uint32_t parse_expression(void)
{
    uint32_t value = parse_term();
    for (;;) {
        skip_blanks();
        if (*cursor == '+') {
            cursor++;
            value += parse_term();
        } else if (*cursor == '-') {
            cursor++;
            value -= parse_term();
        } else {
            return value;
        }
    }
}

int main(int argc, char **argv)
{
    unsigned scale = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    uint32_t checksum = 0;
    unsigned characters = 0;
    for (unsigned round = 0; round < scale; round++) {
        if (round % 16 == 0) { /* each text is evaluated 16 times */
            length = 0;
            generate(0);
            for (unsigned part = 0; part < 16; part++) {
                text[length++] = "+-"[part & 1];
                generate(9);
            }
        }
        cursor = text;
        checksum = checksum * 31 + parse_expression();
        characters += (unsigned)(cursor - text);
    }
    printf("expression: %u expressions, %u characters, checksum %08x\n", scale, characters, (unsigned)checksum);
    return 0;
}
