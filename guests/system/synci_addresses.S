/* synci translates its address: what a load of the byte would raise, it raises (MD00086, SYNCI). */
#include "cases.h"

	begin_cases
	jal	map_image_for_user
	 nop

	attempt_in_user
	li	$t0, 0x80100000
1:	synci	0($t0)
	syscall
	expect_exception EXC_ADEL, at=1b - KSEG0, bad=0x80100000

	attempt_in_user
	li	$t0, 0x7fff0004
1:	b	2f
	 synci	1($t0)
2:	syscall
	expect_exception EXC_TLBL, at=1b - KSEG0, bd=1, bad=0x7fff0005, vector=VECTOR_REFILL

	attempt
	li	$t0, 0xc0000000
1:	synci	0x10($t0)
	expect_exception EXC_TLBL, at=1b, bad=0xc0000010, vector=VECTOR_REFILL

	attempt
	li	$t0, 0x80100000
	synci	0($t0)
	synci	3($t0)
	expect_no_exception

	end_cases
