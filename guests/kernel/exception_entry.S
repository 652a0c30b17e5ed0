/* All exceptions but TLB refills: save everything, have handle_exception see to it, go back. It has a stack of its own,
 * because the other may be what went wrong; exceptions do not nest. */
#include "cp0.h"
#include "exceptions.h"
#include "memory.h"

	.set noreorder
	.set noat

	.section .vectors.general, "ax"
	lui $k0, %hi(exception_entry)
	addiu $k0, %lo(exception_entry)
	jr $k0
	 nop

#define SAVED_REGISTERS \
	1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 28, 29, 30, 31

	.text
exception_entry:
	lui $k0, %hi(frame)
	addiu $k0, %lo(frame)
	.irp number, SAVED_REGISTERS
	sw $\number, FRAME_GPR + 4 * \number($k0)
	.endr
	mfhi $t0
	mflo $t1
	mfc0 $t2, C0_STATUS
	mfc0 $t3, C0_CAUSE
	mfc0 $t4, C0_EPC
	mfc0 $t5, C0_BADVADDR
	sw $t0, FRAME_HI($k0)
	sw $t1, FRAME_LO($k0)
	sw $t2, FRAME_STATUS($k0)
	sw $t3, FRAME_CAUSE($k0)
	sw $t4, FRAME_EPC($k0)
	sw $t5, FRAME_BADVADDR($k0)
	la $sp, exception_stack + STACK_SIZE - 16
	jal handle_exception
	 move $a0, $k0
	lui $k0, %hi(frame)
	addiu $k0, %lo(frame)
	lw $t0, FRAME_HI($k0)
	lw $t1, FRAME_LO($k0)
	lw $t2, FRAME_EPC($k0)
	mthi $t0
	mtlo $t1
	mtc0 $t2, C0_EPC
	.irp number, SAVED_REGISTERS
	lw $\number, FRAME_GPR + 4 * \number($k0)
	.endr
	ehb
	eret

	.bss
	.balign PAGE_SIZE
exception_stack:
	.space STACK_SIZE
frame:	.space FRAME_SIZE
