/* torment: drive the platform's devices at random, as no driver would: registers, queues that lead anywhere, requests that
 * overlap, queues changed under way. What comes of it is the machine's own business, and nobody else's.
 *
 *	operations=N	how many things to do; 10000
 *	devices=A,B,…	to which: net, block, console, entropy, balloon, uart, clock, nowhere, monitor; all of them
 *	reach=arena|all	whether devices are given only memory that nobody needs (default), or this kernel's own, too: it
 *			will hardly live to report then
 *	seed=TEXT	what it does follows from; the machine's name
 */
#include <stdbool.h>
#include <stddef.h>

#include "interrupts.h"
#include "memory.h"
#include "monitor.h"
#include "noise.h"
#include "options.h"
#include "report.h"
#include "string.h"
#include "tasks.h"
#include "uart.h"
#include "virtio_torment.h"

#define PLATFORM_START (KSEG1 + 0x1f000000)
#define PLATFORM_SIZE 0x20000
#define CLOCK_START (KSEG1 + 0x1f001000)
#define CLOCK_SIZE 0x24
#define UART_SIZE 0x40
#define VECTORS_SIZE 0x200
#define MONITOR_CALLS 8 /* two more than there are */
#define ALL_DEVICES "net,block,console,entropy,balloon,uart,clock,nowhere,monitor"
#define DEVICES_MAX 16
#define NAME_SIZE 16

static unsigned state;

static unsigned any(void)
{
	return noise_next(&state);
}

static void touch_register(unsigned address, unsigned value)
{
	if ((address & ~3u) == RESET && value == RESET_GO)
		return; /* that would be the end, and nothing to be seen */
	switch (any() % 6) {
	case 0:
		*(volatile unsigned char *)address = (unsigned char)value;
		break;
	case 1:
		(void)*(volatile unsigned char *)address;
		break;
	case 2:
		*(volatile unsigned short *)(address & ~1u) = (unsigned short)value;
		break;
	case 3:
		(void)*(volatile unsigned short *)(address & ~1u);
		break;
	case 4:
		*(volatile unsigned *)(address & ~3u) = value;
		break;
	default:
		(void)*(volatile unsigned *)(address & ~3u);
	}
}

static void torment_uart(void)
{
	touch_register(UART + any() % UART_SIZE, any());
}

static void torment_clock(void)
{
	touch_register(CLOCK_START + any() % CLOCK_SIZE, any() % 3 ? any() : any() % 4);
}

/* Anywhere among the devices, and where there is none: all of the hole below the boot memory, and 256 MB of it above. */
static void torment_nowhere(void)
{
	unsigned address = PLATFORM_START + any() % PLATFORM_SIZE;

	if (any() % 4 == 0)
		address = KSEG1 + 0x10000000 + any() % 0x0f000000;
	if (address - UART >= UART_SIZE)
		touch_register(address, any());
}

static void torment_monitor(void)
{
	unsigned number = any() % MONITOR_CALLS, argument = any() % 2 ? any() : virtio_torment_address(any);

	if (number == MONITOR_CALL_POWER_OFF)
		return;
	if (number == MONITOR_CALL_WRITE)
		monitor_call(number, any() % 2 ? KSEG0 + argument : argument, any() % 4 ? any() % 64 : any());
	else if ((number == MONITOR_CALL_ZERO_PAGE || number == MONITOR_CALL_FREE_PAGE) && !virtio_torment_owns(argument))
		monitor_call(number, argument | 1, 0); /* not of what this kernel needs itself */
	else
		monitor_call(number, any() % 2 ? argument & ~(PAGE_SIZE - 1) : argument, any());
}

static const struct {
	const char *name;
	unsigned kind; /* of virtio device */
	void (*torment)(void);
} devices[] = {
	{"net", 1, NULL},     {"block", 2, NULL},	    {"console", 3, NULL},	  {"entropy", 4, NULL},	      {"balloon", 5, NULL},
	{"uart", 0, torment_uart}, {"clock", 0, torment_clock}, {"nowhere", 0, torment_nowhere}, {"monitor", 0, torment_monitor},
};

/* The numbers of the devices that are there among those wanted. */
static unsigned choose(unsigned *chosen)
{
	const char *list = option("devices", ALL_DEVICES);
	char name[NAME_SIZE];
	unsigned count = 0;

	while (next_item(&list, name, sizeof name) && count < DEVICES_MAX) {
		unsigned number = 0;

		while (number < sizeof devices / sizeof *devices && !equal(devices[number].name, name))
			number++;
		if (number == sizeof devices / sizeof *devices)
			usage_error("devices=%s: no such device; there are " ALL_DEVICES, name);
		if (devices[number].torment || virtio_torment_find(devices[number].kind))
			chosen[count++] = number;
	}
	return count;
}

void task_torment(void)
{
	unsigned operations = option_number("operations", 10000, 0, 1u << 30), chosen[DEVICES_MAX], count;
	static char vectors[VECTORS_SIZE];

	state = noise_seed(option("seed", option("name", "kernel")));
	virtio_torment_init(option_is("reach", "all", "arena", "arena"));
	count = choose(chosen);
	if (!count) {
		failed("torment: none of the devices is there");
		return;
	}
	print("torment: begins\n");
	interrupts_off();
	memcpy(vectors, (const void *)KSEG0, sizeof vectors);
	for (unsigned done = 0; done < operations; done++) {
		unsigned number = chosen[any() % count];

		if (devices[number].torment)
			devices[number].torment();
		else
			virtio_torment(devices[number].kind, any);
	}
	virtio_torment_end();
	memcpy((void *)KSEG0, vectors, sizeof vectors); /* page 0 is what balloons are given most often by chance */
	uart_restore();
	interrupts_on();
	print("\ntorment: operations=%u broken=%u\n", operations, virtio_torment_broken);
}
