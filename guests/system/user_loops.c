/* Loops of a user program over its memory, while the kernel changes what is mapped: other frames, read-only pages, other
 * address spaces; and over addresses that it may not use, or that are not aligned. The same is done by the kernel on
 * other frames, and the memories are compared. */
#include "access.h"
#include "exceptions.h"
#include "expect.h"
#include "page_table.h"
#include "platform.h"

#define SPACES 3
#define USED 24 /* pages of each space */
#define STEP 64 /* bytes that one turn of the loop works on */
#define FRAMES_OF_SPACE 128
#define SHADOW 512 /* frames from here on are the kernel's copies */
#define ALLOWED (ENTRYLO_V | ENTRYLO_D)
#define ASID 3
#define LOW_PAGE 0x00006000

static unsigned tables[SPACES][PAGES];
static unsigned made_writable, address_errors, wrong;
static int (*handle_page)(struct exception *);

/* Every user program, which keeps $ra: $a1 the first address, $a2 the end, $a3 the distance. Ends in a syscall, with a sum in $v0. */
__asm__(".set push\n\t.set noreorder\n\t.set hardfloat\n\t"
	/* All widths, aligned and not. */
	"walk:\tmove $v0, $zero\n"
	"1:\tlw $t0, 0($a1)\n\t"
	"lhu $t1, 4($a1)\n\t"
	"lb $t2, 7($a1)\n\t"
	"lh $t3, 10($a1)\n\t"
	"lbu $t4, 13($a1)\n\t"
	"addu $v0, $t0\n\t"
	"addu $v0, $t1\n\t"
	"addu $v0, $t2\n\t"
	"addu $v0, $t3\n\t"
	"addu $v0, $t4\n\t"
	"sw $v0, 8($a1)\n\t"
	"sh $t2, 14($a1)\n\t"
	"sb $t3, 17($a1)\n\t"
	"ulw $t5, 5($a1)\n\t"
	"addu $v0, $t5\n\t"
	"usw $v0, 21($a1)\n\t"
	"ldc1 $f0, 8($a1)\n\t"
	"lwc1 $f2, 20($a1)\n\t"
	"sdc1 $f0, 32($a1)\n\t"
	"swc1 $f2, 40($a1)\n\t"
	"ll $t6, 44($a1)\n\t"
	"addu $t6, $t0\n\t"
	"sc $t6, 44($a1)\n\t"
	"addu $v0, $t6\n\t"
	"addu $a1, $a3\n\t"
	"bne $a1, $a2, 1b\n\t"
	" sw $v0, -8($a1)\n\t" /* in a slot */
	"syscall\n"
	/* A load and a store that may not be aligned; -1 in $t0 is what the kernel has for those. */
	"stumble:\tmove $v0, $zero\n"
	"1:\tlw $t0, 0($a1)\n\t"
	"addu $v0, $t0\n\t"
	"sh $v0, 6($a1)\n\t"
	"addu $a1, $a3\n\t"
	"bne $a1, $a2, 1b\n\t"
	" addiu $v0, 1\n\t"
	"syscall\n"
	/* Through the pointers in a table: far above and far below them. */
	"stray:\tmove $v0, $zero\n"
	"1:\tlw $t1, 0($a1)\n\t"
	"lw $t0, 0x7ffc($t1)\n\t"
	"addu $v0, $t0\n\t"
	"lw $t1, 4($a1)\n\t"
	"lw $t0, -0x8000($t1)\n\t"
	"addu $v0, $t0\n\t"
	"addu $a1, $a3\n\t"
	"bne $a1, $a2, 1b\n\t"
	" nop\n\t"
	"syscall\n"
	/* Into the page that the loop itself is on. */
	"scribble:\tmove $t8, $ra\n\t"
	"bal 2f\n\t"
	" move $v0, $zero\n"
	"2:\taddiu $t1, $ra, scribbled - 2b\n\t"
	"move $ra, $t8\n"
	"1:\tlw $t0, 0($t1)\n\t"
	"addu $t0, $a1\n\t"
	"sw $t0, 0($t1)\n\t"
	"addu $v0, $t0\n\t"
	"addu $a1, $a3\n\t"
	"bne $a1, $a2, 1b\n\t"
	" nop\n\t"
	"syscall\n"
	"scribbled:\t.word 0\n\t"
	".set pop");

extern char walk[], stumble[], stray[], scribble[];

static unsigned run_in_user(char *program, unsigned first, unsigned end, unsigned distance)
{
	((void (*)(unsigned, unsigned, unsigned, unsigned))user_jump)(USER_ADDRESS(program), first, end, distance);
	ASSERT_EQUAL(exception_count, 1);
	ASSERT_EQUAL(recorded[0].cause & CAUSE_EXCCODE, EXC_SYS << 2);
	return recorded[0].gpr[2];
}

static int handle(struct exception *exception)
{
	unsigned code = (exception->cause & CAUSE_EXCCODE) >> 2, page = (exception->bad_vaddr - page_address(0)) >> 12;

	if (code == EXC_MOD && page < PAGES && page_table[page] & ENTRYLO_V && !(page_table[page] & ENTRYLO_D)) {
		page_table[page] |= ENTRYLO_D;
		made_writable++;
	}
	if ((code == EXC_ADEL || code == EXC_ADES) && exception->status & STATUS_USER) {
		wrong += exception->cause >> 31;
		address_errors++;
		if (code == EXC_ADEL)
			exception->gpr[8] = -1; /* $t0 */
		exception->epc += 4;
		return 1;
	}
	return handle_page(exception);
}

/* What a user program sees at an address, as the kernel does in the shadow: every frame has one. */
static volatile unsigned char *shadow(unsigned address)
{
	unsigned page = (address - page_address(0)) >> 12;
	unsigned frame = (page_table[page] >> 6) - (frame_address(0) >> 12) + SHADOW;

	return (volatile unsigned char *)(KSEG0 + frame_address(frame) + (address & 0xfff));
}

#define AT(type, address) (*(volatile type *)shadow(address))

static void copy_unaligned(unsigned to, const unsigned char *from)
{
	for (unsigned k = 0; k < 4; k++)
		AT(unsigned char, to + k) = from[k];
}

static unsigned load_unaligned(unsigned from)
{
	union {
		unsigned char bytes[4];
		unsigned word;
	} value;

	for (unsigned k = 0; k < 4; k++)
		value.bytes[k] = AT(unsigned char, from + k);
	return value.word;
}

static unsigned walk_shadow(unsigned first, unsigned end)
{
	unsigned sum = 0;

	for (unsigned at = first; at != end; at += STEP) {
		unsigned word = AT(unsigned, at), byte = AT(signed char, at + 7), half = AT(short, at + 10);

		sum += word + AT(unsigned short, at + 4) + byte + half + AT(unsigned char, at + 13);
		AT(unsigned, at + 8) = sum;
		AT(unsigned short, at + 14) = byte;
		AT(unsigned char, at + 17) = half;
		sum += load_unaligned(at + 5);
		copy_unaligned(at + 21, (unsigned char *)&sum);
		AT(unsigned, at + 32) = AT(unsigned, at + 8);
		AT(unsigned, at + 36) = AT(unsigned, at + 12);
		AT(unsigned, at + 40) = AT(unsigned, at + 20);
		AT(unsigned, at + 44) += word;
		sum++; /* sc has stored */
		AT(unsigned, at + STEP - 8) = sum;
	}
	return sum;
}

static void enter(unsigned space)
{
	page_table = tables[space];
	WRITE_CP0(ASID + space, C0_ENTRYHI);
}

static void start_over(void)
{
	clear_tlb(1);
	for (unsigned number = 0; number < SPACES * FRAMES_OF_SPACE; number++)
		for (unsigned at = 0; at < 0x1000; at += 4) {
			unsigned value = number * 0x01234567 + at * 0x10f1;

			*(volatile unsigned *)(KSEG0 + frame_address(number) + at) = value;
			*(volatile unsigned *)(KSEG0 + frame_address(number + SHADOW) + at) = value;
		}
	for (unsigned space = 0; space < SPACES; space++)
		for (unsigned page = 0; page < USED; page++)
			tables[space][page] = map_frame(space * FRAMES_OF_SPACE + page, ALLOWED);
}

static void compare_frames(void)
{
	unsigned differing = 0;

	for (unsigned number = 0; number < SPACES * FRAMES_OF_SPACE; number++)
		for (unsigned at = 0; at < 0x1000; at += 4)
			differing += *(volatile unsigned *)(KSEG0 + frame_address(number) + at) !=
				     *(volatile unsigned *)(KSEG0 + frame_address(number + SHADOW) + at);
	EXPECT_EQUAL(differing, 0);
}

/* A page gets another frame, or is only read until it is stored to; Linux forgets it in the same way. */
static void change_a_page(unsigned space, unsigned number)
{
	unsigned page = number * 5 % USED;

	if (number % 2)
		page_table[page] = map_frame(space * FRAMES_OF_SPACE + number * 7 % FRAMES_OF_SPACE, ALLOWED);
	else
		page_table[page] &= ~ENTRYLO_D;
	for (unsigned other = 0; other < USED; other++) /* no frame is mapped twice */
		if (other != page && page_table[other] >> 6 == page_table[page] >> 6) {
			page_table[page] = map_frame(space * FRAMES_OF_SPACE + FRAMES_OF_SPACE - 1 - page, ALLOWED);
		}
	flush_page(page);
}

static void changing_pages(void)
{
	unsigned first = page_address(0), end = page_address(USED);

	start_over();
	for (unsigned round = 0; round < 60; round++) {
		unsigned space = round % SPACES;

		enter(space);
		change_a_page(space, round / SPACES);
		ASSERT_EQUAL(run_in_user(walk, first, end, STEP), walk_shadow(first, end));
		if (round % 20 == 7)
			evict();
		if (round % 20 == 13)
			clear_tlb(1);
	}
	compare_frames();
	EXPECT(made_writable > 10);
}

static void unaligned_addresses(void)
{
	unsigned first = page_address(1), turns = 1000, sum, errors, expected, all = 0;

	start_over();
	enter(0);
	for (unsigned round = 0; round < 8; round++) {
		unsigned distance = 1 + round, end = first + turns * distance;

		address_errors = 0;
		errors = expected = 0;
		for (unsigned at = first; at != end; at += distance, expected++) {
			errors += (at & 3 ? 1 : 0) + (at & 1);
			expected += at & 3 ? -1u : AT(unsigned, at);
			if (!(at & 1))
				AT(unsigned short, at + 6) = expected;
		}
		sum = run_in_user(stumble, first, end, distance);
		ASSERT_EQUAL(sum, expected);
		ASSERT_EQUAL(address_errors, errors);
		all += errors;
	}
	compare_frames();
	EXPECT(all > 5000);
	EXPECT_EQUAL(wrong, 0);
}

static volatile unsigned *word_of_page(unsigned address)
{
	return (volatile unsigned *)(KSEG0 + (page_table[(address - page_address(0)) >> 12] >> 6 << 12) + (address & 0xfff));
}

/* What `stray` finds through a pointer, -1 if it may not look there. */
static unsigned found_at(unsigned address, unsigned *errors)
{
	if (address >> 13 == LOW_PAGE >> 13)
		return *(volatile unsigned *)(KSEG0 + frame_address(700) + address - LOW_PAGE);
	if (address - page_address(0) < 0x1000 * USED)
		return *word_of_page(address);
	++*errors;
	return -1;
}

/* Addresses that wrap around, or are the kernel's, through pointers that are no such. */
static void strange_addresses(void)
{
	static const unsigned above[] = {0x10000000, 0x7fff8004, 0xffffe004, 0xffff7004, 0xffff7ffc, 0x90000000};
	static const unsigned below[] = {0x1000a000, 0x80008000, 0x0000e000, 0x00007ffc, 0xc0000000};
	unsigned first = page_address(0), end = page_address(20), expected = 0, errors = 0, turn = 0;

	start_over();
	enter(1);
	write_tlb(1, (struct tlb_entry){LOW_PAGE | (ASID + 1), map_frame(700, ALLOWED), map_frame(701, ALLOWED), PAGE_MASK_4K});
	WRITE_CP0(2, C0_WIRED);
	for (unsigned at = first; at != end; at += 8, turn++) {
		*word_of_page(at) = above[turn % (sizeof above / sizeof *above)];
		*word_of_page(at + 4) = below[turn % (sizeof below / sizeof *below)];
	}
	for (unsigned at = first; at != end; at += 8)
		expected += found_at(*word_of_page(at) + 0x7ffc, &errors) +
			    found_at(*word_of_page(at + 4) - 0x8000, &errors);
	address_errors = 0;
	for (unsigned round = 0; round < 8; round++)
		ASSERT_EQUAL(run_in_user(stray, first, end, 8), expected);
	EXPECT(errors > 1000);
	EXPECT_EQUAL(address_errors, 8 * errors);
	WRITE_CP0(1, C0_WIRED);
}

static void own_page(void)
{
	unsigned expected = 0, word = 0;

	for (unsigned k = 0; k < 70000; k++)
		expected += word += k;
	EXPECT_EQUAL(run_in_user(scribble, 0, 70000, 1), expected);
}

void main(void)
{
	map_image_for_user();
	WRITE_CP0(1, C0_WIRED);
	use_page_table();
	handle_page = exception_hook;
	exception_hook = handle;
	changing_pages();
	unaligned_addresses();
	strange_addresses();
	own_page();
}
