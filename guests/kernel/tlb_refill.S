/* The TLB misses of mapped addresses: the pair of pages is looked up in the page table and put into a random entry of the
 * TLB. Nobody else knows: only k0 and k1 are used, and the instruction that missed is executed again. A page that is not
 * mapped gets an invalid entry, so that the next attempt goes to the general vector. */
#include "cp0.h"

	.set noreorder
	.set noat

	.section .vectors.refill, "ax"
	lui $k1, %hi(tlb_refills)
	lw $k0, %lo(tlb_refills)($k1)
	addiu $k0, 1
	sw $k0, %lo(tlb_refills)($k1)
	mfc0 $k0, C0_BADVADDR
	lui $k1, %hi(page_directory)
	srl $k0, 22			/* 4 MB a page table … */
	sll $k0, 2
	addu $k1, $k0
	lw $k1, %lo(page_directory)($k1)
	mfc0 $k0, C0_CONTEXT		/* BadVAddr's number of the pair, times 16 */
	srl $k0, 1
	andi $k0, 0xff8			/* … two entries of 4 bytes a pair */
	addu $k1, $k0
	lw $k0, 0($k1)
	lw $k1, 4($k1)
	mtc0 $k0, C0_ENTRYLO0
	mtc0 $k1, C0_ENTRYLO1
	ehb
	tlbwr
	eret
