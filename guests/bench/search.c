/* Strings: look for patterns in text with Horspool's algorithm and measure edit distances between words.
 *
 * Byte loads, table look-ups and two rows of a dynamic programme. scale = number of rounds. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT 16384
#define PATTERNS 16
#define LONGEST 12

static char text[TEXT + 1];
static char patterns[PATTERNS][LONGEST + 1];
static uint32_t random_state = 31;

static unsigned random_below(unsigned limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % limit;
}

static unsigned count_occurrences(const char *pattern)
{
    unsigned skip[128], length = (unsigned)strlen(pattern), found = 0;
    for (unsigned i = 0; i < 128; i++)
        skip[i] = length;
    for (unsigned i = 0; i + 1 < length; i++)
        skip[(unsigned char)pattern[i]] = length - 1 - i;
    for (unsigned end = length - 1; end < TEXT; end += skip[(unsigned char)text[end]]) {
        unsigned i = 0;
        while (i < length && text[end - i] == pattern[length - 1 - i])
            i++;
        found += i == length;
    }
    return found;
}

static unsigned edit_distance(const char *a, unsigned a_length, const char *b, unsigned b_length)
{
    unsigned row[2 * LONGEST + 1]; /* distances of a's prefix to every prefix of b */
    for (unsigned j = 0; j <= b_length; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a_length; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b_length; j++) {
            unsigned substitution = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            unsigned best = row[j - 1] < row[j] ? row[j - 1] + 1 : row[j] + 1;
            row[j] = substitution < best ? substitution : best;
        }
    }
    return row[b_length];
}

int main(int argc, char **argv)
{
    unsigned scale = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    for (unsigned i = 0; i < TEXT; i++)
        text[i] = "etaoinshrdlu e t"[random_below(16)];
    uint32_t occurrences = 0, distances = 0;
    for (unsigned round = 0; round < scale; round++) {
        for (unsigned i = 0; i < PATTERNS; i++) {
            unsigned length = 2 + random_below(LONGEST - 1);
            memcpy(patterns[i], text + random_below(TEXT - LONGEST), length);
            patterns[i][length] = '\0';
        }
        for (unsigned i = 0; i < PATTERNS / 4; i++)
            occurrences += count_occurrences(patterns[i]);
        for (unsigned i = 0; i < PATTERNS; i++) {
            unsigned length = (unsigned)strlen(patterns[i]);
            for (unsigned trial = 0; trial < 8; trial++)
                distances += edit_distance(patterns[i], length, text + random_below(TEXT - 2 * LONGEST), length + 4);
        }
    }
    printf("search: %u rounds, %u occurrences, sum of distances %u\n", scale, (unsigned)occurrences,
           (unsigned)distances);
    return 0;
}
