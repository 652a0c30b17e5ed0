/* There is one set of registers: SRSCtl says so, and rdpgpr and wrpgpr read and write it (MD00090, 9.25; MD00086). */
#include "cases.h"

	begin_cases
	mfc0	$s0, C0_SRSCTL
	li	$t0, 0x3c00ffff		/* HSS, ESS, PSS, CSS */
	and	$s0, $t0
	expect_equal $s0, 0
	li	$s1, 0x1234
	rdpgpr	$s2, $s1
	li	$s3, 0x5678
	wrpgpr	$s4, $s3
	expect_equal $s2, 0x1234
	expect_equal $s4, 0x5678
	end_cases
