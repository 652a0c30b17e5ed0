/* tlbwi, tlbr, tlbp and what the TLB's registers hold (MD00090, 9.1-9.17; MD00086, TLBP, TLBR, TLBWI). */
#include "expect.h"
#include "platform.h"
#include "tlb.h"

static struct tlb_entry sample(unsigned index)
{
	return (struct tlb_entry){
		.entry_hi = 0x00400000 + 0x2000 * index + (index * 3 & 0xff),
		.entry_lo0 = (0x00300000 + 0x2000 * index) >> 6 | (index * 5 & 7) << 3 | (index & 6),
		.entry_lo1 = (0x00301000 + 0x2000 * index) >> 6 | (index * 7 & 7) << 3 | (~index & 6),
		.page_mask = PAGE_MASK_4K,
	};
}

static void keeps_every_entry(void)
{
	for (unsigned index = 0; index < tlb_size(); index++)
		write_tlb(index, sample(index));
	for (unsigned index = 0; index < tlb_size(); index++) {
		struct tlb_entry entry = read_tlb(index), expected = sample(index);

		ASSERT_EQUAL(entry.entry_hi, expected.entry_hi);
		ASSERT_EQUAL(entry.entry_lo0, expected.entry_lo0);
		ASSERT_EQUAL(entry.entry_lo1, expected.entry_lo1);
		ASSERT_EQUAL(entry.page_mask, expected.page_mask);
	}
}

static void finds_every_entry(void)
{
	for (unsigned index = 0; index < tlb_size(); index++) {
		unsigned entry_hi = sample(index).entry_hi;

		ASSERT_EQUAL(probe_tlb(entry_hi), index);
		ASSERT_EQUAL(probe_tlb(entry_hi ^ 0x80) & INDEX_P, INDEX_P);
		ASSERT_EQUAL(probe_tlb(entry_hi ^ 0x01000000) & INDEX_P, INDEX_P);
	}
}

static void only_global_if_both_are(void)
{
	for (unsigned flags = 0; flags < 4; flags++) {
		struct tlb_entry entry = sample(1);

		entry.entry_lo0 |= flags & 1;
		entry.entry_lo1 |= flags >> 1;
		write_tlb(1, entry);
		entry = read_tlb(1);
		EXPECT_EQUAL(entry.entry_lo0 & ENTRYLO_G, flags == 3);
		EXPECT_EQUAL(entry.entry_lo1 & ENTRYLO_G, flags == 3);
		EXPECT_EQUAL(probe_tlb(entry.entry_hi ^ 0x55), flags == 3 ? 1 : INDEX_P | (probe_tlb(0x0badc000) & ~INDEX_P));
	}
}

/* Writing does not change the registers it writes from, probing only Index. */
static void leaves_registers(void)
{
	WRITE_CP0(0x00abc07e, C0_ENTRYHI);
	WRITE_CP0(0x00012346, C0_ENTRYLO0);
	WRITE_CP0(0x00023457, C0_ENTRYLO1);
	WRITE_CP0(PAGE_MASK_16K, C0_PAGEMASK);
	WRITE_CP0(2, C0_INDEX);
	__asm__ volatile("tlbwi\n\ttlbp\n\tehb" : : : "memory");
	EXPECT_EQUAL(READ_CP0(C0_INDEX), 2);
	EXPECT_EQUAL(READ_CP0(C0_ENTRYHI), 0x00abc07e);
	EXPECT_EQUAL(READ_CP0(C0_ENTRYLO0), 0x00012346);
	EXPECT_EQUAL(READ_CP0(C0_ENTRYLO1), 0x00023457);
	EXPECT_EQUAL(READ_CP0(C0_PAGEMASK), PAGE_MASK_16K);
	WRITE_CP0(PAGE_MASK_4K, C0_PAGEMASK);
}

/* Bits that are always 0. */
static void register_widths(void)
{
	WRITE_CP0(0xffffffff, C0_ENTRYHI);
	EXPECT_EQUAL(READ_CP0(C0_ENTRYHI), 0xffffe0ff);
	WRITE_CP0(0xffffffff, C0_ENTRYLO0);
	EXPECT_EQUAL(READ_CP0(C0_ENTRYLO0), 0x03ffffff);
	WRITE_CP0(0xffffffff, C0_ENTRYLO1);
	EXPECT_EQUAL(READ_CP0(C0_ENTRYLO1), 0x03ffffff);
	WRITE_CP0(0xffffffff, C0_PAGEMASK);
	EXPECT_EQUAL(READ_CP0(C0_PAGEMASK), 0x1fffe000);
	WRITE_CP0(0, C0_ENTRYHI);
	WRITE_CP0(0, C0_ENTRYLO0);
	WRITE_CP0(0, C0_ENTRYLO1);
	WRITE_CP0(0, C0_PAGEMASK);
	WRITE_CP0(tlb_size() - 1, C0_INDEX);
	EXPECT_EQUAL(READ_CP0(C0_INDEX), tlb_size() - 1);
	/* P is written by tlbp only. */
	WRITE_CP0(0x80000000, C0_INDEX);
	EXPECT_EQUAL(READ_CP0(C0_INDEX), 0);
}

void main(void)
{
	EXPECT(tlb_size() >= 16);
	keeps_every_entry();
	finds_every_entry();
	only_global_if_both_are();
	leaves_registers();
	register_widths();
}
