/* Only the one number resets the machine, at whatever width; others do nothing, and the register reads 0. */
#include "exceptions.h"
#include "expect.h"
#include "platform.h"

void main(void)
{
	volatile unsigned *reset = (volatile unsigned *)RESET;

	for (unsigned value = 0; value < 0x100; value += 0x21)
		if (value != RESET_GO)
			*reset = value;
	*reset = 0x43;
	*reset = 0x00004200;
	EXPECT_EQUAL(*reset, 0);
	EXPECT_EQUAL(exception_count, 0);
}
