/* lwl, lwr, swl and swr where a word goes from one page to the next: each touches its own page only, and tells the
 * address it was given (MD00086, LWL; MD00090, 6.2.7-6.2.10). */
#include "cp0.h"
#include "exceptions.h"
#include "expect.h"
#include "platform.h"
#include "tlb.h"

#define PAGE 0x00401000 /* the boundary is at its end */
#define NEXT 0x00402000
#define FIRST_FRAME 0x00300000
#define SECOND_FRAME 0x00380000


/* The low and the high half of an unaligned word, in the order a compiler uses. */
#ifdef __MIPSEB__
#define LOAD "lwl %0, 0(%2)\n\tlwr %0, 3(%2)"
#define STORE "swl %1, 0(%0)\n\tswr %1, 3(%0)"
#define LOW_FIRST 0
#else
#define LOAD "lwr %0, 0(%2)\n\tlwl %0, 3(%2)"
#define STORE "swr %1, 0(%0)\n\tswl %1, 3(%0)"
#define LOW_FIRST 1
#endif

/* noreorder, so that `resume` is where it says. */
static unsigned load_unaligned(unsigned address, unsigned before)
{
	unsigned value = before, scratch;

	exception_count = 0;
	resume_status = READ_CP0(C0_STATUS);
	__asm__ volatile(".set push\n\t.set noreorder\n\tla %1, 1f\n\tsw %1, resume_at\n\t" LOAD "\n1:\t.set pop"
			 : "+r"(value), "=&r"(scratch)
			 : "r"(address)
			 : "memory");
	return value;
}

static void store_unaligned(unsigned address, unsigned value)
{
	unsigned scratch;

	exception_count = 0;
	resume_status = READ_CP0(C0_STATUS);
	__asm__ volatile(".set push\n\t.set noreorder\n\tla %2, 1f\n\tsw %2, resume_at\n\t" STORE "\n1:\t.set pop"
			 : "+r"(address), "+r"(value), "=&r"(scratch)
			 :
			 : "memory");
}

static void write_pages(unsigned first_flags, unsigned second_flags)
{
	unsigned flags = ENTRYLO_V | ENTRYLO_D | ENTRYLO_G;

	clear_tlb(1);
	if (first_flags)
		write_tlb(1, (struct tlb_entry){PAGE & ~0x1fff, ENTRYLO_G, (ENTRYLO(FIRST_FRAME) & ~flags) | first_flags | ENTRYLO_G,
						PAGE_MASK_4K});
	if (second_flags)
		write_tlb(2, (struct tlb_entry){NEXT, (ENTRYLO(SECOND_FRAME) & ~flags) | second_flags | ENTRYLO_G, ENTRYLO_G,
						PAGE_MASK_4K});
}

static volatile unsigned char *byte_at(unsigned address)
{
	unsigned frame = address < NEXT ? FIRST_FRAME + (address - PAGE) : SECOND_FRAME + (address - NEXT);

	return (volatile unsigned char *)(KSEG1 + frame);
}

static void fill(void)
{
	for (unsigned k = 0; k < 8; k++)
		*byte_at(NEXT - 4 + k) = 0x11 * (k + 1);
}

/* The word of four bytes in memory order. */
static unsigned word_of(unsigned a, unsigned b, unsigned c, unsigned d)
{
	return LOW_FIRST ? a | b << 8 | c << 16 | d << 24 : a << 24 | b << 16 | c << 8 | d;
}

static unsigned word_at(unsigned address)
{
	return word_of(*byte_at(address), *byte_at(address + 1), *byte_at(address + 2), *byte_at(address + 3));
}

static void both_there(void)
{
	write_pages(ENTRYLO_V | ENTRYLO_D, ENTRYLO_V | ENTRYLO_D);
	for (unsigned address = NEXT - 4; address <= NEXT; address++) {
		fill();
		EXPECT_EQUAL(load_unaligned(address, 0x5a5a5a5a), word_at(address));
		store_unaligned(address, 0xa1b2c3d4);
		EXPECT_EQUAL(word_at(address), 0xa1b2c3d4);
		EXPECT_NO_EXCEPTION();
		for (unsigned k = 0; k < 8; k++)
			if (NEXT - 4 + k - address >= 4)
				EXPECT_EQUAL(*byte_at(NEXT - 4 + k), 0x11 * (k + 1));
	}
}

/* The second page is missing: what the first instruction has done stays. */
static void second_missing(unsigned second_flags, unsigned load_code, unsigned store_code, unsigned vector)
{
	write_pages(ENTRYLO_V | ENTRYLO_D, second_flags);
	for (unsigned address = NEXT - 3; address < NEXT; address++) {
		unsigned in_first = NEXT - address;

		fill();
		load_unaligned(address, 0x5a5a5a5a);
		if (load_code) {
			EXPECT_EQUAL(exception_count, 1);
			EXPECT_EQUAL(recorded[0].bad_vaddr, address + 3);
			EXPECT_EQUAL(recorded[0].cause & CAUSE_EXCCODE, load_code << 2);
			EXPECT_EQUAL(recorded[0].vector, vector);
		} else {
			EXPECT_NO_EXCEPTION();
		}
		store_unaligned(address, word_of(0xa1, 0xb2, 0xc3, 0xd4));
		EXPECT_EQUAL(exception_count, 1);
		EXPECT_EQUAL(recorded[0].bad_vaddr, address + 3);
		EXPECT_EQUAL(recorded[0].cause & CAUSE_EXCCODE, store_code << 2);
		EXPECT_EQUAL(recorded[0].vector, vector);
		for (unsigned k = 0; k < 4; k++) {
			static const unsigned char stored[] = {0xa1, 0xb2, 0xc3, 0xd4};
			unsigned original = 0x11 * (address + k - (NEXT - 4) + 1);

			EXPECT_EQUAL(*byte_at(address + k), k < in_first ? stored[k] : original);
		}
	}
}

/* The first page is missing: nothing is done. */
static void first_missing(void)
{
	write_pages(0, ENTRYLO_V | ENTRYLO_D);
	for (unsigned address = NEXT - 3; address < NEXT; address++) {
		fill();
		EXPECT_EQUAL(load_unaligned(address, 0x5a5a5a5a), 0x5a5a5a5a);
		EXPECT_EQUAL(exception_count, 1);
		EXPECT_EQUAL(recorded[0].bad_vaddr, address);
		EXPECT_EQUAL(recorded[0].cause & CAUSE_EXCCODE, EXC_TLBL << 2);
		store_unaligned(address, 0xa1b2c3d4);
		EXPECT_EQUAL(recorded[0].bad_vaddr, address);
		EXPECT_EQUAL(recorded[0].cause & CAUSE_EXCCODE, EXC_TLBS << 2);
		for (unsigned k = 0; k < 8; k++)
			EXPECT_EQUAL(*byte_at(NEXT - 4 + k), 0x11 * (k + 1));
	}
}

void main(void)
{
	both_there();
	second_missing(0, EXC_TLBL, EXC_TLBS, VECTOR_REFILL);
	second_missing(ENTRYLO_D, EXC_TLBL, EXC_TLBS, VECTOR_GENERAL);
	second_missing(ENTRYLO_V, 0, EXC_MOD, VECTOR_GENERAL);
	first_missing();
}
