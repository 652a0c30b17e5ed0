/* What the benchmark programs use of it. */
#ifndef STDIO_H
#define STDIO_H

int printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
