#include "console.h"

#include "platform.h"

static volatile unsigned char *const uart = (volatile unsigned char *)UART;

void print_character(char character)
{
	while (!(uart[UART_LINE_STATUS] & UART_LINE_STATUS_THRE))
		;
	uart[UART_DATA] = character;
}

void print(const char *text)
{
	while (*text)
		print_character(*text++);
}

void print_hex(unsigned value)
{
	for (int shift = 28; shift >= 0; shift -= 4)
		print_character("0123456789abcdef"[value >> shift & 15]);
}

void print_decimal(unsigned value)
{
	if (value >= 10)
		print_decimal(value / 10);
	print_character('0' + value % 10);
}
