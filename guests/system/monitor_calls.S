/* Monitor calls: hypcall with the call in v0, arguments from a0 on, the result in v0 (DESIGN, section 6). */
#include "cases.h"

#define HYPCALL .word 0x42000028
#define VERSION 0
#define WRITE_CONSOLE 1
#define TIME 2
#define ZEROED_PAGE 4
#define FREE_PAGE 5
#define UNKNOWN 0x7fff

#define TEXT_LENGTH 24
#define PHYSICAL 0x00300000

.macro	monitor_call number, first=0, second=0
	la	$a0, \first
	la	$a1, \second
	li	$v0, \number
	HYPCALL
.endm

	begin_cases

	/* A version, and no other register changed. */
	li	$s0, 1
	li	$t0, 2
	li	$t9, 3
	li	$a2, 4
	monitor_call VERSION
	slt	$s1, $v0, $zero
	addu	$s2, $t0, $t9
	addu	$s2, $a2
	addu	$s2, $s0
	expect_equal $s1, 0
	expect_equal $s2, 10

	/* Text, wherever it lies. */
	monitor_call WRITE_CONSOLE, text, TEXT_LENGTH
	move	$s1, $v0
	expect_equal $s1, 0
	li	$a0, 1
	la	$a1, 0x00400000
	la	$a2, text - KSEG0
	srl	$a2, 12
	sll	$a2, 6			/* the frame that the text starts in, and the next one */
	ori	$a2, ENTRYLO_CACHED | ENTRYLO_V | ENTRYLO_G
	addiu	$a3, $a2, 0x40
	sw	$zero, 16($sp)
	jal	write_tlb
	 nop
	la	$a0, text
	andi	$a0, 0xfff
	lui	$t0, 0x0040
	or	$a0, $t0
	li	$a1, TEXT_LENGTH
	li	$v0, WRITE_CONSOLE
	HYPCALL
	move	$s1, $v0
	expect_equal $s1, 0
	monitor_call WRITE_CONSOLE, text, 0
	move	$s1, $v0
	expect_equal $s1, 0

	/* Nanoseconds, which go forwards. */
	monitor_call TIME
	move	$s1, $v0
	move	$s2, $v1
	monitor_call TIME
	sltu	$t0, $v0, $s1		/* the low word has wrapped, or ... */
	subu	$t1, $v1, $s2
	subu	$t1, $t0
	slt	$s3, $t1, $zero
	expect_equal $s3, 0

	/* A page that reads 0. */
	la	$t0, KSEG0 + PHYSICAL
	li	$t1, 1024
1:	sw	$t1, 0($t0)
	addiu	$t1, -1
	bnez	$t1, 1b
	 addiu	$t0, 4
	monitor_call ZEROED_PAGE, PHYSICAL
	move	$s1, $v0
	la	$t0, KSEG0 + PHYSICAL
	li	$t1, 1024
	li	$s2, 0
1:	lw	$t2, 0($t0)
	or	$s2, $t2
	addiu	$t1, -1
	bnez	$t1, 1b
	 addiu	$t0, 4
	expect_equal $s1, 0
	expect_equal $s2, 0
	/* The guest's own from now on. */
	la	$t0, KSEG0 + PHYSICAL
	li	$t1, 0x1234
	sw	$t1, 8($t0)
	la	$t0, KSEG1 + PHYSICAL
	lw	$s1, 8($t0)
	expect_equal $s1, 0x1234

	/* A page that is free may be read and written like any other. */
	monitor_call FREE_PAGE, PHYSICAL
	move	$s1, $v0
	expect_equal $s1, 0
	la	$t0, KSEG0 + PHYSICAL
	li	$t1, 0x5678
	sw	$t1, 8($t0)
	lw	$s1, 8($t0)
	expect_equal $s1, 0x5678

	/* Pages that there are not, and calls that there are not: an error number, negative. */
	.irp	argument, PHYSICAL + 4, 0x10000000, 0xfffff000
	monitor_call ZEROED_PAGE, \argument
	slti	$s1, $v0, 0
	expect_equal $s1, 1
	monitor_call FREE_PAGE, \argument
	slti	$s1, $v0, 0
	expect_equal $s1, 1
	.endr
	monitor_call UNKNOWN
	slti	$s1, $v0, 0
	slti	$s2, $v0, -4095
	expect_equal $s1, 1
	expect_equal $s2, 0

	/* Other codes are reserved instructions. */
	.irp	word, 0x42000828, 0x421ff828
	attempt
1:	.word	\word
	expect_exception EXC_RI, at=1b
	.endr

	/* From user mode: coprocessor 0 unusable. */
	jal	map_image_for_user
	 nop
	attempt_in_user
1:	HYPCALL
	syscall
	expect_exception EXC_CPU, at=1b - KSEG0
	attempt_in_user
1:	b	2f
	 HYPCALL
2:	syscall
	expect_exception EXC_CPU, at=1b - KSEG0, bd=1

	end_cases

	.section .rodata
text:	.ascii	"Said by a monitor call.\n"
