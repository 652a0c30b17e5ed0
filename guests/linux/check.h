/* A program that checks what its kernel does: it prints the checks that fail and, at the end, how many passed. */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stdio.h>

static int passed, failed;

#define CHECK(condition)                                                              \
	do {                                                                          \
		if (condition)                                                        \
			passed++;                                                     \
		else {                                                                \
			failed++;                                                     \
			printf("line %d: %s (errno %d)\n", __LINE__, #condition, errno); \
		}                                                                     \
	} while (0)

/* The call must fail with this error. */
#define CHECK_ERROR(number, call)                 \
	do {                                      \
		errno = 0;                        \
		CHECK((call) == -1 && errno == (number)); \
	} while (0)

static int finish(void)
{
	printf("%d passed, %d failed\n", passed, failed);
	return failed != 0;
}

#endif
