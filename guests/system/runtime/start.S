/* The exception vectors, what happens behind them, and the way to main. */
#include "cp0.h"
#include "exceptions.h"
#include "platform.h"

	.set noreorder
	.set noat

/* Every vector goes on at exception_entry with its offset in k1. */
.macro vector offset
	.org \offset
	lui $k0, %hi(exception_entry)
	addiu $k0, %lo(exception_entry)
	jr $k0
	 li $k1, \offset
.endm

	.section .vectors, "ax"
	vector VECTOR_REFILL
	vector VECTOR_GENERAL
	vector VECTOR_INTERRUPT

	.section .start, "ax"
	.globl start
start:
	la $sp, stack_top
	li $t0, STATUS_CU1
	mtc0 $t0, C0_STATUS
	mtc0 $zero, C0_CAUSE
	li $t0, KSEG0
	mtc0 $t0, C0_EBASE
	mtc0 $zero, C0_WIRED
	mtc0 $zero, C0_PAGEMASK
	mtc0 $zero, C0_ENTRYLO0
	mtc0 $zero, C0_ENTRYLO1
	mtc0 $zero, C0_HWRENA
	mfc0 $t0, C0_CONFIG1
	srl $t0, CONFIG1_MMU_SIZE_SHIFT
	andi $t0, 63			/* the highest index of the TLB */
	li $t1, KSEG0			/* invalid entries: no two alike, and none that can match */
1:	mtc0 $t0, C0_INDEX
	mtc0 $t1, C0_ENTRYHI
	ehb
	tlbwi
	addiu $t1, 0x2000
	bnez $t0, 1b
	 addiu $t0, -1
	mtc0 $zero, C0_ENTRYHI
	li $t0, MALTA_8259_MASK
	li $t1, 0xff
	sb $t1, 0($t0)
	ehb
	jal main
	 nop
	jal finish
	 nop

	.text
	.globl exception_entry
exception_entry:
	lui $k0, %hi(entered)
	addiu $k0, %lo(entered)
	.irp number, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 28, 29, 30, 31
	sw $\number, EXCEPTION_GPR + 4 * \number($k0)
	.endr
	mfhi $t0
	sw $t0, EXCEPTION_HI($k0)
	mflo $t0
	sw $t0, EXCEPTION_LO($k0)
	sw $k1, EXCEPTION_VECTOR($k0)
	mfc0 $t0, C0_STATUS
	mfc0 $t1, C0_CAUSE
	mfc0 $t2, C0_EPC
	mfc0 $t3, C0_BADVADDR
	mfc0 $t4, C0_ENTRYHI
	mfc0 $t5, C0_CONTEXT
	mfc0 $t6, C0_ERROREPC
	sw $t0, EXCEPTION_STATUS($k0)
	sw $t1, EXCEPTION_CAUSE($k0)
	sw $t2, EXCEPTION_EPC($k0)
	sw $t3, EXCEPTION_BADVADDR($k0)
	sw $t4, EXCEPTION_ENTRYHI($k0)
	sw $t5, EXCEPTION_CONTEXT($k0)
	sw $t6, EXCEPTION_ERROREPC($k0)
	la $sp, exception_stack_top
	jal record_exception
	 move $a0, $k0
	lui $k0, %hi(entered)
	addiu $k0, %lo(entered)
	lw $t0, EXCEPTION_HI($k0)
	mthi $t0
	lw $t0, EXCEPTION_LO($k0)
	mtlo $t0
	lw $t0, EXCEPTION_STATUS($k0)
	ori $t0, STATUS_EXL
	mtc0 $t0, C0_STATUS
	lw $t0, EXCEPTION_EPC($k0)
	mtc0 $t0, C0_EPC
	.irp number, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 28, 29, 30, 31
	lw $\number, EXCEPTION_GPR + 4 * \number($k0)
	.endr
	ehb
	eret

	.bss
	.align 3
	.space 4096
stack_top:
	.space 4096
exception_stack_top:
entered:
	.space EXCEPTION_SIZE
