#include "timer.h"

#include "cp0.h"
#include "interrupts.h"

#define TIMER_INTERRUPT 7

volatile unsigned ticks;
unsigned counts_per_second;

/* Writing Compare is what acknowledges the interrupt. A machine that was stopped for long has missed ticks: they are
 * counted, and the next one is still to come when Compare is written. */
static void tick(void)
{
	unsigned period = counts_per_second / TICKS_PER_SECOND, next = READ_CP0(C0_COMPARE);

	do {
		ticks++;
		next += period;
		WRITE_CP0(next, C0_COMPARE);
	} while ((int)(READ_CP0(C0_COUNT) - next) >= 0);
}

void timer_init(unsigned frequency)
{
	counts_per_second = frequency;
	WRITE_CP0(READ_CP0(C0_COUNT), C0_COMPARE);
	tick();
	ticks = 0;
	enable_interrupt(TIMER_INTERRUPT, tick);
}
