/* With Status.ERL set, KUSEG is unmapped and uncached, and eret returns through ErrorEPC (MD00090, 4.6, 9.24). */
#include "cases.h"

#define SCRATCH 0x00300000

.macro	enter_error_level
	mfc0	$t0, C0_STATUS
	ori	$t0, STATUS_ERL
	mtc0	$t0, C0_STATUS
	ehb
.endm

.macro	leave_error_level
	mfc0	$t0, C0_STATUS
	xori	$t0, STATUS_ERL
	mtc0	$t0, C0_STATUS
	ehb
.endm

	begin_cases

	/* KUSEG is physical memory, for loads, stores and fetches: the TLB is not asked. */
	li	$s0, 0x600dcafe
	lui	$s1, %hi(KSEG0 + SCRATCH)
	sw	$s0, %lo(KSEG0 + SCRATCH)($s1)
	attempt
	enter_error_level
	lui	$s2, %hi(SCRATCH)
	lw	$s3, %lo(SCRATCH)($s2)
	sw	$s3, %lo(SCRATCH + 4)($s2)
	leave_error_level
	expect_no_exception
	expect_equal $s3, 0x600dcafe
	lw	$s4, %lo(KSEG0 + SCRATCH + 4)($s1)
	expect_equal $s4, 0x600dcafe

	attempt
	lw	$s3, %lo(SCRATCH)($s2)
	expect_exception EXC_TLBL, at=99b - 4, bad=SCRATCH, vector=VECTOR_REFILL

	attempt
	enter_error_level
	lui	$t1, %hi(1f - KSEG0)
	addiu	$t1, %lo(1f - KSEG0)
	lui	$t2, %hi(2f)
	addiu	$t2, %lo(2f)
	jr	$t1
	 li	$s4, 0
1:	bal	1f
	 li	$s4, 2
1:	move	$s5, $ra
	jr	$t2
	 nop
2:	leave_error_level
	expect_no_exception
	expect_equal $s4, 2
	expect_equal $s5, 1b - KSEG0

	/* Where there is neither memory nor a device, 0 is read. */
	attempt
	enter_error_level
	li	$t1, 0x1d000000
	lw	$s4, 0($t1)
	leave_error_level
	expect_no_exception
	expect_equal $s4, 0

	/* KSEG2 and KSEG3 are mapped as ever. */
	attempt
	enter_error_level
	li	$t1, 0xc0000000
1:	lw	$s4, 0($t1)
	expect_exception EXC_TLBL, at=1b, bad=0xc0000000, vector=VECTOR_REFILL

	/* eret goes to ErrorEPC and clears ERL, not EXL. */
	attempt
	enter_error_level
	ori	$t0, STATUS_EXL
	mtc0	$t0, C0_STATUS
	la	$t1, 1f
	mtc0	$t1, C0_ERROREPC
	la	$t1, 2f
	mtc0	$t1, C0_EPC
	ehb
	eret
2:	break
1:	mfc0	$s4, C0_STATUS
	mtc0	$zero, C0_STATUS
	ehb
	expect_no_exception
	expect_equal $s4, STATUS_CU1 | STATUS_EXL
	li	$t0, STATUS_CU1
	mtc0	$t0, C0_STATUS

	/* An exception while ERL is set sets EXL and EPC, and ERL stays. */
	attempt
	enter_error_level
1:	syscall
	expect_exception EXC_SYS, at=1b
	expect_recorded EXCEPTION_STATUS, STATUS_CU1 | STATUS_EXL | STATUS_ERL

	/* In its slot. */
	attempt
	enter_error_level
1:	b	2f
	 break
2:	nop
	expect_exception EXC_BP, at=1b, bd=1

	/* No interrupts, until ERL is clear. */
	attempt
	li	$t2, CAUSE_IP0
	mtc0	$t2, C0_CAUSE
	mfc0	$t0, C0_STATUS
	ori	$t0, STATUS_ERL | STATUS_IE | STATUS_IM0
	mtc0	$t0, C0_STATUS
	ehb
	la	$t3, 1f
	mtc0	$t3, C0_ERROREPC
	ehb
	nop
	eret
	break
1:	nop
	expect_exception EXC_INT, at=1b
	mtc0	$zero, C0_CAUSE

	/* Kernel mode whatever KSU says. */
	attempt
	mfc0	$t0, C0_STATUS
	ori	$t0, STATUS_ERL | STATUS_USER
	mtc0	$t0, C0_STATUS
	ehb
	lui	$t1, %hi(KSEG0 + SCRATCH)
	lw	$s4, %lo(KSEG0 + SCRATCH)($t1)
	li	$t0, STATUS_CU1
	mtc0	$t0, C0_STATUS
	ehb
	expect_no_exception
	expect_equal $s4, 0x600dcafe

	end_cases
