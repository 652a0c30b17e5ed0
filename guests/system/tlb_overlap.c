/* Entries that match the same address, which a correct kernel never has: the lowest index wins, for accesses and for
 * tlbp; nothing is shut down and no machine check is raised. */
#include "access.h"
#include "exceptions.h"
#include "expect.h"
#include "platform.h"
#include "tlb.h"

#define ADDRESS 0x00400000
#define PHYSICAL 0x00300000

void main(void)
{
	for (unsigned k = 0; k < 4; k++)
		store_word(KSEG0 + PHYSICAL + 0x2000 * k, 100 + k);
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
	EXPECT_EQUAL(exception_count, 0);
}
