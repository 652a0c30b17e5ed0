/* Two user processes with their own address spaces at the same addresses, preempted by the timer: each sees its own
 * memory, registers and FPU only, and computes what it would compute alone. */
#include "cp0.h"
#include "exceptions.h"
#include "expect.h"
#include "platform.h"
#include "timer.h"
#include "tlb.h"

#define PROCESSES 3
#define CODE 0x00400000
#define DATA 0x00402000
#define FRAMES 0x00300000
#define SWITCHES 40
#define PERIOD 20000

/* Until the word at DATA + 8 is set: sums in memory, in HI/LO and in f0. Ends in a syscall with s0: rounds, v0: the sum,
 * v1: f0 as an integer. */
__asm__(".set push\n\t.set noreorder\n\t.set hardfloat\n"
	"process:\n\t"
	"lui $s1, 0x0040\n\t"
	"ori $s1, 0x2000\n\t" /* DATA */
	"mtc1 $zero, $f0\n\t"
	"cvt.d.w $f0, $f0\n\t"
	"mtlo $zero\n\t"
	"mthi $zero\n"
	"1:\tlw $t0, 0($s1)\n\t" /* the process's number */
	"addiu $s0, 1\n\t"
	"lw $t1, 4($s1)\n\t"
	"madd $t0, $s0\n\t"
	"addu $t1, $t0\n\t"
	"sw $t1, 4($s1)\n\t"
	"mtc1 $t0, $f2\n\t"
	"cvt.d.w $f2, $f2\n\t"
	"bal 2f\n\t"
	"add.d $f0, $f0, $f2\n\t"
	"lw $t3, 8($s1)\n\t"
	"beqz $t3, 1b\n\t"
	"nop\n\t"
	"mflo $v0\n\t"
	"addu $v0, $t1\n\t"
	"cvt.w.d $f0, $f0\n\t"
	"mfc1 $v1, $f0\n\t"
	"syscall\n"
	"2:\tjr $ra\n\t"
	"addiu $t2, 1\n"
	"process_end:\n\t.set pop");

extern char process[], process_end[];

struct context {
	struct exception registers;
	double f0, f2;
	unsigned is_done;
};

static struct context contexts[PROCESSES];
static struct exception main_registers;
static unsigned current, wrong, unexpected;
static volatile unsigned switches, done;

static void save_fpu(struct context *context)
{
	__asm__ volatile("sdc1 $f0, %0\n\tsdc1 $f2, %1" : "=m"(context->f0), "=m"(context->f2));
}

static void restore_fpu(const struct context *context)
{
	__asm__ volatile("ldc1 $f0, %0\n\tldc1 $f2, %1" : : "m"(context->f0), "m"(context->f2));
}

static void check_result(const struct context *context, unsigned number)
{
	unsigned rounds = context->registers.gpr[16];
	unsigned triangle = (unsigned long long)rounds * (rounds + 1) >> 1;

	wrong += context->registers.gpr[2] != number * triangle + number * rounds;
	wrong += context->registers.gpr[3] != number * rounds;
	wrong += context->registers.gpr[10] != rounds;
}

/* Go on with the next process that has something to do, or else with main. */
static void resume_next(struct exception *exception)
{
	for (unsigned k = 0; k < PROCESSES; k++) {
		current = (current + 1) % PROCESSES;
		if (!contexts[current].is_done) {
			*exception = contexts[current].registers;
			restore_fpu(&contexts[current]);
			WRITE_CP0(current + 1, C0_ENTRYHI);
			return;
		}
	}
	*exception = main_registers;
}

static int refill(struct exception *exception)
{
	unsigned page = exception->bad_vaddr >> 13, frame = FRAMES + 0x8000 * current;

	if (page != CODE >> 13 && page != DATA >> 13)
		return 0;
	if (page == DATA >> 13)
		frame += 0x4000;
	WRITE_CP0(ENTRYLO(frame), C0_ENTRYLO0);
	WRITE_CP0(0, C0_ENTRYLO1);
	__asm__ volatile("tlbwr" : : : "memory");
	return 1;
}

static void stop_all(void)
{
	for (unsigned number = 0; number < PROCESSES; number++)
		*(volatile unsigned *)(KSEG0 + FRAMES + 0x8000 * number + 0x4008) = 1;
}

static int schedule(struct exception *exception)
{
	struct context *context = &contexts[current];

	switch ((exception->cause & CAUSE_EXCCODE) >> 2) {
	case EXC_INT:
		if (++switches < SWITCHES) {
			start_timer(PERIOD);
		} else {
			WRITE_CP0(READ_CP0(C0_COMPARE), C0_COMPARE);
			stop_all();
		}
		context->registers = *exception;
		save_fpu(context);
		resume_next(exception);
		return 1;
	case EXC_SYS:
		if (exception->status & STATUS_USER) {
			context->registers = *exception;
			context->is_done = 1;
			check_result(context, current + 1);
			done++;
		} else {
			main_registers = *exception;
			main_registers.epc += 4;
		}
		resume_next(exception);
		return 1;
	case EXC_TLBL:
	case EXC_TLBS:
		return refill(exception);
	default:
		unexpected++;
		return 0;
	}
}

static void make_process(unsigned number)
{
	unsigned frame = FRAMES + 0x8000 * number;
	struct context *context = &contexts[number];

	for (unsigned k = 0; k < (unsigned)(process_end - process); k += 4)
		*(volatile unsigned *)(KSEG0 + frame + k) = *(unsigned *)(process + k);
	*(volatile unsigned *)(KSEG0 + frame + 0x4000) = number + 1;
	context->registers.epc = CODE;
	context->registers.status = STATUS_CU1 | STATUS_USER | STATUS_IM7 | STATUS_IE | STATUS_EXL;
}

void main(void)
{
	for (unsigned number = 0; number < PROCESSES; number++)
		make_process(number);
	exception_hook = schedule;
	start_timer(PERIOD);
	__asm__ volatile("syscall" : : : "memory"); /* until all are done */
	EXPECT_EQUAL(done, PROCESSES);
	EXPECT_EQUAL(wrong, 0);
	EXPECT_EQUAL(unexpected, 0);
	EXPECT_EQUAL(switches, SWITCHES);
}
