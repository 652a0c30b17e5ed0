/* With Status.EXL set, exceptions leave EPC and Cause.BD alone and none is a refill (MD00090, 6.2.2, 9.26, 9.28). */
#include "cases.h"

#define MARK 0x12345678
#define UNMAPPED 0x00200010

/* EXL set, with the trace of an exception that came before: EPC = MARK, and BD as given. */
.macro	enter_exception_level bd
	li	$t0, MARK
	attempt
	.if	\bd
	b	9f
	 syscall
	.else
	syscall
	.endif
9:
99:	attempt
	mtc0	$t0, C0_EPC
	mfc0	$t1, C0_STATUS
	ori	$t1, STATUS_EXL
	mtc0	$t1, C0_STATUS
	ehb
.endm

	begin_cases

	.irp	bd, 0, 1
	/* In no slot. */
	enter_exception_level \bd
	syscall
	expect_exception EXC_SYS, at=MARK, bd=\bd

	enter_exception_level \bd
	lui	$t2, 0x7fff
	add	$t2, $t2, $t2
	expect_exception EXC_OV, at=MARK, bd=\bd

	enter_exception_level \bd
	lw	$t2, 1($zero)
	expect_exception EXC_ADEL, at=MARK, bd=\bd, bad=1

	/* In one. */
	enter_exception_level \bd
	b	1f
	 break
1:	nop
	expect_exception EXC_BP, at=MARK, bd=\bd

	/* A TLB refill goes to the general vector; BadVAddr, Context and EntryHi tell its address. */
	enter_exception_level \bd
	lui	$t2, %hi(UNMAPPED)
	lw	$t2, %lo(UNMAPPED)($t2)
	expect_exception EXC_TLBL, at=MARK, bd=\bd, bad=UNMAPPED
	expect_recorded EXCEPTION_ENTRYHI, UNMAPPED & ~0x1fff
	expect_recorded EXCEPTION_CONTEXT, (UNMAPPED >> 13) << 4

	enter_exception_level \bd
	lui	$t2, %hi(UNMAPPED)
	sw	$t2, %lo(UNMAPPED)($t2)
	expect_exception EXC_TLBS, at=MARK, bd=\bd, bad=UNMAPPED

	/* As does that of a fetch. */
	enter_exception_level \bd
	lui	$t2, %hi(UNMAPPED)
	addiu	$t2, %lo(UNMAPPED)
	jr	$t2
	 nop
	expect_exception EXC_TLBL, at=MARK, bd=\bd, bad=UNMAPPED
	.endr

	/* Kernel mode whatever KSU says: KSEG0 can be reached, CP0 is usable. */
	attempt
	mfc0	$t1, C0_STATUS
	ori	$t1, STATUS_EXL | STATUS_USER
	mtc0	$t1, C0_STATUS
	ehb
	la	$t2, exception_count
	lw	$t2, 0($t2)
	li	$t1, STATUS_CU1
	mtc0	$t1, C0_STATUS
	ehb
	expect_no_exception

	/* No interrupts: software interrupt 0 stays pending until EXL is clear. */
	attempt
	mfc0	$t1, C0_STATUS
	ori	$t1, STATUS_EXL | STATUS_IE | STATUS_IM0
	mtc0	$t1, C0_STATUS
	li	$t2, CAUSE_IP0
	mtc0	$t2, C0_CAUSE
	ehb
	nop
	nop
	la	$t3, 1f
	mtc0	$t3, C0_EPC
	ehb
	eret
	break
1:	nop
	expect_exception EXC_INT, at=1b
	mtc0	$zero, C0_CAUSE

	/* eret clears EXL and nothing else of Status. */
	mfc0	$t0, C0_STATUS
	ori	$t1, $t0, STATUS_EXL | STATUS_IM1
	mtc0	$t1, C0_STATUS
	la	$t2, 1f
	mtc0	$t2, C0_EPC
	ehb
	eret
	break
1:	mfc0	$s0, C0_STATUS
	mtc0	$t0, C0_STATUS
	ehb
	expect_equal $s0, STATUS_CU1 | STATUS_IM1

	end_cases
