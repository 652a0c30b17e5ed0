/* EBase moves the vectors; only interrupts go to 0x200, and only with Cause.IV (MD00090, 6.2.1 Exception Vector Locations). */
#include "cases.h"

#define UNMAPPED 0x00200010
/* Vectors that say at which of two places they are: their number is that of the vector + 0x1000. */
#define OTHER_BASE (KSEG0 + 0x00201000)
#define ELSEWHERE 0x1000

	begin_cases

	/* A copy of the vectors, each with the second instruction but one changed: li $k1, ELSEWHERE + offset. */
	li	$t0, KSEG0
	li	$t1, OTHER_BASE
	li	$t2, 0x300
1:	lw	$t3, 0($t0)
	sw	$t3, 0($t1)
	cache	0x15, 0($t1)
	addiu	$t0, 4
	addiu	$t1, 4
	addiu	$t2, -4
	bnez	$t2, 1b
	 nop
	.irp	offset, VECTOR_REFILL, VECTOR_GENERAL, VECTOR_INTERRUPT
	lui	$t1, %hi(OTHER_BASE + \offset + 12)
	lw	$t2, %lo(OTHER_BASE + \offset + 12)($t1)
	ori	$t2, ELSEWHERE
	sw	$t2, %lo(OTHER_BASE + \offset + 12)($t1)
	synci	%lo(OTHER_BASE + \offset + 12)($t1)
	.endr
	sync

	/* Bits 31 and 30 are fixed, as is the CPU's number in bits 9..0. */
	li	$t0, 0x7ffff3ff
	mtc0	$t0, C0_EBASE
	ehb
	mfc0	$s0, C0_EBASE
	expect_equal $s0, 0xbffff000
	mtc0	$zero, C0_EBASE
	ehb
	mfc0	$s0, C0_EBASE
	expect_equal $s0, 0x80000000

	li	$t0, OTHER_BASE
	mtc0	$t0, C0_EBASE
	ehb
	attempt
1:	syscall
	expect_exception EXC_SYS, at=1b, vector=ELSEWHERE + VECTOR_GENERAL
	attempt
	lui	$t0, %hi(UNMAPPED)
1:	lw	$t0, %lo(UNMAPPED)($t0)
	expect_exception EXC_TLBL, at=1b, bad=UNMAPPED, vector=ELSEWHERE + VECTOR_REFILL
	attempt
	jal	raise_software_interrupt
	 nop
	expect_exception EXC_INT, at=interrupted, within=4, vector=ELSEWHERE + VECTOR_GENERAL

	/* With IV, interrupts have a vector of their own, and nothing else has. */
	li	$t0, CAUSE_IV
	mtc0	$t0, C0_CAUSE
	attempt
	jal	raise_software_interrupt
	 nop
	expect_exception EXC_INT, at=interrupted, within=4, vector=ELSEWHERE + VECTOR_INTERRUPT
	attempt
1:	break
	expect_exception EXC_BP, at=1b, vector=ELSEWHERE + VECTOR_GENERAL
	attempt
	lui	$t0, %hi(UNMAPPED)
1:	sw	$t0, %lo(UNMAPPED)($t0)
	expect_exception EXC_TLBS, at=1b, bad=UNMAPPED, vector=ELSEWHERE + VECTOR_REFILL

	/* And back. */
	li	$t0, KSEG0
	mtc0	$t0, C0_EBASE
	ehb
	attempt
	jal	raise_software_interrupt
	 nop
	expect_exception EXC_INT, at=interrupted, within=4, vector=VECTOR_INTERRUPT
	attempt
1:	syscall
	expect_exception EXC_SYS, at=1b
	mtc0	$zero, C0_CAUSE
	attempt
	jal	raise_software_interrupt
	 nop
	expect_exception EXC_INT, at=interrupted, within=4, vector=VECTOR_GENERAL

	end_cases

raise_software_interrupt:
	mfc0	$t0, C0_CAUSE
	ori	$t1, $t0, CAUSE_IP1
	mtc0	$t1, C0_CAUSE
	mfc0	$t1, C0_STATUS
	ori	$t2, $t1, STATUS_IM1 | STATUS_IE
	mtc0	$t2, C0_STATUS
interrupted:
	ehb
	mtc0	$t1, C0_STATUS
	mtc0	$t0, C0_CAUSE
	ehb
	jr	$ra
	 nop
