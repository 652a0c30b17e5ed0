/* Physical memory and the addresses by which it is reached. */
#ifndef MEMORY_H
#define MEMORY_H

#include "platform.h"

#define PAGE_SIZE 4096
#define STACK_SIZE 16384

/* Mapped by the TLB, kernel mode only. */
#define KSEG2 0xc0000000

#ifndef __ASSEMBLER__

/* Use the memory from the kernel's end to this physical address. */
void memory_init(unsigned end);

/* Contiguous page frames that nobody used before; the physical address. Panics if there are not as many left. */
unsigned allocate_frames(unsigned count);

unsigned free_frames(void);

#endif
#endif
