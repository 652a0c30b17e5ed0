#include "print.h"

#include "integer.h"
#include "uart.h"

#define DIGITS 20 /* in 2^64 - 1 */

static void put_number(void (*put)(char), unsigned long long value, unsigned base, unsigned width)
{
	char digits[DIGITS];
	unsigned count = 0;

	do
		digits[count++] = "0123456789abcdef"[divide(&value, base)];
	while (value || count < width);
	while (count)
		put(digits[--count]);
}

void format_to(void (*put)(char), const char *format, va_list arguments)
{
	for (; *format; format++) {
		unsigned width = 0;
		const char *text;

		if (*format != '%') {
			put(*format);
			continue;
		}
		for (format++; *format >= '0' && *format <= '9'; format++)
			width = width * 10 + (unsigned)(*format - '0');
		switch (*format) {
		case 's':
			for (text = va_arg(arguments, const char *); *text; text++)
				put(*text);
			break;
		case 'c':
			put((char)va_arg(arguments, int));
			break;
		case 'u':
			put_number(put, va_arg(arguments, unsigned), 10, width);
			break;
		case 'x':
			put_number(put, va_arg(arguments, unsigned), 16, width);
			break;
		case 'l': /* llu */
			format += 2;
			put_number(put, va_arg(arguments, unsigned long long), 10, width);
			break;
		default:
			put(*format);
		}
	}
}

void print(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	format_to(uart_put, format, arguments);
	va_end(arguments);
}
