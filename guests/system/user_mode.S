/* User mode reaches KUSEG and nothing else; CP0 is not usable unless Status.CU0 says so (MD00090, 3.4, 4.2, 6.2.14). */
#include "cases.h"

	begin_cases
	jal	map_image_for_user
	 nop

	/* Instructions work, and the exception says where in KUSEG. */
	attempt_in_user
	li	$t0, 40
	addiu	$t0, 2
1:	syscall
	expect_exception EXC_SYS, at=1b - KSEG0
	expect_register 8, 42
	expect_recorded EXCEPTION_STATUS, STATUS_CU1 | STATUS_USER | STATUS_EXL

	attempt_in_user
	lui	$t0, 0x7fff
1:	b	2f
	 add	$t0, $t0, $t0
2:	syscall
	expect_exception EXC_OV, at=1b - KSEG0, bd=1

	/* Every other segment is an address error, in either half, for each kind of access. */
	.irp	segment, 0x80000000, 0x80100000, 0x9ffffffc, 0xa0000000, 0xbf000900, 0xc0000000, 0xdffffffc, 0xe0000000, \
		0xfffffffc
	attempt_in_user
	li	$t0, \segment
	li	$t1, 7
1:	lw	$t1, 0($t0)
	syscall
	expect_exception EXC_ADEL, at=1b - KSEG0, bad=\segment
	expect_register 9, 7
	attempt_in_user
	li	$t0, \segment
1:	sw	$t1, 0($t0)
	syscall
	expect_exception EXC_ADES, at=1b - KSEG0, bad=\segment
	attempt_in_user
	li	$t0, \segment + 3
1:	lb	$t1, 0($t0)
	syscall
	expect_exception EXC_ADEL, at=1b - KSEG0, bad=\segment + 3
	attempt_in_user
	li	$t0, \segment
1:	jr	$t0
	 nop
	expect_exception EXC_ADEL, at=\segment, bad=\segment
	.endr

	/* So is the word that starts in KUSEG's last one and is not aligned, for another reason. */
	attempt_in_user
	li	$t0, 0x7fffffff
1:	lw	$t1, 0($t0)
	expect_exception EXC_ADEL, at=1b - KSEG0, bad=0x7fffffff

	/* Running out of KUSEG's end would need a page there; the pages next to the image are not mapped. */
	attempt_in_user
	lui	$t0, 0x7fff
1:	lw	$t1, 0($t0)
	expect_exception EXC_TLBL, at=1b - KSEG0, bad=0x7fff0000, vector=VECTOR_REFILL

	/* CP0 and the privileged instructions: coprocessor 0 unusable, also in slots. */
	.irp	instruction, "mfc0 $t0, $12", "mtc0 $t0, $12", "tlbwi", "tlbwr", "tlbp", "tlbr", "eret", "wait", "di", "ei", \
		"cache 0x15, 0($t0)", "mfc0 $t0, $15, 1", "rdpgpr $t0, $t1", "wrpgpr $t0, $t1"
	attempt_in_user
1:	\instruction
	syscall
	expect_exception EXC_CPU, at=1b - KSEG0
	.endr
	attempt_in_user
1:	b	2f
	 mfc0	$t0, C0_STATUS
2:	syscall
	expect_exception EXC_CPU, at=1b - KSEG0, bd=1

	/* With CU0 it can: here it reads and changes registers. */
	attempt
	mfc0	$t0, C0_STATUS
	li	$t1, STATUS_CU0
	or	$t0, $t1
	mtc0	$t0, C0_STATUS
	attempt_in_user
	mfc0	$t0, C0_PRID
	li	$t1, 0x00123456
	mtc0	$t1, C0_EPC
	ehb
	mfc0	$t2, C0_EPC
1:	syscall
	expect_exception EXC_SYS, at=1b - KSEG0
	expect_register 10, 0x00123456
	li	$t0, STATUS_CU1
	mtc0	$t0, C0_STATUS
	ehb

	/* Without CU0 kernel mode uses CP0 all the same, as it has all along here. */
	attempt
	mfc0	$s0, C0_STATUS
	expect_no_exception
	expect_equal $s0, STATUS_CU1

	/* synci, sync, pref, ll and sc are for everyone. */
	attempt_in_user
	lui	$t0, %hi(word - KSEG0)
	addiu	$t0, %lo(word - KSEG0)
	synci	0($t0)
	sync
	pref	0, 0($t0)
	ll	$t1, 0($t0)
	addiu	$t1, 5
	sc	$t1, 0($t0)
	lw	$t2, 0($t0)
1:	syscall
	expect_exception EXC_SYS, at=1b - KSEG0
	expect_register 9, 1
	expect_register 10, 0x1005

	end_cases

	.data
	.balign 4
word:	.word	0x1000
