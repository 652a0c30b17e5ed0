/* The shortest image: the entry state, a line on the UART, power off. It has no vectors and touches no memory. */
#include "platform.h"

	.set noreorder
	.section .start, "ax"
	.globl	start
start:	lui	$s0, %hi(UART)
	ori	$s0, %lo(UART)
	lui	$s1, %hi(text)
	addiu	$s1, %lo(text)
next:	lbu	$t0, 0($s1)
	beqz	$t0, off
	 addiu	$s1, 1
busy:	lbu	$t1, UART_LINE_STATUS($s0)
	andi	$t1, UART_LINE_STATUS_THRE
	beqz	$t1, busy
	 nop
	b	next
	 sb	$t0, UART_DATA($s0)
off:	lui	$s0, %hi(RESET)
	addiu	$s0, %lo(RESET)
	li	$t0, RESET_GO
	sw	$t0, 0($s0)
	b	.
	 nop

	.section .rodata
text:	.asciz	"Hello from bare metal.\n"
