/* sc to an address that is not aligned is an address error, whether or not it would store (MD00086, SC). */
#include "cases.h"

	begin_cases
	.irp	offset, 1, 2, 3
	attempt
	li	$t0, KSEG0 + 0x00300000
	li	$t1, 7
1:	sc	$t1, \offset($t0)
	expect_exception EXC_ADES, at=1b, bad=KSEG0 + 0x00300000 + \offset
	expect_register 9, 7
	.endr

	attempt
	li	$t0, KSEG0 + 0x00300000
	ll	$t1, 0($t0)
1:	b	2f
	 sc	$t1, 2($t0)
2:	nop
	expect_exception EXC_ADES, at=1b, bd=1, bad=KSEG0 + 0x00300002
	end_cases
