/* rdhwr: user mode reads what HWREna lets it, and everything where CP0 is usable (MD00086, RDHWR; MD00090, 9.15). */
#include "cases.h"

#define CPU_NUMBER 0
#define SYNCI_STEP 1
#define CC 2
#define CC_RES 3

.macro	enable mask
	li	$t8, \mask
	mtc0	$t8, C0_HWRENA
	ehb
.endm

	begin_cases
	jal	map_image_for_user
	 nop

	/* Nothing enabled: a reserved instruction; in a slot as well. */
	enable	0
	.irp	number, 0, 1, 2, 3
	li	$t0, 77
	attempt_in_user
1:	rdhwr	$t0, $\number
	syscall
	expect_exception EXC_RI, at=1b - KSEG0
	expect_register 8, 77
	attempt_in_user
1:	b	2f
	 rdhwr	$t0, $\number
2:	syscall
	expect_exception EXC_RI, at=1b - KSEG0, bd=1
	.endr

	/* In kernel mode, and in user mode with CU0, that does not matter. */
	attempt
	rdhwr	$s0, $CPU_NUMBER
	rdhwr	$s1, $SYNCI_STEP
	rdhwr	$s2, $CC
	rdhwr	$s3, $CC_RES
	expect_no_exception
	expect_equal $s0, 0
	andi	$t0, $s1, 15		/* 16 or 32 or more, or 0: nothing to synchronise */
	expect_equal $t0, 0
	expect_equal $s3, 2
	li	$t0, STATUS_CU1 | STATUS_CU0
	mtc0	$t0, C0_STATUS
	attempt_in_user
	rdhwr	$t0, $CC_RES
1:	syscall
	expect_exception EXC_SYS, at=1b - KSEG0
	expect_register 8, 2
	li	$t0, STATUS_CU1
	mtc0	$t0, C0_STATUS
	ehb

	/* One enabled, that one only. */
	.macro	only number, others:vararg
	enable	1 << \number
	attempt_in_user
	rdhwr	$t0, $\number
1:	syscall
	expect_exception EXC_SYS, at=1b - KSEG0
	.irp	other, \others
	attempt_in_user
1:	rdhwr	$t0, $\other
	syscall
	expect_exception EXC_RI, at=1b - KSEG0
	.endr
	.endm
	only	0, 1, 2, 3
	only	1, 0, 2, 3
	only	2, 0, 1, 3
	only	3, 0, 1, 2

	/* Those that there are not cannot be enabled. */
	enable	0x0000000f
	.irp	number, 4, 5, 12, 28
	attempt_in_user
1:	rdhwr	$t0, $\number
	syscall
	expect_exception EXC_RI, at=1b - KSEG0
	.endr

	/* CC is Count: it lies between two readings of it. */
	mfc0	$s0, C0_COUNT
	rdhwr	$s1, $CC
	mfc0	$s2, C0_COUNT
	subu	$s3, $s1, $s0
	subu	$s4, $s2, $s0
	sltu	$s5, $s4, $s3
	expect_equal $s5, 0

	end_cases
