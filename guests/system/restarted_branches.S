/* The instruction in a slot misses the TLB, the handler maps the page, and the branch is executed again: with the same
 * decision, and the same link. */
#include "cases.h"
#include "tlb.h"

#define PAGE 0x00700000
#define PHYSICAL 0x00300000

.macro	forget
	lui	$t8, %hi(PAGE)
	mtc0	$t8, C0_ENTRYHI
	ehb
	tlbp
	ehb
	mfc0	$t9, C0_INDEX
	bltz	$t9, 9f
	 nop
	sll	$t9, $t9, 13
	lui	$t8, 0x8000
	addu	$t8, $t9
	mtc0	$t8, C0_ENTRYHI
	mtc0	$zero, C0_ENTRYLO0
	mtc0	$zero, C0_ENTRYLO1
	ehb
	tlbwi
9:	lui	$s0, %hi(PAGE)
	sw	$zero, %lo(mapped)($s7)
.endm

.macro	mapped_times number
	lw	$s5, %lo(mapped)($s7)
	expect_equal $s5, \number
.endm

	begin_cases
	la	$t0, map_page
	lui	$t1, %hi(exception_hook)
	sw	$t0, %lo(exception_hook)($t1)
	lui	$s7, %hi(mapped)
	la	$t0, 0xcafe0001
	la	$t1, KSEG0 + PHYSICAL
	sw	$t0, 0($t1)

	.irp	branch, "bal 3f", "bgezal $s0, 3f", "jal 3f"
	forget
	li	$s1, 0
	\branch
2:	 lw	$s1, 0($s0)
	b	4f
	 nop
3:	li	$s2, 1
	move	$s3, $ra
4:	expect_equal $s1, 0xcafe0001
	expect_equal $s2, 1
	expect_equal $s3, 2b + 4
	mapped_times 1
	.endr

	/* Not taken, and linking all the same. */
	forget
	li	$s1, 0
	li	$s2, 0
	bltzal	$s0, 3f
2:	 lw	$s1, 0($s0)
	li	$s2, 2
3:	move	$s3, $ra
	expect_equal $s1, 0xcafe0001
	expect_equal $s2, 2
	expect_equal $s3, 2b + 4
	mapped_times 1

	/* Through a register. */
	forget
	la	$t0, 3f
	jalr	$s4, $t0
2:	 lw	$s1, 0($s0)
	break
3:	expect_equal $s4, 2b + 4
	mapped_times 1

	/* The slot overwrites what the branch looks at, when it succeeds. */
	forget
	move	$s1, $zero
	beqz	$s1, 3f
	 lw	$s1, 0($s0)
	li	$s1, 0
3:	expect_equal $s1, 0xcafe0001
	mapped_times 1

	/* Likely, taken. */
	forget
	li	$s1, 1
	bnezl	$s1, 3f
	 lw	$s1, 0($s0)
	li	$s1, 0
3:	expect_equal $s1, 0xcafe0001
	mapped_times 1

	/* Stores, in a loop's own slot. */
	forget
	li	$s1, 100
	li	$s2, 0
1:	addiu	$s2, 3
	addiu	$s1, -1
	bnez	$s1, 1b
	 sw	$s2, 0x40($s0)
	la	$t0, KSEG0 + PHYSICAL
	lw	$s3, 0x40($t0)
	expect_equal $s3, 300
	mapped_times 1

	end_cases

/* An exception_hook. */
map_page:
	lw	$t0, EXCEPTION_VECTOR($a0)
	li	$t1, VECTOR_REFILL
	bne	$t0, $t1, 9f
	 move	$v0, $zero
	li	$t0, ENTRYLO(PHYSICAL)
	mtc0	$t0, C0_ENTRYLO0
	mtc0	$zero, C0_ENTRYLO1
	ehb
	tlbwr
	lui	$t1, %hi(mapped)
	lw	$t0, %lo(mapped)($t1)
	addiu	$t0, 1
	sw	$t0, %lo(mapped)($t1)
	li	$v0, 1
9:	jr	$ra
	 nop

	.data
	.balign 4
mapped:	.word	0
