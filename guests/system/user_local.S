/* UserLocal: kernel mode writes it, user mode reads it by rdhwr $29 once HWREna says so (MD00090, 9.7). */
#include "cases.h"

	begin_cases
	jal	map_image_for_user
	 nop

	/* Config3.ULRI says that it is there. */
	mfc0	$s0, C0_CONFIG3
	srl	$s0, 13
	andi	$s0, 1
	expect_equal $s0, 1

	li	$s1, 0x8badf00d
	mtc0	$s1, C0_USERLOCAL
	ehb
	mfc0	$s0, C0_USERLOCAL
	rdhwr	$s2, $29
	expect_equal $s0, 0x8badf00d
	expect_equal $s2, 0x8badf00d

	mtc0	$zero, C0_HWRENA
	ehb
	attempt_in_user
1:	rdhwr	$v1, $29
	syscall
	expect_exception EXC_RI, at=1b - KSEG0

	li	$t0, 1 << 29
	mtc0	$t0, C0_HWRENA
	ehb
	mfc0	$s0, C0_HWRENA
	expect_equal $s0, 1 << 29
	attempt_in_user
	rdhwr	$v1, $29
1:	syscall
	expect_exception EXC_SYS, at=1b - KSEG0
	expect_register 3, 0x8badf00d
	attempt_in_user
	b	2f
	 rdhwr	$t5, $29
2:	syscall
	expect_exception EXC_SYS, at=2b - KSEG0
	expect_register 13, 0x8badf00d

	li	$t0, 0xffffffff
	mtc0	$t0, C0_HWRENA
	ehb
	mfc0	$s0, C0_HWRENA
	expect_equal $s0, 0x2000000f

	end_cases
