/* Code at the end of a page: the next page is fetched for itself. A branch there has its slot in the next page; if that
 * fails, EPC is the branch, BD is set, and BadVAddr is the slot (MD00090, 6.2.7-6.2.10). */
#include "access.h"
#include "cp0.h"
#include "exceptions.h"
#include "expect.h"
#include "instructions.h"
#include "platform.h"
#include "tlb.h"

#define PAGE 0x00401000
#define NEXT 0x00402000
#define FIRST_FRAME 0x00300000
#define SECOND_FRAME 0x00388000
#define BRANCH(words) (0x10000000 | ((words) & 0xffff))

static unsigned fault(unsigned expected_epc, unsigned expected_bad, unsigned code, unsigned vector, unsigned bd)
{
	const struct exception *first = &recorded[0];

	EXPECT_EQUAL(exception_count, 1);
	EXPECT_EQUAL(first->epc, expected_epc);
	EXPECT_EQUAL(first->bad_vaddr, expected_bad);
	EXPECT_EQUAL(first->cause & (CAUSE_BD | CAUSE_EXCCODE), code << 2 | bd);
	EXPECT_EQUAL(first->vector, vector);
	return first->gpr[REGISTER_V0];
}

static void write_pages(unsigned second)
{
	clear_tlb(1);
	write_tlb(1, (struct tlb_entry){PAGE & ~0x1fff, ENTRYLO_G, ENTRYLO(FIRST_FRAME) | ENTRYLO_G, PAGE_MASK_4K});
	if (second)
		write_tlb(2, (struct tlb_entry){NEXT, second | ENTRYLO_G, ENTRYLO_G, PAGE_MASK_4K});
}

static void put(unsigned physical, unsigned a, unsigned b, unsigned c)
{
	volatile unsigned *code = (volatile unsigned *)(KSEG1 + physical);

	code[0] = a;
	code[1] = b;
	code[2] = c;
}

/* The last two instructions of the page, for both ways the next one can be missing. */
static void next_missing(unsigned second, unsigned vector)
{
	write_pages(second);

	/* Running over the edge. */
	put(FIRST_FRAME + 0xff4, LI(REGISTER_V0, 1), LI(REGISTER_V0, 2), LI(REGISTER_V0, 3));
	call(NEXT - 12);
	EXPECT_EQUAL(fault(NEXT, NEXT, EXC_TLBL, vector, 0), 3);

	/* The slot is over the edge. */
	put(FIRST_FRAME + 0xff4, LI(REGISTER_V0, 4), LI(REGISTER_V0, 5), BRANCH(-3));
	call(NEXT - 12);
	EXPECT_EQUAL(fault(NEXT - 4, NEXT, EXC_TLBL, vector, CAUSE_BD), 5);

	put(FIRST_FRAME + 0xff4, LI(REGISTER_V0, 4), LI(REGISTER_V0, 6), JR_RA);
	call(NEXT - 12);
	EXPECT_EQUAL(fault(NEXT - 4, NEXT, EXC_TLBL, vector, CAUSE_BD), 6);

	/* Of a branch that is not taken. */
	put(FIRST_FRAME + 0xff4, LI(REGISTER_V0, 4), LI(REGISTER_V0, 0), BNEZ(REGISTER_V0, -3));
	call(NEXT - 12);
	EXPECT_EQUAL(fault(NEXT - 4, NEXT, EXC_TLBL, vector, CAUSE_BD), 0);

	/* A branch to the next page, with its slot on this one. */
	put(FIRST_FRAME + 0xff4, LI(REGISTER_V0, 7), BRANCH(1), ADDIU(REGISTER_V0, REGISTER_V0, 1));
	call(NEXT - 12);
	EXPECT_EQUAL(fault(NEXT, NEXT, EXC_TLBL, vector, 0), 8);
}

/* Both there: frames that are not neighbours. Another frame for the second page, and its code is what follows. */
static void next_there(void)
{
	for (unsigned round = 0; round < 4; round++) {
		unsigned frame = SECOND_FRAME + 0x1000 * (round % 2);

		put(frame, ADDIU(REGISTER_V0, REGISTER_V0, 16 * (round % 2 + 1)), JR_RA, NOP);
		write_pages(ENTRYLO(frame));
		put(FIRST_FRAME + 0xff4, LI(REGISTER_V0, 1), LI(REGISTER_V0, 2), LI(REGISTER_V0, 3));
		EXPECT_EQUAL(call(NEXT - 12), 3 + 16 * (round % 2 + 1));
		EXPECT_NO_EXCEPTION();
		put(FIRST_FRAME + 0xff4, LI(REGISTER_V0, 4), LI(REGISTER_V0, 5), JR_RA);
		EXPECT_EQUAL(call(NEXT - 12), 5 + 16 * (round % 2 + 1));
		EXPECT_NO_EXCEPTION();
	}
}

/* Executed often, then the second page goes away, comes back with other code, and goes again. */
static void after_many_times(void)
{
	write_pages(ENTRYLO(SECOND_FRAME));
	put(FIRST_FRAME + 0xff4, LI(REGISTER_V0, 1), LI(REGISTER_V0, 2), JR_RA);
	put(SECOND_FRAME, ADDIU(REGISTER_V0, REGISTER_V0, 1), NOP, NOP);
	put(SECOND_FRAME + 0x1000, ADDIU(REGISTER_V0, REGISTER_V0, 2), NOP, NOP);
	for (unsigned round = 0; round < 3; round++) {
		unsigned sum = 0;

		write_pages(ENTRYLO(SECOND_FRAME + 0x1000 * (round % 2)));
		for (unsigned k = 0; k < 1000; k++)
			sum += call(NEXT - 12);
		EXPECT_EQUAL(sum, 1000 * (3 + round % 2));
		write_pages(0);
		call(NEXT - 12);
		fault(NEXT - 4, NEXT, EXC_TLBL, VECTOR_REFILL, CAUSE_BD);
	}
}

void main(void)
{
	next_missing(0, VECTOR_REFILL);
	next_missing(ENTRYLO_CACHED, VECTOR_GENERAL);
	next_there();
	after_many_times();
}
