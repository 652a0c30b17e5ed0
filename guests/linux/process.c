/* The process: what it starts with, its identity, limits, name, /proc/self, thread-local storage. */
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static __thread int local = 42, zero;

static void start(int count, char **arguments, char **environment)
{
	CHECK(count == 3 && strcmp(arguments[1], "one argument") == 0 && strcmp(arguments[2], "") == 0 && !arguments[3]);
	int named = 0;
	for (char **variable = environment; *variable; variable++)
		named += strcmp(*variable, "NAME=value") == 0;
	CHECK(named == 1);
	CHECK(getauxval(AT_PAGESZ) == 4096 && getauxval(AT_CLKTCK) == 100 && getauxval(AT_PHENT) == 32);
	CHECK(getauxval(AT_UID) == getuid() && getauxval(AT_EGID) == getegid() && getauxval(AT_SECURE) == 0);
	Elf32_Phdr *headers = (Elf32_Phdr *)getauxval(AT_PHDR);
	int loads = 0;
	for (unsigned long i = 0; i < getauxval(AT_PHNUM); i++)
		loads += headers[i].p_type == PT_LOAD;
	CHECK(loads > 0 && getauxval(AT_ENTRY) != 0 && getauxval(AT_BASE) == 0);
	uint64_t *random = (uint64_t *)getauxval(AT_RANDOM);
	CHECK(random[0] != 0 && random[0] != random[1]);
	CHECK(strstr((char *)getauxval(AT_EXECFN), "process") != 0);
	CHECK(((uintptr_t)arguments & 3) == 0 && local == 42 && zero == 0);
	local = 43;
	CHECK(local == 43);
}

static void identity(void)
{
	struct utsname names;
	struct sysinfo system;
	uid_t real, effective, saved;
	gid_t groups[200];
	CHECK(uname(&names) == 0 && strcmp(names.sysname, "Linux") == 0 && strcmp(names.machine, "mips") == 0);
	CHECK(getpid() > 0 && getppid() > 0 && syscall(SYS_gettid) == getpid());
	CHECK(getresuid(&real, &effective, &saved) == 0 && real == getuid() && effective == geteuid());
	CHECK(getgroups(0, 0) >= 0 && getgroups(200, groups) == getgroups(0, 0));
	CHECK(getpgrp() == getpgid(0) && getsid(0) >= 0);
	CHECK(sysinfo(&system) == 0 && system.uptime > 0 && system.totalram > 0 && system.mem_unit >= 1);
	CHECK_ERROR(ECHILD, wait(0));
	cpu_set_t cpus;
	CHECK(sched_getaffinity(0, sizeof cpus, &cpus) >= 0 && CPU_COUNT(&cpus) > 0);
	CHECK(sched_yield() == 0 && syscall(SYS_sched_getscheduler, 0) == 0 && sched_get_priority_max(SCHED_FIFO) == 99);
	CHECK(getpriority(PRIO_PROCESS, 0) >= -20);
	char bytes[16] = {0}, none[16] = {0};
	CHECK(getrandom(bytes, 16, 0) == 16 && memcmp(bytes, none, 16) != 0);
	CHECK_ERROR(ENOSYS, syscall(4222 + 3000));
	CHECK_ERROR(ENOSYS, syscall(4017));
	CHECK(syscall(SYS_getpid) == getpid());
}

static void limits(void)
{
	struct rlimit limit, again;
	struct rusage used;
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= 16 && limit.rlim_cur <= limit.rlim_max);
	rlim_t files = limit.rlim_cur;
	limit.rlim_cur = 20;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0 && getrlimit(RLIMIT_NOFILE, &again) == 0 && again.rlim_cur == 20);
	CHECK_ERROR(EINVAL, fcntl(0, F_DUPFD, 20));
	int last = fcntl(0, F_DUPFD, 19);
	CHECK(last == 19);
	CHECK_ERROR(EMFILE, fcntl(0, F_DUPFD, 19));
	close(last);
	limit.rlim_cur = files;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHECK(getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur >= 65536);
	limit.rlim_cur = 4 << 20;
	CHECK(setrlimit(RLIMIT_AS, &limit) == 0 || errno == EPERM);
	CHECK(getrlimit(RLIMIT_CORE, &limit) == 0);
	CHECK_ERROR(EINVAL, getrlimit(99, &limit));
	CHECK(getrusage(RUSAGE_SELF, &used) == 0 && used.ru_maxrss > 0);
}

static int holds(const char *path, const char *text, int length)
{
	char buffer[8192];
	int fd = open(path, O_RDONLY), size = read(fd, buffer, sizeof buffer);
	close(fd);
	return size >= length && memmem(buffer, size, text, length) != 0;
}

static void own_files(char *program)
{
	char path[4096], real[4096];
	int size = readlink("/proc/self/exe", path, sizeof path - 1);
	CHECK(size > 0);
	path[size > 0 ? size : 0] = 0;
	CHECK(realpath(program, real) && strcmp(path, real) == 0);
	CHECK(holds("/proc/self/exe", "\177ELF", 4));
	CHECK(holds("/proc/self/cmdline", "one argument\0", 14));
	CHECK(holds("/proc/self/maps", "[stack]", 7) && holds("/proc/self/maps", real, strlen(real)));
	snprintf(path, sizeof path, "/proc/%d/maps", getpid());
	CHECK(holds(path, "r-xp", 4) && holds(path, real, strlen(real)));
	CHECK(access("/proc/self/status", R_OK) == 0);
	unsigned long vector[64];
	int fd = open("/proc/self/auxv", O_RDONLY), found = 0;
	size = read(fd, vector, sizeof vector);
	for (unsigned i = 0; i + 1 < size / sizeof *vector; i += 2)
		found += vector[i] == AT_ENTRY && vector[i + 1] == getauxval(AT_ENTRY);
	CHECK(found == 1);
	close(fd);
}

static void attributes(void)
{
	char name[17] = {0};
	CHECK(prctl(PR_SET_NAME, "a rather long name") == 0 && prctl(PR_GET_NAME, name) == 0);
	CHECK(strcmp(name, "a rather long n") == 0 && holds("/proc/self/comm", name, 15));
	CHECK(prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0);
	int number = 0;
	CHECK(prctl(PR_GET_PDEATHSIG, &number) == 0 && number == SIGUSR1 && prctl(PR_SET_PDEATHSIG, 0) == 0);
	CHECK(prctl(46) >= 0);
	CHECK_ERROR(EINVAL, prctl(12345));
}

int main(int count, char **arguments, char **environment)
{
	start(count, arguments, environment);
	identity();
	limits();
	own_files(arguments[0]);
	attributes();
	return finish();
}
