/* Double: solve systems of linear equations by LU decomposition with partial pivoting.
 *
 * Rows swapped and combined in place: loads, a multiplication, a subtraction, a store.
 * scale = number of systems of 48 equations. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define N 48

static double matrix[N][N], right[N], solution[N];
static uint32_t random_state = 5;

static double random_number(void)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (int32_t)random_state / 2147483648.0;
}

static void swap_rows(int a, int b)
{
    for (int column = 0; column < N; column++) {
        double swapped = matrix[a][column];
        matrix[a][column] = matrix[b][column];
        matrix[b][column] = swapped;
    }
    double swapped = right[a];
    right[a] = right[b];
    right[b] = swapped;
}

static void eliminate(void)
{
    for (int pivot = 0; pivot < N; pivot++) {
        int largest = pivot;
        for (int row = pivot + 1; row < N; row++)
            if (fabs(matrix[row][pivot]) > fabs(matrix[largest][pivot]))
                largest = row;
        if (largest != pivot)
            swap_rows(largest, pivot);
        for (int row = pivot + 1; row < N; row++) {
            double factor = matrix[row][pivot] / matrix[pivot][pivot];
            for (int column = pivot + 1; column < N; column++)
                matrix[row][column] -= factor * matrix[pivot][column];
            right[row] -= factor * right[pivot];
        }
    }
}

static void substitute(void)
{
    for (int row = N - 1; row >= 0; row--) {
        double sum = right[row];
        for (int column = row + 1; column < N; column++)
            sum -= matrix[row][column] * solution[column];
        solution[row] = sum / matrix[row][row];
    }
}

int main(int argc, char **argv)
{
    unsigned scale = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    double total = 0, largest_error = 0;
    for (unsigned round = 0; round < scale; round++) {
        for (int row = 0; row < N; row++) { /* the solution is all ones */
            right[row] = 0;
            for (int column = 0; column < N; column++)
                right[row] += matrix[row][column] = random_number();
        }
        eliminate();
        substitute();
        for (int row = 0; row < N; row++) {
            total += solution[row];
            if (fabs(solution[row] - 1) > largest_error)
                largest_error = fabs(solution[row] - 1);
        }
    }
    printf("lu: %u systems, sum of solutions %.17g, largest error %.17g\n", scale, total, largest_error);
    return 0;
}
