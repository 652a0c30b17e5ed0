/* ll and sc: what comes between decides (MD00086, LL, SC). eret clears the link; an exception is left by one. */
#include "cases.h"

#define WORD (KSEG0 + 0x00300040)

.macro	link
	la	$s0, WORD
	li	$t0, 100
	sw	$t0, 0($s0)
	ll	$t1, 0($s0)
.endm

/* s1: what sc said, s2: memory then. */
.macro	conditional
	li	$s1, 7
	sc	$s1, 0($s0)
	lw	$s2, 0($s0)
.endm

.macro	succeeds
	expect_equal $s1, 1
	expect_equal $s2, 7
.endm

.macro	fails
	expect_equal $s1, 0
	expect_equal $s2, 100
.endm

	begin_cases

	link
	conditional
	succeeds

	/* Registers and arithmetic in between are nothing. */
	link
	addiu	$t1, 1
	mult	$t1, $t1
	mflo	$t2
	conditional
	succeeds

	/* eret, through EPC. */
	link
	la	$t3, 1f
	mtc0	$t3, C0_EPC
	mfc0	$t4, C0_STATUS
	ori	$t4, STATUS_EXL
	mtc0	$t4, C0_STATUS
	ehb
	eret
1:	conditional
	fails

	/* And through ErrorEPC. */
	link
	la	$t3, 1f
	mtc0	$t3, C0_ERROREPC
	mfc0	$t4, C0_STATUS
	ori	$t4, STATUS_ERL
	mtc0	$t4, C0_STATUS
	ehb
	eret
1:	conditional
	fails

	/* An exception in between, handled and left by eret. */
	link
	attempt
	syscall
	expect_exception EXC_SYS, at=99b - 4
	conditional
	fails

	/* An interrupt. */
	link
	attempt
	li	$t2, CAUSE_IP0
	mtc0	$t2, C0_CAUSE
	li	$t2, STATUS_IM0 | STATUS_IE
	mtc0	$t2, C0_STATUS
1:	ehb
	nop
	expect_exception EXC_INT, at=1b, within=4
	mtc0	$zero, C0_CAUSE
	li	$t2, STATUS_CU1
	mtc0	$t2, C0_STATUS
	ehb
	conditional
	fails

	/* A branch in between, and sc in its slot. */
	link
	li	$s1, 7
	b	1f
	 sc	$s1, 0($s0)
1:	lw	$s2, 0($s0)
	succeeds

	/* A loop that counts to 1000 atomically. */
	la	$s0, WORD
	sw	$zero, 0($s0)
	li	$t2, 1000
1:	ll	$t0, 0($s0)
	addiu	$t0, 1
	sc	$t0, 0($s0)
	beqz	$t0, 1b
	 addiu	$t2, -1
	bnez	$t2, 1b
	 nop
	lw	$s1, 0($s0)
	expect_equal $s1, 1000

	end_cases
