/* write: fill the first sectors of the volume's room for writing with noise of one's own, have it on stable storage, read
 * it back and compare.
 *
 *	sectors=N	how many; 256
 *	seed=TEXT	what the noise follows from; the machine's name
 */
#include "crc32.h"
#include "disk.h"
#include "integer.h"
#include "memory.h"
#include "noise.h"
#include "options.h"
#include "page_table.h"
#include "report.h"
#include "string.h"
#include "tasks.h"
#include "volume.h"

#define WORDS (SECTOR_SIZE / 4)

/* Every sector has noise of its own, so that one in the wrong place is found out. */
static void fill(unsigned *buffer, unsigned sectors, const char *seed)
{
	for (unsigned sector = 0; sector < sectors; sector++) {
		unsigned state = noise_seed(seed) ^ sector * 0x9e3779b9;

		for (unsigned i = 0; i < WORDS; i++)
			*buffer++ = LITTLE_32(noise_next(&state));
	}
}

void task_write(void)
{
	unsigned first = SECTOR_OF_PAGE(volume.scratch_page), most = SECTOR_OF_PAGE(volume.scratch_pages);
	unsigned sectors = option_number("sectors", most < 256 ? most : 256, 0, most), size = sectors * SECTOR_SIZE;
	const char *seed = option("seed", option("name", "kernel"));
	unsigned pages = (size + PAGE_SIZE - 1) / PAGE_SIZE, *written, *read;
	const char *problem;

	if (2 * pages + pages / 512 + 4 > free_frames()) { /* with page tables */
		failed("write: the machine has too little memory for %u sectors", sectors);
		return;
	}
	written = map_pages(pages);
	read = map_pages(pages);
	fill(written, sectors, seed);
	problem = disk_write(first, written, size);
	if (!problem)
		problem = disk_flush();
	if (!problem)
		problem = disk_read(first, read, size);
	if (problem)
		failed("write: %s", problem);
	else if (memcmp(written, read, size) != 0)
		failed("write: what was read back is not what was written");
	else
		report("write: sectors=%u first=%u seed=%s crc32=%08x\n", sectors, first, seed, crc32(0, read, size));
}
