#include "page_table.h"

#include "access.h"
#include "exceptions.h"
#include "platform.h"

#define FIRST_ADDRESS 0x10000000
#define FIRST_FRAME 0x00400000

unsigned *page_table;
unsigned refills, invalids, modifies, without_entry;

unsigned page_address(unsigned page)
{
	return FIRST_ADDRESS + 0x1000 * page;
}

unsigned frame_address(unsigned number)
{
	return FIRST_FRAME + 0x1000 * number;
}

unsigned map_frame(unsigned number, unsigned flags)
{
	return (ENTRYLO(frame_address(number)) & ~(ENTRYLO_V | ENTRYLO_D)) | flags;
}

static int handle(struct exception *exception)
{
	unsigned code = (exception->cause & CAUSE_EXCCODE) >> 2, page = (exception->bad_vaddr - FIRST_ADDRESS) >> 12;

	if (code < EXC_MOD || code > EXC_TLBS || page >= PAGES)
		return 0;
	WRITE_CP0(page_table[page & ~1u], C0_ENTRYLO0);
	WRITE_CP0(page_table[page | 1], C0_ENTRYLO1);
	WRITE_CP0(PAGE_MASK_4K, C0_PAGEMASK);
	if (exception->vector == VECTOR_REFILL) {
		refills++;
		__asm__ volatile("tlbwr\n\tehb" : : : "memory");
		return 1;
	}
	/* The page table does not allow it: the program is told. */
	if (!(page_table[page] & ENTRYLO_V) || (code != EXC_TLBL && !(page_table[page] & ENTRYLO_D)))
		return 0;
	if (code == EXC_MOD)
		modifies++;
	else
		invalids++;
	__asm__ volatile("tlbp\n\tehb" : : : "memory");
	if (READ_CP0(C0_INDEX) & INDEX_P)
		without_entry++;
	else
		__asm__ volatile("tlbwi\n\tehb" : : : "memory");
	return 1;
}

void use_page_table(void)
{
	for (unsigned number = 0; number < FRAMES; number++)
		*(volatile unsigned *)(KSEG0 + frame_address(number)) = number;
	exception_hook = handle;
}

void flush_page(unsigned page)
{
	unsigned asid = READ_CP0(C0_ENTRYHI) & 0xff, index = probe_tlb((page_address(page) & ~0x1fffu) | asid);

	if (!(index & INDEX_P))
		write_tlb(index, (struct tlb_entry){UNUSED_ENTRY_HI(index), 0, 0, PAGE_MASK_4K});
}

void evict(void)
{
	for (unsigned page = PAGES / 2; page < PAGES; page += 2)
		load_word(page_address(page));
}
