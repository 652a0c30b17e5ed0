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

void uart_restore(void)
{
	uart[UART_LINE_CONTROL] = 0x80; /* the divisor's latch */
	uart[UART_DATA] = 1;
	uart[UART_INTERRUPT_ENABLE] = 0;
	uart[UART_LINE_CONTROL] = 3;
	uart[UART_INTERRUPT_ENABLE] = 0;
	uart[UART_MODEM_CONTROL] = 0;
	uart[UART_FIFO_CONTROL] = 0;
}
