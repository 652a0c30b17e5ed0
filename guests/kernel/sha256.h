/* SHA-256 (FIPS 180-4). */
#ifndef SHA256_H
#define SHA256_H

#define SHA256_BLOCK 64
#define SHA256_HEX 65 /* characters of a digest in hexadecimal, with the final zero */

struct sha256 {
	unsigned state[8];
	unsigned long long length; /* bytes so far */
	unsigned char block[SHA256_BLOCK]; /* its end, as far as it does not fill a block */
};

void sha256_start(struct sha256 *sum);
void sha256_add(struct sha256 *sum, const void *data, unsigned length);
void sha256_finish(struct sha256 *sum, char digest[SHA256_HEX]);

#endif
