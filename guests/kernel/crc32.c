#include "crc32.h"

#define POLYNOMIAL 0xedb88320 /* reflected */

static unsigned table[256];

static void make_table(void)
{
	for (unsigned byte = 0; byte < 256; byte++) {
		unsigned remainder = byte;

		for (int bit = 0; bit < 8; bit++)
			remainder = remainder >> 1 ^ (remainder & 1 ? POLYNOMIAL : 0);
		table[byte] = remainder;
	}
}

unsigned crc32(unsigned before, const void *data, unsigned length)
{
	const unsigned char *byte = data;
	unsigned remainder = ~before;

	if (!table[1])
		make_table();
	while (length--)
		remainder = remainder >> 8 ^ table[(remainder ^ *byte++) & 0xff];
	return ~remainder;
}
