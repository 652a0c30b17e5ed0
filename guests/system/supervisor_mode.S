/* Supervisor mode reaches KUSEG and 0xc0000000..0xdfffffff, both mapped, and has no CP0 (MD00090, 3.3, 4.3). */
#include "cases.h"
#include "tlb.h"

#define PHYSICAL 0x00300000

.macro	map virtual
	li	$a0, 1
	li	$a1, \virtual
	li	$a2, ENTRYLO(PHYSICAL) | ENTRYLO_G
	li	$a3, ENTRYLO(PHYSICAL + 0x1000) | ENTRYLO_G
	sw	$zero, 16($sp)
	jal	write_tlb
	 nop
.endm

	begin_cases
	jal	map_image_for_user
	 nop
	li	$t0, 0x5afe5afe
	lui	$t1, %hi(KSEG0 + PHYSICAL)
	sw	$t0, %lo(KSEG0 + PHYSICAL)($t1)

	/* Supervisor mode uses user addresses. */
	attempt_in_supervisor
	li	$t0, 42
1:	syscall
	expect_exception EXC_SYS, at=1b - KSEG0
	expect_register 8, 42
	expect_recorded EXCEPTION_STATUS, STATUS_CU1 | STATUS_SUPERVISOR | STATUS_EXL

	/* Its own segment, not mapped: a refill. */
	.irp	address, 0xc0000000, 0xdffffffc
	attempt_in_supervisor
	li	$t0, \address
1:	lw	$t1, 0($t0)
	expect_exception EXC_TLBL, at=1b - KSEG0, bad=\address, vector=VECTOR_REFILL
	attempt_in_supervisor
	li	$t0, \address
1:	sw	$t1, 0($t0)
	expect_exception EXC_TLBS, at=1b - KSEG0, bad=\address, vector=VECTOR_REFILL
	attempt_in_supervisor
	li	$t0, \address
1:	jr	$t0
	 nop
	expect_exception EXC_TLBL, at=\address, bad=\address, vector=VECTOR_REFILL
	.endr

	/* And mapped. User mode still cannot. */
	map 0xc0000000
	attempt_in_supervisor
	li	$t0, 0xc0000000
	lw	$t1, 0($t0)
1:	syscall
	expect_exception EXC_SYS, at=1b - KSEG0
	expect_register 9, 0x5afe5afe
	attempt_in_user
	li	$t0, 0xc0000000
1:	lw	$t1, 0($t0)
	expect_exception EXC_ADEL, at=1b - KSEG0, bad=0xc0000000

	/* The kernel's segments are address errors. */
	.irp	segment, 0x80000000, 0x9ffffffc, 0xa0000000, 0xbffffffc, 0xe0000000, 0xfffffffc
	attempt_in_supervisor
	li	$t0, \segment
1:	lw	$t1, 0($t0)
	expect_exception EXC_ADEL, at=1b - KSEG0, bad=\segment
	attempt_in_supervisor
	li	$t0, \segment
1:	sw	$t1, 0($t0)
	expect_exception EXC_ADES, at=1b - KSEG0, bad=\segment
	attempt_in_supervisor
	li	$t0, \segment
	jr	$t0
	 nop
	expect_exception EXC_ADEL, at=\segment, bad=\segment
	.endr

	/* No CP0. */
	.irp	instruction, "mfc0 $t0, $12", "mtc0 $t0, $12", "tlbwi", "eret", "di", "wait", "cache 0x15, 0($t0)"
	attempt_in_supervisor
1:	\instruction
	syscall
	expect_exception EXC_CPU, at=1b - KSEG0
	.endr

	end_cases
