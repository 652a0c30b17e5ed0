/* Arithmetic and byte orders that the CPU does not have. */
#ifndef INTEGER_H
#define INTEGER_H

/* Divide *value, leave the quotient in it; the remainder. */
static inline unsigned divide(unsigned long long *value, unsigned divisor)
{
	unsigned long long quotient = 0, remainder = 0;

	for (int bit = 63; bit >= 0; bit--) {
		remainder = remainder << 1 | (*value >> bit & 1);
		quotient <<= 1;
		if (remainder >= divisor) {
			remainder -= divisor;
			quotient |= 1;
		}
	}
	*value = quotient;
	return (unsigned)remainder;
}

/* To and from little-endian (devices, our disks) and big-endian (device trees) memory: each is its own inverse. */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define LITTLE_16(value) __builtin_bswap16(value)
#define LITTLE_32(value) __builtin_bswap32(value)
#define LITTLE_64(value) __builtin_bswap64(value)
#define BIG_32(value) (value)
#else
#define LITTLE_16(value) (value)
#define LITTLE_32(value) (value)
#define LITTLE_64(value) (value)
#define BIG_32(value) __builtin_bswap32(value)
#endif

#endif
