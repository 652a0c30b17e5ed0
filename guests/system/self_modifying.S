/* Code that changes its own page while it runs: a branch away, its own loop, what an exception handler returns to. */
#include "cases.h"

/* The instruction at a label becomes the one at another. */
.macro	patch place, by
	lui	$t8, %hi(\by)
	lw	$t9, %lo(\by)($t8)
	lui	$t8, %hi(\place)
	sw	$t9, %lo(\place)($t8)
.endm

.macro	synchronise place
	lui	$t8, %hi(\place)
	synci	%lo(\place)($t8)
	sync
	la	$t8, 1f
	jr.hb	$t8
	 nop
1:
.endm

	begin_cases

	/* With synci and a hazard barrier, there and back. */
	li	$s1, 3
1:	patch	first, two
	synchronise first
	bal	first
	 nop
	move	$s2, $s0
	patch	first, one
	synchronise first
	bal	first
	 nop
	addiu	$s1, -1
	bnez	$s1, 1b
	 nop
	expect_equal $s2, 2
	expect_equal $s0, 1
	b	2f
	 nop
first:	li	$s0, 3
	jr	$ra
	 nop
2:

	/* Without. */
	patch	third, two
	b	third
	 nop
third:	li	$s0, 1
	expect_equal $s0, 2

	/* The slot patches the branch's target. */
	lui	$t1, %hi(two)
	lw	$t1, %lo(two)($t1)
	lui	$t8, %hi(seventh)
	b	seventh
	 sw	$t1, %lo(seventh)($t8)
	nop
seventh:
	li	$s0, 1
	expect_equal $s0, 2

	/* The whole loop body often executed, then patched by itself: 500 rounds add 1, the rest 3. */
	li	$s1, 1000
	li	$s2, 0
	lui	$t0, %hi(add_three)
	lw	$t0, %lo(add_three)($t0)
	lui	$t8, %hi(eleventh)
	addiu	$t8, %lo(eleventh)
1:	li	$t1, 500
	bne	$s1, $t1, eleventh
	 nop
	b	eleventh
	 sw	$t0, 0($t8)
	nop
eleventh:
	addiu	$s2, 1
	addiu	$s1, -1
	bnez	$s1, 1b
	 nop
	expect_equal $s2, 500 * 1 + 500 * 3

	/* An exception handler patches the instruction it returns to. */
	la	$t0, patch_faulting_instruction
	lui	$t1, %hi(exception_hook)
	sw	$t0, %lo(exception_hook)($t1)
	li	$s0, 0
	li	$s3, 20
1:	attempt
	patch	twelfth, trap
twelfth:
	nop
	expect_no_exception
	addiu	$s3, -1
	bnez	$s3, 1b
	 nop
	expect_equal $s0, 2

	end_cases

one:	li	$s0, 1
two:	li	$s0, 2
add_three:
	addiu	$s2, 3
trap:	break	0x155

/* An exception_hook. */
patch_faulting_instruction:
	lw	$t0, EXCEPTION_EPC($a0)
	lui	$t1, %hi(two)
	lw	$t1, %lo(two)($t1)
	sw	$t1, 0($t0)
	jr	$ra
	 li	$v0, 1
