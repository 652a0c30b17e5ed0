/* What an image finds when it starts: DESIGN's entry state, which is that of the Unified Hosting Interface (MD01069) for
 * the arguments. It is looked at before anything has changed. */
#include "cases.h"

#define DTB_MAGIC_BIG_ENDIAN 0xd00dfeed
#define DTB_MAGIC_LITTLE_ENDIAN 0xedfe0dd0

	.section .start, "ax"
	.globl	start
start:	mfc0	$t0, C0_STATUS
	lui	$t1, %hi(found)
	addiu	$t1, %lo(found)
	sw	$a0, 0($t1)
	sw	$a1, 4($t1)
	sw	$a2, 8($t1)
	sw	$a3, 12($t1)
	sw	$t0, 16($t1)
	la	$sp, image_stack
	jal	main
	 nop
	jal	finish
	 nop

	begin_cases
	la	$s0, found
	lw	$s1, 0($s0)
	expect_equal $s1, -2
	lw	$s1, 8($s0)
	expect_equal $s1, 0
	lw	$s1, 12($s0)
	expect_equal $s1, 0
	lw	$s1, 16($s0)
	expect_equal $s1, STATUS_BEV

	/* The device tree: in KSEG0, aligned, above the image, and there. */
	lw	$s1, 4($s0)
	srl	$s2, $s1, 29
	expect_equal $s2, KSEG0 >> 29
	andi	$s2, $s1, 7
	expect_equal $s2, 0
	la	$t0, _end
	sltu	$s2, $s1, $t0
	expect_equal $s2, 0
	lw	$s2, 0($s1)
#ifdef __MIPSEB__
	expect_equal $s2, DTB_MAGIC_BIG_ENDIAN
#else
	expect_equal $s2, DTB_MAGIC_LITTLE_ENDIAN
#endif

	/* Memory of the image that is not in its file is 0. */
	la	$t0, cleared
	li	$t1, 1024
	move	$s2, $zero
1:	lw	$t2, 0($t0)
	or	$s2, $t2
	addiu	$t1, -1
	bnez	$t1, 1b
	 addiu	$t0, 4
	expect_equal $s2, 0
	end_cases

	.data
	.balign	4
found:	.space	20

	.bss
	.balign	8
cleared:
	.space	4096
	.space	4096
image_stack:
