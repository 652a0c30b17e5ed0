/* Cache operations by address translate it, and raise what a load there would: MD00086, CACHE. They need CP0, and
 * no alignment. */
#include "cases.h"

	begin_cases
	jal	map_image_for_user
	 nop

	.irp	operation, 0x10, 0x15, 0x19
	attempt
	lui	$t0, 0x0070
1:	cache	\operation, 3($t0)
	expect_exception EXC_TLBL, at=1b, bad=0x00700003, vector=VECTOR_REFILL

	attempt
	lui	$t0, 0xc000
1:	b	2f
	 cache	\operation, 8($t0)
2:	nop
	expect_exception EXC_TLBL, at=1b, bd=1, bad=0xc0000008, vector=VECTOR_REFILL
	.endr

	/* An entry that is not valid. */
	li	$a0, 1
	lui	$a1, 0x0070
	li	$a2, ENTRYLO_G
	li	$a3, ENTRYLO_G
	sw	$zero, 16($sp)
	jal	write_tlb
	 nop
	attempt
	lui	$t0, 0x0070
1:	cache	0x15, 4($t0)
	expect_exception EXC_TLBL, at=1b, bad=0x00700004

	/* A page that is not dirty is no obstacle. */
	li	$a0, 1
	lui	$a1, 0x0070
	li	$a2, (0x00300000 >> 6) | ENTRYLO_CACHED | ENTRYLO_V | ENTRYLO_G
	move	$a3, $a2
	sw	$zero, 16($sp)
	jal	write_tlb
	 nop
	attempt
	lui	$t0, 0x0070
	cache	0x15, 4($t0)
	cache	0x10, 0x1004($t0)
	expect_no_exception

	end_cases
