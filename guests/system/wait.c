/* wait ends when an enabled interrupt comes, which is then taken; EPC is behind it (MD00086, WAIT). */
#include "exceptions.h"
#include "expect.h"
#include "timer.h"
#include "cp0.h"

#define PERIOD 200000

static volatile unsigned ticks;
static unsigned waits, in_wait;
extern char waiting[];

static int tick(struct exception *exception)
{
	if (exception->cause & CAUSE_EXCCODE)
		return 0;
	ticks++;
	WRITE_CP0(READ_CP0(C0_COMPARE), C0_COMPARE);
	if (exception->epc == (unsigned)waiting + 4)
		in_wait++;
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
	while (ticks < 20) {
		wait();
		waits++;
	}
	WRITE_CP0(0, C0_STATUS);
	EXPECT(waits >= 1);
	EXPECT(waits <= 20 + 1);
	EXPECT(in_wait >= 10);

	/* Pending before it: it ends at once, and no interrupt is lost. */
	WRITE_CP0(0, C0_CAUSE);
	exception_hook = 0;
	WRITE_CP0(CAUSE_IP0, C0_CAUSE);
	extern unsigned resume_at, resume_status, exception_count;
	extern char resumed[];
	exception_count = 0;
	resume_at = (unsigned)resumed;
	resume_status = 0;
	__asm__ volatile("mtc0 %0, $12\n\tehb\n\twait\n\t.globl resumed\nresumed:" : : "r"(STATUS_IM0 | STATUS_IE) : "memory");
	EXPECT_EQUAL(exception_count, 1);
	EXPECT_EQUAL(recorded[0].cause & CAUSE_EXCCODE, EXC_INT);
	WRITE_CP0(0, C0_CAUSE);
}
