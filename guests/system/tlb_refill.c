/* A page table that a refill handler copies into the TLB: many pages in turn, each with its own contents. */
#include "cp0.h"
#include "exceptions.h"
#include "expect.h"
#include "platform.h"

#define PAGES 256
#define FIRST_PHYSICAL 0x00400000
#define FIRST_VIRTUAL 0x10000000

static unsigned refills, wrong;

/* Even pages of a pair come first: physical pages are in reverse order. */
static unsigned physical(unsigned page)
{
	return FIRST_PHYSICAL + (PAGES - 1 - page) * 0x1000;
}

static int refill(struct exception *exception)
{
	unsigned page = (exception->bad_vaddr - FIRST_VIRTUAL) >> 12 & ~1u;
	unsigned code = exception->cause & CAUSE_EXCCODE;

	if (code != EXC_TLBL << 2 && code != EXC_TLBS << 2)
		return 0;
	refills++;
	if (exception->vector != VECTOR_REFILL || exception->entry_hi != (exception->bad_vaddr & ~0x1fffu) ||
	    (exception->context & 0x7fffff) != exception->bad_vaddr >> 13 << 4)
		wrong++;
	WRITE_CP0(ENTRYLO(physical(page)), C0_ENTRYLO0);
	WRITE_CP0(ENTRYLO(physical(page + 1)), C0_ENTRYLO1);
	__asm__ volatile("tlbwr\n\tehb" : : : "memory");
	return 1;
}

void main(void)
{
	unsigned sum = 0;

	exception_hook = refill;
	for (unsigned page = 0; page < PAGES; page++)
		*(volatile unsigned *)(FIRST_VIRTUAL + page * 0x1000 + 4 * page) = page * page;
	EXPECT(refills >= PAGES / 2);
	for (unsigned page = 0; page < PAGES; page++)
		EXPECT_EQUAL(*(volatile unsigned *)(KSEG0 + physical(page) + 4 * page), page * page);
	for (unsigned round = 0; round < 8; round++)
		for (unsigned page = 0; page < PAGES; page += 2 * round + 1)
			sum += *(volatile unsigned *)(FIRST_VIRTUAL + page * 0x1000 + 4 * page);
	EXPECT_EQUAL(sum, 11334032);
	EXPECT_EQUAL(wrong, 0);
}
