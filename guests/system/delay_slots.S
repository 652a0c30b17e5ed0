/* Exceptions in delay slots: EPC is the branch, BD is set (MD00090, 9.26 Cause, 9.28 EPC), whatever the branch does. */
#include "cases.h"

#define ONE $s0
#define MAXIMUM $s1
#define ODD $s2

	begin_cases
	li	ONE, 1
	li	MAXIMUM, 0x7fffffff
	li	ODD, KSEG0 + 0x1001

	/* Every branch and jump, taken; with an overflow in its slot. */
	.irp	branch, "b 2f", "beq $s0, $s0, 2f", "bne $s0, $zero, 2f", "bgez $s0, 2f", "bgtz $s0, 2f", \
		"blez $zero, 2f", "bltz $s2, 2f", "beql $s0, $s0, 2f", "bnel $s0, $zero, 2f", "bgezl $s0, 2f", \
		"bgtzl $s0, 2f", "blezl $zero, 2f", "bltzl $s2, 2f", "j 2f"
	li	$t0, 5
	attempt
1:	\branch
	 add	$t0, MAXIMUM, ONE
	nop
2:	nop
	expect_exception EXC_OV, at=1b, bd=1
	expect_register 8, 5
	.endr

	/* And not taken. */
	.irp	branch, "beq $s0, $zero, 2f", "bltz $s0, 2f", "bgez $s2, 2f", "blez $s0, 2f", "bgtz $s2, 2f"
	attempt
1:	\branch
	 add	$t0, MAXIMUM, ONE
	nop
2:	nop
	expect_exception EXC_OV, at=1b, bd=1
	.endr

	/* Those that link have linked: the branch may be executed again. */
	.irp	branch, "bal 2f", "bgezal $s0, 2f", "bltzal $s2, 2f", "bgezall $s0, 2f", "bltzall $s2, 2f", "jal 2f", \
		"bgezal $s2, 2f", "bltzal $s0, 2f"
	li	$ra, 0
	attempt
1:	\branch
	 add	$t0, MAXIMUM, ONE
3:	nop
2:	nop
	expect_exception EXC_OV, at=1b, bd=1
	expect_register 31, 3b
	.endr
	.irp	jump, "jr $t1", "jalr $t1", "jalr $t2, $t1", "jr.hb $t1", "jalr.hb $t1"
	la	$t1, 2f
	attempt
1:	\jump
	 add	$t0, MAXIMUM, ONE
2:	nop
	expect_exception EXC_OV, at=1b, bd=1
	expect_register 9, 2b
	.endr

	/* Every kind of exception in a slot. */
	attempt
1:	b	2f
	 syscall
2:	nop
	expect_exception EXC_SYS, at=1b, bd=1
	attempt
1:	b	2f
	 break
2:	nop
	expect_exception EXC_BP, at=1b, bd=1
	attempt
1:	b	2f
	 teq	ONE, ONE
2:	nop
	expect_exception EXC_TR, at=1b, bd=1
	attempt
1:	b	2f
	 .word	0x0000003f
2:	nop
	expect_exception EXC_RI, at=1b, bd=1
	attempt
1:	b	2f
	 lw	$t0, 0(ODD)
2:	nop
	expect_exception EXC_ADEL, at=1b, bd=1, bad=KSEG0 + 0x1001
	attempt
1:	beq	ONE, $zero, 2f
	 sh	$t0, 2(ODD)
2:	nop
	expect_exception EXC_ADES, at=1b, bd=1, bad=KSEG0 + 0x1003

	/* The slot changes what the branch looked at: the branch had looked before. */
	li	$t0, 1
	attempt
	beq	$t0, ONE, 2f
	 li	$t0, 2
1:	syscall
2:	syscall
	expect_exception EXC_SYS, at=2b
	la	$t0, 2f
	attempt
	jr	$t0
	 move	$t0, $zero
1:	syscall
2:	syscall
	expect_exception EXC_SYS, at=2b

	/* The target of a branch is in no slot, not even the target of a branch to the next instruction but one. */
	attempt
	b	2f
	 nop
2:	add	$t0, MAXIMUM, ONE
	expect_exception EXC_OV, at=2b

	/* Nor is what follows a slot. */
	attempt
	beq	ONE, $zero, 2f
	 nop
1:	add	$t0, MAXIMUM, ONE
2:	nop
	expect_exception EXC_OV, at=1b

	/* The slot of a branch-likely that is not taken is not executed, and cannot fail. */
	.irp	branch, "beql $s0, $zero, 2f", "bnel $s0, $s0, 2f", "bltzl $s0, 2f", "bgezl $s2, 2f", "blezl $s0, 2f", \
		"bgtzl $s2, 2f", "bltzall $s0, 2f", "bgezall $s2, 2f"
	.irp	slot, "add $t0, $s1, $s0", "lw $t0, 0($s2)", "syscall", ".word 0x0000003f", "teq $s0, $s0"
	attempt
	\branch
	 \slot
	b	3f
	 nop
2:	break
3:	nop
	expect_no_exception
	.endr
	.endr

	end_cases
