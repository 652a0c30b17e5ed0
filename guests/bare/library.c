/* The C library of benchmark programs on a bare machine: what they use of it, and no more. */
#pragma GCC optimize("no-tree-loop-distribute-patterns") /* no memcpy made into a call of itself */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"

/* printf knows %u and %08x. */
int printf(const char *format, ...)
{
	va_list values;

	va_start(values, format);
	for (; *format; format++) {
		if (*format != '%') {
			print_character(*format);
		} else if (format[1] == 'u') {
			format += 1;
			print_decimal(va_arg(values, unsigned));
		} else if (strlen(format) >= 4 && format[1] == '0' && format[2] == '8' && format[3] == 'x') {
			format += 3;
			print_hex(va_arg(values, unsigned));
		} else {
			print("(printf: unknown format)");
		}
	}
	va_end(values);
	return 0;
}

/* Decimal numbers. */
unsigned long strtoul(const char *text, char **end, int base)
{
	unsigned long value = 0;

	while (*text >= '0' && *text <= '9')
		value = value * 10 + (unsigned long)(*text++ - '0');
	(void)end, (void)base;
	return value;
}

void *memcpy(void *restrict to, const void *restrict from, size_t length)
{
	char *destination = to;
	const char *source = from;

	while (length--)
		*destination++ = *source++;
	return to;
}

void *memset(void *to, int byte, size_t length)
{
	char *destination = to;

	while (length--)
		*destination++ = (char)byte;
	return to;
}

size_t strlen(const char *text)
{
	size_t length = 0;

	while (text[length])
		length++;
	return length;
}
