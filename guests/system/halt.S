/* wait with interrupts disabled and none unmasked never ends: the machine has halted, and says so by ending well. */
#include "platform.h"

	.set	noreorder
	.section .start, "ax"
	.globl	start
start:	la	$s0, text
	la	$s1, UART
next:	lbu	$t0, 0($s0)
	beqz	$t0, halt
	 addiu	$s0, 1
	b	next
	 sb	$t0, UART_DATA($s1)
halt:	mtc0	$zero, $12
	ehb
	di
1:	wait
	b	1b
	 nop

	.section .rodata
text:	.asciz	"Halting.\n"
