/* The console: a 16550A, by polling. */
#ifndef UART_H
#define UART_H

void uart_put(char character);

/* Wait until everything has left it: before the machine is switched off. */
void uart_drain(void);

/* Have it send again, whatever its registers hold. */
void uart_restore(void);

#endif
