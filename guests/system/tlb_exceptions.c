/* Refill, invalid and modified, for loads, stores and fetches: vector, BadVAddr, EntryHi, Context (MD00090, 6.2.8-6.2.10). */
#include "access.h"
#include "exceptions.h"
#include "expect.h"
#include "platform.h"
#include "tlb.h"

#define PHYSICAL 0x00300000
#define ASID 0x5a
#define PTE_BASE 0xa5800000

static void expect_address_registers(unsigned line, unsigned address)
{
	check_equal(line, "EntryHi", (address & ~0x1fffu) | ASID, recorded[0].entry_hi);
	check_equal(line, "Context", PTE_BASE | (address >> 13) << 4, recorded[0].context);
}

#define EXPECT_TLB_EXCEPTION(code, vector, at, address)             \
	EXPECT_ADDRESS_EXCEPTION(code, vector, at, address);        \
	expect_address_registers(__LINE__, address)

static void write_pair(unsigned virtual_address, unsigned even_flags, unsigned odd_flags)
{
	unsigned flags = ENTRYLO_V | ENTRYLO_D;

	write_tlb(1, (struct tlb_entry){virtual_address | ASID, (ENTRYLO(PHYSICAL) & ~flags) | even_flags,
					(ENTRYLO(PHYSICAL + 0x1000) & ~flags) | odd_flags, PAGE_MASK_4K});
}

static void no_entry(unsigned address)
{
	EXPECT_EQUAL(load_word(address), NOTHING);
	EXPECT_TLB_EXCEPTION(EXC_TLBL, VECTOR_REFILL, load_word_at, address);
	EXPECT_EQUAL(load_byte(address + 3), NOTHING);
	EXPECT_TLB_EXCEPTION(EXC_TLBL, VECTOR_REFILL, load_byte_at, address + 3);
	store_word(address, 1);
	EXPECT_TLB_EXCEPTION(EXC_TLBS, VECTOR_REFILL, store_word_at, address);
	store_half(address + 2, 1);
	EXPECT_TLB_EXCEPTION(EXC_TLBS, VECTOR_REFILL, store_half_at, address + 2);
	call(address);
	EXPECT_TLB_EXCEPTION(EXC_TLBL, VECTOR_REFILL, address, address);
	/* An unaligned address is an error before it is a miss. */
	EXPECT_EQUAL(load_word(address + 2), NOTHING);
	EXPECT_ADDRESS_EXCEPTION(EXC_ADEL, VECTOR_GENERAL, load_word_at, address + 2);
	store_word(address + 1, 1);
	EXPECT_ADDRESS_EXCEPTION(EXC_ADES, VECTOR_GENERAL, store_word_at, address + 1);
}

/* An entry whose page is not valid; its neighbour may be. */
static void invalid(unsigned address)
{
	EXPECT_EQUAL(load_word(address), NOTHING);
	EXPECT_TLB_EXCEPTION(EXC_TLBL, VECTOR_GENERAL, load_word_at, address);
	store_word(address, 1);
	EXPECT_TLB_EXCEPTION(EXC_TLBS, VECTOR_GENERAL, store_word_at, address);
	call(address);
	EXPECT_TLB_EXCEPTION(EXC_TLBL, VECTOR_GENERAL, address, address);
}

/* A valid page that is not dirty: everything but stores is allowed. */
static void clean(unsigned address, unsigned physical)
{
	store_word(KSEG1 + physical, 0x03e00008); /* jr $ra */
	store_word(KSEG1 + physical + 4, 0x24021234); /* li $v0, 0x1234 */
	EXPECT_EQUAL(load_word(address), 0x03e00008);
	EXPECT_NO_EXCEPTION();
	EXPECT_EQUAL(call(address), 0x1234);
	EXPECT_NO_EXCEPTION();
	store_word(address, 1);
	EXPECT_TLB_EXCEPTION(EXC_MOD, VECTOR_GENERAL, store_word_at, address);
	store_byte(address + 5, 1);
	EXPECT_TLB_EXCEPTION(EXC_MOD, VECTOR_GENERAL, store_byte_at, address + 5);
	EXPECT_EQUAL(load_word(KSEG1 + physical), 0x03e00008);
}

static void writable(unsigned address, unsigned physical)
{
	store_word(address, address);
	EXPECT_NO_EXCEPTION();
	EXPECT_EQUAL(load_word(KSEG1 + physical), address);
}

static void everything_about(unsigned virtual_address)
{
	unsigned even = virtual_address + 0x120, odd = virtual_address + 0x1120;
	unsigned v = ENTRYLO_V, d = ENTRYLO_D;

	clear_tlb(1);
	no_entry(even);
	no_entry(odd);
	write_pair(virtual_address, 0, 0);
	invalid(even);
	invalid(odd);
	write_pair(virtual_address, v, 0);
	clean(even, PHYSICAL + 0x120);
	invalid(odd);
	write_pair(virtual_address, d, v);
	invalid(even);
	clean(odd, PHYSICAL + 0x1120);
	write_pair(virtual_address, v | d, v);
	writable(even, PHYSICAL + 0x120);
	clean(odd, PHYSICAL + 0x1120);
	write_pair(virtual_address, 0, v | d);
	invalid(even);
	writable(odd, PHYSICAL + 0x1120);
	no_entry(virtual_address + 0x2000);
	no_entry(virtual_address - 4);
}

static void user_mode(void)
{
	const unsigned address = 0x00700008;

	clear_tlb(1);
	EXPECT_EQUAL(user_load_word(address), NOTHING);
	EXPECT_TLB_EXCEPTION(EXC_TLBL, VECTOR_REFILL, USER_ADDRESS(user_load_word_at), address);
	user_jump(address);
	EXPECT_TLB_EXCEPTION(EXC_TLBL, VECTOR_REFILL, address, address);
	write_pair(address & ~0x1fff, ENTRYLO_V, 0);
	user_store_word(address, 1);
	EXPECT_TLB_EXCEPTION(EXC_MOD, VECTOR_GENERAL, USER_ADDRESS(user_store_word_at), address);
	user_store_word(address + 0x1000, 1);
	EXPECT_TLB_EXCEPTION(EXC_TLBS, VECTOR_GENERAL, USER_ADDRESS(user_store_word_at), address + 0x1000);
	store_word(KSEG0 + PHYSICAL + 8, 0x5678);
	EXPECT_EQUAL(user_load_word(address), 0x5678);
	EXPECT_EXCEPTION(EXC_SYS, VECTOR_GENERAL, USER_ADDRESS(user_load_word_end));
}

/* The software's part of Context stays, the hardware's part can only be read. Other exceptions change none of these. */
static void registers_that_stay(void)
{
	load_word(0x12345678);
	WRITE_CP0(0xffffffff, C0_CONTEXT);
	EXPECT_EQUAL(READ_CP0(C0_CONTEXT), 0xff800000 | (0x12345678 >> 13) << 4);
	WRITE_CP0(0, C0_CONTEXT);
	EXPECT_EQUAL(READ_CP0(C0_CONTEXT), (0x12345678 >> 13) << 4);
	WRITE_CP0(0xfedca000 | ASID, C0_ENTRYHI);
	user_load_word(0x80000000); /* an address error: EntryHi and Context are unpredictable after it, BadVAddr is not */
	EXPECT_EQUAL(READ_CP0(C0_BADVADDR), 0x80000000);
	load_word(0x12345678);
	user_jump(USER_ADDRESS(user_load_word_end)); /* a syscall */
	EXPECT_EXCEPTION(EXC_SYS, VECTOR_GENERAL, USER_ADDRESS(user_load_word_end));
	EXPECT_EQUAL(READ_CP0(C0_BADVADDR), 0x12345678);
	EXPECT_EQUAL(READ_CP0(C0_CONTEXT), (0x12345678 >> 13) << 4);
	EXPECT_EQUAL(READ_CP0(C0_ENTRYHI), (0x12345678 & ~0x1fff) | ASID);
}

void main(void)
{
	map_image_for_user();
	WRITE_CP0(PTE_BASE, C0_CONTEXT);
	WRITE_CP0(ASID, C0_ENTRYHI);
	everything_about(0x00400000);
	everything_about(0x7fffc000);
	everything_about(0xc0002000);
	everything_about(0xfffd4000);
	user_mode();
	registers_that_stay();
}
