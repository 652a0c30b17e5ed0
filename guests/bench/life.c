/* Branchy: Conway's game of life on a torus of 96 x 96 cells, one byte each.
 *
 * scale = number of generations. The rule is written as the branches of its text. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define SIZE 96

static uint8_t cells[2][SIZE][SIZE];

static unsigned count_neighbours(uint8_t (*world)[SIZE], int row, int column)
{
    unsigned alive = 0;
    for (int i = -1; i <= 1; i++) {
        int r = row + i;
        if (r < 0)
            r = SIZE - 1;
        else if (r == SIZE)
            r = 0;
        for (int j = -1; j <= 1; j++) {
            if (i == 0 && j == 0)
                continue;
            int c = column + j;
            if (c < 0)
                c = SIZE - 1;
            else if (c == SIZE)
                c = 0;
            if (world[r][c])
                alive++;
        }
    }
    return alive;
}

static void step(uint8_t (*now)[SIZE], uint8_t (*next)[SIZE])
{
    for (int row = 0; row < SIZE; row++)
        for (int column = 0; column < SIZE; column++) {
            unsigned alive = count_neighbours(now, row, column);
            if (now[row][column])
                next[row][column] = alive == 2 || alive == 3;
            else
                next[row][column] = alive == 3;
        }
}

int main(int argc, char **argv)
{
    unsigned generations = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    uint32_t random_state = 2463534242u;
    for (int row = 0; row < SIZE; row++)
        for (int column = 0; column < SIZE; column++) {
            random_state = random_state * 1664525u + 1013904223u;
            cells[0][row][column] = random_state >> 30 == 0;
        }
    for (unsigned generation = 0; generation < generations; generation++) {
        uint8_t(*next)[SIZE] = cells[!(generation & 1)];
        step(cells[generation & 1], next);
        next[generation % SIZE][generation % 89] ^= 1; /* unrest: the world must not settle down */
    }
    unsigned population = 0;
    uint32_t checksum = 0;
    for (int row = 0; row < SIZE; row++)
        for (int column = 0; column < SIZE; column++) {
            unsigned cell = cells[generations & 1][row][column];
            population += cell;
            checksum = checksum * 3 + cell;
        }
    printf("life: %u generations, population %u, checksum %08x\n", generations, population, (unsigned)checksum);
    return 0;
}
