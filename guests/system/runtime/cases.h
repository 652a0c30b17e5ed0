/* Test cases in assembly: `attempt`, instructions of which one raises an exception, `expect_exception`.
 *
 *		attempt
 *	1:	add	$t2, $t0, $t1
 *		expect_exception EXC_OV, at=1b
 *		expect_register t2, 5
 *
 * An expectation is a call: at and the v, a and t registers are lost; `expect_register` looks at what the
 * exception found in them.
 */
#ifndef CASES_H
#define CASES_H

#include "cp0.h"
#include "exceptions.h"
#include "platform.h"

	.set noreorder
	.set noat

/* The next exception is recorded, and the program goes on at the next expectation, in this mode. at and k1 are lost. */
.macro attempt
	lui	$k1, %hi(exception_count)
	sw	$zero, %lo(exception_count)($k1)
	mfc0	$at, C0_STATUS
	lui	$k1, %hi(resume_status)
	sw	$at, %lo(resume_status)($k1)
	lui	$at, %hi(99f)
	addiu	$at, %lo(99f)
	lui	$k1, %hi(resume_at)
	sw	$at, %lo(resume_at)($k1)
.endm

/* The same, with what follows executed in another mode, at its physical address: see map_image_for_user. */
.macro attempt_in status_bits
	attempt
	mfc0	$at, C0_STATUS
	ori	$at, STATUS_EXL | \status_bits
	mtc0	$at, C0_STATUS
	lui	$at, %hi(98f - KSEG0)
	addiu	$at, %lo(98f - KSEG0)
	mtc0	$at, C0_EPC
	ehb
	eret
98:
.endm

#define attempt_in_user attempt_in STATUS_USER
#define attempt_in_supervisor attempt_in STATUS_SUPERVISOR

/* Exactly one exception, with this code, EPC (or up to `within` bytes later) and BD, through this vector. */
#define expect_exception exception_expected __LINE__,
.macro exception_expected line, code, at, within=0, bd=0, ce=0, bad, vector=VECTOR_GENERAL
99:
	.pushsection .rodata
	.balign	4
97:	.word	\line
	.word	\code << 2 | \bd << 31 | \ce << 28
	.word	\vector
	.word	\at, \within
	.ifb	\bad
	.word	0, 0
	.else
	.word	1, \bad
	.endif
	.popsection
	lui	$a0, %hi(97b)
	jal	check_exception
	 addiu	$a0, %lo(97b)
.endm

#define expect_no_exception no_exception_expected __LINE__
.macro no_exception_expected line
99:	jal	check_no_exception
	 li	$a0, \line
.endm

/* What a register holds. */
#define expect_equal equal_expected __LINE__,
.macro equal_expected line, register, value
	move	$a3, \register
	la	$a2, \value
	move	$a1, $zero
	jal	check_equal
	 li	$a0, \line
.endm

/* A field of the recorded exception. */
#define expect_recorded recorded_expected __LINE__,
.macro recorded_expected line, field, value
	lui	$at, %hi(recorded + \field)
	lw	$a3, %lo(recorded + \field)($at)
	la	$a2, \value
	move	$a1, $zero
	jal	check_equal
	 li	$a0, \line
.endm

/* What a register held when the exception came. */
#define expect_register register_expected __LINE__,
.macro register_expected line, number, value
	recorded_expected \line, EXCEPTION_GPR + 4 * \number, \value
.endm

/* main, which keeps the return address where no exception and no call can reach it. */
.macro begin_cases
	.text
	.globl	main
main:	addiu	$sp, -32
	sw	$ra, 28($sp)
.endm

.macro end_cases
	lw	$ra, 28($sp)
	jr	$ra
	 addiu	$sp, 32
.endm

#endif
