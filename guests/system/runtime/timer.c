#include "timer.h"

#include "cp0.h"

void start_timer(unsigned counts)
{
	for (;; counts *= 2) {
		unsigned target = READ_CP0(C0_COUNT) + counts;

		WRITE_CP0(target, C0_COMPARE);
		/* Had Count already passed the target when Compare was written? */
		if ((int)(READ_CP0(C0_COUNT) - target) < 0 || READ_CP0(C0_CAUSE) & CAUSE_TI)
			return;
	}
}
