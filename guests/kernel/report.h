/* What the machine has to say: results, which make up a checksum of their own, and errors. One line each. */
#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>

#include "print.h"

/* A result, which is the same on every machine given the same work. With the line's end. */
void report(const char *format, ...) PRINTF;

/* "error: " and what is wrong, without the line's end: it does not keep other tasks from being tried. Always false. */
bool failed(const char *format, ...) PRINTF;

/* The last lines; the exit status. */
unsigned report_end(void);

#endif
