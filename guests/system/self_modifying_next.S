/* Code that changes the very next instruction, or its slot, or parts of it: stores are seen by the fetches behind them.
 * The architecture would allow stale instructions here; this machine, like many a simple core, has none. */
#include "cases.h"

#define SCRATCH 0x00300000

/* Where in a word its lowest bytes are, and what lwl and lwr take for its address. */
#ifdef __MIPSEB__
#define LOW_BYTE 3
#define LOW_HALF 2
#define LEFT 0
#define RIGHT 3
#else
#define LOW_BYTE 0
#define LOW_HALF 0
#define LEFT 3
#define RIGHT 0
#endif

	begin_cases

	/* The next instruction. */
	lui	$t8, %hi(two)
	lw	$t9, %lo(two)($t8)
	lui	$t8, %hi(fourth)
	sw	$t9, %lo(fourth)($t8)
fourth:	li	$s0, 1
	expect_equal $s0, 2

	/* A loop that patches its next instruction every time round: s0 alternates, s2 is the sum. */
	lui	$t0, %hi(one)
	lw	$t0, %lo(one)($t0)
	lui	$t1, %hi(two)
	lw	$t1, %lo(two)($t1)
	lui	$t8, %hi(fifth)
	addiu	$t8, %lo(fifth)
	li	$s1, 1000
	li	$s2, 0
1:	sw	$t0, 0($t8)
fifth:	nop
	addu	$s2, $s0
	move	$t2, $t0
	move	$t0, $t1
	move	$t1, $t2
	addiu	$s1, -1
	bnez	$s1, 1b
	 nop
	expect_equal $s2, 1500

	/* The slot of the branch that follows. */
	lui	$t1, %hi(two)
	lw	$t1, %lo(two)($t1)
	lui	$t8, %hi(sixth)
	sw	$t1, %lo(sixth)($t8)
	b	1f
sixth:	 li	$s0, 1
1:	expect_equal $s0, 2

	/* A byte of the next instruction. */
	lui	$t8, %hi(eighth)
	addiu	$t8, %lo(eighth)
	li	$t1, 2
	sb	$t1, LOW_BYTE($t8)
eighth:	li	$s0, 1
	expect_equal $s0, 2

	/* Half a word, and parts of one. */
	lui	$t8, %hi(ninth)
	addiu	$t8, %lo(ninth)
	li	$t1, 2
	sh	$t1, LOW_HALF($t8)
ninth:	li	$s0, 1
	expect_equal $s0, 2
	lui	$t8, %hi(tenth)
	addiu	$t8, %lo(tenth)
	lui	$t1, %hi(two)
	lw	$t1, %lo(two)($t1)
	swl	$t1, LEFT($t8)
	swr	$t1, RIGHT($t8)
tenth:	li	$s0, 1
	expect_equal $s0, 2

	/* The whole loop body often executed, then patched by itself: 500 rounds add 1, the rest 3. */
	li	$s1, 1000
	li	$s2, 0
	lui	$t0, %hi(add_three)
	lw	$t0, %lo(add_three)($t0)
	lui	$t8, %hi(eleventh)
	addiu	$t8, %lo(eleventh)
1:	li	$t1, 500
	bne	$s1, $t1, eleventh
	 nop
	sw	$t0, 0($t8)
eleventh:
	addiu	$s2, 1
	addiu	$s1, -1
	bnez	$s1, 1b
	 nop
	expect_equal $s2, 500 * 1 + 500 * 3

	/* A store that replaces itself, and would go elsewhere the next time. */
	lui	$t9, %hi(add_three)
	lw	$t9, %lo(add_three)($t9)
	lui	$t8, %hi(twelfth)
	addiu	$t8, %lo(twelfth)
	li	$s1, 3
	li	$s2, 0
twelfth:
	sw	$t9, 0($t8)
	li	$t8, KSEG0 + SCRATCH
	addiu	$s1, -1
	bnez	$s1, twelfth
	 nop
	expect_equal $s2, 2 * 3

	end_cases

one:	li	$s0, 1
two:	li	$s0, 2
add_three:
	addiu	$s2, 3
