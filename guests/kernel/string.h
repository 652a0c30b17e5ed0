/* Strings and memory; the compiler calls the first three, too. */
#ifndef STRING_H
#define STRING_H

#include <stdbool.h>
#include <stddef.h>

void *memcpy(void *restrict target, const void *restrict source, size_t length);
void *memset(void *target, int value, size_t length);
int memcmp(const void *one, const void *other, size_t length);
size_t strlen(const char *text);

bool equal(const char *one, const char *other);
bool starts_with(const char *text, const char *beginning);

#endif
