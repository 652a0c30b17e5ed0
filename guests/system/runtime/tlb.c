#include "tlb.h"

#include "platform.h"

extern char start[];

unsigned tlb_size(void)
{
	return (READ_CP0(C0_CONFIG1) >> CONFIG1_MMU_SIZE_SHIFT & 63) + 1;
}

static void set_registers(struct tlb_entry entry)
{
	WRITE_CP0(entry.entry_hi, C0_ENTRYHI);
	WRITE_CP0(entry.entry_lo0, C0_ENTRYLO0);
	WRITE_CP0(entry.entry_lo1, C0_ENTRYLO1);
	WRITE_CP0(entry.page_mask, C0_PAGEMASK);
}

void write_tlb(unsigned index, struct tlb_entry entry)
{
	unsigned entry_hi = READ_CP0(C0_ENTRYHI);

	set_registers(entry);
	WRITE_CP0(index, C0_INDEX);
	__asm__ volatile("tlbwi" : : : "memory");
	WRITE_CP0(entry_hi, C0_ENTRYHI);
}

void write_tlb_randomly(struct tlb_entry entry)
{
	unsigned entry_hi = READ_CP0(C0_ENTRYHI);

	set_registers(entry);
	__asm__ volatile("tlbwr" : : : "memory");
	WRITE_CP0(entry_hi, C0_ENTRYHI);
}

struct tlb_entry read_tlb(unsigned index)
{
	unsigned entry_hi = READ_CP0(C0_ENTRYHI);
	struct tlb_entry entry;

	WRITE_CP0(index, C0_INDEX);
	__asm__ volatile("tlbr\n\tehb" : : : "memory");
	entry.entry_hi = READ_CP0(C0_ENTRYHI);
	entry.entry_lo0 = READ_CP0(C0_ENTRYLO0);
	entry.entry_lo1 = READ_CP0(C0_ENTRYLO1);
	entry.page_mask = READ_CP0(C0_PAGEMASK);
	WRITE_CP0(entry_hi, C0_ENTRYHI);
	return entry;
}

unsigned probe_tlb(unsigned entry_hi)
{
	unsigned before = READ_CP0(C0_ENTRYHI), index;

	WRITE_CP0(entry_hi, C0_ENTRYHI);
	__asm__ volatile("tlbp\n\tehb" : : : "memory");
	index = READ_CP0(C0_INDEX);
	WRITE_CP0(before, C0_ENTRYHI);
	return index;
}

void clear_tlb(unsigned first)
{
	for (unsigned index = first; index < tlb_size(); index++)
		write_tlb(index, (struct tlb_entry){UNUSED_ENTRY_HI(index), 0, 0, PAGE_MASK_4K});
}

void map_image_for_user(void)
{
	unsigned physical = ((unsigned)start - KSEG0) & ~0x7ffffu;

	WRITE_CP0(1, C0_WIRED);
	write_tlb(0, (struct tlb_entry){physical, ENTRYLO(physical) | ENTRYLO_G, ENTRYLO(physical + 0x40000) | ENTRYLO_G,
					PAGE_MASK_256K});
}

struct tlb_entry global_pair(unsigned virtual_address, unsigned physical_address)
{
	return (struct tlb_entry){virtual_address, ENTRYLO(physical_address) | ENTRYLO_G,
				  ENTRYLO(physical_address + 0x1000) | ENTRYLO_G, PAGE_MASK_4K};
}
