/* A page table that an exception handler loads the TLB from, as a kernel's does. */
#ifndef PAGE_TABLE_H
#define PAGE_TABLE_H

#include "tlb.h"

#define PAGES 512
#define FRAMES 1024

/* The EntryLo of every page of the current address space; 0: not mapped. All page tables have PAGES. */
extern unsigned *page_table;

/* How many exceptions the handler has seen to; and how many of the last two kinds found no entry to rewrite. */
extern unsigned refills, invalids, modifies, without_entry;

/* Give every frame its number in its first word, and handle TLB exceptions from now on. Refill loads the pair with
 * tlbwr; invalid and modified, where the page table now allows the access, probe for the entry and rewrite it. */
void use_page_table(void);

/* EntryLo of a frame with V and D as given. */
unsigned map_frame(unsigned number, unsigned flags);

/* The virtual address of a page, the physical one of a frame. */
unsigned page_address(unsigned page);
unsigned frame_address(unsigned number);

/* As Linux's local_flush_tlb_one: drop the page's entry if there is one. */
void flush_page(unsigned page);

/* Load every other pair of the upper half of the pages, so that hardly any entry is left of what was there before. */
void evict(void);

#endif
