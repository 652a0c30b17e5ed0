/* Code patched through any alias of its page and executed through any other, with synci, with cache, and with nothing:
 * the next call executes what is there. */
#include "cp0.h"
#include "exceptions.h"
#include "expect.h"
#include "instructions.h"
#include "platform.h"
#include "tlb.h"

#define PHYSICAL 0x00300000
#define ROUNDS 6

/* Every way to reach the page: unmapped, mapped by 4 KB pages twice, mapped as part of a large page. */
static const unsigned aliases[] = {KSEG0 + PHYSICAL, KSEG1 + PHYSICAL, 0x00400000, 0xc0000000, 0x20300000};

#define ALIASES (sizeof aliases / sizeof *aliases)

enum maintenance { NOTHING_AT_ALL, SYNCI, CACHE_HIT, MAINTENANCES };

static void maintain(enum maintenance how, unsigned address)
{
	switch (how) {
	case SYNCI:
		__asm__ volatile("synci 0(%0)\n\tsync" : : "r"(address) : "memory");
		break;
	case CACHE_HIT:
		__asm__ volatile("cache 0x15, 0(%0)\n\tcache 0x10, 0(%0)\n\tsync" : : "r"(address) : "memory");
		break;
	default:
		break;
	}
	__asm__ volatile("la $2, 1f\n\tjr.hb $2\n1:" : : : "$2", "memory");
}

static unsigned execute(unsigned address)
{
	return ((unsigned (*)(void))address)();
}

static void map_aliases(void)
{
	write_tlb(1, global_pair(aliases[2], PHYSICAL));
	write_tlb(2, global_pair(aliases[3], PHYSICAL));
	write_tlb(3, (struct tlb_entry){0x20200000, ENTRYLO(0x00200000) | ENTRYLO_G, ENTRYLO(0x00300000) | ENTRYLO_G,
					PAGE_MASK_1M});
}

static void patch(unsigned address, unsigned value, enum maintenance how, unsigned maintained_address)
{
	volatile unsigned *code = (volatile unsigned *)address;

	code[0] = LI(REGISTER_V0, value);
	maintain(how, maintained_address);
}

void main(void)
{
	unsigned value = 0;

	map_aliases();
	/* The last place is at a page's end: the code goes on in the next one. */
	for (unsigned offset = 0x100; offset <= 0xff8; offset += 0x77c) {
		unsigned wrong = 0;

		for (unsigned by = 0; by < ALIASES; by++)
			for (unsigned of = 0; of < ALIASES; of++)
				for (unsigned k = 0; k < MAINTENANCES * ROUNDS; k++) {
					volatile unsigned *code = (volatile unsigned *)(aliases[by] + offset);

					code[1] = JR_RA;
					code[2] = NOP;
					value++;
					patch(aliases[by] + offset, value, k % MAINTENANCES, aliases[k & 1 ? by : of] + offset);
					if (execute(aliases[of] + offset) != value)
						wrong++;
				}
		EXPECT_EQUAL(wrong, 0);
	}

	/* Executed often through one alias, then patched through another. */
	for (unsigned by = 0; by < ALIASES; by++)
		for (unsigned of = 0; of < ALIASES; of++) {
			unsigned sum = 0;

			patch(aliases[by] + 0x800, 1, SYNCI, aliases[by] + 0x800);
			((volatile unsigned *)aliases[by])[0x804 / 4] = JR_RA;
			((volatile unsigned *)aliases[by])[0x808 / 4] = NOP;
			maintain(SYNCI, aliases[by] + 0x804);
			for (unsigned k = 0; k < 1000; k++)
				sum += execute(aliases[of] + 0x800);
			EXPECT_EQUAL(sum, 1000);
			patch(aliases[by] + 0x800, 2, NOTHING_AT_ALL, 0);
			for (unsigned k = 0; k < 10; k++)
				sum += execute(aliases[of] + 0x800);
			EXPECT_EQUAL(sum, 1020);
		}
	EXPECT_EQUAL(exception_count, 0);
}
