/* Modified and invalid come only of entries that are in the TLB: their handler probes and finds what it has to rewrite,
 * although entries are replaced all the time (MD00090, 6.2.9 and 6.2.10: the entry matches). */
#include "access.h"
#include "exceptions.h"
#include "expect.h"
#include "page_table.h"
#include "platform.h"

#define ASID 7
#define SOME 128 /* pages: as many pairs as the largest TLB has entries */

static unsigned table[PAGES];

void main(void)
{
	use_page_table();
	page_table = table;
	WRITE_CP0(ASID, C0_ENTRYHI);
	for (unsigned round = 0; round < 4; round++) {
		/* Read only at first, then writable, and the TLB is not told. */
		for (unsigned page = 0; page < SOME; page++) {
			table[page] = map_frame(page, ENTRYLO_V);
			flush_page(page);
			ASSERT_EQUAL(load_word(page_address(page)), page);
		}
		for (unsigned page = 0; page < SOME; page++) {
			table[page] = map_frame(page, ENTRYLO_V | ENTRYLO_D);
			store_word(page_address(page) + 8, page + round);
			ASSERT_EQUAL(exception_count, 0);
			ASSERT_EQUAL(load_word(KSEG0 + frame_address(page) + 8), page + round);
		}
		/* Not mapped at first, then mapped. */
		for (unsigned page = 0; page < SOME; page++) {
			table[page] = 0;
			flush_page(page);
		}
		for (unsigned page = 0; page < SOME; page++) {
			ASSERT_EQUAL(load_word(page_address(page)), NOTHING);
			ASSERT_EQUAL(exception_count, 1);
		}
		for (unsigned page = 0; page < SOME; page++) {
			table[page] = map_frame(page, ENTRYLO_V | ENTRYLO_D);
			ASSERT_EQUAL(load_word(page_address(page)), page);
			ASSERT_EQUAL(exception_count, 0);
		}
	}
	EXPECT_EQUAL(without_entry, 0);
	EXPECT(modifies > 0);
	EXPECT(invalids > 0);
}
