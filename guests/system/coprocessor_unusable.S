/* Coprocessor unusable: CE names it (MD00090, 6.2.14). Coprocessor 1 is there as soon as Status.CU1 says so. */
#include "cases.h"

#define SCRATCH 0x00300000

	.set	hardfloat

.macro	set_cu1 usable
	mfc0	$t8, C0_STATUS
	li	$t9, STATUS_CU1
	or	$t8, $t9
	.if	!\usable
	xor	$t8, $t9
	.endif
	mtc0	$t8, C0_STATUS
	ehb
.endm

	begin_cases
	jal	map_image_for_user
	 nop
	lui	$s0, %hi(KSEG0 + SCRATCH)
	set_cu1 0

	.irp	instruction, "mtc1 $t0, $f0", "mfc1 $t0, $f0", "cfc1 $t0, $31", "ctc1 $t0, $31", "lwc1 $f0, 0($s0)", \
		"swc1 $f0, 0($s0)", "ldc1 $f0, 0($s0)", "sdc1 $f0, 0($s0)", "add.s $f0, $f0, $f0", "c.eq.d $f0, $f2", \
		"mov.d $f0, $f2", "bc1t 2f", "bc1fl 2f", "movt $t0, $t1, $fcc0", "mthc1 $t0, $f0", "mfhc1 $t0, $f0", \
		"lwxc1 $f0, $zero($s0)", "madd.s $f0, $f0, $f0, $f0", "cvt.w.s $f0, $f0", "movz.s $f0, $f2, $t0"
	attempt
1:	\instruction
	 nop
2:	nop
	expect_exception EXC_CPU, at=1b, ce=1
	.endr

	/* An address error or an unmapped page comes second. */
	attempt
1:	lwc1	$f0, 1($s0)
	expect_exception EXC_CPU, at=1b, ce=1
	attempt
1:	swc1	$f0, 0($zero)
	expect_exception EXC_CPU, at=1b, ce=1

	/* In a slot. */
	attempt
1:	b	2f
	 add.s	$f0, $f0, $f0
2:	nop
	expect_exception EXC_CPU, at=1b, bd=1, ce=1

	/* The nullified slot of a branch that is not taken does not need it. */
	attempt
	bnel	$zero, $zero, 2f
	 add.s	$f0, $f0, $f0
2:	nop
	expect_no_exception

	/* From user mode. */
	attempt_in_user
1:	mtc1	$t0, $f0
	expect_exception EXC_CPU, at=1b - KSEG0, ce=1

	/* As a kernel does it: the handler gives the FPU, and the instruction is executed again. */
	la	$t0, give_fpu
	lui	$t1, %hi(exception_hook)
	sw	$t0, %lo(exception_hook)($t1)
	li	$s1, 3
	attempt_in_user
	li	$t0, 5
1:	mtc1	$t0, $f4
	cvt.s.w	$f4, $f4
	add.s	$f4, $f4, $f4
	cvt.w.s	$f4, $f4
	mfc1	$t1, $f4
2:	syscall
	expect_exception EXC_SYS, at=2b - KSEG0
	expect_register 9, 10
	lui	$t1, %hi(given)
	lw	$s1, %lo(given)($t1)
	expect_equal $s1, 1

	/* Taken away and given again within a loop: the second time for what has run before. */
	li	$s2, 6

	lui	$t1, %hi(given)
	sw	$zero, %lo(given)($t1)
loop:	set_cu1 0
	attempt_in_user
1:	add.s	$f6, $f4, $f4
	add.s	$f6, $f6, $f4
2:	syscall
	expect_exception EXC_SYS, at=2b - KSEG0
3:	addiu	$s2, -1
	bnez	$s2, loop
	 nop
	lui	$t1, %hi(given)
	lw	$s1, %lo(given)($t1)
	expect_equal $s1, 6

	end_cases

/* An exception_hook: 1 if it has given coprocessor 1. */
give_fpu:
	lw	$t0, EXCEPTION_CAUSE($a0)
	andi	$t1, $t0, CAUSE_EXCCODE
	li	$t2, EXC_CPU << 2
	bne	$t1, $t2, 9f
	 move	$v0, $zero
	lw	$t0, EXCEPTION_STATUS($a0)
	li	$t1, STATUS_CU1
	or	$t0, $t1
	sw	$t0, EXCEPTION_STATUS($a0)
	lui	$t1, %hi(given)
	lw	$t0, %lo(given)($t1)
	addiu	$t0, 1
	sw	$t0, %lo(given)($t1)
	li	$v0, 1
9:	jr	$ra
	 nop

	.data
	.balign	4
given:	.word	0
