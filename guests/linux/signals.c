/* Signals: handlers, masks, waiting, alternate stacks, faults, and what a handler may change in its frame. */
#define _GNU_SOURCE
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "check.h"

static volatile int count, last_signal, last_code, nested;
static void *volatile last_address;
static volatile int last_value;
static volatile uintptr_t stack_seen;

static void note(int number)
{
	count++;
	last_signal = number;
	stack_seen = (uintptr_t)__builtin_frame_address(0);
}

static void note_info(int number, siginfo_t *info, void *context)
{
	(void)context;
	note(number);
	last_code = info->si_code;
	last_address = info->si_addr;
	last_value = info->si_value.sival_int;
}

static void catch(int number, void (*handler)(int), int flags)
{
	struct sigaction action = {0};
	action.sa_handler = handler;
	action.sa_flags = flags;
	CHECK(sigaction(number, &action, 0) == 0);
}

static void catch_info(int number, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = {0};
	action.sa_sigaction = handler;
	action.sa_flags = flags | SA_SIGINFO;
	CHECK(sigaction(number, &action, 0) == 0);
}

static void raise_again(int number)
{
	if (nested++ == 0) {
		raise(number);
		/* Without SA_NODEFER it stays pending until we return. */
		count = nested;
	}
}

static void actions(void)
{
	struct sigaction old;
	catch(SIGUSR1, note, 0);
	CHECK(sigaction(SIGUSR1, 0, &old) == 0 && old.sa_handler == note);
	count = 0;
	CHECK(raise(SIGUSR1) == 0 && count == 1 && last_signal == SIGUSR1);
	CHECK(kill(getpid(), SIGUSR1) == 0 && count == 2);
	catch(SIGUSR1, note, SA_RESETHAND);
	raise(SIGUSR1);
	CHECK(count == 3 && sigaction(SIGUSR1, 0, &old) == 0 && old.sa_handler == SIG_DFL);
	nested = 0;
	catch(SIGUSR2, raise_again, 0);
	raise(SIGUSR2);
	CHECK(count == 1 && nested == 2);
	nested = 0;
	catch(SIGUSR2, raise_again, SA_NODEFER);
	raise(SIGUSR2);
	CHECK(count == 2 && nested == 2);
	signal(SIGUSR2, SIG_IGN);
	CHECK(raise(SIGUSR2) == 0);
	CHECK(raise(SIGCHLD) == 0 && raise(SIGWINCH) == 0 && raise(SIGURG) == 0 && raise(SIGCONT) == 0);
	CHECK_ERROR(EINVAL, sigaction(SIGKILL, &old, 0));
	CHECK_ERROR(EINVAL, kill(getpid(), 1000));
	CHECK(kill(getpid(), 0) == 0);
	CHECK_ERROR(ESRCH, kill(0x3fffffff, 0));
}

static void masks(void)
{
	sigset_t set, old, pending;
	catch(SIGUSR1, note, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0 && !sigismember(&old, SIGUSR1));
	count = 0;
	raise(SIGUSR1);
	raise(SIGUSR1);
	CHECK(count == 0);
	CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1) && !sigismember(&pending, SIGUSR2));
	CHECK(sigprocmask(SIG_UNBLOCK, &set, 0) == 0 && count == 1);
	CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGUSR1));
	/* A real-time signal queues. */
	catch_info(SIGRTMIN + 2, note_info, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 2);
	sigprocmask(SIG_BLOCK, &set, 0);
	count = 0;
	for (int i = 1; i <= 3; i++)
		CHECK(sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = i}) == 0);
	sigprocmask(SIG_UNBLOCK, &set, 0);
	CHECK(count == 3 && last_value == 3 && last_code == SI_QUEUE);
	sigprocmask(SIG_SETMASK, &old, 0);
}

/* Blocked signals, read from a descriptor: whoever has sent them. */
static void descriptor(void)
{
	sigset_t set, old, pending;
	struct signalfd_siginfo info;
	int real_time = SIGRTMIN + 3;
	struct itimerval timer = {.it_value = {0, 2000}};

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGALRM);
	sigaddset(&set, real_time);
	sigprocmask(SIG_BLOCK, &set, &old);
	int fd = signalfd(-1, &set, SFD_NONBLOCK);
	struct pollfd ready = {fd, POLLIN, 0};
	CHECK(fd >= 0);
	CHECK_ERROR(EAGAIN, read(fd, &info, sizeof info));
	raise(SIGUSR1);
	raise(SIGUSR1);
	CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1));
	CHECK(poll(&ready, 1, 0) == 1 && ready.revents == POLLIN);
	CHECK(read(fd, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR1);
	CHECK(info.ssi_pid == (unsigned)getpid() && info.ssi_uid == getuid());
	CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGUSR1));
	for (int i = 1; i <= 2; i++)
		CHECK(sigqueue(getpid(), real_time, (union sigval){.sival_int = i}) == 0);
	for (int i = 1; i <= 2; i++) {
		CHECK(read(fd, &info, sizeof info) == sizeof info && (int)info.ssi_signo == real_time);
		CHECK(info.ssi_int == i && info.ssi_code == SI_QUEUE);
	}
	setitimer(ITIMER_REAL, &timer, 0);
	CHECK(poll(&ready, 1, 5000) == 1);
	CHECK(read(fd, &info, sizeof info) == sizeof info && info.ssi_signo == SIGALRM);
	CHECK_ERROR(EAGAIN, read(fd, &info, sizeof info));
	close(fd);
	sigprocmask(SIG_SETMASK, &old, 0);
}

static void waiting(void)
{
	sigset_t set, none;
	siginfo_t info;
	struct timespec now = {0, 0}, soon = {0, 20000000}, left;
	struct itimerval timer = {.it_value = {0, 20000}};

	sigemptyset(&none);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigaddset(&set, SIGUSR1);
	catch(SIGALRM, note, 0);
	sigprocmask(SIG_BLOCK, &set, 0);
	count = 0;
	setitimer(ITIMER_REAL, &timer, 0);
	CHECK_ERROR(EINTR, sigsuspend(&none));
	CHECK(count == 1 && last_signal == SIGALRM);
	CHECK_ERROR(EAGAIN, sigtimedwait(&set, &info, &now));
	raise(SIGUSR1);
	CHECK(sigtimedwait(&set, &info, &now) == SIGUSR1 && info.si_signo == SIGUSR1);
	CHECK((info.si_code == SI_TKILL || info.si_code == SI_USER) && info.si_pid == getpid());
	setitimer(ITIMER_REAL, &timer, 0);
	CHECK(sigwaitinfo(&set, &info) == SIGALRM && info.si_code == SI_KERNEL);
	raise(SIGUSR1);
	CHECK_ERROR(EINTR, sigsuspend(&none));
	CHECK(count == 2 && last_signal == SIGUSR1);
	sigprocmask(SIG_UNBLOCK, &set, 0);
	CHECK_ERROR(EAGAIN, sigtimedwait(&set, &info, &soon));
	setitimer(ITIMER_REAL, &timer, 0);
	left.tv_sec = 0;
	CHECK_ERROR(EINTR, nanosleep(&(struct timespec){5, 0}, &left));
	CHECK(left.tv_sec >= 3 && left.tv_sec < 5 && count == 3);
	/* A single alarm could come before the pause. */
	struct itimerval again = {{0, 20000}, {0, 20000}}, never = {{0, 0}, {0, 0}};
	setitimer(ITIMER_REAL, &again, 0);
	CHECK_ERROR(EINTR, pause());
	setitimer(ITIMER_REAL, &never, 0);
}

static int pipe_ends[2];

static void feed(int number)
{
	(void)number;
	count++;
	if (write(pipe_ends[1], "x", 1) != 1)
		count = -1;
}

static void restarting(void)
{
	struct itimerval timer = {.it_value = {0, 20000}};
	char byte = 0;
	CHECK(pipe(pipe_ends) == 0);
	count = 0;
	catch(SIGALRM, feed, SA_RESTART);
	setitimer(ITIMER_REAL, &timer, 0);
	CHECK(read(pipe_ends[0], &byte, 1) == 1 && byte == 'x' && count == 1);
	count = 0;
	catch(SIGALRM, note, 0);
	timer.it_interval = timer.it_value;
	setitimer(ITIMER_REAL, &timer, 0);
	CHECK_ERROR(EINTR, read(pipe_ends[0], &byte, 1));
	CHECK(count >= 1);
	setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, 0);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	catch(SIGPIPE, note, 0);
	CHECK(pipe(pipe_ends) == 0);
	close(pipe_ends[0]);
	CHECK_ERROR(EPIPE, write(pipe_ends[1], "x", 1));
	CHECK(last_signal == SIGPIPE);
	close(pipe_ends[1]);
}

static void busy_until_timer(void)
{
	/* The handler must interrupt code that makes no system call. */
	struct itimerval timer = {.it_value = {0, 20000}};
	catch(SIGALRM, note, 0);
	count = 0;
	setitimer(ITIMER_REAL, &timer, 0);
	while (count == 0)
		;
	CHECK(count == 1);
}

static char alternate[16384];

static void alternate_stack(void)
{
	stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate}, old;
	CHECK(sigaltstack(0, &old) == 0 && old.ss_flags == SS_DISABLE);
	CHECK(sigaltstack(&stack, 0) == 0 && sigaltstack(0, &old) == 0 && old.ss_sp == alternate && old.ss_flags == 0);
	catch(SIGUSR1, note, SA_ONSTACK);
	raise(SIGUSR1);
	CHECK(stack_seen - (uintptr_t)alternate < sizeof alternate);
	catch(SIGUSR1, note, 0);
	raise(SIGUSR1);
	CHECK(stack_seen - (uintptr_t)alternate >= sizeof alternate);
	stack.ss_size = 100;
	CHECK_ERROR(ENOMEM, sigaltstack(&stack, 0));
	stack.ss_flags = SS_DISABLE;
	CHECK(sigaltstack(&stack, 0) == 0 && sigaltstack(0, &old) == 0 && old.ss_flags == SS_DISABLE);
}

static sigjmp_buf back;

static void escape(int number, siginfo_t *info, void *context)
{
	note_info(number, info, context);
	siglongjmp(back, 1);
}

#define FAULT(statement)                         \
	do {                                     \
		last_signal = last_code = 0;     \
		last_address = (void *)-1;       \
		if (sigsetjmp(back, 1) == 0) {   \
			statement;               \
		}                                \
	} while (0)

static void faults(void)
{
	volatile char *page = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int (*volatile no_code)(void) = (int (*)(void))page;
	catch_info(SIGSEGV, escape, 0);
	catch_info(SIGBUS, escape, 0);
	catch_info(SIGFPE, escape, 0);
	catch_info(SIGTRAP, escape, 0);
	catch_info(SIGILL, escape, 0);
	volatile uintptr_t nowhere = 16;
	FAULT(*(volatile int *)nowhere = 1);
	CHECK(last_signal == SIGSEGV && last_code == SEGV_MAPERR && last_address == (void *)16);
	nowhere = 32;
	FAULT(last_value = *(volatile int *)nowhere);
	CHECK(last_signal == SIGSEGV && last_code == SEGV_MAPERR && last_address == (void *)32);
	FAULT(page[5] = 1);
	CHECK(last_signal == SIGSEGV && last_code == SEGV_ACCERR && last_address == page + 5);
	mprotect((void *)page, 4096, PROT_NONE);
	FAULT(last_value = page[7]);
	CHECK(last_signal == SIGSEGV && last_code == SEGV_ACCERR && last_address == page + 7);
	FAULT(no_code());
	CHECK(last_signal == SIGSEGV && last_address == page);
	munmap((void *)page, 4096);
	FAULT(no_code());
	CHECK(last_signal == SIGSEGV && last_code == SEGV_MAPERR && last_address == page);
	FAULT(__asm__ volatile("break 7"));
	CHECK(last_signal == SIGFPE && last_code == FPE_INTDIV);
	FAULT(__asm__ volatile("break 6"));
	CHECK(last_signal == SIGFPE && last_code == FPE_INTOVF);
	FAULT(__asm__ volatile("teq $0, $0, 7"));
	CHECK(last_signal == SIGFPE && last_code == FPE_INTDIV);
	FAULT(__asm__ volatile("li $8, 0x7fffffff\n\taddi $8, $8, 1" ::: "$8"));
	CHECK(last_signal == SIGFPE && last_code == FPE_INTOVF);
	FAULT(__asm__ volatile("break"));
	CHECK(last_signal == SIGTRAP);
	FAULT(__asm__ volatile("teq $0, $0"));
	CHECK(last_signal == SIGTRAP);
	FAULT(__asm__ volatile(".word 0x7c00003f"));
	CHECK(last_signal == SIGILL);
}

static void skip(int number, siginfo_t *info, void *context)
{
	ucontext_t *frame = context;
	note_info(number, info, context);
	frame->uc_mcontext.gregs[2] = 1234;
	frame->uc_mcontext.fpregs.fp_r.fp_dregs[20] = 2.5;
	frame->uc_mcontext.pc += 4;
}

static void frames(void)
{
	register int result __asm__("$2") = 0;
	double before = 1.25, after;
	unsigned high, low;
	catch_info(SIGSEGV, skip, 0);
	count = 0;
	__asm__ volatile("lw $2, 64($0)" : "=r"(result)::"memory");
	int loaded = result;
	CHECK(loaded == 1234 && count == 1);
	__asm__ volatile("mov.d $f20, %1\n\tlw $2, 64($0)\n\tmov.d %0, $f20" : "=f"(after) : "f"(before) : "$2", "$f20", "memory");
	CHECK(after == 2.5);
	/* HI and LO survive a handler, and so does every other register. */
	catch(SIGUSR1, note, 0);
	__asm__ volatile("li $8, 0x1234\n\tmthi $8\n\tli $8, 0x5678\n\tmtlo $8" ::: "$8", "hi", "lo");
	__asm__ volatile("move $4, %2\n\tli $5, 16\n\tli $2, 4037\n\tsyscall\n\tmfhi %0\n\tmflo %1"
			 : "=&r"(high), "=&r"(low)
			 : "r"(getpid())
			 : "$2", "$3", "$4", "$5", "$7", "$8", "$9", "$10", "$11", "$12", "$13", "$14", "$15", "$24", "$25", "memory");
	CHECK(high == 0x1234 && low == 0x5678 && last_signal == SIGUSR1);
	/* A fault in a delay slot: the handler's pc is the branch's. */
	unsigned where = 0;
	catch_info(SIGSEGV, escape, 0);
	FAULT(__asm__ volatile(".set noreorder\n1:\tb 2f\n\tlw $2, 80($0)\n2:\tnop\n\t.set reorder" : "=r"(where)::"$2", "memory"));
	CHECK(last_signal == SIGSEGV && last_address == (void *)80);
}

int main(void)
{
	actions();
	masks();
	descriptor();
	waiting();
	restarting();
	busy_until_timer();
	alternate_stack();
	faults();
	frames();
	return finish();
}
