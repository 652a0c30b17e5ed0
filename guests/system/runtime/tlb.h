/* The TLB, and attempts to reach memory through it. */
#ifndef TLB_H
#define TLB_H

#include "cp0.h"

#define PAGE_MASK_4K 0x00000000
#define PAGE_MASK_16K 0x00006000
#define PAGE_MASK_64K 0x0001e000
#define PAGE_MASK_256K 0x0007e000
#define PAGE_MASK_1M 0x001fe000
#define PAGE_MASK_4M 0x007fe000
#define PAGE_MASK_16M 0x01ffe000
#define PAGE_MASK_64M 0x07ffe000
#define PAGE_MASK_256M 0x1fffe000

/* What no two entries share and no access matches, for entries that are not in use. */
#define UNUSED_ENTRY_HI(index) (0x80000000 + 0x2000 * (index))

#ifndef __ASSEMBLER__

struct tlb_entry {
	unsigned entry_hi, entry_lo0, entry_lo1, page_mask;
};

unsigned tlb_size(void);

/* EntryHi keeps its ASID; EntryLo0, EntryLo1, PageMask and Index are used. */
void write_tlb(unsigned index, struct tlb_entry entry);
void write_tlb_randomly(struct tlb_entry entry);
struct tlb_entry read_tlb(unsigned index);

/* Index after `tlbp` with this EntryHi; EntryHi keeps its value. */
unsigned probe_tlb(unsigned entry_hi);

/* Make every entry from this index on match nothing. */
void clear_tlb(unsigned first);

/* Index 0, wired, maps the image's own 512 KB at their physical address in every address space, for user mode. */
void map_image_for_user(void);

/* An 8 KB pair of pages that may be read and written, in every address space. */
struct tlb_entry global_pair(unsigned virtual_address, unsigned physical_address);

#endif
#endif
