/* A two-level page table, as Linux has for 32-bit MIPS: a directory with a page table for each 4 MB, whose entries are
 * values for EntryLo. The processor knows nothing of it: tlb_refill.S is what reads it. */
#include "page_table.h"

#include "cp0.h"
#include "memory.h"
#include "panic.h"

#define ENTRIES (PAGE_SIZE / 4)
#define TABLE_INDEX(address) ((address) >> 22)
#define PAGE_INDEX(address) ((address) >> 12 & (ENTRIES - 1))
#define ENTRY_STEP (ENTRYLO(PAGE_SIZE) - ENTRYLO(0)) /* from a frame's entry to that of the next frame */

typedef unsigned page_table_t[ENTRIES];

/* Where nothing is mapped: invalid entries, but global ones like all of the kernel's. */
static page_table_t empty;

page_table_t *page_directory[ENTRIES];
unsigned tlb_refills;
bool scatter_frames;

static unsigned next_page = KSEG2;

static void clear_tlb(void)
{
	unsigned entries = (READ_CP0(C0_CONFIG1) >> CONFIG1_MMU_SIZE_SHIFT & 63) + 1;

	WRITE_CP0(0, C0_ENTRYLO0);
	WRITE_CP0(0, C0_ENTRYLO1);
	for (unsigned index = 0; index < entries; index++) {
		WRITE_CP0(index, C0_INDEX);
		WRITE_CP0(KSEG0 + 2 * PAGE_SIZE * index, C0_ENTRYHI); /* not mapped, and no two alike */
		__asm__ volatile("tlbwi" : : : "memory");
	}
	WRITE_CP0(0, C0_ENTRYHI);
}

void page_table_init(void)
{
	for (unsigned i = 0; i < ENTRIES; i++) {
		empty[i] = ENTRYLO_G;
		page_directory[i] = &empty;
	}
	clear_tlb();
}

static unsigned *entry_of(unsigned address)
{
	return &(*page_directory[TABLE_INDEX(address)])[PAGE_INDEX(address)];
}

static void map_page(unsigned address, unsigned frame)
{
	page_table_t **table = &page_directory[TABLE_INDEX(address)];

	if (*table == &empty) {
		*table = (page_table_t *)(KSEG0 + allocate_frames(1));
		for (unsigned i = 0; i < ENTRIES; i++)
			(**table)[i] = ENTRYLO_G;
	}
	*entry_of(address) = ENTRYLO(frame) | ENTRYLO_G;
}

void *map_pages(unsigned count)
{
	unsigned start = next_page, frames = allocate_frames(count);

	for (unsigned i = 0; i < count; i++)
		map_page(start + PAGE_SIZE * i, frames + PAGE_SIZE * (scatter_frames ? count - 1 - i : i));
	/* A page left out between two areas has what runs over an area's end found out; and pairs are not split, so that no
	 * entry now in the TLB says that one of these pages is invalid. */
	next_page = (start + PAGE_SIZE * count + 2 * PAGE_SIZE) & ~(2 * PAGE_SIZE - 1);
	return (void *)start;
}

static bool is_unmapped(unsigned virtual)
{
	return virtual >= KSEG0 && virtual < KSEG2;
}

unsigned physical_address(const void *address)
{
	unsigned virtual = (unsigned)address, entry;

	if (is_unmapped(virtual))
		return virtual & 0x1fffffff;
	entry = *entry_of(virtual);
	if (!(entry & ENTRYLO_V))
		panic("no memory at virtual address 0x%08x", virtual);
	return (entry & ~0x3fu) << 6 | (virtual & (PAGE_SIZE - 1));
}

unsigned contiguous_bytes(const void *address, unsigned limit)
{
	unsigned virtual = (unsigned)address, next = (virtual | (PAGE_SIZE - 1)) + 1, bytes = next - virtual;
	unsigned entry;

	if (is_unmapped(virtual))
		return limit;
	entry = *entry_of(virtual);
	for (; bytes < limit && *entry_of(next) == entry + ENTRY_STEP; next += PAGE_SIZE, bytes += PAGE_SIZE)
		entry += ENTRY_STEP;
	return bytes < limit ? bytes : limit;
}
