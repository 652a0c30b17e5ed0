/* A process that gives up descriptors, rights or files, as its argument says, and then does what it has not done before. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "check.h"

static volatile int count;

static void note(int number)
{
	(void)number;
	count++;
}

static void use_up_descriptors(void)
{
	int opened = 0;
	while (open("/dev/null", O_RDONLY) >= 0)
		opened++;
	CHECK(errno == EMFILE && opened > 0);
	CHECK_ERROR(EMFILE, dup(0));
}

static void confine(const char *how, const char *directory)
{
	if (!strcmp(how, "descriptors"))
		use_up_descriptors();
	else if (!strcmp(how, "limit")) {
		struct rlimit limit = {16, 16};
		CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
		use_up_descriptors();
	} else if (!strcmp(how, "root")) {
		CHECK(chroot(directory) == 0 && chdir("/") == 0);
		CHECK_ERROR(ENOENT, access("/dev/null", F_OK));
	} else if (!strcmp(how, "user")) {
		CHECK(setgid(65534) == 0 && setuid(65534) == 0 && getuid() == 65534);
		CHECK_ERROR(EPERM, setuid(0));
	} else
		CHECK(!"a known way");
}

static double harmonic(int terms)
{
	double sum = 0;
	for (int i = 1; i <= terms; i++)
		sum += 1.0 / i;
	return sum;
}

int main(int argc, char **argv)
{
	struct itimerval timer = {.it_value = {0, 1000}};
	struct stat status;
	sigset_t none, alarm;

	confine(argc > 1 ? argv[1] : "", argc > 2 ? argv[2] : "");
	signal(SIGALRM, note);
	sigemptyset(&none);
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	sigprocmask(SIG_BLOCK, &alarm, 0);
	setitimer(ITIMER_REAL, &timer, 0);
	CHECK_ERROR(EINTR, sigsuspend(&none));
	CHECK(count == 1);
	CHECK(stat("/", &status) == 0 && S_ISDIR(status.st_mode));
	double sum = harmonic(10000000);
	CHECK(sum > 16.6953 && sum < 16.6954);
	char *copy = strdup("what has not been executed so far");
	CHECK(copy && strlen(copy) == 33 && strtod("2.5e3", 0) == 2500 && atoi("-77") == -77);
	return finish();
}
