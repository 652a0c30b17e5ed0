/* The first instructions: a stack, the CPU in a known state, and main with what the loader left in a0 to a3. */
#include "cp0.h"
#include "memory.h"

	.set noreorder

	.text
	.globl start
start:
	li $t0, KSEG0
	mtc0 $t0, C0_EBASE
	mtc0 $zero, C0_STATUS		/* interrupts off; exceptions go to EBase, no longer to the boot vectors */
	mtc0 $zero, C0_CAUSE
	mtc0 $zero, C0_WIRED
	mtc0 $zero, C0_PAGEMASK
	ehb
	la $sp, stack + STACK_SIZE - 16	/* the o32 calling convention: room for four arguments */
	la $t0, main
	jr $t0
	 nop

	.bss
	.balign PAGE_SIZE
stack:	.space STACK_SIZE
