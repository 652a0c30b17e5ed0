/* Entries that tlbwr has replaced: whatever remembers them must not be noticed by a kernel that then probes, unmaps,
 * changes or reuses address spaces, rewrites indices, or maps the place otherwise. */
#include "access.h"
#include "exceptions.h"
#include "expect.h"
#include "page_table.h"
#include "platform.h"

#define ASID 7
#define ALLOWED (ENTRYLO_V | ENTRYLO_D)

static unsigned tables[2][PAGES];

static void enter(unsigned space)
{
	page_table = tables[space];
	WRITE_CP0(ASID + space, C0_ENTRYHI);
}

/* Nothing in the TLB; page n is frame n in space 0, and frame n + 512 in space 1. */
static void start_over(void)
{
	clear_tlb(0);
	for (unsigned page = 0; page < PAGES; page++) {
		tables[0][page] = map_frame(page, ALLOWED);
		tables[1][page] = map_frame(page + 512, ALLOWED);
	}
	enter(0);
}

static void expect_frame(unsigned page, unsigned number)
{
	ASSERT_EQUAL(load_word(page_address(page)), number);
	ASSERT_EQUAL(exception_count, 0);
}

static struct tlb_entry pair_in_table(unsigned page)
{
	return (struct tlb_entry){page_address(page) | ASID, page_table[page], page_table[page + 1], PAGE_MASK_4K};
}

static void write_unused(unsigned index)
{
	write_tlb(index, (struct tlb_entry){UNUSED_ENTRY_HI(index), 0, 0, PAGE_MASK_4K});
}

/* Probe, drop what is found, and use the page's new frame, or find that there is none. */
static void unmap_after_probe(void)
{
	for (unsigned round = 0; round < 8; round++) {
		start_over();
		for (unsigned page = 0; page < 64; page++)
			expect_frame(page, page);
		if (round % 2)
			evict();
		for (unsigned page = 0; page < 64; page++) {
			page_table[page] = map_frame(page + 512, ALLOWED);
			flush_page(page);
			expect_frame(page, page + 512);
		}
		for (unsigned page = 0; page < 64; page++) {
			page_table[page] = 0;
			flush_page(page);
			ASSERT_EQUAL(load_word(page_address(page)), NOTHING);
			ASSERT_EQUAL(exception_count, 1);
		}
	}
}

/* What a probe has not found is not used: the next access is a miss; and what it has found is. */
static void probes_tell_the_truth(void)
{
	start_over();
	for (unsigned round = 0; round < 6; round++) {
		for (unsigned page = 0; page < 128; page += 2)
			expect_frame(page, page);
		for (unsigned page = 0; page < 128; page += 2) {
			unsigned missing = probe_tlb(page_address(page) | ASID) >> 31, before = refills;

			expect_frame(page, page);
			ASSERT_EQUAL(refills - before, missing);
		}
	}
}

/* When all indices have been written, nothing is left of what there was: the ASID may be used again. */
static void reuse_of_an_address_space(void)
{
	for (unsigned round = 0; round < 5; round++) {
		start_over();
		page_table = tables[round % 2];
		for (unsigned page = 0; page < 256; page += 2) {
			unsigned before = refills;

			expect_frame(page, page + 512 * (round % 2));
			ASSERT_EQUAL(refills - before, 1);
		}
	}
}

/* What an index held is gone when the index is written, however much has been loaded and replaced since. */
static void rewriting_an_index(void)
{
	start_over();
	WRITE_CP0(4, C0_WIRED);
	for (unsigned round = 0; round < 16; round++) {
		unsigned page = 2 * round, index = round % 4, before;

		write_tlb(index, pair_in_table(page));
		expect_frame(page, page);
		expect_frame(page + 1, page + 1);
		if (round % 3 == 0)
			evict();
		ASSERT_EQUAL(probe_tlb(page_address(page) | ASID), index);
		page_table[page] = map_frame(page + 512, ALLOWED);
		write_unused(index);
		before = refills;
		expect_frame(page, page + 512);
		ASSERT_EQUAL(refills - before, 1);
	}
	WRITE_CP0(0, C0_WIRED);
}

/* Entries written by tlbwr and never looked for: when every index has been seen, by reading or by probing for what is
 * there, all others are known to be gone. */
static void seen_at_every_index(void)
{
	static unsigned char is_there[128];
	unsigned entries = tlb_size();

	for (unsigned round = 0; round < 6; round++) {
		start_over();
		WRITE_CP0(round % 3, C0_WIRED);
		for (unsigned page = 0; page < 256; page += 2)
			expect_frame(page, page);
		for (unsigned pair = 0; pair < 128; pair++)
			is_there[pair] = 0;
		for (unsigned index = 0; index < entries; index++) {
			struct tlb_entry found = read_tlb(index);
			unsigned pair = (found.entry_hi - page_address(0)) >> 13;

			if (pair < 128) {
				is_there[pair] = 1;
				if (round % 2)
					ASSERT_EQUAL(probe_tlb(found.entry_hi), index);
			}
		}
		for (unsigned pair = 0; pair < 128; pair++) {
			unsigned before = refills;

			if (is_there[pair])
				continue;
			expect_frame(2 * pair, 2 * pair);
			ASSERT_EQUAL(refills - before, 1);
			break; /* its refill may have replaced one that was there */
		}
	}
	WRITE_CP0(0, C0_WIRED);
}

/* An entry that the kernel has found at an index is gone when the index turns out to hold another one. */
static void found_and_replaced(void)
{
	start_over();
	for (unsigned round = 0; round < 64; round++) {
		unsigned page = 2 * round, found, before, another;

		expect_frame(page, page);
		found = probe_tlb(page_address(page) | ASID);
		ASSERT_EQUAL(found >> 31, 0);
		evict();
		another = read_tlb(found).entry_hi;
		if (another == (page_address(page) | ASID))
			continue;
		page_table[page] = map_frame(page + 512, ALLOWED);
		before = refills;
		expect_frame(page, page + 512);
		ASSERT_EQUAL(refills - before, 1);
	}
}

/* An index rewritten with another page of the kernel's, not with nothing. */
static void replacing_at_an_index(void)
{
	start_over();
	WRITE_CP0(1, C0_WIRED);
	for (unsigned page = 0; page < 64; page += 2) {
		write_tlb(0, pair_in_table(page));
		expect_frame(page, page);
		if (page >= 2) {
			page_table[page - 2] = 0;
			ASSERT_EQUAL(load_word(page_address(page - 2)), NOTHING);
			ASSERT_EQUAL(exception_count, 1);
		}
	}
	WRITE_CP0(0, C0_WIRED);
}

/* Two address spaces in turn, with more pages than the TLB has entries. */
static void two_address_spaces(void)
{
	start_over();
	for (unsigned round = 0; round < 4; round++)
		for (unsigned page = 0; page < 96; page++)
			for (unsigned space = 0; space < 2; space++) {
				enter(space);
				expect_frame(page, page + 512 * space);
			}
}

/* A large page where small ones were, and back. */
static void larger_pages(void)
{
	for (unsigned round = 0; round < 4; round++) {
		start_over();
		for (unsigned page = 0; page < 128; page += 2)
			expect_frame(page, page);
		clear_tlb(0);
		write_tlb(3, (struct tlb_entry){page_address(0) | ASID, map_frame(512, ALLOWED), map_frame(512 + 64, ALLOWED),
						PAGE_MASK_256K});
		for (unsigned page = 0; page < 128; page++)
			expect_frame(page, page + 512);
		write_unused(3);
		for (unsigned page = 0; page < 128; page += 2)
			expect_frame(page, page);
	}
}

void main(void)
{
	use_page_table();
	unmap_after_probe();
	probes_tell_the_truth();
	reuse_of_an_address_space();
	rewriting_an_index();
	replacing_at_an_index();
	seen_at_every_index();
	found_and_replaced();
	two_address_spaces();
	larger_pages();
	EXPECT(refills > 1000);
}
