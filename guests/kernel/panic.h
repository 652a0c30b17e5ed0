/* The end of the machine. */
#ifndef PANIC_H
#define PANIC_H

#include "print.h"

/* Exit statuses. 3 and those from 128 on are the monitor's. */
#define EXIT_DONE 0
#define EXIT_FAILED 1 /* a task says what */
#define EXIT_USAGE 2 /* the command line is not clear */
#define EXIT_PANIC 4

/* Print "panic: …" and power off. */
void panic(const char *format, ...) PRINTF __attribute__((noreturn));

#endif
