/* Indirect jumps: an interpreter for a stack machine, its main loop one switch.
 *
 * The interpreted program searches a range of 100 numbers for the longest Collatz sequence.
 * scale = number of ranges. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum opcode { PUSH, LOAD, STORE, ADD, MULTIPLY, HALVE, IS_ODD, LESS, NOT_EQUAL, JUMP, JUMP_IF_ZERO, HALT };

enum variable { CANDIDATE, LIMIT, VALUE, LENGTH, BEST, BEST_LENGTH, VARIABLES };

struct instruction {
    uint16_t opcode;
    uint16_t operand;
};

static const struct instruction program[] = {
    /*  0 */ {LOAD, CANDIDATE}, {LOAD, LIMIT}, {LESS, 0}, {JUMP_IF_ZERO, 43},
    /*  4 */ {LOAD, CANDIDATE}, {STORE, VALUE}, {PUSH, 0}, {STORE, LENGTH},
    /*  8 */ {LOAD, VALUE}, {PUSH, 1}, {NOT_EQUAL, 0}, {JUMP_IF_ZERO, 30},
    /* 12 */ {LOAD, LENGTH}, {PUSH, 1}, {ADD, 0}, {STORE, LENGTH},
    /* 16 */ {LOAD, VALUE}, {IS_ODD, 0}, {JUMP_IF_ZERO, 26},
    /* 19 */ {LOAD, VALUE}, {PUSH, 3}, {MULTIPLY, 0}, {PUSH, 1}, {ADD, 0}, {STORE, VALUE}, {JUMP, 8},
    /* 26 */ {LOAD, VALUE}, {HALVE, 0}, {STORE, VALUE}, {JUMP, 8},
    /* 30 */ {LOAD, BEST_LENGTH}, {LOAD, LENGTH}, {LESS, 0}, {JUMP_IF_ZERO, 38},
    /* 34 */ {LOAD, CANDIDATE}, {STORE, BEST}, {LOAD, LENGTH}, {STORE, BEST_LENGTH},
    /* 38 */ {LOAD, CANDIDATE}, {PUSH, 1}, {ADD, 0}, {STORE, CANDIDATE}, {JUMP, 0},
    /* 43 */ {HALT, 0},
};

static uint32_t interpret(uint32_t variables[VARIABLES])
{
    uint32_t stack[16], *top = stack; /* top points at the first free slot */
    const struct instruction *next = program;
    for (uint32_t executed = 1;; executed++) {
        struct instruction i = *next++;
        switch ((enum opcode)i.opcode) {
        case PUSH:
            *top++ = i.operand;
            break;
        case LOAD:
            *top++ = variables[i.operand];
            break;
        case STORE:
            variables[i.operand] = *--top;
            break;
        case ADD:
            top--;
            top[-1] += top[0];
            break;
        case MULTIPLY:
            top--;
            top[-1] *= top[0];
            break;
        case HALVE:
            top[-1] >>= 1;
            break;
        case IS_ODD:
            top[-1] &= 1;
            break;
        case LESS:
            top--;
            top[-1] = top[-1] < top[0];
            break;
        case NOT_EQUAL:
            top--;
            top[-1] = top[-1] != top[0];
            break;
        case JUMP:
            next = program + i.operand;
            break;
        case JUMP_IF_ZERO:
            if (*--top == 0)
                next = program + i.operand;
            break;
        case HALT:
            return executed;
        }
    }
}

int main(int argc, char **argv)
{
    unsigned scale = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    uint32_t checksum = 0, executed = 0;
    for (unsigned round = 0; round < scale; round++) {
        uint32_t variables[VARIABLES] = {[CANDIDATE] = round % 1000 * 100 + 1};
        variables[LIMIT] = variables[CANDIDATE] + 100;
        executed += interpret(variables);
        checksum = checksum * 31 + variables[BEST] * 7 + variables[BEST_LENGTH];
    }
    printf("bytecode: %u ranges, %u instructions, checksum %08x\n", scale, (unsigned)executed, (unsigned)checksum);
    return 0;
}
