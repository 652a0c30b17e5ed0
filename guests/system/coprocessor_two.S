/* There is no coprocessor 2: its instructions raise coprocessor unusable with CE = 2 (MD00090, 6.2.14). */
#include "cases.h"

	begin_cases
	jal	map_image_for_user
	 nop
	.irp	word, 0x48080000, 0x48880000, 0x48480000, 0x48c80000, 0x49000001, 0x4a000000, 0xc8000000, 0xd8000000, \
		0xe8000000, 0xf8000000
	attempt
1:	.word	\word		/* mfc2, mtc2, cfc2, ctc2, bc2f, cop2, lwc2, ldc2, swc2, sdc2 */
	 nop
	nop
	expect_exception EXC_CPU, at=1b, ce=2
	.if	\word != 0x49000001	/* a branch has no place in a slot */
	attempt
1:	b	2f
	 .word	\word
2:	nop
	expect_exception EXC_CPU, at=1b, bd=1, ce=2
	.endif
	attempt_in_user
1:	.word	\word
	 syscall
	syscall
	expect_exception EXC_CPU, at=1b - KSEG0, ce=2
	.endr

	/* Status.CU2 cannot be set: there is nothing to use. */
	mfc0	$t0, C0_STATUS
	lui	$t1, 0x4000
	or	$t1, $t0
	mtc0	$t1, C0_STATUS
	ehb
	mfc0	$s0, C0_STATUS
	mtc0	$t0, C0_STATUS
	ehb
	expect_equal $s0, STATUS_CU1

	end_cases
