/* A bare-metal kernel with benchmark programs in it. On the serial line it is told which one to run, and how long:
 *
 *     # sieve 3700
 *     sieve: ...
 *     program ends
 *     # reset
 */
#include <string.h>

#include "cp0.h"
#include "console.h"
#include "platform.h"

/* Defined by the build, one P(name) for each program that is linked in. */
#define P(name) int name##_main(int argc, char **argv);
PROGRAMS
#undef P

static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
} programs[] = {
#define P(name) {#name, name##_main},
	PROGRAMS
};

/* Data begins on a page of its own, as it does under an operating system: stores to pages that hold code, too, cost every
 * translator more. The build links this file first; .bss does likewise because of the stack's alignment. */
#define PAGE 4096
static char __attribute__((aligned(PAGE), used)) first_data = 1;

static char read_character(void)
{
	volatile unsigned char *uart = (volatile unsigned char *)UART;

	while (!(uart[UART_LINE_STATUS] & UART_LINE_STATUS_DR))
		;
	return (char)uart[UART_DATA];
}

/* One line, without its end, of at most size - 1 characters. */
static void read_line(char *line, unsigned size)
{
	unsigned length = 0;
	char character;

	while ((character = read_character()) != '\n')
		if (length < size - 1)
			line[length++] = character;
	line[length] = 0;
}

static int equal(const char *one, const char *other)
{
	while (*one && *one == *other)
		one++, other++;
	return *one == *other;
}

static void run(char *line)
{
	char *argument = line;

	while (*argument && *argument != ' ')
		argument++;
	if (*argument)
		*argument++ = 0;
	for (unsigned i = 0; i < sizeof programs / sizeof *programs; i++) {
		if (equal(line, programs[i].name)) {
			programs[i].main(2, (char *[]){line, argument, NULL});
			print("program ends\n");
			return;
		}
	}
	print("no such program\n");
}

static void __attribute__((noreturn, used)) serve(void)
{
	static char line[80];

	for (;;) {
		print("# ");
		read_line(line, sizeof line);
		if (equal(line, "reset"))
			*(volatile unsigned *)RESET = RESET_GO;
		else
			run(line);
	}
}

/* Programs need more of a stack than the runtime has. */
void main(void)
{
	static char stack[1 << 20] __attribute__((aligned(PAGE)));

	__asm__ volatile("move $sp, %0\n\tjal serve\n\tnop" : : "r"(stack + sizeof stack - 64));
}
