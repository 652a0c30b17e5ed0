/* Mapped memory, in KSEG2. */
#ifndef PAGE_TABLE_H
#define PAGE_TABLE_H

#include <stdbool.h>

/* Make every TLB entry match nothing, and every page unmapped. Before that, no mapped address may be used. */
void page_table_init(void);

/* Mapped memory of this many pages with fresh frames behind it. */
void *map_pages(unsigned count);

/* Whether no two pages next to each other get frames next to each other, as in an operating system that has been up for
 * long; otherwise, all frames of a call of map_pages are contiguous. */
extern bool scatter_frames;

/* Where a kernel address is in physical memory: by its segment, or by the page table. */
unsigned physical_address(const void *address);

/* How many of the bytes from a kernel address on, at most `limit`, are in one piece of physical memory. */
unsigned contiguous_bytes(const void *address, unsigned limit);

/* How often the refill handler ran. */
extern unsigned tlb_refills;

#endif
