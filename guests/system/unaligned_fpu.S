/* Loads and stores of the FPU: words need four-byte alignment, doublewords eight; nothing is loaded or stored otherwise
 * (MD00086, LDC1). Offsets and indexed addresses count as their sum. */
#include "cases.h"

	.set	hardfloat
	.set	fp=64

#define WORDS (KSEG0 + 0x00300000)

.macro	prepare
	la	$s0, WORDS
	li	$s1, 0x1234
	sw	$s1, 0($s0)
	sw	$s1, 4($s0)
	sw	$s1, 8($s0)
	li	$t0, 0x5678
	mtc1	$t0, $f2
.endm

.macro	load_fails offset, instruction:vararg
	prepare
	attempt
1:	\instruction
	expect_exception EXC_ADEL, at=1b, bad=WORDS + \offset
	mfc1	$s1, $f2
	expect_equal $s1, 0x5678
.endm

.macro	store_fails offset, instruction:vararg
	prepare
	attempt
1:	\instruction
	expect_exception EXC_ADES, at=1b, bad=WORDS + \offset
	lw	$s1, 0($s0)
	lw	$s2, 4($s0)
	expect_equal $s1, 0x1234
	expect_equal $s2, 0x1234
.endm

	begin_cases
	li	$s3, 1
	li	$s4, 4
	li	$t0, STATUS_CU1 | STATUS_FR
	mtc0	$t0, C0_STATUS
	ehb

	load_fails 2, lwc1 $f2, 2($s0)
	load_fails 1, lwc1 $f2, 1($s0)
	load_fails 4, ldc1 $f2, 4($s0)
	load_fails 1, ldc1 $f2, 1($s0)
	load_fails 1, lwxc1 $f2, $s3($s0)
	load_fails 4, ldxc1 $f2, $s4($s0)
	store_fails 2, swc1 $f2, 2($s0)
	store_fails 3, swc1 $f2, 3($s0)
	store_fails 4, sdc1 $f2, 4($s0)
	store_fails 2, sdc1 $f2, 2($s0)
	store_fails 1, swxc1 $f2, $s3($s0)
	store_fails 4, sdxc1 $f2, $s4($s0)

	/* luxc1 and suxc1 ignore the lowest three bits of the sum. */
	prepare
	li	$s5, 5
	attempt
	luxc1	$f4, $s5($s0)
	li	$t0, 0x9abc
	mtc1	$t0, $f4
	mthc1	$t0, $f4
	suxc1	$f4, $s5($s0)
	expect_no_exception
	lw	$s1, 0($s0)
	lw	$s2, 4($s0)
	expect_equal $s1, 0x9abc
	expect_equal $s2, 0x9abc

	/* In a slot; and where the doubleword would end beyond a page that is all there is. */
	prepare
	attempt
1:	b	2f
	 ldc1	$f2, 4($s0)
2:	nop
	expect_exception EXC_ADEL, at=1b, bd=1, bad=WORDS + 4
	li	$t0, 0x7ffffffc
	attempt
1:	sdc1	$f2, 0($t0)
	expect_exception EXC_ADES, at=1b, bad=0x7ffffffc

	li	$t0, STATUS_CU1
	mtc0	$t0, C0_STATUS
	ehb
	end_cases
