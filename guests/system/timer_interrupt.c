/* The timer interrupt: when Count has reached Compare, through the vector that Cause.IV says, until Compare is written. */
#include "cp0.h"
#include "exceptions.h"
#include "expect.h"
#include "timer.h"

#define PERIOD 200000 /* of Count: 1.25 ms */

static volatile unsigned ticks;
static unsigned wanted, wrong, vector;

static int tick(struct exception *exception)
{
	if ((exception->cause & (CAUSE_EXCCODE | CAUSE_TI | CAUSE_IP7)) != (CAUSE_TI | CAUSE_IP7) ||
	    exception->vector != vector || (int)(READ_CP0(C0_COUNT) - READ_CP0(C0_COMPARE)) < 0)
		wrong++;
	ticks++;
	WRITE_CP0(READ_CP0(C0_COMPARE), C0_COMPARE);
	if (READ_CP0(C0_CAUSE) & (CAUSE_TI | CAUSE_IP7))
		wrong++;
	if (ticks < wanted)
		start_timer(PERIOD);
	return 1;
}

static void let_tick(unsigned times)
{
	unsigned before = READ_CP0(C0_COUNT);

	ticks = 0;
	wanted = times;
	start_timer(PERIOD);
	WRITE_CP0(STATUS_IM7 | STATUS_IE, C0_STATUS);
	while (ticks < times)
		;
	WRITE_CP0(0, C0_STATUS);
	unsigned passed = READ_CP0(C0_COUNT) - before;
	EXPECT_EQUAL(ticks, times);
	EXPECT(passed >= times * PERIOD);
	EXPECT_EQUAL(wrong, 0);
}

void main(void)
{
	exception_hook = tick;
	vector = VECTOR_GENERAL;
	let_tick(5);
	WRITE_CP0(CAUSE_IV, C0_CAUSE);
	vector = VECTOR_INTERRUPT;
	let_tick(5);

	/* Masked, it is only seen. */
	start_timer(PERIOD);
	while (!(READ_CP0(C0_CAUSE) & CAUSE_TI))
		;
	EXPECT(READ_CP0(C0_CAUSE) & CAUSE_IP7);
	WRITE_CP0(STATUS_IM0 | STATUS_IM1 | STATUS_IE, C0_STATUS);
	EXPECT_EQUAL(ticks, 5);
	WRITE_CP0(STATUS_IM7, C0_STATUS);
	EXPECT_EQUAL(ticks, 5);
	WRITE_CP0(STATUS_IM7 | STATUS_IE, C0_STATUS);
	EXPECT_EQUAL(ticks, 6);
}
