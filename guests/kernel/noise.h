/* Numbers that look random and follow from a seed. */
#ifndef NOISE_H
#define NOISE_H

/* A seed from a text: FNV-1a. */
static inline unsigned noise_seed(const char *text)
{
	unsigned hash = 0x811c9dc5;

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x01000193;
	return hash;
}

/* The next number: Marsaglia's xorshift32, for which zero is no state. */
static inline unsigned noise_next(unsigned *state)
{
	if (!*state)
		*state = 1;
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

#endif
