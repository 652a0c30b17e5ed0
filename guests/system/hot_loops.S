/* Exceptions in code that has run thousands of times before: registers, EPC and BD are as precise as in cold code. */
#include "cases.h"
#include "tlb.h"

#define TIMES 3000
#define PAGE 0x00800000
#define FRAME 0x00300000

/* One page, the first of a pair that has no second. */
.macro	map_page
	li	$a0, 1
	li	$a1, PAGE
	li	$a2, ENTRYLO(FRAME) | ENTRYLO_G
	li	$a3, ENTRYLO_G
	sw	$zero, 16($sp)
	jal	write_tlb
	 nop
.endm

	begin_cases

	/* A sum that overflows in the end. */
	li	$t0, 0x7fffffff - TIMES
	li	$t1, 0
	li	$t2, 1
	attempt
1:	addiu	$t1, 1
	xor	$t3, $t0, $t1
2:	add	$t0, $t0, $t2
	b	1b
	 addu	$t4, $t0, $t3
	expect_exception EXC_OV, at=2b
	expect_register 8, 0x7fffffff
	expect_register 9, TIMES + 1
	expect_register 11, 0x7fffffff ^ (TIMES + 1)
	expect_register 12, (0x7fffffff + (0x7ffffffe ^ TIMES)) & 0xffffffff

	/* In the loop's own slot. */
	li	$t0, 0x7fffffff - TIMES
	li	$t1, 0
	li	$t2, 1
	attempt
1:	addiu	$t1, 1
2:	bgtz	$t1, 1b
	 add	$t0, $t0, $t2
	expect_exception EXC_OV, at=2b, bd=1
	expect_register 8, 0x7fffffff
	expect_register 9, TIMES + 1

	/* Loads that walk out of a page, and stores. */
	map_page
	li	$t0, PAGE
	li	$t1, 0
	attempt
1:	lw	$t2, 0($t0)
	addiu	$t1, 1
	b	1b
	 addiu	$t0, 4
	expect_exception EXC_TLBL, at=1b, bad=PAGE + 0x1000
	expect_register 9, 0x400
	li	$t0, PAGE
	li	$t1, 0
	attempt
1:	addiu	$t1, 1
	sw	$t1, 0($t0)
	addiu	$t0, 4
2:	b	1b
	 sb	$t1, 3($t0)
	expect_exception EXC_TLBS, at=2b, bd=1, bad=PAGE + 0x1003
	expect_register 8, PAGE + 0x1000
	expect_register 9, 0x400
	li	$t0, KSEG0 + FRAME
	lw	$s0, 0xffc($t0)
	expect_equal $s0, 0x400

	/* An address that is unaligned in the end. */
	li	$t0, KSEG0 + FRAME
	li	$t1, TIMES
	attempt
1:	lw	$t2, 0($t0)
	addiu	$t1, -1
	sltiu	$t3, $t1, 1
	b	1b
	 addu	$t0, $t3
	expect_exception EXC_ADEL, at=1b, bad=KSEG0 + FRAME + 1
	expect_register 9, 0

	/* A trap, a syscall and a division by the way: the branch to them is taken once. */
	li	$t1, TIMES
	li	$t4, 7
	attempt
1:	addiu	$t1, -1
	mult	$t1, $t4
	mflo	$t5
2:	tlt	$t5, $t4
	b	1b
	 nop
	expect_exception EXC_TR, at=2b
	expect_register 9, 0
	li	$t1, TIMES
	attempt
1:	addiu	$t1, -1
	bnez	$t1, 1b
	 addu	$t5, $t1, $t1
2:	syscall
	expect_exception EXC_SYS, at=2b
	expect_register 13, 0

	/* A call whose callee fails one day. */
	li	$t1, TIMES
	li	$t5, 0x7fffffff - TIMES + 1
	attempt
1:	bal	add_one
	 addiu	$t1, -1
2:	b	1b
	 nop
	expect_exception EXC_OV, at=add_one
	expect_register 31, 2b
	expect_register 9, 0

	/* The FPU is taken away after it was used many times. */
	.set	hardfloat
	li	$t1, TIMES
	lui	$t2, STATUS_CU1 >> 16
	attempt
1:	add.s	$f0, $f0, $f2
	addiu	$t1, -1
	bnez	$t1, 1b
	 nop
	mtc0	$zero, C0_STATUS
	ehb
	b	1b
	 li	$t1, 5
	expect_exception EXC_CPU, at=1b, ce=1
	expect_register 9, 5

	/* In user mode: the same loop as kernel and as user, with what only the kernel can reach. */
	jal	map_image_for_user
	 nop
	li	$t0, KSEG0 + FRAME
	li	$t1, TIMES
	attempt
	b	1f
	 nop
1:	lw	$t2, 0($t0)
	addiu	$t1, -1
	bnez	$t1, 1b
	 nop
	la	$t3, 1b - KSEG0
	mfc0	$t4, C0_STATUS
	ori	$t4, STATUS_USER | STATUS_EXL
	mtc0	$t4, C0_STATUS
	mtc0	$t3, C0_EPC
	ehb
	eret
	expect_exception EXC_ADEL, at=1b - KSEG0, bad=KSEG0 + FRAME

	/* Without a loop, for engines that translate at once: what the FPU has computed is there when the next
	 * instruction is refused, and so are its flags. */
	li	$t3, 0x3f800000
	mtc1	$t3, $f0
	li	$t3, 0x40400000
	mtc1	$t3, $f2
	ctc1	$zero, $31
	attempt_in_user
	b	1f
	 nop
1:	div.s	$f4, $f0, $f2
2:	mfc0	$t2, C0_INDEX
	syscall
	expect_exception EXC_CPU, at=2b - KSEG0
	mfc1	$s0, $f4
	expect_equal $s0, 0x3eaaaaab
	cfc1	$s0, $31
	expect_equal $s0, 0x1004

	/* Writing BadVAddr changes nothing, and what an exception leaves there behind it stays. */
	li	$t0, KSEG0 + FRAME + 2
	attempt
	b	1f
	 nop
1:	mtc0	$zero, C0_BADVADDR
2:	ll	$t2, 0($t0)
	expect_exception EXC_ADEL, at=2b, bad=KSEG0 + FRAME + 2

	end_cases

add_one:
	addi	$t5, 1
	jr	$ra
	 nop
