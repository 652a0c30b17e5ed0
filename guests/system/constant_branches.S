/* A branch that compares a register with itself is a branch like any other: its slot is a delay slot. */
#include "cases.h"

	begin_cases
	li	$s1, 0x7fffffff

	.irp	branch, "bne $s1, $s1, 2f", "beq $s1, $s1, 2f", "beq $zero, $zero, 2f", "bne $zero, $zero, 2f", \
		"bgez $zero, 2f", "bltz $zero, 2f", "blez $zero, 2f", "bgtz $zero, 2f", "beql $s1, $s1, 2f", \
		"bgezl $zero, 2f", "blezl $zero, 2f"
	attempt
1:	\branch
	 add	$t0, $s1, $s1
	nop
2:	nop
	expect_exception EXC_OV, at=1b, bd=1
	.endr

	.irp	branch, "bnel $s1, $s1, 2f", "bltzl $zero, 2f", "bgtzl $zero, 2f", "bltzall $zero, 2f"
	attempt
	\branch
	 add	$t0, $s1, $s1
	nop
2:	nop
	expect_no_exception
	.endr

	end_cases
