/* Cache operations as kernels use them: memory keeps what was stored, through every alias, and nothing is raised. */
#include "access.h"
#include "cp0.h"
#include "exceptions.h"
#include "expect.h"
#include "platform.h"
#include "tlb.h"

#define PHYSICAL 0x00300000

#define CACHE(operation, address) \
	__asm__ volatile("cache %0, 0(%1)" : : "i"(operation), "r"(address) : "memory")
#define PREFETCH(hint, address) __asm__ volatile("pref %0, 0(%1)" : : "i"(hint), "r"(address) : "memory")

#define INDEX_INVALIDATE_I 0x00
#define INDEX_WRITEBACK_INVALIDATE_D 0x01
#define INDEX_LOAD_TAG_D 0x05
#define INDEX_STORE_TAG_I 0x08
#define INDEX_STORE_TAG_D 0x09
#define HIT_INVALIDATE_I 0x10
#define FILL_I 0x14
#define HIT_WRITEBACK_INVALIDATE_D 0x15
#define HIT_WRITEBACK_D 0x19

struct geometry {
	unsigned sets, line, ways;
};

/* Config1: IS, IL, IA from bit 16; DS, DL, DA from bit 7. */
static struct geometry geometry_at(unsigned shift)
{
	unsigned field = READ_CP0(C0_CONFIG1) >> shift, line = field >> 3 & 7;

	return (struct geometry){64u << (field >> 6 & 7), line ? 2u << line : 0, (field & 7) + 1};
}

/* A way must not be larger than a page, or aliases could disagree. */
static void sizes(void)
{
	struct geometry i = geometry_at(16), d = geometry_at(7);

	EXPECT(i.line >= 16 && i.sets * i.line <= 4096);
	EXPECT(d.line >= 16 && d.sets * d.line <= 4096);
}

/* As at a kernel's start: every line of both caches. */
static void all_lines(void)
{
	struct geometry i = geometry_at(16), d = geometry_at(7);

	for (unsigned offset = 0; offset < i.sets * i.line * i.ways; offset += i.line)
		CACHE(INDEX_INVALIDATE_I, KSEG0 + offset);
	for (unsigned offset = 0; offset < d.sets * d.line * d.ways; offset += d.line)
		CACHE(INDEX_WRITEBACK_INVALIDATE_D, KSEG0 + offset);
}

static void memory_stays(void)
{
	for (unsigned offset = 0; offset < 0x1000; offset += 4)
		*(volatile unsigned *)(KSEG0 + PHYSICAL + offset) = offset * 3;
	all_lines();
	for (unsigned offset = 0; offset < 0x1000; offset += 16) {
		unsigned address = KSEG0 + PHYSICAL + offset;

		CACHE(HIT_WRITEBACK_D, address);
		CACHE(HIT_WRITEBACK_INVALIDATE_D, address);
		CACHE(HIT_INVALIDATE_I, address);
		CACHE(FILL_I, address);
	}
	unsigned wrong = 0;
	for (unsigned offset = 0; offset < 0x1000; offset += 4) {
		wrong += *(volatile unsigned *)(KSEG1 + PHYSICAL + offset) != offset * 3;
		wrong += *(volatile unsigned *)(KSEG0 + PHYSICAL + offset) != offset * 3;
	}
	EXPECT_EQUAL(wrong, 0);
	EXPECT_EQUAL(exception_count, 0);
}

/* Through mapped addresses; and addresses that are not aligned to anything. */
static void mapped(void)
{
	write_tlb(1, global_pair(0x00400000, PHYSICAL));
	store_word(0x00400010, 0x1234);
	CACHE(HIT_WRITEBACK_INVALIDATE_D, 0x00400010);
	CACHE(HIT_INVALIDATE_I, 0x00400013);
	CACHE(HIT_WRITEBACK_D, 0x00401fff);
	EXPECT_EQUAL(load_word(KSEG1 + PHYSICAL + 0x10), 0x1234);
	EXPECT_EQUAL(exception_count, 0);
}

/* Tags: what was stored is not asked for, but the instructions are there. */
static void tags(void)
{
	WRITE_CP0(0, C0_TAGLO);
	WRITE_CP0(0, C0_TAGHI);
	CACHE(INDEX_STORE_TAG_I, KSEG0 + 0x40);
	CACHE(INDEX_STORE_TAG_D, KSEG0 + PHYSICAL + 0x2000);
	CACHE(INDEX_LOAD_TAG_D, KSEG0 + PHYSICAL + 0x2000);
	EXPECT_EQUAL(exception_count, 0);
}

/* Prefetches raise nothing, wherever they point (MD00086, PREF). */
static void prefetches(void)
{
	PREFETCH(0, 0x00700001);
	PREFETCH(1, 0xc0000003);
	PREFETCH(30, 0x7fffffff);
	PREFETCH(4, KSEG0 + PHYSICAL);
	EXPECT_EQUAL(exception_count, 0);
}

void main(void)
{
	sizes();
	memory_stays();
	mapped();
	tags();
	prefetches();
}
