/* Every exception an instruction raises by itself: code, EPC, BadVAddr, and a destination left alone. */
#include "cases.h"

	begin_cases

	/* Integer overflow: 2.2 of the instruction set (MD00086); the destination is unchanged. */
	li	$t0, 0x7fffffff
	li	$t1, 1
	li	$t2, 5
	attempt
1:	add	$t2, $t0, $t1
	expect_exception EXC_OV, at=1b
	expect_register 10, 5

	li	$t0, 0x7fffffff
	attempt
1:	addi	$t0, $t0, 1
	expect_exception EXC_OV, at=1b
	expect_register 8, 0x7fffffff

	li	$t0, 0x80000000
	li	$t1, 1
	attempt
1:	sub	$t0, $t0, $t1
	expect_exception EXC_OV, at=1b
	expect_register 8, 0x80000000

	attempt
	li	$t0, 0x7fffffff
	addiu	$t0, $t0, 1
	addu	$t0, $t0, $t0
	expect_no_exception

	attempt
1:	syscall	0x12345
	expect_exception EXC_SYS, at=1b

	attempt
1:	break	7
	expect_exception EXC_BP, at=1b

	/* Traps, taken and not taken. */
	li	$t0, -1
	li	$t1, 1
	attempt
	teq	$t0, $t1
	tge	$t0, $t1
	tgeu	$t1, $t0
	tlt	$t1, $t0
	tltu	$t0, $t1
	tne	$t0, $t0
	teqi	$t0, 1
	tgei	$t0, 0
	tgeiu	$t1, -1
	tlti	$t0, -1
	tltiu	$t0, -1
	tnei	$t0, -1
	expect_no_exception
	.irp	trap, "teq $t0, $t0", "tge $t1, $t0", "tgeu $t0, $t1", "tlt $t0, $t1", "tltu $t1, $t0", "tne $t0, $t1", \
		"teqi $t1, 1", "tgei $t1, 0", "tgeiu $t0, -1", "tlti $t0, 0", "tltiu $t1, -1", "tnei $t1, -1"
	li	$t0, -1
	li	$t1, 1
	attempt
1:	\trap
	expect_exception EXC_TR, at=1b
	.endr

	/* Reserved instructions: SPECIAL, REGIMM, SPECIAL3, and doublewords of MIPS64. */
	.irp	word, 0x0000000e, 0x00000015, 0x0000003f, 0x04050000, 0x7c00003f, 0xec000000, 0xfc000000
	attempt
1:	.word	\word
	expect_exception EXC_RI, at=1b
	.endr

	/* Address errors of data: 6.2.11 of MD00090. A store that fails changes nothing, nor does a load. */
	.irp	load, lw, lh, lhu, ll
	li	$t0, KSEG0 + 0x1001
	li	$t1, 77
	attempt
1:	\load	$t1, 0($t0)
	expect_exception EXC_ADEL, at=1b, bad=KSEG0 + 0x1001
	expect_register 9, 77
	.endr
	.irp	store, sw, sh
	li	$t0, KSEG0 + 0x1000
	li	$t1, 77
	attempt
1:	\store	$t1, 3($t0)
	expect_exception EXC_ADES, at=1b, bad=KSEG0 + 0x1003
	expect_register 9, 77
	.endr
	li	$t0, KSEG0 + 0x1000
	attempt
1:	lw	$t0, 2($t0)
	expect_exception EXC_ADEL, at=1b, bad=KSEG0 + 0x1002
	expect_register 8, KSEG0 + 0x1000

	/* A jump to an unaligned target: the slot is executed, and the fetch of the target fails. */
	li	$t0, KSEG0 + 0x2002
	li	$t1, 0
	attempt
	jr	$t0
	 li	$t1, 3
	expect_exception EXC_ADEL, at=KSEG0 + 0x2002, bad=KSEG0 + 0x2002
	expect_register 9, 3

	/* The handler's registers and those of the program are the same ones. */
	li	$t0, 0x01234567
	mthi	$t0
	li	$t0, 0x89abcdef
	mtlo	$t0
	attempt
1:	syscall
	expect_exception EXC_SYS, at=1b

	end_cases
