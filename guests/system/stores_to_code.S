/* Stores from one page to code in another one: what is called next is what has been stored. */
#include "cases.h"

#define SCRATCH 0x00300000

	begin_cases

	/* Loops that begin with the store, each before a call of what they have changed. What is in between keeps
	 * translations of the loop and of the call apart. */
	li	$t8, KSEG0 + SCRATCH
	lui	$t1, %hi(return)
	lw	$t1, %lo(return)($t1)
	sw	$t1, 0($t8)
	lui	$t1, %hi(one)
	lw	$t1, %lo(one)($t1)
	li	$s1, 100
	li	$s2, 0
1:	li	$t2, 5
	.rept	64
	nop
	.endr
2:	sw	$t1, 4($t8)
	addiu	$t2, -1
	bnez	$t2, 2b
	 addiu	$t1, 1
	.rept	64
	nop
	.endr
	jalr	$t8
	 addiu	$s1, -1
	bnez	$s1, 1b
	 addu	$s2, $s0
	expect_equal $s2, 5 * 100 * 101 / 2

	end_cases

one:	li	$s0, 1
return:	.word	0x03e00008			/* jr $ra */
