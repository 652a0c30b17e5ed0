/* Integer: a segmented sieve of Eratosthenes over the odd numbers, one byte each.
 *
 * Counts and sums the primes below scale * 100,000. The 16 KiB segment stays in the first-level cache, so the
 * time is that of the marking loops. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define SEGMENT 16384 /* odd numbers per segment */

static uint8_t composite[SEGMENT];
static uint32_t base_primes[8192]; /* odd primes up to the square root of the limit */
static uint32_t next_multiple[8192];

static unsigned find_base_primes(uint32_t root)
{
    unsigned count = 0;
    for (uint32_t candidate = 3; candidate <= root; candidate += 2) {
        int prime = 1;
        for (unsigned i = 0; i < count && base_primes[i] * base_primes[i] <= candidate; i++)
            if (candidate % base_primes[i] == 0) {
                prime = 0;
                break;
            }
        if (prime) {
            base_primes[count] = candidate;
            next_multiple[count] = candidate * candidate / 2; /* index of the odd number p * p */
            count++;
        }
    }
    return count;
}

int main(int argc, char **argv)
{
    uint32_t scale = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1;
    uint32_t limit = scale * 100000u;
    uint32_t root = 1;
    while ((uint64_t)(root + 1) * (root + 1) <= limit)
        root++;
    unsigned base_count = find_base_primes(root);

    uint32_t count = 1, sum = 2; /* the prime 2 */
    for (uint32_t first = 0; first < limit / 2; first += SEGMENT) {
        for (unsigned i = 0; i < SEGMENT; i++)
            composite[i] = 0;
        for (unsigned i = 0; i < base_count; i++) {
            uint32_t step = base_primes[i];
            uint32_t index = next_multiple[i] - first;
            for (; index < SEGMENT; index += step)
                composite[index] = 1;
            next_multiple[i] = index + first;
        }
        for (uint32_t i = first == 0; i < SEGMENT && first + i < limit / 2; i++)
            if (!composite[i]) {
                count++;
                sum += 2 * (first + i) + 1;
            }
    }
    printf("sieve: %u primes below %u, sum %08x\n", (unsigned)count, (unsigned)limit, (unsigned)sum);
    return 0;
}
