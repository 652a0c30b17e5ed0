#include "interrupts.h"

#include "cp0.h"

#define INTERRUPTS 8
#define BIT(number) (CAUSE_IP0 << (number))
#define CONFIG7_WII 0x80000000

static void (*handlers[INTERRUPTS])(void);

void enable_interrupt(unsigned number, void (*handler)(void))
{
	handlers[number] = handler;
	WRITE_CP0(READ_CP0(C0_STATUS) | BIT(number), C0_STATUS);
}

void interrupts_on(void)
{
	__asm__ volatile("ei\n\tehb" : : : "memory");
}

void interrupts_off(void)
{
	__asm__ volatile("di\n\tehb" : : : "memory");
}

void handle_interrupts(unsigned raised)
{
	for (unsigned number = 0; number < INTERRUPTS; number++)
		if (raised & BIT(number) && handlers[number])
			handlers[number]();
}

/* Between a look at the flag and `wait`, the last interrupt for a long time might come. So both happen with interrupts
 * off, which does not keep an interrupt from ending `wait` if Config7.WII says so; a CPU without that has to look again
 * and again. */
void wait_for(volatile bool *flag)
{
	bool wakes_up = READ_CP0(C0_CONFIG7) & CONFIG7_WII;

	interrupts_off();
	while (!*flag) {
		if (wakes_up)
			__asm__ volatile("wait" : : : "memory");
		__asm__ volatile("ei\n\tehb\n\tdi\n\tehb" : : : "memory");
	}
	interrupts_on();
}
