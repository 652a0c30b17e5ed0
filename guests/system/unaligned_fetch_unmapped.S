/* A fetch from an unaligned address is an address error even if nothing is mapped there (MD00090, table 6.7), and there is
 * no other instruction set that odd addresses would choose. */
#include "cases.h"

	begin_cases
	jal	map_image_for_user
	 nop
	.irp	target, 0x00700002, 0xc0000001, 0x7fffffff
	li	$s0, 0
	attempt
	li	$t0, \target
	jr	$t0
	 li	$s0, 1
	expect_exception EXC_ADEL, at=\target, bad=\target
	expect_equal $s0, 1
	attempt_in_user
	la	$t0, \target
	jr	$t0
	 li	$s0, 2
	expect_exception EXC_ADEL, at=\target, bad=\target
	expect_equal $s0, 2
	.endr
	attempt
	la	$t0, 1f + 1
	jr	$t0
	 li	$s0, 3
1:	nop
	expect_exception EXC_ADEL, at=1b + 1, bad=1b + 1
	expect_equal $s0, 3
	attempt
	la	$t0, 1f + 3
	jalr	$t0
	 li	$s0, 4
2:	nop
1:	nop
	expect_exception EXC_ADEL, at=1b + 3, bad=1b + 3
	expect_register 31, 2b
	end_cases
