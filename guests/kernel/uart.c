#include "uart.h"

#include "platform.h"

static volatile unsigned char *const uart = (volatile unsigned char *)UART;

void uart_put(char character)
{
	while (!(uart[UART_LINE_STATUS] & UART_LINE_STATUS_THRE))
		;
	uart[UART_DATA] = character;
}

void uart_drain(void)
{
	while (!(uart[UART_LINE_STATUS] & UART_LINE_STATUS_TEMT))
		;
}
