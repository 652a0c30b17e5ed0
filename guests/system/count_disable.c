/* Cause.DC stops Count, and with it the timer; Count can be written while it stands (MD00090, 9.26). */
#include "cp0.h"
#include "exceptions.h"
#include "expect.h"

#define CAUSE_DC 0x08000000

static void spin(void)
{
	for (volatile unsigned k = 0; k < 300; k++)
		;
}

void main(void)
{
	WRITE_CP0(CAUSE_DC, C0_CAUSE);
	EXPECT_EQUAL(READ_CP0(C0_CAUSE) & CAUSE_DC, CAUSE_DC);
	unsigned count = READ_CP0(C0_COUNT);
	spin();
	EXPECT_EQUAL(READ_CP0(C0_COUNT), count);
	WRITE_CP0(0x12340000, C0_COUNT);
	WRITE_CP0(0x12340010, C0_COMPARE);
	spin();
	EXPECT_EQUAL(READ_CP0(C0_COUNT), 0x12340000);
	EXPECT_EQUAL(READ_CP0(C0_CAUSE) & CAUSE_TI, 0);
	WRITE_CP0(0, C0_CAUSE);
	while (!(READ_CP0(C0_CAUSE) & CAUSE_TI))
		;
	EXPECT(READ_CP0(C0_COUNT) - 0x12340010 < 0x10000000);
	EXPECT_EQUAL(exception_count, 0);
}
