/* Calls: the recursive functions every textbook has: Fibonacci, Ackermann, Takeuchi, Hanoi.
 *
 * Almost nothing but calls, returns and saved registers. scale = number of rounds. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint32_t fibonacci(uint32_t n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static uint32_t ackermann(uint32_t m, uint32_t n)
{
    if (m == 0)
        return n + 1;
    if (n == 0)
        return ackermann(m - 1, 1);
    return ackermann(m - 1, ackermann(m, n - 1));
}

static int takeuchi(int x, int y, int z)
{
    return y >= x ? z : takeuchi(takeuchi(x - 1, y, z), takeuchi(y - 1, z, x), takeuchi(z - 1, x, y));
}

static uint32_t pegs[3]; /* a bit per disk */

static uint32_t hanoi(unsigned disks, unsigned from, unsigned to)
{
    if (disks == 0)
        return 0;
    unsigned other = 3 - from - to;
    uint32_t moves = hanoi(disks - 1, from, other);
    pegs[from] &= ~(1u << disks);
    pegs[to] |= 1u << disks;
    return moves + 1 + hanoi(disks - 1, other, to);
}

int main(int argc, char **argv)
{
    unsigned scale = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    uint32_t checksum = 0;
    for (unsigned round = 0; round < scale; round++) {
        checksum = checksum * 7 + fibonacci(16 + round % 3);
        checksum = checksum * 7 + ackermann(2, 40 + round % 8);
        checksum = checksum * 7 + (uint32_t)takeuchi(10 + (int)(round & 1), 6, 2);
        checksum = checksum * 7 + hanoi(10, 0, 1 + (round & 1));
    }
    printf("recursion: %u rounds, checksum %08x\n", scale, (unsigned)checksum);
    return 0;
}
