/* Output to the UART, by polling. */
#ifndef CONSOLE_H
#define CONSOLE_H

void print(const char *text);
void print_character(char character);
void print_hex(unsigned value); /* eight digits */
void print_decimal(unsigned value);

#endif
