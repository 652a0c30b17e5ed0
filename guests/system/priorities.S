/* Which of two exceptions comes: interrupts before everything the instruction could raise, its fetch before what it is,
 * what it is before its data (MD00090, table 6.7). */
#include "cases.h"

#define UNMAPPED 0x00700000

/* eret to an address, with a software interrupt pending, enabled and held back by EXL only. */
.macro	return_interrupted target
	li	$t0, CAUSE_IP0
	mtc0	$t0, C0_CAUSE
	la	$t1, \target
	attempt
	li	$t0, STATUS_EXL | STATUS_IE | STATUS_IM0
	mtc0	$t0, C0_STATUS
	mtc0	$t1, C0_EPC
	ehb
	eret
.endm

	begin_cases

	return_interrupted 1f
1:	syscall
	expect_exception EXC_INT, at=1b

	return_interrupted 1f
1:	b	2f
	 break
2:	nop
	expect_exception EXC_INT, at=1b

	return_interrupted 1f
1:	lw	$t2, 1($zero)
	expect_exception EXC_INT, at=1b

	return_interrupted 1f
1:	.word	0x0000003f
	expect_exception EXC_INT, at=1b

	/* Even before the fetch. */
	return_interrupted UNMAPPED
	expect_exception EXC_INT, at=UNMAPPED

	/* And without the interrupt. */
	mtc0	$zero, C0_CAUSE
	la	$t1, UNMAPPED
	attempt
	li	$t0, STATUS_EXL
	mtc0	$t0, C0_STATUS
	mtc0	$t1, C0_EPC
	ehb
	eret
	expect_exception EXC_TLBL, at=UNMAPPED, bad=UNMAPPED, vector=VECTOR_REFILL

	/* An unaligned address that is not mapped either: address error. */
	attempt
	lui	$t0, %hi(UNMAPPED)
1:	lw	$t1, 2($t0)
	expect_exception EXC_ADEL, at=1b, bad=UNMAPPED + 2

	/* From user mode: unaligned, and not user's. */
	jal	map_image_for_user
	 nop
	attempt_in_user
	lui	$t0, 0x8000
1:	lw	$t1, 2($t0)
	syscall
	expect_exception EXC_ADEL, at=1b - KSEG0, bad=0x80000002

	/* A load whose address register it would write: the register is as before. */
	attempt
	lui	$t0, %hi(UNMAPPED)
1:	lw	$t0, 4($t0)
	expect_exception EXC_TLBL, at=1b, bad=UNMAPPED + 4, vector=VECTOR_REFILL
	expect_register 8, UNMAPPED

	/* A load to register 0 is still a load. */
	attempt
	lui	$t0, %hi(UNMAPPED)
1:	lw	$zero, 8($t0)
	expect_exception EXC_TLBL, at=1b, bad=UNMAPPED + 8, vector=VECTOR_REFILL
	attempt
	li	$t0, 0x7fffffff
1:	add	$zero, $t0, $t0
	expect_exception EXC_OV, at=1b

	end_cases
