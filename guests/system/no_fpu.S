/* A CPU without FPU: Config1 says so, Status.CU1 and FR cannot be set, and every floating-point instruction is
 * coprocessor 1 unusable (MD00090, 9.23, 9.30). */
#include "cases.h"

	.set	hardfloat

	begin_cases
	mfc0	$s0, C0_CONFIG1
	andi	$s0, CONFIG1_FP
	expect_equal $s0, 0
	li	$t0, STATUS_CU1 | STATUS_FR
	mtc0	$t0, C0_STATUS
	ehb
	mfc0	$s0, C0_STATUS
	expect_equal $s0, 0

	.irp	instruction, "mtc1 $t0, $f0", "cfc1 $t0, $0", "ctc1 $t0, $31", "lwc1 $f0, 0($zero)", "sdc1 $f0, 0($zero)", \
		"add.s $f0, $f0, $f0", "c.eq.d $f0, $f2", "bc1t 2f", "movt $t0, $t1, $fcc0", "lwxc1 $f0, $zero($t0)"
	attempt
1:	\instruction
	 nop
2:	nop
	expect_exception EXC_CPU, at=1b, ce=1
	.endr
	attempt
1:	b	2f
	 add.s	$f0, $f0, $f0
2:	nop
	expect_exception EXC_CPU, at=1b, bd=1, ce=1
	end_cases
