/* The privileged-register page: CP0 by plain loads and stores at 0xffffe000 + 32 * register + 4 * select, in front of the
 * TLB, for kernel and supervisor mode (DESIGN, section 6). */
#include "cases.h"
#include "tlb.h"

#define PAGE 0xffffe000
/* The offset that a load or store from register 0 takes. */
#define AT(register, select) (-0x2000 + 32 * (register) + 4 * (select))
#define STATUS_AT AT(12, 0)
#define CAUSE_AT AT(13, 0)
#define EPC_AT AT(14, 0)
#define COMPARE_AT AT(11, 0)

.macro	same register, select
	mfc0	$s0, $\register, \select
	lw	$s1, AT(\register, \select)($zero)
	subu	$s2, $s1, $s0
	expect_equal $s2, 0
.endm

	begin_cases
	li	$t0, 0x12345678
	mtc0	$t0, C0_EPC
	mtc0	$t0, C0_ERROREPC
	ehb

	/* Reading. */
	same	2, 0
	same	4, 0
	same	5, 0
	same	6, 0
	same	8, 0
	same	10, 0
	same	11, 0
	same	12, 0
	same	12, 1
	same	12, 2
	same	13, 0
	same	14, 0
	same	15, 0
	same	15, 1
	same	16, 0
	same	16, 1
	same	16, 2
	same	16, 3
	same	16, 7
	same	30, 0
	mfc0	$s0, C0_COUNT
	lw	$s1, AT(9, 0)($zero)
	mfc0	$s2, C0_COUNT
	subu	$s1, $s0
	subu	$s2, $s0
	sltu	$s3, $s2, $s1
	expect_equal $s3, 0

	/* Writing, each seen by mfc0. */
	li	$t0, 0x00abcdef
	sw	$t0, EPC_AT($zero)
	mfc0	$s0, C0_EPC
	expect_equal $s0, 0x00abcdef
	li	$t0, STATUS_CU1 | STATUS_IM1
	sw	$t0, STATUS_AT($zero)
	mfc0	$s0, C0_STATUS
	expect_equal $s0, STATUS_CU1 | STATUS_IM1
	li	$t0, 0x00400000
	sw	$t0, AT(10, 0)($zero)
	mfc0	$s0, C0_ENTRYHI
	expect_equal $s0, 0x00400000
	/* Bits that cannot be written stay. */
	li	$t0, -1
	sw	$t0, AT(15, 0)($zero)
	sw	$t0, AT(16, 1)($zero)
	mfc0	$s0, C0_PRID
	expect_equal $s0, 0x00019300

	/* At an address that is only known when it is used. */
	la	$t0, PAGE
	lw	$s0, 32 * 14($t0)
	expect_equal $s0, 0x00abcdef
	la	$t0, PAGE + 32 * 14 + 0x100
	li	$t1, 0x00fedcba
	sw	$t1, -0x100($t0)
	lw	$s0, EPC_AT($zero)
	expect_equal $s0, 0x00fedcba

	/* Again and again from one instruction: the same load, now of memory, now of registers. */
	la	$s3, PAGE + 32 * 14
	la	$s4, memory
	li	$s5, 200
	li	$s6, 0
1:	lw	$t0, 0($s3)
	addu	$s6, $t0
	move	$t1, $s3
	move	$s3, $s4
	move	$s4, $t1
	addiu	$s5, -1
	bnez	$s5, 1b
	 nop
	expect_equal $s6, 100 * 0x00fedcba + 100 * 3

	/* A software interrupt raised and enabled through the page. */
	attempt
	li	$t0, CAUSE_IP1
	sw	$t0, CAUSE_AT($zero)
	li	$t0, STATUS_CU1 | STATUS_IM1 | STATUS_IE
	sw	$t0, STATUS_AT($zero)
1:	ehb
	nop
	expect_exception EXC_INT, at=1b, within=4
	sw	$zero, CAUSE_AT($zero)
	li	$t0, STATUS_CU1
	sw	$t0, STATUS_AT($zero)
	ehb

	/* In a slot. */
	b	1f
	 lw	$s0, STATUS_AT($zero)
1:	expect_equal $s0, STATUS_CU1

	/* The timer is acknowledged by a store to Compare. */
	lw	$t0, AT(9, 0)($zero)
	addiu	$t0, 2000
	sw	$t0, COMPARE_AT($zero)
	li	$t1, CAUSE_TI
1:	lw	$t0, AT(9, 0)($zero)
	lw	$t2, COMPARE_AT($zero)
	subu	$t0, $t2
	bltz	$t0, 1b
	 nop
	sw	$t2, COMPARE_AT($zero)
	lw	$s0, CAUSE_AT($zero)
	and	$s0, $t1
	expect_equal $s0, 0

	/* What is no register reads 0 and ignores writes. */
	li	$t0, -1
	sw	$t0, AT(31, 7)($zero)
	lw	$s0, AT(31, 7)($zero)
	expect_equal $s0, 0

	/* Words only, and aligned. */
	.irp	load, lb, lbu, lh, lhu
	attempt
1:	\load	$t0, STATUS_AT($zero)
	expect_exception EXC_ADEL, at=1b, bad=0xffffe180
	.endr
	.irp	store, sb, sh
	attempt
1:	\store	$t0, STATUS_AT($zero)
	expect_exception EXC_ADES, at=1b, bad=0xffffe180
	.endr
	attempt
1:	lw	$t0, STATUS_AT + 2($zero)
	expect_exception EXC_ADEL, at=1b, bad=0xffffe182
	attempt
1:	sw	$t0, STATUS_AT + 1($zero)
	expect_exception EXC_ADES, at=1b, bad=0xffffe181

	/* No TLB entry changes any of this. */
	li	$a0, 1
	li	$a1, PAGE & ~0x1fff
	li	$a2, ENTRYLO(0x00300000) | ENTRYLO_G
	li	$a3, ENTRYLO(0x00301000) | ENTRYLO_G
	sw	$zero, 16($sp)
	jal	write_tlb
	 nop
	lw	$s0, STATUS_AT($zero)
	expect_equal $s0, STATUS_CU1

	/* Supervisor mode may, user mode must not. */
	jal	map_image_for_user
	 nop
	attempt_in_supervisor
	lw	$t0, STATUS_AT($zero)
1:	syscall
	expect_exception EXC_SYS, at=1b - KSEG0
	expect_register 8, STATUS_CU1 | STATUS_SUPERVISOR
	attempt_in_user
1:	lw	$t0, STATUS_AT($zero)
	syscall
	expect_exception EXC_ADEL, at=1b - KSEG0, bad=0xffffe180
	attempt_in_user
1:	sw	$t0, STATUS_AT($zero)
	syscall
	expect_exception EXC_ADES, at=1b - KSEG0, bad=0xffffe180

	end_cases

	.data
	.balign	4
memory:	.word	3
