/* plant: fill all memory that is free, and the volume's room for writing, with a secret.
 * search: look for it there and in all other sectors of the disk, and fail where it is found.
 *
 * Machines that are kept apart never find each other's.
 *
 *	seed=TEXT	what the secret follows from; the machine's name
 *	spread=yes|no	whether plant also writes a sector of each fourth page of the rest of the disk; no
 *	give=yes|no	whether plant then gives its memory back to the monitor, and finds zeros in it; no
 *
 * The disk is read twice: into whole pages, as they can be mapped, and from its second sector on to one behind a page.
 */
#include <stddef.h>

#include "disk.h"
#include "memory.h"
#include "monitor.h"
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

static const char *spread_over_disk(void)
{
	const char *problem = NULL;

	for (unsigned page = 0; page < volume.scratch_page && !problem; page += 4)
		problem = disk_write(SECTOR_OF_PAGE(page) + page / 4 % SECTOR_OF_PAGE(1), free_memory().start, SECTOR_SIZE);
	return problem;
}

static const char *give_memory_back(struct area memory)
{
	unsigned start = (unsigned)memory.start, end = (unsigned)memory.end;

	for (unsigned page = start; page < end; page += PAGE_SIZE)
		if (monitor_call(page / PAGE_SIZE % 2 ? MONITOR_CALL_ZERO_PAGE : MONITOR_CALL_FREE_PAGE, page - KSEG0, 0))
			return "the monitor does not take a page back";
	for (const unsigned *word = (const unsigned *)start; word < (const unsigned *)end; word++)
		if (*word)
			return "a page that was given back is not zero";
	return NULL;
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
	if (!problem && option_is("spread", "yes", "no", "no"))
		problem = spread_over_disk();
	if (!problem)
		problem = disk_flush();
	if (!problem && option_is("give", "yes", "no", "no"))
		problem = give_memory_back(memory);
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

/* How often it is in the sectors from `first` on, read to so many bytes behind the beginning of the memory. */
static const char *search_disk(const struct secret *secret, struct area memory, unsigned first, unsigned offset, unsigned *found)
{
	unsigned part = smaller(PART, bytes_in(memory) - offset) / SECTOR_SIZE, count;
	char *buffer = (char *)memory.start + offset;
	const char *problem = part ? NULL : "the machine has too little memory";

	*found = 0;
	for (unsigned sector = first; sector < disk_sectors && !problem; sector += count) {
		count = smaller(part, disk_sectors - sector);
		problem = disk_read(sector, buffer, count * SECTOR_SIZE);
		if (!problem)
			*found += count_secrets((struct area){(struct secret *)buffer, (struct secret *)(buffer + count * SECTOR_SIZE)},
						secret);
	}
	return problem;
}

void task_search(void)
{
	struct secret secret = make_secret();
	struct area memory = free_memory();
	unsigned in_memory = count_secrets(memory, &secret), on_disk = 0, unaligned = 0;
	const char *problem = search_disk(&secret, memory, 0, 0, &on_disk);

	if (!problem)
		problem = search_disk(&secret, memory, 1, SECTOR_SIZE, &unaligned);
	print("search: bytes=%u sectors=%u\n", bytes_in(memory), disk_sectors);
	if (problem)
		failed("search: %s", problem);
	if (in_memory || on_disk || unaligned)
		failed("search: the secret is %u times in memory and %u times on the disk", in_memory,
		       on_disk > unaligned ? on_disk : unaligned);
}
