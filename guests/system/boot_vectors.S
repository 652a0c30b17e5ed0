/* With Status.BEV set the vectors are at 0xbfc00200, whatever EBase says (MD00090, 6.2.1). */
#include "cases.h"

#define UNMAPPED 0x00200010
#define BOOT 0x1000

	.section .boot_vectors, "ax"
.macro	boot_vector offset
	.org	\offset
	lui	$k0, %hi(exception_entry)
	addiu	$k0, %lo(exception_entry)
	jr	$k0
	 li	$k1, BOOT + \offset
.endm
	boot_vector VECTOR_REFILL
	boot_vector VECTOR_GENERAL
	boot_vector VECTOR_INTERRUPT

	begin_cases
	li	$t0, STATUS_CU1 | STATUS_BEV
	mtc0	$t0, C0_STATUS
	li	$t0, KSEG0 + 0x00400000
	mtc0	$t0, C0_EBASE
	ehb

	attempt
1:	syscall
	expect_exception EXC_SYS, at=1b, vector=BOOT + VECTOR_GENERAL
	expect_recorded EXCEPTION_STATUS, STATUS_CU1 | STATUS_BEV | STATUS_EXL

	attempt
1:	b	2f
	 break
2:	nop
	expect_exception EXC_BP, at=1b, bd=1, vector=BOOT + VECTOR_GENERAL

	attempt
	lui	$t0, %hi(UNMAPPED)
1:	lw	$t0, %lo(UNMAPPED)($t0)
	expect_exception EXC_TLBL, at=1b, bad=UNMAPPED, vector=BOOT + VECTOR_REFILL

	attempt
	mfc0	$t0, C0_STATUS
	ori	$t0, STATUS_EXL
	mtc0	$t0, C0_STATUS
	la	$t0, 1f
	mtc0	$t0, C0_EPC
	ehb
	lui	$t0, %hi(UNMAPPED)
	lw	$t0, %lo(UNMAPPED)($t0)
1:	nop
	expect_exception EXC_TLBL, at=1b, bad=UNMAPPED, vector=BOOT + VECTOR_GENERAL

	/* Interrupts, without and with Cause.IV. */
	attempt
	li	$t0, CAUSE_IP0
	mtc0	$t0, C0_CAUSE
	li	$t0, STATUS_BEV | STATUS_IM0 | STATUS_IE
	mtc0	$t0, C0_STATUS
1:	ehb
	nop
	expect_exception EXC_INT, at=1b, within=4, vector=BOOT + VECTOR_GENERAL
	attempt
	li	$t0, CAUSE_IP0 | CAUSE_IV
	mtc0	$t0, C0_CAUSE
	li	$t0, STATUS_BEV | STATUS_IM0 | STATUS_IE
	mtc0	$t0, C0_STATUS
1:	ehb
	nop
	expect_exception EXC_INT, at=1b, within=4, vector=BOOT + VECTOR_INTERRUPT
	mtc0	$zero, C0_CAUSE

	/* The bit goes, and EBase counts. */
	li	$t0, KSEG0
	mtc0	$t0, C0_EBASE
	li	$t0, STATUS_CU1
	mtc0	$t0, C0_STATUS
	ehb
	attempt
1:	syscall
	expect_exception EXC_SYS, at=1b

	end_cases
