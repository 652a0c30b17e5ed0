/* Compare rewritten when it is just about to match: no match is lost, and none comes of the old value. */
#include "cp0.h"
#include "expect.h"
#include "exceptions.h"

#define ROUNDS 100

/* Counts until something far away, but not so far that waiting for it takes long; more on machines that are too slow. */
static unsigned soon = 20000;

static unsigned late, missed, early;

static unsigned is_pending(void)
{
	return (READ_CP0(C0_CAUSE) & CAUSE_TI) != 0;
}

/* Whether TI comes for a target that Count had not reached when Compare had been written. */
static void rewrite(unsigned distance, unsigned next_distance)
{
	unsigned target;

	WRITE_CP0(READ_CP0(C0_COUNT) + distance, C0_COMPARE);
	target = READ_CP0(C0_COUNT) + next_distance;
	WRITE_CP0(target, C0_COMPARE);
	if ((int)(READ_CP0(C0_COUNT) - target) >= 0) {
		late++;
		soon += soon < 300000 ? soon / 8 : 0;
		return;
	}
	for (;;) {
		unsigned before = READ_CP0(C0_COUNT), pending = is_pending(), after = READ_CP0(C0_COUNT);

		if (pending && (int)(after - target) < 0)
			early++;
		if (pending)
			break;
		if ((int)(before - target) > 0) {
			missed++;
			break;
		}
	}
}

void main(void)
{
	for (unsigned k = 0; k < ROUNDS; k++)
		rewrite(k, soon + k);
	EXPECT_EQUAL(missed, 0);
	EXPECT_EQUAL(early, 0);
	EXPECT(late < ROUNDS);
	for (unsigned k = 0; k < ROUNDS; k++)
		rewrite(soon, soon / ROUNDS * k);
	EXPECT_EQUAL(missed, 0);
	EXPECT_EQUAL(early, 0);
	EXPECT_EQUAL(exception_count, 0);
}
