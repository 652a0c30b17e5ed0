/* crash: the machine goes wrong on purpose, and should harm nobody else.
 *
 *	kind=panic	the kernel gives up
 *	kind=store	a store to an address where nothing is
 *	kind=jump	a jump into data that is no code
 *	kind=memory	takes and fills memory until there is no more
 *	kind=registers	stores noise to all registers of all virtio devices
 *	kind=noise	stores noise to all memory, down to the very loop that does it, and goes on from there
 *	kind=queue	gives the disk a request without an end
 *	kind=halt	waits for an interrupt, but has masked all of them
 *	kind=spin	loops with interrupts off
 */
#include <stdbool.h>

#include "cp0.h"
#include "disk.h"
#include "interrupts.h"
#include "memory.h"
#include "noise.h"
#include "options.h"
#include "page_table.h"
#include "panic.h"
#include "string.h"
#include "tasks.h"

#define NOWHERE 0x00bad000 /* in KUSEG, where this kernel maps nothing */
#define NO_INSTRUCTION 0xff /* four of them are reserved */

#define VIRTIO_REGISTERS ((volatile unsigned *)0xbf010000)
#define VIRTIO_WORDS (16 * 0x200 / 4)
#define SCRIBBLES 20000

static void give_up(void)
{
	panic("told to");
}

static void store(void)
{
	*(volatile unsigned *)NOWHERE = 1;
}

static void jump(void)
{
	void *data = map_pages(1);

	memset(data, NO_INSTRUCTION, PAGE_SIZE);
	((void (*)(void))data)();
}

static void fill_memory(void)
{
	for (;;)
		memset((void *)(KSEG0 + allocate_frames(1)), NO_INSTRUCTION, PAGE_SIZE);
}

static void scribble(void)
{
	unsigned state = noise_seed(option("seed", option("name", "kernel")));

	interrupts_off();
	for (unsigned i = 0; i < SCRIBBLES; i++) {
		unsigned place = noise_next(&state) % VIRTIO_WORDS;

		VIRTIO_REGISTERS[place] = noise_next(&state);
	}
	panic("the devices' registers are full of noise");
}

/* What is executed in the end is noise as well: anything may happen, and nobody is left to say so. */
static void fill_with_noise(void)
{
	unsigned size = free_frames() * PAGE_SIZE;
	volatile unsigned *word = (volatile unsigned *)(KSEG0 + allocate_frames(size / PAGE_SIZE) + size);
	unsigned state = noise_seed(option("seed", option("name", "kernel")));

	interrupts_off();
	while (word > (volatile unsigned *)KSEG0)
		*--word = noise_next(&state);
}

static void break_queue(void)
{
	const char *problem = disk_submit_loop();

	panic("the disk took a request without an end: %s", problem ? problem : "and answered it");
}

static void halt(void)
{
	WRITE_CP0(0, C0_STATUS);
	for (;;)
		__asm__ volatile("wait");
}

static void spin(void)
{
	interrupts_off();
	for (;;)
		;
}

static const struct {
	const char *name;
	void (*crash)(void);
	bool needs_disk;
} kinds[] = {
	{"panic", give_up, false},	   {"store", store, false},	{"jump", jump, false}, {"memory", fill_memory, false},
	{"registers", scribble, false}, {"noise", fill_with_noise, false}, {"queue", break_queue, true}, {"halt", halt, false},
	{"spin", spin, false},
};

void task_crash(void)
{
	const char *kind = option("kind", "panic");

	for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (!equal(kind, kinds[i].name))
			continue;
		if (kinds[i].needs_disk && !disk_sectors)
			usage_error("kind=%s: there is no disk", kind);
		print("crash: kind=%s\n", kind);
		kinds[i].crash();
	}
	usage_error("kind=%s: no such kind of crash", kind);
}
