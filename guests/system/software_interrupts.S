/* Software interrupts, masks, and every way to enable them: taken at the latest by the ehb after (MD00090, 6.1, 9.23-9.26). */
#include "cases.h"

.macro	raise bits
	li	$t0, \bits
	mtc0	$t0, C0_CAUSE
	ehb
.endm

.macro	set_status bits
	li	$t0, STATUS_CU1 | \bits
	mtc0	$t0, C0_STATUS
	ehb
.endm

	begin_cases

	/* Pending and not taken: IE, the mask, both. */
	.irp	status, 0, STATUS_IE, STATUS_IM0, STATUS_IM1 | STATUS_IE
	set_status 0
	attempt
	raise	CAUSE_IP0
	set_status \status
	nop
	nop
	mfc0	$s0, C0_CAUSE
	set_status 0
	expect_no_exception
	andi	$s0, CAUSE_IP0 | CAUSE_IP1
	expect_equal $s0, CAUSE_IP0
	.endr

	/* Raised while enabled. */
.macro	raised_while_enabled mask, bit
	raise	0
	attempt
	set_status STATUS_IE | \mask
	li	$t0, \bit
	mtc0	$t0, C0_CAUSE
1:	ehb
	break
	expect_exception EXC_INT, at=1b, within=4
	set_status 0
.endm
	raised_while_enabled STATUS_IM0, CAUSE_IP0
	raised_while_enabled STATUS_IM1, CAUSE_IP1

	/* Enabled while raised: by Status, by ei, by eret. */
	attempt
	raise	CAUSE_IP1
	li	$t0, STATUS_IE | STATUS_IM1
	mtc0	$t0, C0_STATUS
1:	ehb
	break
	expect_exception EXC_INT, at=1b, within=4
	expect_recorded EXCEPTION_STATUS, STATUS_IE | STATUS_IM1 | STATUS_EXL

	set_status STATUS_IM1
	attempt
	ei
1:	ehb
	break
	expect_exception EXC_INT, at=1b, within=4

	attempt
	set_status STATUS_IM1 | STATUS_IE | STATUS_EXL
	la	$t0, 1f
	mtc0	$t0, C0_EPC
	ehb
	eret
	break
1:	nop
	break
	expect_exception EXC_INT, at=1b
	set_status 0

	/* di and ei return Status as it was, and change IE only. */
	raise	0
	set_status STATUS_IM0
	ei	$s0
	ehb
	mfc0	$s1, C0_STATUS
	ei	$s2
	di	$s3
	ehb
	mfc0	$s4, C0_STATUS
	di	$s5
	ehb
	mfc0	$s6, C0_STATUS
	expect_equal $s0, STATUS_CU1 | STATUS_IM0
	expect_equal $s1, STATUS_CU1 | STATUS_IM0 | STATUS_IE
	expect_equal $s2, STATUS_CU1 | STATUS_IM0 | STATUS_IE
	expect_equal $s3, STATUS_CU1 | STATUS_IM0 | STATUS_IE
	expect_equal $s4, STATUS_CU1 | STATUS_IM0
	expect_equal $s5, STATUS_CU1 | STATUS_IM0
	expect_equal $s6, STATUS_CU1 | STATUS_IM0

	/* After di no interrupt is taken, though one comes. */
	attempt
	set_status STATUS_IM0 | STATUS_IE
	di
	ehb
	raise	CAUSE_IP0
	nop
	nop
	raise	0
	expect_no_exception

	/* Of Cause, the other bits cannot be written: an exception code, BD, CE and the hardware's interrupts. */
	set_status 0
	attempt
	syscall
	expect_exception EXC_SYS, at=99b - 4
	li	$t0, 0xf000ffff ^ CAUSE_IP0
	mtc0	$t0, C0_CAUSE
	ehb
	mfc0	$s0, C0_CAUSE
	raise	0
	li	$t0, CAUSE_BD | CAUSE_EXCCODE | CAUSE_IP & ~CAUSE_IP7
	and	$s0, $t0
	expect_equal $s0, EXC_SYS << 2 | CAUSE_IP1

	/* Enabled in a delay slot: the interrupt is taken at the branch's target, or in the slot after all. */
	attempt
	li	$t0, STATUS_IE | STATUS_IM0
	li	$t1, CAUSE_IP0
	mtc0	$t1, C0_CAUSE
	ehb
1:	b	2f
	 mtc0	$t0, C0_STATUS
2:	ehb
	break
	expect_exception EXC_INT, at=2b, within=4
	raise	0
	set_status 0

	end_cases
