/* Page frames are given out from below and never taken back: this kernel's tasks begin, work and end with the machine. */
#include "memory.h"

#include "panic.h"

extern char kernel_end[];

static unsigned next_frame, end_of_frames; /* physical addresses */

void memory_init(unsigned end)
{
	next_frame = (unsigned)kernel_end - KSEG0;
	end_of_frames = end / PAGE_SIZE * PAGE_SIZE;
	if (end_of_frames < next_frame)
		panic("out of memory: the machine has %u bytes, the kernel alone takes %u", end, next_frame);
}

unsigned allocate_frames(unsigned count)
{
	unsigned frames = next_frame;

	if (count > free_frames())
		panic("out of memory: %u pages wanted, %u left", count, free_frames());
	next_frame += count * PAGE_SIZE;
	return frames;
}

unsigned free_frames(void)
{
	return (end_of_frames - next_frame) / PAGE_SIZE;
}
