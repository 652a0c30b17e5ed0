/* See access.h. */
#include "access.h"
#include "cases.h"

	.text

.macro access name, instruction:vararg
	.globl	\name, \name\()_at
\name:	li	$v0, NOTHING
	attempt
\name\()_at:
	\instruction
99:	jr	$ra
	 nop
.endm

	access load_word, lw $v0, 0($a0)
	access load_half, lhu $v0, 0($a0)
	access load_byte, lbu $v0, 0($a0)
	access store_word, sw $a1, 0($a0)
	access store_half, sh $a1, 0($a0)
	access store_byte, sb $a1, 0($a0)

	.globl	call, call_at
call:	li	$v0, NOTHING
	move	$t9, $ra
	attempt
call_at:
	jalr	$a0
	 nop
99:	jr	$t9
	 nop

.macro user_access name, instruction:vararg
	.globl	\name, \name\()_at, \name\()_end
\name:	li	$v0, NOTHING
	attempt_in_user
\name\()_at:
	\instruction
\name\()_end:
	syscall
99:	jr	$ra
	 nop
.endm

	user_access user_load_word, lw $v0, 0($a0)
	user_access user_store_word, sw $a1, 0($a0)

	.globl	user_jump, user_jump_at, user_jump_end
user_jump:
	li	$v0, NOTHING
	attempt_in_user
user_jump_at:
	jr	$a0
	 nop
user_jump_end:
99:	jr	$ra
	 nop
