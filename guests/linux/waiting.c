/* Waiting and time: poll, select, epoll, event and timer descriptors, clocks, timers, futexes. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static volatile int alarms, value;

static void note(int number)
{
	(void)number;
	alarms++;
}

static void note_value(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	alarms++;
	value = info->si_value.sival_int;
}

static void alarm_in_milliseconds(int milliseconds)
{
	struct itimerval timer = {.it_value = {0, milliseconds * 1000}};
	CHECK(setitimer(ITIMER_REAL, &timer, 0) == 0);
}

/* For calls that a single alarm could come too early for, on a busy machine. */
static void alarm_until_interrupted(void)
{
	struct itimerval timer = {{0, 20000}, {0, 20000}};
	CHECK(setitimer(ITIMER_REAL, &timer, 0) == 0);
}

static void no_alarm(void)
{
	CHECK(setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, 0) == 0);
}

static void polling(void)
{
	int ends[2];
	CHECK(pipe(ends) == 0);
	struct pollfd set[] = {{ends[0], POLLIN, 0}, {ends[1], POLLOUT, 0}, {-1, POLLIN, 0}, {900, POLLIN, 0}};
	CHECK(poll(set, 2, 0) == 1 && set[0].revents == 0 && set[1].revents == POLLOUT);
	CHECK(poll(set, 4, 0) == 2 && set[2].revents == 0 && set[3].revents == POLLNVAL);
	CHECK(poll(set, 1, 10) == 0);
	CHECK(write(ends[1], "x", 1) == 1 && poll(set, 1, -1) == 1 && set[0].revents == POLLIN);
	CHECK(ppoll(set, 1, &(struct timespec){1, 0}, 0) == 1);
	char byte;
	CHECK(read(ends[0], &byte, 1) == 1);
	alarm_until_interrupted();
	CHECK_ERROR(EINTR, poll(set, 1, -1));
	no_alarm();
	sigset_t mask, none;
	sigemptyset(&none);
	sigemptyset(&mask);
	sigaddset(&mask, SIGALRM);
	sigprocmask(SIG_BLOCK, &mask, 0);
	alarm_in_milliseconds(10);
	CHECK(poll(set, 1, 40) == 0);
	int before = alarms;
	CHECK_ERROR(EINTR, ppoll(set, 1, 0, &none));
	CHECK(alarms == before + 1);
	alarm_in_milliseconds(10);
	CHECK_ERROR(EINTR, pselect(0, 0, 0, 0, 0, &none));
	CHECK(alarms == before + 2);
	sigprocmask(SIG_UNBLOCK, &mask, 0);
	close(ends[1]);
	CHECK(poll(set, 1, 0) == 1 && (set[0].revents & POLLHUP));
	close(ends[0]);
}

static void selecting(void)
{
	int ends[2];
	fd_set reading, writing;
	struct timeval soon = {0, 20000};
	CHECK(pipe(ends) == 0 && dup2(ends[0], 70) == 70);
	FD_ZERO(&reading);
	FD_ZERO(&writing);
	FD_SET(70, &reading);
	FD_SET(ends[1], &writing);
	CHECK(select(71, &reading, &writing, 0, 0) == 1 && !FD_ISSET(70, &reading) && FD_ISSET(ends[1], &writing));
	FD_SET(70, &reading);
	CHECK(select(71, &reading, 0, 0, &soon) == 0 && !FD_ISSET(70, &reading));
	CHECK(write(ends[1], "x", 1) == 1);
	FD_SET(70, &reading);
	CHECK(select(71, &reading, 0, 0, &(struct timeval){5, 0}) == 1 && FD_ISSET(70, &reading));
	CHECK(pselect(71, &reading, 0, 0, &(struct timespec){5, 0}, 0) == 1);
	FD_SET(69, &reading);
	CHECK_ERROR(EBADF, select(71, &reading, 0, 0, 0));
	CHECK_ERROR(EINVAL, select(-1, 0, 0, 0, 0));
	close(70);
	close(ends[0]);
	close(ends[1]);
}

static void epolling(void)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC), event = eventfd(0, EFD_NONBLOCK);
	struct epoll_event wanted = {.events = EPOLLIN, .data.u64 = 0x123456789abcdefULL}, seen[2];
	uint64_t number = 0x100000002ULL;
	CHECK(epoll >= 0 && event >= 0);
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, event, &wanted) == 0 && epoll_wait(epoll, seen, 2, 0) == 0);
	CHECK_ERROR(EEXIST, epoll_ctl(epoll, EPOLL_CTL_ADD, event, &wanted));
	CHECK_ERROR(EAGAIN, read(event, &number, 8));
	CHECK(write(event, &number, 8) == 8 && epoll_wait(epoll, seen, 2, -1) == 1);
	CHECK(seen[0].events == EPOLLIN && seen[0].data.u64 == 0x123456789abcdefULL);
	number = 0;
	CHECK(read(event, &number, 8) == 8 && number == 0x100000002ULL);
	CHECK(epoll_ctl(epoll, EPOLL_CTL_DEL, event, 0) == 0);
	alarm_until_interrupted();
	CHECK_ERROR(EINTR, epoll_wait(epoll, seen, 2, -1));
	no_alarm();
	close(event);
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	struct itimerspec setting = {.it_value = {100, 5000}}, now;
	CHECK(timer >= 0 && timerfd_settime(timer, 0, &setting, 0) == 0 && timerfd_gettime(timer, &now) == 0);
	CHECK(now.it_value.tv_sec == 99 || now.it_value.tv_sec == 100);
	setting.it_value = (struct timespec){0, 10000000};
	CHECK(timerfd_settime(timer, 0, &setting, &now) == 0 && now.it_value.tv_sec >= 98);
	wanted.events = EPOLLIN;
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &wanted) == 0 && epoll_wait(epoll, seen, 2, 1000) == 1);
	CHECK(read(timer, &number, 8) == 8 && number == 1);
	close(timer);
	close(epoll);
}

static void clocks(void)
{
	struct timespec real, start, end, resolution;
	struct timeval day;
	struct tms used;
	time_t seconds = time(0);
	CHECK(clock_gettime(CLOCK_REALTIME, &real) == 0 && gettimeofday(&day, 0) == 0);
	CHECK(real.tv_sec - seconds <= 1 && day.tv_sec - real.tv_sec <= 1 && real.tv_nsec < 1000000000);
	CHECK(clock_getres(CLOCK_MONOTONIC, &resolution) == 0 && resolution.tv_sec == 0 && resolution.tv_nsec > 0);
	CHECK_ERROR(EINVAL, clock_gettime(99, &real));
	CHECK(clock_gettime(CLOCK_MONOTONIC, &start) == 0);
	CHECK(nanosleep(&(struct timespec){0, 30000000}, 0) == 0 && clock_gettime(CLOCK_MONOTONIC, &end) == 0);
	long long passed_time = (end.tv_sec - start.tv_sec) * 1000000000LL + end.tv_nsec - start.tv_nsec;
	CHECK(passed_time >= 30000000 && passed_time < 2000000000);
	CHECK_ERROR(EINVAL, nanosleep(&(struct timespec){0, 2000000000}, 0));
	end.tv_nsec += 10000000;
	if (end.tv_nsec >= 1000000000) {
		end.tv_sec++;
		end.tv_nsec -= 1000000000;
	}
	CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, 0) == 0);
	CHECK(times(&used) != (clock_t)-1);
	CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start) == 0 && (start.tv_sec || start.tv_nsec));
}

static void timers(void)
{
	struct sigaction action = {.sa_sigaction = note_value, .sa_flags = SA_SIGINFO};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 77};
	struct itimerspec setting = {.it_value = {0, 10000000}}, left;
	struct itimerval interval = {.it_value = {100, 0}}, old;
	timer_t timer;
	sigset_t usr1, none;
	sigaction(SIGUSR1, &action, 0);
	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, 0);
	CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	alarms = 0;
	CHECK(timer_settime(timer, 0, &setting, 0) == 0);
	CHECK_ERROR(EINTR, sigsuspend(&none));
	CHECK(alarms == 1);
	siginfo_t info;
	CHECK(timer_settime(timer, 0, &setting, 0) == 0 && sigwaitinfo(&usr1, &info) == SIGUSR1);
	CHECK(info.si_code == SI_TIMER && info.si_value.sival_int == 77);
	CHECK(timer_gettime(timer, &left) == 0 && left.it_value.tv_nsec == 0 && timer_delete(timer) == 0);
	CHECK(setitimer(ITIMER_REAL, &interval, 0) == 0 && getitimer(ITIMER_REAL, &old) == 0);
	CHECK(old.it_value.tv_sec == 99 || old.it_value.tv_sec == 100);
	CHECK(alarm(0) == 100 && alarm(0) == 0);
}

static void futexes(void)
{
	int word = 5;
	struct timespec soon = {0, 10000000};
	CHECK(syscall(SYS_futex, &word, FUTEX_WAKE, 1, 0, 0, 0) == 0);
	CHECK_ERROR(EAGAIN, syscall(SYS_futex, &word, FUTEX_WAIT, 6, &soon, 0, 0));
	CHECK_ERROR(ETIMEDOUT, syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 5, (long[]){0, 10000000}, 0, 0));
	alarm_until_interrupted();
	CHECK_ERROR(EINTR, syscall(SYS_futex, &word, FUTEX_WAIT, 5, 0, 0, 0));
	no_alarm();
}

int main(void)
{
	struct sigaction action = {.sa_handler = note};
	sigaction(SIGALRM, &action, 0);
	polling();
	selecting();
	epolling();
	clocks();
	timers();
	futexes();
	return finish();
}
