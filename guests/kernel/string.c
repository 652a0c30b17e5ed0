#include "string.h"

/* Compiled so that these loops do not become calls of the functions that they are in. */

void *memcpy(void *restrict target, const void *restrict source, size_t length)
{
	char *to = target;
	const char *from = source;

	while (length--)
		*to++ = *from++;
	return target;
}

void *memset(void *target, int value, size_t length)
{
	char *to = target;

	while (length--)
		*to++ = (char)value;
	return target;
}

int memcmp(const void *one, const void *other, size_t length)
{
	const unsigned char *a = one, *b = other;

	for (; length; length--, a++, b++)
		if (*a != *b)
			return *a - *b;
	return 0;
}

size_t strlen(const char *text)
{
	size_t length = 0;

	while (text[length])
		length++;
	return length;
}

bool equal(const char *one, const char *other)
{
	while (*one && *one == *other)
		one++, other++;
	return *one == *other;
}

bool starts_with(const char *text, const char *beginning)
{
	while (*beginning && *beginning == *text)
		beginning++, text++;
	return !*beginning;
}
