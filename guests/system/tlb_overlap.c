/* Entries that match the same address, which a correct kernel never has: the lowest index wins, for accesses and for
 * tlbp; nothing is shut down and no machine check is raised. */
#include "access.h"
#include "exceptions.h"
#include "expect.h"
#include "platform.h"
#include "tlb.h"

#define ADDRESS 0x00400000
#define PHYSICAL 0x00300000

static void lowest_index_wins(void)
{
	for (unsigned k = 4; k-- > 1;) {
		write_tlb(k, global_pair(ADDRESS, PHYSICAL + 0x2000 * k));
		EXPECT_EQUAL(load_word(ADDRESS), 100 + k);
		EXPECT_EQUAL(probe_tlb(ADDRESS), k);
	}
	/* A later write at a higher index changes nothing. */
	write_tlb(5, global_pair(ADDRESS, PHYSICAL));
	EXPECT_EQUAL(load_word(ADDRESS), 101);
	EXPECT_EQUAL(probe_tlb(ADDRESS), 1);
	/* The lowest one gone, the next one shows. */
	write_tlb(1, (struct tlb_entry){UNUSED_ENTRY_HI(1), 0, 0, PAGE_MASK_4K});
	EXPECT_EQUAL(load_word(ADDRESS), 102);
	/* A large page below. */
	write_tlb(0, (struct tlb_entry){0x00400000, ENTRYLO(PHYSICAL & ~0x3ffff) | ENTRYLO_G,
					ENTRYLO(PHYSICAL & ~0x3ffff) | ENTRYLO_G, PAGE_MASK_256K});
	EXPECT_EQUAL(load_word(ADDRESS + (PHYSICAL & 0x3ffff)), 100);
	EXPECT_EQUAL(load_word(ADDRESS + (PHYSICAL & 0x3ffff) + 0x2000), 101);
}

/* tlbwr replaces one of two entries; which one, tlbr tells afterwards. */
static void replaced_at_random(void)
{
	unsigned last = tlb_size() - 1, replaced = 0;

	clear_tlb(0);
	WRITE_CP0(last - 1, C0_WIRED);
	for (unsigned round = 0; round < 8; round++) {
		write_tlb(last - 1, global_pair(ADDRESS, PHYSICAL + 0x2000));
		write_tlb(last, global_pair(ADDRESS, PHYSICAL + 0x4000));
		EXPECT_EQUAL(load_word(ADDRESS), 101);
		write_tlb_randomly(global_pair(2 * ADDRESS, PHYSICAL));
		unsigned found = load_word(ADDRESS);

		if (read_tlb(last - 1).entry_hi == ADDRESS) {
			EXPECT_EQUAL(found, 101);
		} else {
			EXPECT_EQUAL(found, 102);
			replaced++;
		}
	}
	EXPECT(replaced);
	WRITE_CP0(0, C0_WIRED);
}

/* An entry of one address space, and below it in the TLB a global one. */
static void local_and_global(unsigned address)
{
	clear_tlb(0);
	write_tlb(1, (struct tlb_entry){address | 1, ENTRYLO(PHYSICAL), ENTRYLO(PHYSICAL), PAGE_MASK_4K});
	write_tlb(2, global_pair(address, PHYSICAL + 0x2000));
	for (unsigned round = 0; round < 3; round++)
		for (unsigned asid = 0; asid < 3; asid++) {
			WRITE_CP0(asid, C0_ENTRYHI);
			EXPECT_EQUAL(load_word(address), asid == 1 ? 100 : 101);
		}
}

void main(void)
{
	for (unsigned k = 0; k < 4; k++)
		store_word(KSEG0 + PHYSICAL + 0x2000 * k, 100 + k);
	lowest_index_wins();
	replaced_at_random();
	local_and_global(ADDRESS);
	local_and_global(0xc0400000);
	EXPECT_EQUAL(exception_count, 0);
}
