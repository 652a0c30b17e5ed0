/* A fetch from an unaligned address is an address error even if nothing is mapped there (MD00090, table 6.7). */
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
	end_cases
