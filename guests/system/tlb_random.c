/* Wired and Random: tlbwr writes any entry from Wired on, and never one below (MD00090, 9.2, 9.13). */
#include "expect.h"
#include "platform.h"
#include "tlb.h"

#define WRITES 2000

static void stays_in_range(unsigned wired)
{
	unsigned size = tlb_size(), seen = 0, out_of_range = 0, lost = 0;
	static unsigned char hit[64];

	for (unsigned index = 0; index < size; index++)
		hit[index] = 0;
	WRITE_CP0(0, C0_WIRED);
	clear_tlb(0);
	WRITE_CP0(wired, C0_WIRED);
	EXPECT_EQUAL(READ_CP0(C0_WIRED), wired);
	for (unsigned k = 0; k < WRITES; k++) {
		unsigned random = READ_CP0(C0_RANDOM);

		if (random < wired || random >= size)
			out_of_range++;
		write_tlb_randomly(global_pair(0x00400000 + 0x2000 * k, 0x00300000));
		unsigned index = probe_tlb(0x00400000 + 0x2000 * k);
		if (index < size)
			hit[index] = 1;
		else
			lost++;
	}
	for (unsigned index = 0; index < size; index++) {
		if (index < wired)
			ASSERT_EQUAL(read_tlb(index).entry_hi, UNUSED_ENTRY_HI(index));
		seen += hit[index];
	}
	EXPECT_EQUAL(out_of_range, 0);
	EXPECT_EQUAL(lost, 0);
	/* Every index gets its turn. */
	EXPECT_EQUAL(size - wired - seen, 0);
}

/* tlbwi reaches wired entries too. */
static void indexed_writes(void)
{
	WRITE_CP0(4, C0_WIRED);
	write_tlb(1, global_pair(0x00400000, 0x00300000));
	EXPECT_EQUAL(probe_tlb(0x00400000), 1);
	EXPECT(READ_CP0(C0_RANDOM) >= 4);
	WRITE_CP0(0, C0_WIRED);
	EXPECT_EQUAL(READ_CP0(C0_WIRED), 0);
}

void main(void)
{
	stays_in_range(0);
	stays_in_range(1);
	stays_in_range(5);
	stays_in_range(tlb_size() - 3);
	indexed_writes();
}
