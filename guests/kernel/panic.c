#include "panic.h"

#include "interrupts.h"
#include "monitor.h"
#include "uart.h"

void panic(const char *format, ...)
{
	va_list arguments;

	interrupts_off();
	print("panic: ");
	va_start(arguments, format);
	format_to(uart_put, format, arguments);
	va_end(arguments);
	print("\n");
	power_off(EXIT_PANIC);
}
