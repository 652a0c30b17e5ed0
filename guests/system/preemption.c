/* A computation of branches, delay slots, loads, stores, multiplications and calls, interrupted by the timer again and
 * again: the result is the one that it has undisturbed, and where Cause.BD is set EPC is a branch. */
#include "cp0.h"
#include "exceptions.h"
#include "expect.h"
#include "timer.h"

#define INTERRUPTS 60
#define PERIOD 8000

/* Of the computation below, on any machine. */
#ifdef __MIPSEB__
#define RESULT 0x4d0c8b1b
#else
#define RESULT 0x3382af17
#endif

static unsigned words[64];
static volatile unsigned interrupts;
static unsigned wrong, period = PERIOD;

static unsigned __attribute__((noinline)) mix(unsigned a, unsigned b)
{
	return (a << 5 | a >> 27) ^ b * 0x9e3779b1u;
}

static unsigned __attribute__((noinline)) compute(unsigned rounds)
{
	unsigned sum = 1;

	for (unsigned k = 0; k < 64; k++)
		words[k] = k * 0x01010101u;
	for (unsigned round = 0; round < rounds; round++) {
		unsigned *word = &words[sum % 64];

		sum = mix(sum, *word + round);
		if (sum & 8)
			*word += sum;
		else if ((int)sum < 0)
			((unsigned char *)word)[sum & 3] ^= sum >> 8;
		sum += sum / ((round & 15) + 1);
	}
	for (unsigned k = 0; k < 64; k++)
		sum = mix(sum, words[k]);
	return sum;
}

static int is_branch(unsigned word)
{
	unsigned operation = word >> 26, function = word & 63;

	return (operation >= 1 && operation <= 7) || (operation >= 20 && operation <= 23) ||
	       (operation == 0 && (function == 8 || function == 9));
}

static int interrupted(struct exception *exception)
{
	if (exception->cause & CAUSE_EXCCODE)
		return 0;
	interrupts++;
	if (exception->cause & CAUSE_BD)
		wrong += !is_branch(*(unsigned *)exception->epc);
	period = period * 5 / 4 % 30000 + 3000;
	if (interrupts < INTERRUPTS)
		start_timer(period);
	else
		WRITE_CP0(READ_CP0(C0_COMPARE), C0_COMPARE);
	return 1;
}

void main(void)
{
	unsigned rounds = 500, undisturbed = compute(rounds);

	EXPECT_EQUAL(undisturbed, compute(rounds));
	exception_hook = interrupted;
	start_timer(PERIOD);
	WRITE_CP0(STATUS_IM7 | STATUS_IE, C0_STATUS);
	while (interrupts < INTERRUPTS)
		ASSERT_EQUAL(compute(rounds), undisturbed);
	WRITE_CP0(0, C0_STATUS);
	EXPECT_EQUAL(wrong, 0);
	EXPECT_EQUAL(undisturbed, RESULT);
}
