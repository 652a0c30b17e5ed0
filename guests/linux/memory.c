/* Memory: mapping, protecting, moving, files in memory, the program break, code written at run time. */
#define _FILE_OFFSET_BITS 64
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/cachectl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

#define PAGE 4096
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)

static sigjmp_buf back;
static volatile int signal_number;

static void escape(int number)
{
	signal_number = number;
	siglongjmp(back, 1);
}

static int readable(volatile char *address)
{
	if (sigsetjmp(back, 1))
		return 0;
	(void)*address;
	return 1;
}

static int writable(volatile char *address)
{
	if (sigsetjmp(back, 1))
		return 0;
	*address = *address;
	return 1;
}

static void mapping(void)
{
	char *area = mmap(0, 8 * PAGE, PROT_READ | PROT_WRITE, ANONYMOUS, -1, 0);
	CHECK(area != MAP_FAILED && ((uintptr_t)area & (PAGE - 1)) == 0);
	CHECK(area[0] == 0 && area[8 * PAGE - 1] == 0);
	memset(area, 1, 8 * PAGE);
	CHECK(munmap(area + 2 * PAGE, PAGE) == 0);
	CHECK(readable(area + PAGE) && !readable(area + 2 * PAGE) && readable(area + 3 * PAGE));
	CHECK(signal_number == SIGSEGV);
	CHECK(mprotect(area, PAGE, PROT_READ) == 0 && readable(area) && !writable(area) && writable(area + PAGE));
	CHECK(mprotect(area, PAGE, PROT_NONE) == 0 && !readable(area));
	CHECK(mprotect(area, PAGE, PROT_READ | PROT_WRITE) == 0 && writable(area) && area[5] == 1);
	CHECK_ERROR(ENOMEM, mprotect(area, 8 * PAGE, PROT_READ));
	CHECK_ERROR(EINVAL, syscall(SYS_mprotect, area + 1, PAGE, PROT_READ));
	char *fixed = mmap(area + 4 * PAGE, PAGE, PROT_READ | PROT_WRITE, ANONYMOUS | MAP_FIXED, -1, 0);
	CHECK(fixed == area + 4 * PAGE && fixed[0] == 0 && area[3 * PAGE] == 1 && area[5 * PAGE] == 1);
	CHECK(mmap(fixed, PAGE, PROT_READ, ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED && errno == EEXIST);
	CHECK(mmap(area + 2 * PAGE, PAGE, PROT_READ, ANONYMOUS, -1, 0) == area + 2 * PAGE); /* a free hint is taken */
	CHECK(mmap(fixed, PAGE, PROT_READ, ANONYMOUS, -1, 0) != fixed);
	CHECK(mmap(0, 0, PROT_READ, ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(0, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(0, PAGE, PROT_READ, MAP_PRIVATE, 1000, 0) == MAP_FAILED && errno == EBADF);
	CHECK(mmap(0, 0x7ffff000, PROT_READ, ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM);
	CHECK_ERROR(EINVAL, munmap(area + 1, PAGE));
	area[5 * PAGE] = 7;
	CHECK(madvise(area + 5 * PAGE, PAGE, MADV_DONTNEED) == 0 && area[5 * PAGE] == 0);
	unsigned char vector[4];
	CHECK(mincore(area + 3 * PAGE, PAGE, vector) == 0 && (vector[0] & 1));
	CHECK(munmap(area, 8 * PAGE) == 0 && !readable(area + 4 * PAGE));
}

static void moving(void)
{
	char *area = mmap(0, 16 * PAGE, PROT_NONE, ANONYMOUS, -1, 0);
	CHECK(munmap(area, 16 * PAGE) == 0);
	char *small = mmap(area, PAGE, PROT_READ | PROT_WRITE, ANONYMOUS | MAP_FIXED, -1, 0);
	strcpy(small, "contents");
	CHECK(mremap(small, PAGE, 2 * PAGE, 0) == small && small[PAGE] == 0);
	CHECK(mmap(area + 2 * PAGE, PAGE, PROT_READ, ANONYMOUS | MAP_FIXED, -1, 0) == area + 2 * PAGE);
	CHECK(mremap(small, 2 * PAGE, 3 * PAGE, 0) == MAP_FAILED && errno == ENOMEM);
	char *moved = mremap(small, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE);
	CHECK(moved != MAP_FAILED && moved != small && strcmp(moved, "contents") == 0 && moved[3 * PAGE - 1] == 0);
	CHECK(!readable(small));
	char *place = mremap(moved, 3 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, area + 8 * PAGE);
	CHECK(place == area + 8 * PAGE && strcmp(place, "contents") == 0 && !readable(moved));
	CHECK(mremap(place, 3 * PAGE, PAGE, 0) == place && readable(place) && !readable(place + PAGE));
	CHECK(mremap(area + 4 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EFAULT);
	munmap(area, 16 * PAGE);
}

static void files(const char *name)
{
	char text[16] = {0};
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(fd >= 0 && write(fd, "file contents", 13) == 13);
	char *private = mmap(0, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	char *shared = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(memcmp(private, "file contents", 14) == 0 && memcmp(shared, "file contents", 14) == 0);
	private[0] = 'P';
	CHECK(pread(fd, text, 1, 0) == 1 && text[0] == 'f' && shared[0] == 'f');
	shared[1] = 'S';
	CHECK(msync(shared, PAGE, MS_SYNC) == 0 && pread(fd, text, 4, 0) == 4 && memcmp(text, "fSle", 4) == 0);
	CHECK(pwrite(fd, "new", 3, 5) == 3 && memcmp(shared + 5, "new", 3) == 0);
	signal_number = 0;
	CHECK(!readable(private + PAGE) && signal_number == SIGBUS);
	/* A system call given that page must not kill anybody. */
	CHECK_ERROR(EFAULT, open(private + PAGE, O_RDONLY));
	CHECK_ERROR(EFAULT, write(fd, private + PAGE, 1));
	CHECK(ftruncate(fd, 2 * PAGE) == 0);
	CHECK(readable(private + PAGE));
	CHECK(mmap(0, PAGE, PROT_READ, MAP_PRIVATE, fd, 100) == MAP_FAILED && errno == EINVAL);
	char *second = mmap(0, PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
	CHECK(pwrite(fd, "second page", 11, PAGE) == 11 && memcmp(second, "second page", 11) == 0);
	CHECK(mremap(shared, PAGE, 2 * PAGE, MREMAP_MAYMOVE) != MAP_FAILED);
	close(fd);
	int read_only = open(name, O_RDONLY);
	CHECK(mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, read_only, 0) == MAP_FAILED && errno == EACCES);
	close(read_only);
	CHECK(unlink(name) == 0);
}

static void program_break(void)
{
	char *start = (char *)syscall(SYS_brk, 0);
	CHECK(syscall(SYS_brk, start + 3 * PAGE) == (long)(start + 3 * PAGE) && start[3 * PAGE - 1] == 0);
	start[PAGE] = 1;
	CHECK(syscall(SYS_brk, start) == (long)start && !readable(start + 2 * PAGE));
	CHECK(syscall(SYS_brk, 0) == (long)start);
	CHECK(syscall(SYS_brk, 0x7fffffff) == (long)start);
	CHECK(syscall(SYS_brk, start + 2 * PAGE) == (long)(start + 2 * PAGE) && start[PAGE] == 0);
	syscall(SYS_brk, start);
}

static void written_code(void)
{
	/* addiu $2, $0, N; jr $31; nop – rewritten again and again, by stores and by a system call. */
	unsigned *code = mmap(0, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, ANONYMOUS, -1, 0);
	int (*volatile function)(void) = (int (*)(void))code;
	int ends[2], right = 0;
	code[1] = 0x03e00008;
	code[2] = 0;
	for (int i = 0; i < 200; i++) {
		code[0] = 0x24020000 | i;
		cacheflush(code, 12, ICACHE);
		right += function() == i;
	}
	CHECK(right == 200);
	CHECK(pipe(ends) == 0);
	unsigned instruction = 0x24020000 | 777;
	CHECK(write(ends[1], &instruction, 4) == 4 && read(ends[0], code, 4) == 4);
	CHECK(function() == 777);
	munmap(code, PAGE);
	code = mmap(code, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, ANONYMOUS | MAP_FIXED, -1, 0);
	code[0] = 0x24020000 | 888;
	code[1] = 0x03e00008;
	CHECK(function() == 888);
	CHECK(mprotect(code, PAGE, PROT_READ | PROT_EXEC) == 0 && function() == 888 && !writable((char *)code));
}

static void *place(uintptr_t address)
{
	volatile uintptr_t unknown = address; /* to the compiler, which would warn of it */
	return (void *)unknown;
}

static void bad_pointers(void)
{
	char *area = mmap(0, 2 * PAGE, PROT_READ | PROT_WRITE, ANONYMOUS, -1, 0);
	int ends[2];
	munmap(area + PAGE, PAGE);
	CHECK(pipe(ends) == 0);
	CHECK_ERROR(EFAULT, write(ends[1], place(16), 4));
	CHECK_ERROR(EFAULT, write(ends[1], place(0x80000000), 4));
	CHECK_ERROR(EFAULT, write(ends[1], place(0xfffffff0), 64));
	CHECK(write(ends[1], "12345678", 8) == 8);
	CHECK(read(ends[0], area + PAGE - 4, 4) == 4 && memcmp(area + PAGE - 4, "1234", 4) == 0);
	CHECK_ERROR(EFAULT, read(ends[0], area + PAGE, 4));
	CHECK_ERROR(EFAULT, open(place(8), O_RDONLY));
	memset(area, 'a', PAGE);
	CHECK_ERROR(EFAULT, open(area, O_RDONLY));
	CHECK_ERROR(EFAULT, syscall(SYS_pipe2, area + PAGE, 0));
}

int main(int count, char **arguments)
{
	struct sigaction action = {.sa_handler = escape};
	char name[] = "/tmp/dbt-disco-memory-XXXXXX";
	(void)count;
	(void)arguments;
	sigaction(SIGSEGV, &action, 0);
	sigaction(SIGBUS, &action, 0);
	close(mkstemp(name));
	mapping();
	moving();
	files(name);
	program_break();
	written_code();
	bad_pointers();
	return finish();
}
