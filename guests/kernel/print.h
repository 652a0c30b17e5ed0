/* Formatted output: %s, %c, %u, %x, %08x (any width, zeros only), %llu, %%. */
#ifndef PRINT_H
#define PRINT_H

#include <stdarg.h>

#define PRINTF __attribute__((format(printf, 1, 2)))

/* To the console. */
void print(const char *format, ...) PRINTF;

/* To anything that takes characters. */
void format_to(void (*put)(char), const char *format, va_list arguments);

#endif
