/* PageMask: pages of 4 KB to 256 MB, in one TLB, each at both of its ends (MD00090, 9.12; 4.8.2). */
#include "access.h"
#include "expect.h"
#include "platform.h"
#include "tlb.h"

static const unsigned masks[] = {PAGE_MASK_4K, PAGE_MASK_16K, PAGE_MASK_64K, PAGE_MASK_256K, PAGE_MASK_1M,
				 PAGE_MASK_4M, PAGE_MASK_16M, PAGE_MASK_64M, PAGE_MASK_256M};

#define SIZES (sizeof masks / sizeof *masks)
#define PHYSICAL 0x00300000

static unsigned page_size(unsigned mask)
{
	return (mask | 0x1fff) / 2 + 1;
}

/* A byte of memory through KSEG1, where there is any. */
static unsigned show(unsigned physical)
{
	return load_word(KSEG1 + (physical & ~3u));
}

/* The physical address that a page of this size has PHYSICAL in. */
static unsigned frame(unsigned mask)
{
	return PHYSICAL & ~(page_size(mask) - 1);
}

static void expect_alias(unsigned virtual_address, unsigned physical)
{
	store_word(virtual_address, virtual_address);
	EXPECT_NO_EXCEPTION();
	EXPECT_EQUAL(show(physical), virtual_address);
	EXPECT_EQUAL(load_word(virtual_address), virtual_address);
	EXPECT_NO_EXCEPTION();
}

static void expect_miss(unsigned virtual_address)
{
	EXPECT_EQUAL(load_word(virtual_address), NOTHING);
	EXPECT_ADDRESS_EXCEPTION(EXC_TLBL, VECTOR_REFILL, load_word_at, virtual_address);
}

/* Both pages of a pair are the same physical page, so that no more memory is needed than one. */
static struct tlb_entry pair(unsigned virtual_address, unsigned mask)
{
	unsigned entry_lo = ENTRYLO(frame(mask));

	return (struct tlb_entry){virtual_address, entry_lo, entry_lo, mask};
}

static void each_alone(unsigned mask)
{
	unsigned size = page_size(mask), virtual_address = 0x20000000, inside = PHYSICAL - frame(mask);

	clear_tlb(0);
	write_tlb(1, pair(virtual_address, mask));
	EXPECT_EQUAL(read_tlb(1).page_mask, mask);
	expect_alias(virtual_address + inside + 0x40, PHYSICAL + 0x40);
	expect_alias(virtual_address + size + inside + 0x80, PHYSICAL + 0x80);
	expect_miss(virtual_address - 4);
	expect_miss(virtual_address + 2 * size);
	if (size <= 0x00100000) {
		expect_alias(virtual_address + size - 4, frame(mask) + size - 4);
		expect_alias(virtual_address + 2 * size - 4, frame(mask) + size - 4);
	}
	EXPECT_EQUAL(probe_tlb(virtual_address), 1);
	EXPECT_EQUAL(probe_tlb(virtual_address + 2 * size - 0x2000), 1);
	EXPECT_EQUAL(probe_tlb(virtual_address + 2 * size) & INDEX_P, INDEX_P);
}

/* Address bits below the page size do not count: neither the entry's VPN2, nor its frames'. */
static void with_bits_that_do_not_count(unsigned mask)
{
	unsigned size = page_size(mask), virtual_address = 0x20000000, inside = PHYSICAL - frame(mask);
	struct tlb_entry entry = pair(virtual_address, mask);

	clear_tlb(0);
	entry.entry_hi |= mask;
	entry.entry_lo0 |= mask >> 7 & ~0x3fu;
	entry.entry_lo1 |= mask >> 7 & ~0x3fu;
	write_tlb(1, entry);
	expect_alias(virtual_address + inside + 0x20, PHYSICAL + 0x20);
	expect_alias(virtual_address + size + inside + 0x24, PHYSICAL + 0x24);
}

static void mixed(void)
{
	clear_tlb(0);
	for (unsigned k = 0; k < SIZES - 1; k++)
		write_tlb(k + 1, pair(0x40000000 + 0x08000000 * k, masks[k]));
	/* Small ones next to a large one, on both of its sides. */
	write_tlb(9, pair(0x40000000 + 0x08000000 * 6 - 0x2000, PAGE_MASK_4K));
	write_tlb(10, pair(0x40000000 + 0x08000000 * 6 + 0x02000000, PAGE_MASK_16K));
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned k = 0; k < SIZES - 1; k++) {
			unsigned inside = PHYSICAL - frame(masks[k]);

			expect_alias(0x40000000 + 0x08000000 * k + inside + 4 * k, PHYSICAL + 4 * k);
		}
		expect_alias(0x40000000 + 0x08000000 * 6 - 4, PHYSICAL + 0xffc);
		expect_alias(0x40000000 + 0x08000000 * 6 + 0x02000000 + 0x100, PHYSICAL + 0x100);
	}
	expect_miss(0x40000000 + 0x2000);
	expect_miss(0x40000000 + 0x08000000 * 6 + 0x02008000);
}

/* Both sizes of one place, one after the other in the same entry. */
static void one_after_the_other(void)
{
	clear_tlb(0);
	write_tlb(1, pair(0x20000000, PAGE_MASK_64K));
	expect_alias(0x20008000, PHYSICAL + 0x8000);
	expect_alias(0x20000000, PHYSICAL);
	write_tlb(1, pair(0x20000000, PAGE_MASK_4K));
	expect_alias(0x20000000, PHYSICAL);
	expect_miss(0x20008000);
	write_tlb(1, pair(0x20000000, PAGE_MASK_64K));
	expect_alias(0x20008000, PHYSICAL + 0x8000);
}

/* One half writable, the other not: a large page's halves are told apart by the right bit. */
static void halves(unsigned mask)
{
	unsigned size = page_size(mask), virtual_address = 0x20000000, inside = PHYSICAL - frame(mask);
	struct tlb_entry entry = pair(virtual_address, mask);

	clear_tlb(0);
	entry.entry_lo1 &= ~ENTRYLO_D;
	write_tlb(1, entry);
	expect_alias(virtual_address + inside, PHYSICAL);
	store_word(virtual_address + size + inside, 1);
	EXPECT_ADDRESS_EXCEPTION(EXC_MOD, VECTOR_GENERAL, store_word_at, virtual_address + size + inside);
	entry.entry_lo0 &= ~ENTRYLO_V;
	write_tlb(1, entry);
	load_word(virtual_address + inside);
	EXPECT_ADDRESS_EXCEPTION(EXC_TLBL, VECTOR_GENERAL, load_word_at, virtual_address + inside);
	EXPECT_EQUAL(load_word(virtual_address + size + inside), show(PHYSICAL));
	EXPECT_NO_EXCEPTION();
}

void main(void)
{
	for (unsigned k = 0; k < SIZES; k++) {
		each_alone(masks[k]);
		with_bits_that_do_not_count(masks[k]);
		halves(masks[k]);
	}
	mixed();
	one_after_the_other();
}
