/* Branchy: compress generated text with a Lempel-Ziv scheme, decompress it, compare.
 *
 * Matches are found through a hash of three bytes and a chain of earlier positions. Output is groups of eight
 * items behind a byte of flags: a literal byte, or a match of two bytes (12 bits distance, 4 bits length - 3).
 * scale = number of 4 KiB texts. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT 4096
#define WINDOW 2048
#define SHORTEST 3
#define LONGEST 18
#define BUCKETS 1024
#define NONE 0xffffu

static uint8_t text[TEXT], packed[TEXT * 2], unpacked[TEXT + LONGEST];
static uint16_t newest[BUCKETS], previous[TEXT];

static void generate_text(uint32_t seed)
{
    static const char *const syllables[16] = {"ka", "lo", "min", "ter", "a", "es", "qui", "dor",
                                              "ven", "um", "sta", "re", " ", " ", ", ", ". "};
    unsigned length = 0;
    while (length < TEXT) {
        seed = seed * 1103515245u + 12345u;
        for (const char *letter = syllables[seed >> 27 & 15]; *letter && length < TEXT; letter++)
            text[length++] = (uint8_t)*letter;
    }
}

static unsigned hash3(const uint8_t *bytes)
{
    return (bytes[0] * 2654u ^ bytes[1] * 435u ^ bytes[2] * 76u) % BUCKETS;
}

static unsigned longest_match(unsigned position, unsigned *distance)
{
    unsigned best = 0, limit = TEXT - position < LONGEST ? TEXT - position : LONGEST;
    unsigned candidate = newest[hash3(text + position)];
    for (int tries = 32; candidate != NONE && position - candidate < WINDOW && tries > 0; tries--) {
        unsigned length = 0;
        while (length < limit && text[candidate + length] == text[position + length])
            length++;
        if (length > best) {
            best = length;
            *distance = position - candidate;
        }
        candidate = previous[candidate];
    }
    return best;
}

static unsigned compress(void)
{
    unsigned out = 0, flags = 0, items = 8;
    memset(newest, 0xff, sizeof newest);
    for (unsigned position = 0; position < TEXT;) {
        if (items == 8) {
            flags = out;
            packed[out++] = 0;
            items = 0;
        }
        unsigned distance = 0, length = position + SHORTEST <= TEXT ? longest_match(position, &distance) : 0;
        if (length >= SHORTEST) {
            packed[flags] |= (uint8_t)(1u << items);
            packed[out++] = (uint8_t)distance;
            packed[out++] = (uint8_t)(distance >> 8 << 4 | (length - SHORTEST));
        } else {
            length = 1;
            packed[out++] = text[position];
        }
        items++;
        for (; length > 0; length--, position++)
            if (position + SHORTEST <= TEXT) {
                unsigned bucket = hash3(text + position);
                previous[position] = newest[bucket];
                newest[bucket] = (uint16_t)position;
            }
    }
    return out;
}

static void decompress(unsigned packed_length)
{
    unsigned position = 0;
    for (unsigned in = 0; in < packed_length;) {
        unsigned flags = packed[in++];
        for (unsigned item = 0; item < 8 && in < packed_length; item++, flags >>= 1) {
            if (flags & 1) {
                unsigned distance = packed[in] | packed[in + 1] >> 4 << 8;
                unsigned length = (packed[in + 1] & 15) + SHORTEST;
                in += 2;
                for (; length > 0; length--, position++)
                    unpacked[position] = unpacked[position - distance];
            } else {
                unpacked[position++] = packed[in++];
            }
        }
    }
}

int main(int argc, char **argv)
{
    unsigned scale = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    unsigned total = 0;
    for (unsigned round = 0; round < scale; round++) {
        generate_text(round);
        unsigned length = compress();
        decompress(length);
        if (memcmp(text, unpacked, TEXT) != 0) {
            printf("lz: round %u does not decompress to its text\n", round);
            return 1;
        }
        total += length;
    }
    printf("lz: %u texts of %u bytes into %u\n", scale, TEXT, total);
    return 0;
}
