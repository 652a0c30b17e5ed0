/* Compare = Count - 1 matches only after a full turn of Count, and writing Count moves the match. */
#include "cp0.h"
#include "expect.h"
#include "exceptions.h"

static unsigned is_pending(void)
{
	return READ_CP0(C0_CAUSE) & (CAUSE_TI | CAUSE_IP7);
}

static void spend(unsigned counts)
{
	unsigned start = READ_CP0(C0_COUNT);

	while (READ_CP0(C0_COUNT) - start < counts)
		;
}

void main(void)
{
	/* Behind Count by a little: no match for 26 seconds. */
	for (unsigned k = 1; k < 10; k++) {
		WRITE_CP0(READ_CP0(C0_COUNT) - k, C0_COMPARE);
		spend(10000);
		EXPECT_EQUAL(is_pending(), 0);
	}

	/* Count written to just before Compare, also when that is on the other side of zero. */
	WRITE_CP0(0x00001000, C0_COMPARE);
	WRITE_CP0(0xffff0000, C0_COUNT);
	unsigned pending = is_pending(), count = READ_CP0(C0_COUNT);
	EXPECT(!pending || count < 0xffff0000); /* not before Count has got there */
	EXPECT(count - 0xffff0000 < 0x10000000);
	spend(0x12000);
	EXPECT_EQUAL(is_pending(), CAUSE_TI | CAUSE_IP7);

	/* Once pending it stays, whatever becomes of Count. */
	WRITE_CP0(0x12345678, C0_COUNT);
	EXPECT(READ_CP0(C0_COUNT) - 0x12345678 < 0x10000000);
	EXPECT_EQUAL(is_pending(), CAUSE_TI | CAUSE_IP7);
	WRITE_CP0(0, C0_COMPARE);
	EXPECT_EQUAL(is_pending(), 0);
	EXPECT_EQUAL(READ_CP0(C0_COMPARE), 0);

	/* Moved past Compare, Count has to come round again. */
	count = READ_CP0(C0_COUNT);
	WRITE_CP0(count + 0x01000000, C0_COMPARE);
	WRITE_CP0(count + 0x02000000, C0_COUNT);
	spend(10000);
	EXPECT_EQUAL(is_pending(), 0);
	EXPECT_EQUAL(exception_count, 0);
}
