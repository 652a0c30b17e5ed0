/* Mapped memory, in KSEG2. */
#ifndef PAGE_TABLE_H
#define PAGE_TABLE_H

/* Make every TLB entry match nothing, and every page unmapped. Before that, no mapped address may be used. */
void page_table_init(void);

/* Mapped memory of this many pages with fresh frames behind it, which are contiguous. */
void *map_pages(unsigned count);

/* Where a kernel address is in physical memory: by its segment, or by the page table. */
unsigned physical_address(const void *address);

/* How often the refill handler ran. */
extern unsigned tlb_refills;

#endif
