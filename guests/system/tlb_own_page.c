/* Code that changes the mapping of the page it runs in, or the address space: what follows the barrier comes from the
 * new page (MD00090, 4.8, and 8.1 for the hazards). */
#include "access.h"
#include "cp0.h"
#include "expect.h"
#include "platform.h"
#include "tlb.h"

#define ADDRESS 0x00400000
#define PHYSICAL 0x00300000
#define ROUNDS 50

extern char rewrite_mapping[], change_space[], position_independent_end[];

/* a0: EntryLo0 to write at the index that Index has, or EntryHi to set; returns 1 or 2, which the copies differ in. */
#define BARRIER_AND_RETURN                                           \
	"move $t9, $ra\n\tbal 1f\n\tnop\n1:\taddiu $ra, 12\n\t"      \
	"jr.hb $ra\n\tnop\n\t"                                       \
	"li $v0, 1\n\tjr $t9\n\tnop\n"

__asm__(".set push\n\t.set noreorder\n"
	"rewrite_mapping:\n\tmtc0 $a0, $2\n\tehb\n\ttlbwi\n\t" BARRIER_AND_RETURN
	"change_space:\n\tmtc0 $a0, $10\n\t" BARRIER_AND_RETURN
	"position_independent_end:\n\t.set pop");

#define LI_V0_1 0x24020001

/* The code at a physical page, with `li $v0, result`. */
static void copy(unsigned physical, unsigned result)
{
	const unsigned *from = (const unsigned *)rewrite_mapping;
	volatile unsigned *to = (volatile unsigned *)(KSEG1 + physical);

	while (from < (const unsigned *)position_independent_end) {
		*to++ = *from == LI_V0_1 ? LI_V0_1 - 1 + result : *from;
		from++;
	}
}

static unsigned call_with(unsigned address, unsigned argument)
{
	return ((unsigned (*)(unsigned))address)(argument);
}

void main(void)
{
	unsigned wrong = 0;

	copy(PHYSICAL, 1);
	copy(PHYSICAL + 0x2000, 2);

	/* The entry rewritten in place, to the other frame and back. */
	write_tlb(1, (struct tlb_entry){ADDRESS, ENTRYLO(PHYSICAL) | ENTRYLO_G, ENTRYLO_G, PAGE_MASK_4K});
	for (unsigned k = 0; k < ROUNDS; k++) {
		unsigned to = 1 + (k + 1) % 2;

		WRITE_CP0(ADDRESS, C0_ENTRYHI);
		WRITE_CP0(ENTRYLO_G, C0_ENTRYLO1);
		WRITE_CP0(1, C0_INDEX);
		if (call_with(ADDRESS, ENTRYLO(PHYSICAL + 0x2000 * (to - 1)) | ENTRYLO_G) != to)
			wrong++;
	}
	EXPECT_EQUAL(wrong, 0);

	/* The other address space. */
	write_tlb(1, (struct tlb_entry){ADDRESS | 1, ENTRYLO(PHYSICAL), 0, PAGE_MASK_4K});
	write_tlb(2, (struct tlb_entry){ADDRESS | 2, ENTRYLO(PHYSICAL + 0x2000), 0, PAGE_MASK_4K});
	WRITE_CP0(1, C0_ENTRYHI);
	for (unsigned k = 0; k < ROUNDS; k++) {
		unsigned to = 1 + (k + 1) % 2;

		if (call_with(ADDRESS + (change_space - rewrite_mapping), to) != to)
			wrong++;
	}
	EXPECT_EQUAL(wrong, 0);
}
