/* Floating-point exceptions: an enabled cause traps, and the instruction has written neither its destination nor the
 * flags; ctc1 of an enabled cause traps as well (MD00082, 5.8; MD00086, CTC1). */
#include "cases.h"

	.set	hardfloat

/* FCSR: causes, enables, flags. */
#define INEXACT 1
#define UNDERFLOW 2
#define OVERFLOW 4
#define ZERO 8
#define INVALID 16
#define UNIMPLEMENTED 32
#define CAUSES(bits) ((bits) << 12)
#define ENABLES(bits) ((bits) << 7)
#define FLAGS(bits) ((bits) << 2)

#define ONE 0x3f800000
#define THREE 0x40400000
#define HUGE 0x7f000000
#define TINY 0x00800000
#define SIGNALLING 0x7fc00001
#define MINUS_ONE 0xbf800000

/* f0 = the first operand, f2 = the second, f4 = 0x1234, FCSR as given. */
.macro	operands first, second, fcsr
	li	$t0, \first
	li	$t1, \second
	li	$t2, 0x1234
	mtc1	$t0, $f0
	mtc1	$t1, $f2
	mtc1	$t2, $f4
	li	$t0, \fcsr
	ctc1	$t0, $31
.endm

/* The instruction traps for these causes. */
.macro	traps first, second, causes, instruction:vararg
	operands \first, \second, ENABLES(\causes) | FLAGS(INEXACT)
	attempt
1:	\instruction
	expect_exception EXC_FPE, at=1b
	cfc1	$s0, $31
	mfc1	$s1, $f4
	ctc1	$zero, $31
	expect_equal $s1, 0x1234
	srl	$t0, $s0, 12
	andi	$s2, $t0, \causes
	expect_equal $s2, \causes
	andi	$s0, FLAGS(31)
	expect_equal $s0, FLAGS(INEXACT)
.endm

/* Not enabled, it raises flags and gives a result. */
.macro	gives first, second, flags, result, instruction:vararg
	operands \first, \second, 0
	attempt
	\instruction
	expect_no_exception
	cfc1	$s0, $31
	mfc1	$s1, $f4
	ctc1	$zero, $31
	expect_equal $s1, \result
	expect_equal $s0, CAUSES(\flags) | FLAGS(\flags)
.endm

	begin_cases

	traps	ONE, THREE, INEXACT, div.s $f4, $f0, $f2
	traps	HUGE, HUGE, OVERFLOW, add.s $f4, $f0, $f2
	traps	TINY, TINY, UNDERFLOW, mul.s $f4, $f0, $f2
	traps	ONE, 0, ZERO, div.s $f4, $f0, $f2
	traps	0, 0, INVALID, div.s $f4, $f0, $f2
	traps	SIGNALLING, ONE, INVALID, add.s $f4, $f0, $f2
	traps	MINUS_ONE, ONE, INVALID, sqrt.s $f4, $f0
	traps	HUGE, ONE, INVALID, cvt.w.s $f4, $f0
	traps	SIGNALLING, ONE, INVALID, trunc.w.s $f4, $f0

	gives	ONE, THREE, INEXACT, 0x3eaaaaab, div.s $f4, $f0, $f2
	gives	HUGE, HUGE, OVERFLOW | INEXACT, 0x7f800000, add.s $f4, $f0, $f2
	gives	TINY, TINY, UNDERFLOW | INEXACT, 0, mul.s $f4, $f0, $f2
	gives	ONE, 0, ZERO, 0x7f800000, div.s $f4, $f0, $f2
	/* The default quiet NaN is the old one; and conversions that do not fit give the largest number. */
	gives	0, 0, INVALID, 0x7fbfffff, div.s $f4, $f0, $f2
	gives	MINUS_ONE, ONE, INVALID, 0x7fbfffff, sqrt.s $f4, $f0
	gives	HUGE, ONE, INVALID, 0x7fffffff, cvt.w.s $f4, $f0
	gives	0xff000000, ONE, INVALID, 0x7fffffff, cvt.w.s $f4, $f0
	gives	SIGNALLING, ONE, INVALID, 0x7fffffff, trunc.w.s $f4, $f0

	/* In a slot. */
	operands ONE, 0, ENABLES(ZERO)
	attempt
1:	b	2f
	 div.s	$f4, $f0, $f2
2:	nop
	expect_exception EXC_FPE, at=1b, bd=1
	ctc1	$zero, $31

	/* A comparison that signals leaves its condition alone. */
	operands SIGNALLING, ONE, ENABLES(INVALID) | 1 << 23
	attempt
1:	c.lt.s	$f0, $f2
	expect_exception EXC_FPE, at=1b
	cfc1	$s0, $31
	ctc1	$zero, $31
	expect_equal $s0, ENABLES(INVALID) | CAUSES(INVALID) | 1 << 23

	/* ctc1 that sets a cause and its enable traps, and has written FCSR. */
	.irp	bit, 1, 2, 4, 8, 16
	ctc1	$zero, $31
	li	$t0, CAUSES(\bit) | ENABLES(\bit)
	attempt
1:	ctc1	$t0, $31
	expect_exception EXC_FPE, at=1b
	cfc1	$s0, $31
	ctc1	$zero, $31
	expect_equal $s0, CAUSES(\bit) | ENABLES(\bit)
	.endr
	li	$t0, CAUSES(INEXACT | OVERFLOW) | ENABLES(INVALID | ZERO | UNDERFLOW) | FLAGS(31)
	attempt
	ctc1	$t0, $31
	cfc1	$s0, $31
	ctc1	$zero, $31
	expect_no_exception
	expect_equal $s0, CAUSES(INEXACT | OVERFLOW) | ENABLES(INVALID | ZERO | UNDERFLOW) | FLAGS(31)

	/* The unimplemented operation cannot be disabled. */
	li	$t0, CAUSES(UNIMPLEMENTED)
	attempt
1:	ctc1	$t0, $31
	expect_exception EXC_FPE, at=1b
	ctc1	$zero, $31

	/* Through the other names of FCSR: FEXR has causes and flags, FENR enables and rounding. */
	li	$t0, ENABLES(ZERO)
	ctc1	$t0, $28
	li	$t0, CAUSES(ZERO)
	attempt
1:	ctc1	$t0, $26
	expect_exception EXC_FPE, at=1b
	ctc1	$zero, $31
	li	$t0, CAUSES(ZERO)
	ctc1	$t0, $26
	li	$t0, ENABLES(ZERO)
	attempt
1:	ctc1	$t0, $28
	expect_exception EXC_FPE, at=1b
	ctc1	$zero, $31

	/* A handler that clears the cause and goes on. */
	operands ONE, 0, ENABLES(ZERO)
	attempt
1:	div.s	$f4, $f0, $f2
	expect_exception EXC_FPE, at=1b
	cfc1	$t0, $31
	li	$t1, ~CAUSES(63)
	and	$t0, $t1
	attempt
	ctc1	$t0, $31
	add.s	$f4, $f0, $f0
	expect_no_exception
	ctc1	$zero, $31

	end_cases
