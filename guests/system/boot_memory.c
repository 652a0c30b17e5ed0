/* The 4 KB at the bootstrap vectors are memory: a kernel may write its vectors there (QEMU's Malta has a ROM). */
#include "access.h"
#include "exceptions.h"
#include "expect.h"

#define BOOT_KSEG1 0xbfc00000
#define BOOT_KSEG0 0x9fc00000

void main(void)
{
	for (unsigned offset = 0; offset < 0x1000; offset += 0x1fc) {
		store_word(BOOT_KSEG1 + offset, 0xb0070000 + offset);
		EXPECT_EQUAL(load_word(BOOT_KSEG0 + offset), 0xb0070000 + offset);
		EXPECT_EQUAL(load_word(BOOT_KSEG1 + offset), 0xb0070000 + offset);
	}
	EXPECT_EQUAL(exception_count, 0);
	/* And nothing behind them. */
	store_word(BOOT_KSEG1 + 0x1000, 0x12345678);
	EXPECT_EQUAL(load_word(BOOT_KSEG1 + 0x1000), 0);
	EXPECT_EQUAL(exception_count, 0);
}
