/* What the benchmark programs use of it. */
#ifndef STDLIB_H
#define STDLIB_H

#include <stddef.h>

unsigned long strtoul(const char *text, char **end, int base);

#endif
