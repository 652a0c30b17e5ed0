/* The segments of kernel mode: KSEG0 and KSEG1 show memory from 0 on, KUSEG, KSEG2 and KSEG3 are mapped (MD00090, 4.4). */
#include "access.h"
#include "cp0.h"
#include "expect.h"
#include "platform.h"
#include "tlb.h"

#define PHYSICAL 0x00300000
#define HOLE 0x1d000000 /* neither memory nor a device */

static void show_the_same_memory(void)
{
	for (unsigned offset = 0; offset < 0x4000; offset += 0x7fc) {
		store_word(KSEG0 + PHYSICAL + offset, offset);
		EXPECT_EQUAL(load_word(KSEG1 + PHYSICAL + offset), offset);
		store_half(KSEG1 + PHYSICAL + offset + 2, 0x55aa);
		EXPECT_EQUAL(load_half(KSEG0 + PHYSICAL + offset + 2), 0x55aa);
		store_byte(KSEG0 + PHYSICAL + offset, 0x77);
		EXPECT_EQUAL(load_byte(KSEG1 + PHYSICAL + offset), 0x77);
		EXPECT_NO_EXCEPTION();
	}
}

/* At both ends, nothing mapped and then mapped. */
static void go_through_the_tlb(unsigned first, unsigned last)
{
	static const unsigned physical = PHYSICAL;

	for (unsigned address = first;; address = last) {
		EXPECT_EQUAL(load_word(address), NOTHING);
		EXPECT_ADDRESS_EXCEPTION(EXC_TLBL, VECTOR_REFILL, load_word_at, address);
		store_word(address, 1);
		EXPECT_ADDRESS_EXCEPTION(EXC_TLBS, VECTOR_REFILL, store_word_at, address);
		call(address);
		EXPECT_ADDRESS_EXCEPTION(EXC_TLBL, VECTOR_REFILL, address, address);

		write_tlb(1, global_pair(address & ~0x1fff, physical));
		store_word(KSEG0 + physical + (address & 0x1ffc), address);
		EXPECT_EQUAL(load_word(address), address);
		store_word(address, ~address);
		EXPECT_EQUAL(load_word(KSEG1 + physical + (address & 0x1ffc)), ~address);
		EXPECT_NO_EXCEPTION();
		clear_tlb(1);
		if (address == last)
			break;
	}
}

/* Physical addresses with nothing behind them read 0 and ignore writes. */
static void show_nothing(void)
{
	for (unsigned address = KSEG0 + HOLE;; address = KSEG1 + HOLE) {
		store_word(address, 0x12345678);
		EXPECT_NO_EXCEPTION();
		EXPECT_EQUAL(load_word(address), 0);
		EXPECT_NO_EXCEPTION();
		if (address == KSEG1 + HOLE)
			break;
	}
}

void main(void)
{
	show_the_same_memory();
	go_through_the_tlb(0x00000000, 0x7ffffffc);
	go_through_the_tlb(0xc0000000, 0xdffffffc);
	go_through_the_tlb(0xe0000000, 0xffffdffc);
	show_nothing();
}
