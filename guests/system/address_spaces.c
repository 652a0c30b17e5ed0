/* ASIDs and global entries: what is mapped is what EntryHi's ASID says, at once (MD00090, 4.7, 9.17). */
#include "access.h"
#include "expect.h"
#include "platform.h"
#include "tlb.h"

#define PHYSICAL 0x00300000
#define SPACES 8

/* In a mapped segment; the checks are made in KUSEG and in KSEG2. */
static unsigned address;

static unsigned asid(unsigned space)
{
	return (space * 0x1f + 3) & 0xff;
}

static unsigned frame(unsigned space)
{
	return PHYSICAL + 0x2000 * space;
}

static void enter(unsigned space)
{
	WRITE_CP0(asid(space), C0_ENTRYHI);
}

static void map(unsigned index, unsigned space)
{
	write_tlb(index, (struct tlb_entry){address | asid(space), ENTRYLO(frame(space)), ENTRYLO(frame(space) + 0x1000),
					    PAGE_MASK_4K});
}

/* One address, many spaces, each with its own memory, entered in every order. */
static void own_memory(void)
{
	clear_tlb(1);
	for (unsigned space = 0; space < SPACES; space++) {
		map(space + 1, space);
		store_word(KSEG0 + frame(space) + 0x10, 0x1000 + space);
	}
	for (unsigned step = 1; step < SPACES; step++)
		for (unsigned space = 0, k = 0; k < SPACES; k++, space = (space + step) % SPACES) {
			enter(space);
			EXPECT_EQUAL(load_word(address + 0x10), 0x1000 + space);
			store_word(address + 0x1014, 0x2000 * step + space);
			EXPECT_EQUAL(load_word(KSEG0 + frame(space) + 0x1014), 0x2000 * step + space);
			EXPECT_NO_EXCEPTION();
			EXPECT_EQUAL(probe_tlb(address | asid(space)), space + 1);
		}
}

/* Code at one address in two spaces, called in turn: the code is the space's. */
static void own_code(void)
{
	clear_tlb(1);
	for (unsigned space = 0; space < 2; space++) {
		map(space + 1, space);
		store_word(KSEG1 + frame(space), 0x03e00008); /* jr $ra */
		store_word(KSEG1 + frame(space) + 4, 0x24020100 + space); /* li $v0, 0x100 + space */
	}
	for (unsigned round = 0; round < 100; round++)
		for (unsigned space = 0; space < 2; space++) {
			enter(space);
			unsigned result = call(address);
			if (round % 10 == 0)
				EXPECT_EQUAL(result, 0x100 + space);
			else if (result != 0x100 + space)
				EXPECT(0);
		}
}

/* A space without an entry for the address misses, whatever others have. */
static void others_miss(void)
{
	clear_tlb(1);
	map(1, 0);
	for (unsigned space = 1; space < SPACES; space++) {
		enter(0);
		load_word(address);
		EXPECT_NO_EXCEPTION();
		enter(space);
		load_word(address);
		EXPECT_ADDRESS_EXCEPTION(EXC_TLBL, VECTOR_REFILL, load_word_at, address);
		store_word(address, 0);
		EXPECT_ADDRESS_EXCEPTION(EXC_TLBS, VECTOR_REFILL, store_word_at, address);
		call(address);
		EXPECT_ADDRESS_EXCEPTION(EXC_TLBL, VECTOR_REFILL, address, address);
	}
}

/* A global entry is in every space; made local again, in one. */
static void global_entries(void)
{
	clear_tlb(1);
	store_word(KSEG0 + PHYSICAL, 77);
	write_tlb(1, global_pair(address, PHYSICAL));
	for (unsigned space = 0; space < SPACES; space++) {
		enter(space);
		EXPECT_EQUAL(load_word(address), 77);
		EXPECT_NO_EXCEPTION();
		EXPECT_EQUAL(probe_tlb(address | asid(space)), 1);
	}
	map(1, 0);
	for (unsigned space = 1; space < SPACES; space++) {
		enter(space);
		load_word(address);
		EXPECT_ADDRESS_EXCEPTION(EXC_TLBL, VECTOR_REFILL, load_word_at, address);
	}
	/* Global is what both halves say. */
	struct tlb_entry entry = global_pair(address, PHYSICAL);
	entry.entry_hi |= asid(2);
	entry.entry_lo1 &= ~ENTRYLO_G;
	write_tlb(1, entry);
	enter(2);
	EXPECT_EQUAL(load_word(address), 77);
	EXPECT_NO_EXCEPTION();
	enter(3);
	load_word(address);
	EXPECT_ADDRESS_EXCEPTION(EXC_TLBL, VECTOR_REFILL, load_word_at, address);
}

/* tlbr leaves the entry's ASID in EntryHi: from then on it is the current one. */
static void reading_an_entry_enters_its_space(void)
{
	clear_tlb(1);
	store_word(KSEG0 + frame(0), 10);
	store_word(KSEG0 + frame(1), 11);
	map(1, 0);
	map(2, 1);
	enter(0);
	EXPECT_EQUAL(load_word(address), 10);
	WRITE_CP0(2, C0_INDEX);
	__asm__ volatile("tlbr\n\tehb" : : : "memory");
	EXPECT_EQUAL(READ_CP0(C0_ENTRYHI), address | asid(1));
	EXPECT_EQUAL(load_word(address), 11);
	enter(0);
	EXPECT_EQUAL(load_word(address), 10);
	EXPECT_NO_EXCEPTION();
}

/* A number used again: what its former owner had is gone with its entries. */
static void reuse(void)
{
	clear_tlb(1);
	for (unsigned generation = 0; generation < 6; generation++) {
		enter(0);
		write_tlb(1, (struct tlb_entry){address | asid(0), ENTRYLO(frame(generation)),
						ENTRYLO(frame(generation) + 0x1000), PAGE_MASK_4K});
		store_word(address + 4, generation);
		EXPECT_EQUAL(load_word(KSEG0 + frame(generation) + 4), generation);
		EXPECT_NO_EXCEPTION();
		clear_tlb(1);
		load_word(address + 4);
		EXPECT_ADDRESS_EXCEPTION(EXC_TLBL, VECTOR_REFILL, load_word_at, address + 4);
	}
}

/* KSEG2 goes by the ASID while Status.ERL is set, too. */
static void with_error_level(void)
{
	WRITE_CP0(READ_CP0(C0_STATUS) | STATUS_ERL, C0_STATUS);
	own_memory();
	own_code();
	WRITE_CP0(READ_CP0(C0_STATUS) & ~STATUS_ERL, C0_STATUS);
}

void main(void)
{
	static const unsigned addresses[] = {0x00400000, 0xc0400000};

	for (unsigned k = 0; k < 2; k++) {
		address = addresses[k];
		own_memory();
		own_code();
		others_miss();
		global_entries();
		reading_an_entry_enters_its_space();
		reuse();
	}
	with_error_level();
}
