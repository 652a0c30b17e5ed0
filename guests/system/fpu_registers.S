/* Status.FR: 32 registers of 64 bits, or pairs of registers of 32 bits (MD00082, 5.5). After a change of FR registers are
 * written before they are read. */
#include "cases.h"

	.set	hardfloat
	.set	fp=64
	.set	oddspreg

#define SCRATCH (KSEG0 + 0x00300000)
#ifdef __MIPSEB__
#define LOW 4
#define HIGH 0
#else
#define LOW 0
#define HIGH 4
#endif

.macro	set_status bits
	li	$t0, STATUS_CU1 | \bits
	mtc0	$t0, C0_STATUS
	ehb
.endm

	begin_cases
	la	$s0, SCRATCH

	/* FR = 0: the odd register is the high half of the even one. */
	set_status 0
	li	$t0, 0x11111111
	li	$t1, 0x22222222
	mtc1	$t0, $f2
	mtc1	$t1, $f3
	sdc1	$f2, 0($s0)
	lw	$s1, LOW($s0)
	lw	$s2, HIGH($s0)
	expect_equal $s1, 0x11111111
	expect_equal $s2, 0x22222222
	li	$t0, 0x33333333
	li	$t1, 0x44444444
	sw	$t0, LOW($s0)
	sw	$t1, HIGH($s0)
	ldc1	$f4, 0($s0)
	mfc1	$s1, $f4
	mfc1	$s2, $f5
	mfhc1	$s3, $f4
	expect_equal $s1, 0x33333333
	expect_equal $s2, 0x44444444
	expect_equal $s3, 0x44444444
	li	$t0, 0x55555555
	mthc1	$t0, $f4
	mfc1	$s2, $f5
	expect_equal $s2, 0x55555555

	/* FR = 1: each its own, odd ones too. */
	set_status STATUS_FR
	li	$t0, 0x01020304
	mtc1	$t0, $f6
	li	$t0, 0x05060708
	mthc1	$t0, $f6
	li	$t0, 0x090a0b0c
	mtc1	$t0, $f7
	li	$t0, 0x0d0e0f10
	mthc1	$t0, $f7
	sdc1	$f6, 0($s0)
	sdc1	$f7, 8($s0)
	lw	$s1, LOW($s0)
	lw	$s2, HIGH($s0)
	lw	$s3, 8 + LOW($s0)
	lw	$s4, 8 + HIGH($s0)
	expect_equal $s1, 0x01020304
	expect_equal $s2, 0x05060708
	expect_equal $s3, 0x090a0b0c
	expect_equal $s4, 0x0d0e0f10

	/* All 32 through memory and back. */
	.irp	number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	li	$t0, 0x1000 + \number
	sw	$t0, 8 * \number + LOW($s0)
	li	$t0, 0x2000 + \number
	sw	$t0, 8 * \number + HIGH($s0)
	ldc1	$f\number, 8 * \number($s0)
	.endr
	li	$s5, 0
	li	$s6, 0
	.irp	number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	mfc1	$t0, $f\number
	addiu	$t0, -(0x1000 + \number)
	or	$s5, $t0
	mfhc1	$t0, $f\number
	addiu	$t0, -(0x2000 + \number)
	or	$s6, $t0
	.endr
	expect_equal $s5, 0
	expect_equal $s6, 0

	/* Arithmetic on odd doubles. */
	li	$t0, 0x3ff80000		/* 1.5 */
	mtc1	$zero, $f9
	mthc1	$t0, $f9
	add.d	$f11, $f9, $f9
	mfhc1	$s1, $f11
	mfc1	$s2, $f11
	expect_equal $s1, 0x40080000
	expect_equal $s2, 0

	/* Two programs in turn, each with its FR, each saved and restored as its own mode has it. */
	li	$s5, 20
	li	$s6, 0
	set_status 0
	li	$t0, 0x3f800000
	sw	$t0, 0x200($s0)		/* f1 of the one with pairs */
	sw	$zero, 0x210($s0)
	sw	$zero, 0x214($s0)	/* f1 of the other */
	lui	$t0, 0x3ff0
	sw	$t0, 0x210 + HIGH($s0)
again:	set_status 0
	lwc1	$f1, 0x200($s0)
	add.s	$f1, $f1, $f1
	swc1	$f1, 0x200($s0)
	set_status STATUS_FR
	ldc1	$f1, 0x210($s0)
	add.d	$f1, $f1, $f1
	sdc1	$f1, 0x210($s0)
	addiu	$s5, -1
	bnez	$s5, again
	 nop
	lw	$s1, 0x200($s0)
	lw	$s2, 0x210 + HIGH($s0)
	expect_equal $s1, 0x3f800000 + (20 << 23)
	expect_equal $s2, 0x3ff00000 + (20 << 20)

	/* FIR: single, double, word and long fixed point, 64-bit registers. */
	cfc1	$s1, $0
	li	$t0, 0x00730000
	and	$s1, $t0
	expect_equal $s1, 0x00730000
	set_status 0

	end_cases
