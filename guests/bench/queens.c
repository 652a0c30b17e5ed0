/* Branchy: count the solutions of the n queens problem by backtracking with bit masks.
 *
 * Short recursions and hard-to-predict branches. scale < 100 solves the board of 8 scale times, otherwise the
 * board of 12 scale / 100 times; each time another column of the first row is left out. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint32_t all; /* a bit per column */

static uint32_t count_solutions(uint32_t columns, uint32_t left_diagonals, uint32_t right_diagonals)
{
    if (columns == all)
        return 1;
    uint32_t solutions = 0;
    uint32_t free = all & ~(columns | left_diagonals | right_diagonals);
    while (free != 0) {
        uint32_t queen = free & -free;
        free ^= queen;
        solutions += count_solutions(columns | queen, (left_diagonals | queen) << 1, (right_diagonals | queen) >> 1);
    }
    return solutions;
}

int main(int argc, char **argv)
{
    unsigned scale = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    unsigned size = scale < 100 ? 8 : 12;
    unsigned rounds = scale < 100 ? scale : scale / 100;
    all = (1u << size) - 1;
    uint32_t checksum = 0;
    for (unsigned round = 0; round < rounds; round++) {
        uint32_t solutions = 0;
        for (unsigned column = 0; column < size; column++) {
            uint32_t queen = 1u << column;
            if (column != round % (size + 1)) /* every (size + 1)th round counts all */
                solutions += count_solutions(queen, queen << 1, queen >> 1);
        }
        checksum = checksum * 5 + solutions;
    }
    printf("queens: board of %u, %u rounds, checksum %u\n", size, rounds, (unsigned)checksum);
    return 0;
}
