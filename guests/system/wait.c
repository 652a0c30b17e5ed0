/* wait ends when an enabled interrupt comes, which is then taken; EPC is behind it (MD00086, WAIT). */
#include "exceptions.h"
#include "expect.h"
#include "timer.h"
#include "cp0.h"

#define PERIOD 200000
#define TICKS 20

static volatile unsigned ticks;
static unsigned waits, in_wait;
extern char waiting[], resumed[];

static int tick(struct exception *exception)
{
	if (exception->cause & CAUSE_EXCCODE)
		return 0;
	ticks++;
	WRITE_CP0(READ_CP0(C0_COMPARE), C0_COMPARE);
	if (exception->epc == (unsigned)waiting + 4)
		in_wait++;
	if (ticks < TICKS)
		start_timer(PERIOD);
	return 1;
}

/* The timer may have come just before: then the next one ends it. */
static void wait(void)
{
	__asm__ volatile(".globl waiting\nwaiting:\twait\n\tnop" : : : "memory");
}

void main(void)
{
	exception_hook = tick;
	start_timer(PERIOD);
	WRITE_CP0(STATUS_IM7 | STATUS_IE, C0_STATUS);
	while (ticks < TICKS) {
		wait();
		waits++;
	}
	WRITE_CP0(0, C0_STATUS);
	EXPECT(waits >= 1);
	EXPECT(waits <= TICKS + 1);
	EXPECT(in_wait >= TICKS / 2);

	/* Pending before it: it ends at once, and no interrupt is lost. */
	exception_hook = 0;
	WRITE_CP0(CAUSE_IP0, C0_CAUSE);
	exception_count = 0;
	resume_at = (unsigned)resumed;
	resume_status = 0;
	__asm__ volatile("mtc0 %0, $12\n\tehb\n\twait\n\t.globl resumed\nresumed:" : : "r"(STATUS_IM0 | STATUS_IE) : "memory");
	EXPECT_EQUAL(exception_count, 1);
	EXPECT_EQUAL(recorded[0].cause & CAUSE_EXCCODE, EXC_INT);
	WRITE_CP0(0, C0_CAUSE);
}
