/* CRC-32 as in zip files and Ethernet: polynomial 0x04c11db7, reflected. */
#ifndef CRC32_H
#define CRC32_H

/* Of all bytes so far; 0 before the first. */
unsigned crc32(unsigned before, const void *data, unsigned length);

#endif
