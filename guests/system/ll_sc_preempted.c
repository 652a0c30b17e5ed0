/* Atomic increments under timer interrupts whose handler increments the same word: none is lost. */
#include "cp0.h"
#include "exceptions.h"
#include "expect.h"
#include "timer.h"

#define PERIOD 10000
#define INTERRUPTS 25

static volatile unsigned word, interrupts;
static unsigned by_program;

static void increment(void)
{
	unsigned value;

	__asm__ volatile("1:\tll %0, %1\n\taddiu %0, 1\n\tsc %0, %1\n\tbeqz %0, 1b" : "=&r"(value), "+m"(word) : : "memory");
}

static int tick(struct exception *exception)
{
	if (exception->cause & CAUSE_EXCCODE)
		return 0;
	increment();
	if (++interrupts < INTERRUPTS)
		start_timer(PERIOD);
	else
		WRITE_CP0(READ_CP0(C0_COMPARE), C0_COMPARE);
	return 1;
}

void main(void)
{
	exception_hook = tick;
	start_timer(PERIOD);
	WRITE_CP0(STATUS_IM7 | STATUS_IE, C0_STATUS);
	while (interrupts < INTERRUPTS) {
		increment();
		by_program++;
	}
	WRITE_CP0(0, C0_STATUS);
	EXPECT_EQUAL(word, by_program + INTERRUPTS);
	EXPECT_EQUAL(interrupts, INTERRUPTS);
}
