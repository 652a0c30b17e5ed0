/* What the platform's CPU has and has not, by what its configuration registers say (MD00343; MD00090, 9.29-9.33). */
#include "cp0.h"
#include "exceptions.h"
#include "expect.h"
#include "tlb.h"

#define CONFIG1_WR 0x08 /* watch registers */
#define CONFIG1_CA 0x04 /* MIPS16 */
#define CONFIG3_ULRI 0x2000
#define CONFIG3_DSPP 0x0400
#define CONFIG7_WII 0x80000000

void main(void)
{
	EXPECT_EQUAL(READ_CP0(C0_PRID), 0x00019300);
	EXPECT_EQUAL(tlb_size(), 64);
	EXPECT_EQUAL(READ_CP0(C0_CONFIG1) & (CONFIG1_WR | CONFIG1_CA), 0);
	EXPECT_EQUAL(READ_CP0(C0_CONFIG3) & CONFIG3_ULRI, CONFIG3_ULRI);
	EXPECT_EQUAL(READ_CP0(C0_CONFIG3) & CONFIG3_DSPP, 0);
	EXPECT_EQUAL(READ_CP0(C0_CONFIG7) & CONFIG7_WII, CONFIG7_WII);
	EXPECT_EQUAL(exception_count, 0);
}
