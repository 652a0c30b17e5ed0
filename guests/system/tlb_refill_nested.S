/* The refill handler of a kernel whose page table is itself mapped: its load through Context may miss, with EXL set. That
 * goes to the general vector and leaves EPC alone, so that the handler there maps the page table, returns to the program,
 * and the first miss comes again (MD00090, 9.5 Context). */
#include "cases.h"
#include "tlb.h"

#define PAGE_TABLE 0xc0000000		/* PTEBase: an EntryLo pair of 8 bytes for every 8 KB, 16 bytes apart */
#define TABLE_FRAME 0x00300000
#define DATA_FRAME 0x00380000
#define PAGE 0x00800000
#define SPAN 0x00040000			/* 32 pairs, whose entries are in one page of the table */

	.text
	.balign	4
refill:	mfc0	$k1, C0_CONTEXT
	lw	$k0, 0($k1)
	lw	$k1, 4($k1)
	mtc0	$k0, C0_ENTRYLO0
	mtc0	$k1, C0_ENTRYLO1
	ehb
	tlbwr
	lui	$k1, %hi(refills)
	lw	$k0, %lo(refills)($k1)
	addiu	$k0, 1
	sw	$k0, %lo(refills)($k1)
	eret
refill_end:

	begin_cases
	/* It takes the place of the refill vector. */
	la	$t0, refill
	la	$t1, refill_end
	li	$t2, KSEG0
1:	lw	$t3, 0($t0)
	sw	$t3, 0($t2)
	synci	0($t2)
	addiu	$t0, 4
	bne	$t0, $t1, 1b
	 addiu	$t2, 4
	sync
	la	$t0, map_table
	lui	$t1, %hi(exception_hook)
	sw	$t0, %lo(exception_hook)($t1)
	li	$t0, PAGE_TABLE
	mtc0	$t0, C0_CONTEXT

	/* The table: neighbouring frames. */
	la	$t0, KSEG0 + TABLE_FRAME + (((PAGE >> 13) << 4) & 0xfff)
	li	$t1, ENTRYLO(DATA_FRAME)
	li	$t2, SPAN / 0x2000
1:	sw	$t1, 0($t0)
	addiu	$t1, 0x40
	sw	$t1, 4($t0)
	addiu	$t1, 0x40
	addiu	$t2, -1
	bnez	$t2, 1b
	 addiu	$t0, 16

	/* Every page, by loads and stores in turn; then all again, with what was stored. */
	li	$s0, PAGE
	li	$s1, PAGE + SPAN
	li	$s2, KSEG0 + DATA_FRAME
1:	sw	$s0, 0x10($s0)
	lw	$t0, 0x10($s2)
	bne	$t0, $s0, 9f
	 nop
	addiu	$s0, 0x1000
	bne	$s0, $s1, 1b
	 addiu	$s2, 0x1000
	li	$s0, PAGE
1:	lw	$t0, 0x10($s0)
	bne	$t0, $s0, 9f
	 addiu	$s0, 0x1000
	bne	$s0, $s1, 1b
	 nop
9:	expect_equal $s0, PAGE + SPAN
	lui	$t0, %hi(refills)
	lw	$s3, %lo(refills)($t0)
	sltiu	$s3, $s3, SPAN / 0x2000
	expect_equal $s3, 0
	lui	$t0, %hi(tables_mapped)
	lw	$s3, %lo(tables_mapped)($t0)
	sltiu	$s3, $s3, 1
	expect_equal $s3, 0
	lui	$t0, %hi(wrong)
	lw	$s3, %lo(wrong)($t0)
	expect_equal $s3, 0

	/* In the slot of a branch BD survives the second exception: the branch is executed again. */
	jal	clear_tlb
	 move	$a0, $zero
	li	$t0, PAGE
	li	$s3, 0
	bal	2f
1:	 lw	$s3, 0x10($t0)
	break
2:	move	$s4, $ra
	expect_equal $s3, PAGE
	expect_equal $s4, 1b + 4

	end_cases

/* An exception_hook: map the page of the table that BadVAddr is in. EPC must be outside the refill handler. */
map_table:
	lw	$t0, EXCEPTION_CAUSE($a0)
	andi	$t0, CAUSE_EXCCODE
	li	$t1, EXC_TLBL << 2
	bne	$t0, $t1, 9f
	 move	$v0, $zero
	lw	$t0, EXCEPTION_BADVADDR($a0)
	la	$t1, PAGE_TABLE + (((PAGE >> 13) << 4) & ~0xfff)
	subu	$t0, $t1
	sltiu	$t0, $t0, 0x1000
	beqz	$t0, 9f
	 nop
	lw	$t0, EXCEPTION_EPC($a0)
	la	$t1, KSEG0 + 0x80
	sltu	$t1, $t0, $t1
	lui	$t2, %hi(wrong)
	lw	$t0, %lo(wrong)($t2)
	addu	$t0, $t1
	sw	$t0, %lo(wrong)($t2)
	li	$t0, ENTRYLO(TABLE_FRAME) | ENTRYLO_G
	mtc0	$t0, C0_ENTRYLO0
	mtc0	$t0, C0_ENTRYLO1
	ehb
	tlbwr
	lui	$t2, %hi(tables_mapped)
	lw	$t0, %lo(tables_mapped)($t2)
	addiu	$t0, 1
	sw	$t0, %lo(tables_mapped)($t2)
	li	$v0, 1
9:	jr	$ra
	 nop

	.data
	.balign	4
refills:	.word	0
tables_mapped:	.word	0
wrong:	.word	0
