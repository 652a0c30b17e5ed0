/* plant: fill all memory that is free, and the volume's room for writing, with a secret.
 * search: look for it there and in all other sectors of the disk, and fail where it is found.
 *
 * Machines that are kept apart never find each other's.
 *
 *	seed=TEXT	what the secret follows from; the machine's name
 */
#include <stddef.h>

#include "disk.h"
#include "memory.h"
#include "noise.h"
#include "options.h"
#include "report.h"
#include "tasks.h"
#include "volume.h"

#define SECRET_WORDS 4
#define PART (1u << 20) /* bytes of the disk at a time */

struct secret {
	unsigned words[SECRET_WORDS];
};

struct area {
	struct secret *start, *end;
};

static struct secret make_secret(void)
{
	unsigned state = noise_seed(option("seed", option("name", "kernel")));
	struct secret secret;

	for (unsigned i = 0; i < SECRET_WORDS; i++)
		secret.words[i] = noise_next(&state);
	return secret;
}

/* All frames that nobody used when a task was first here. */
static struct area free_memory(void)
{
	static struct area area;

	if (!area.start) {
		unsigned frames = free_frames(), start = KSEG0 + allocate_frames(frames);

		area = (struct area){(struct secret *)start, (struct secret *)(start + frames * PAGE_SIZE)};
	}
	return area;
}

static unsigned bytes_in(struct area area)
{
	return (unsigned)((char *)area.end - (char *)area.start);
}

static unsigned smaller(unsigned one, unsigned other)
{
	return one < other ? one : other;
}

void task_plant(void)
{
	unsigned first = SECTOR_OF_PAGE(volume.scratch_page), sectors = SECTOR_OF_PAGE(volume.scratch_pages);
	struct secret secret = make_secret();
	struct area memory = free_memory();
	unsigned part = smaller(PART, bytes_in(memory)) / SECTOR_SIZE, count;
	const char *problem = part ? NULL : "the machine has too little memory";

	for (struct secret *place = memory.start; place < memory.end; place++)
		*place = secret;
	for (unsigned done = 0; done < sectors && !problem; done += count) {
		count = smaller(part, sectors - done);
		problem = disk_write(first + done, memory.start, count * SECTOR_SIZE);
	}
	if (!problem)
		problem = disk_flush();
	if (problem)
		failed("plant: %s", problem);
	else
		print("plant: bytes=%u sectors=%u\n", bytes_in(memory), sectors);
}

/* How often the secret is in an area. Each word is compared, at every place that a word may have: parts of a page that
 * were stored elsewhere are found as well. */
static unsigned count_secrets(struct area area, const struct secret *secret)
{
	const unsigned *last = (const unsigned *)area.end - SECRET_WORDS;
	unsigned found = 0;

	for (const unsigned *word = (const unsigned *)area.start; word <= last; word++)
		if (word[0] == secret->words[0] && word[1] == secret->words[1] && word[2] == secret->words[2] &&
		    word[3] == secret->words[3])
			found++;
	return found;
}

void task_search(void)
{
	struct secret secret = make_secret();
	struct area memory = free_memory(), area;
	unsigned in_memory = count_secrets(memory, &secret), on_disk = 0, count;
	unsigned part = smaller(PART, bytes_in(memory)) / SECTOR_SIZE;
	const char *problem = part ? NULL : "the machine has too little memory";

	for (unsigned sector = 0; sector < disk_sectors && !problem; sector += count) {
		count = smaller(part, disk_sectors - sector);
		problem = disk_read(sector, memory.start, count * SECTOR_SIZE);
		area = (struct area){memory.start, (struct secret *)((char *)memory.start + count * SECTOR_SIZE)};
		if (!problem)
			on_disk += count_secrets(area, &secret);
	}
	print("search: bytes=%u sectors=%u\n", bytes_in(memory), disk_sectors);
	if (problem)
		failed("search: %s", problem);
	if (in_memory || on_disk)
		failed("search: the secret is %u times in memory and %u times on the disk", in_memory, on_disk);
}
