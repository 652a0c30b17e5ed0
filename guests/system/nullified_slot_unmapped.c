/* The slot of a branch-likely that is not taken is at the start of the next page, which is not there: nobody hears of it
 * (MD00086, BEQL: the slot's instruction is nullified). What follows it is executed, or missing in its turn. */
#include "access.h"
#include "cp0.h"
#include "exceptions.h"
#include "expect.h"
#include "instructions.h"
#include "platform.h"
#include "tlb.h"

#define PAGE 0x00401000
#define NEXT 0x00402000
#define FRAME 0x00300000
#define BEQL_ZERO_V0(words) (0x50020000 | ((words) & 0xffff))

static void next_missing(unsigned second, unsigned vector)
{
	volatile unsigned *code = (volatile unsigned *)(KSEG1 + FRAME + 0xff8);

	clear_tlb(1);
	write_tlb(1, (struct tlb_entry){PAGE & ~0x1fff, ENTRYLO_G, ENTRYLO(FRAME) | ENTRYLO_G, PAGE_MASK_4K});
	if (second)
		write_tlb(2, (struct tlb_entry){NEXT, second | ENTRYLO_G, ENTRYLO_G, PAGE_MASK_4K});
	code[0] = LI(REGISTER_V0, 1);
	code[1] = BEQL_ZERO_V0(-2);
	call(NEXT - 8);
	EXPECT_ADDRESS_EXCEPTION(EXC_TLBL, vector, NEXT + 4, NEXT + 4);
	EXPECT_EQUAL(recorded[0].gpr[REGISTER_V0], 1);

	/* Taken, the slot is needed. */
	code[0] = LI(REGISTER_V0, 0);
	call(NEXT - 8);
	EXPECT_EQUAL(exception_count, 1);
	EXPECT_EQUAL(recorded[0].epc, NEXT - 4);
	EXPECT_EQUAL(recorded[0].bad_vaddr, NEXT);
	EXPECT_EQUAL(recorded[0].cause & (CAUSE_BD | CAUSE_EXCCODE), CAUSE_BD | EXC_TLBL << 2);
}

void main(void)
{
	next_missing(0, VECTOR_REFILL);
	next_missing(ENTRYLO_CACHED, VECTOR_GENERAL);
}
