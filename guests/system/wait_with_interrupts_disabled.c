/* wait with Status.IE = 0 ends when an unmasked interrupt is pending, and none is taken (24K: Config7.WII = 1). */
#include "cp0.h"
#include "exceptions.h"
#include "expect.h"
#include "timer.h"

void main(void)
{
	WRITE_CP0(STATUS_IM7, C0_STATUS);
	for (unsigned k = 0; k < 10; k++) {
		start_timer(100000);
		__asm__ volatile("wait" : : : "memory");
		EXPECT(READ_CP0(C0_CAUSE) & CAUSE_TI);
		/* Again, with the interrupt still pending. */
		__asm__ volatile("wait" : : : "memory");
	}
	WRITE_CP0(STATUS_IM1, C0_STATUS);
	WRITE_CP0(CAUSE_IP1, C0_CAUSE);
	__asm__ volatile("wait" : : : "memory");
	WRITE_CP0(0, C0_CAUSE);

	/* With EXL set, as in a handler. */
	WRITE_CP0(STATUS_IM7 | STATUS_IE | STATUS_EXL, C0_STATUS);
	start_timer(100000);
	__asm__ volatile("wait" : : : "memory");
	EXPECT(READ_CP0(C0_CAUSE) & CAUSE_TI);
	WRITE_CP0(0, C0_STATUS);
	EXPECT_EQUAL(exception_count, 0);
	EXPECT(READ_CP0(C0_CONFIG7) & 0x80000000);
}
