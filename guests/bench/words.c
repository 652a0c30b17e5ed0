/* Strings: count the words of a generated text with a hash table, and list the most frequent ones.
 *
 * Tokenising, hashing and copying byte by byte, the C library's strcmp, memcpy and qsort.
 * scale = number of texts of 8 KiB. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT 8192
#define BUCKETS 1024
#define MAXIMUM 4500 /* distinct words */

struct word {
    uint32_t count;
    uint32_t next; /* index of the next word in the bucket, 0: none */
    char letters[24];
};

static char text[TEXT + 1];
static struct word dictionary[MAXIMUM + 1]; /* [0] is not used */
static uint32_t buckets[BUCKETS], size;
static uint32_t random_state = 7;

static void generate_text(void)
{
    static const char *const syllables[16] = {"ne", "ra", "to", "li", "mu", "ka", "so", "vi",
                                              "der", "pan", "gil", "hos", "fa", "wen", "bru", "zy"};
    unsigned length = 0;
    while (length < TEXT - 24) {
        random_state = random_state * 1664525u + 1013904223u;
        for (unsigned count = 1 + (random_state >> 28) % 3, bits = random_state >> 8; count > 0; count--, bits >>= 5) {
            const char *syllable = syllables[bits & bits >> 4 & 15];
            unsigned letters = (unsigned)strlen(syllable);
            memcpy(text + length, syllable, letters);
            length += letters;
        }
        text[length++] = random_state & 1 << 28 ? ' ' : '\n';
    }
    text[length] = '\0';
}

static void count_word(const char *letters)
{
    uint32_t hash = 2166136261u;
    for (const char *letter = letters; *letter; letter++)
        hash = (hash ^ (uint8_t)*letter) * 16777619u;
    uint32_t *link = &buckets[hash % BUCKETS];
    for (uint32_t i = *link; i != 0; i = dictionary[i].next)
        if (strcmp(dictionary[i].letters, letters) == 0) {
            dictionary[i].count++;
            return;
        }
    if (size == MAXIMUM) {
        fprintf(stderr, "words: more distinct words than syllables can make\n");
        exit(1);
    }
    struct word *word = &dictionary[++size];
    strcpy(word->letters, letters);
    word->count = 1;
    word->next = *link;
    *link = size;
}

static void count_words(void)
{
    for (char *start = text; *start;) {
        char *end = start;
        while (*end > ' ')
            end++;
        char separator = *end;
        *end = '\0';
        if (end > start)
            count_word(start);
        start = separator ? end + 1 : end;
    }
}

static int by_count(const void *left, const void *right)
{
    const struct word *a = left, *b = right;
    if (a->count != b->count)
        return a->count < b->count ? 1 : -1;
    return strcmp(a->letters, b->letters);
}

int main(int argc, char **argv)
{
    unsigned scale = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    for (unsigned round = 0; round < scale; round++) {
        generate_text();
        count_words();
    }
    qsort(dictionary + 1, size, sizeof dictionary[0], by_count);
    printf("words: %u texts, %u distinct words\n", scale, (unsigned)size);
    for (unsigned i = 1; i <= 5; i++)
        printf("%8u %s\n", (unsigned)dictionary[i].count, dictionary[i].letters);
    return 0;
}
