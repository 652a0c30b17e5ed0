#include "volume.h"

#include "crc32.h"
#include "disk.h"
#include "integer.h"
#include "memory.h"
#include "page_table.h"
#include "string.h"

#define MAGIC "DISCOVOL"
#define VERSION 1
#define FILES_MAX 1024

struct volume_header volume;
const struct file *files;

static const void *contents[FILES_MAX];

static unsigned pages_of(unsigned bytes)
{
	return bytes / VOLUME_PAGE + (bytes % VOLUME_PAGE != 0);
}

/* Whether these pages are on the volume; sums of what the disk says might not fit into 32 bits. */
static bool on_volume(unsigned first, unsigned pages)
{
	return first <= volume.pages && pages <= volume.pages - first;
}

static const char *read_header(void)
{
	static unsigned page[VOLUME_PAGE / 4] __attribute__((aligned(VOLUME_PAGE)));
	const struct volume_header *found = (const struct volume_header *)page;
	const char *problem;

	if (disk_sectors < SECTOR_OF_PAGE(1))
		return "an empty disk: it has no room for a volume header";
	problem = disk_read(0, page, sizeof page);
	if (problem)
		return problem;
	if (memcmp(found->magic, MAGIC, sizeof found->magic) != 0)
		return "no volume of ours on the disk";
	volume = (struct volume_header){
		.version = LITTLE_32(found->version),
		.pages = LITTLE_32(found->pages),
		.directory_page = LITTLE_32(found->directory_page),
		.file_count = LITTLE_32(found->file_count),
		.directory_crc32 = LITTLE_32(found->directory_crc32),
		.scratch_page = LITTLE_32(found->scratch_page),
		.scratch_pages = LITTLE_32(found->scratch_pages),
	};
	if (volume.version != VERSION)
		return "a volume of another version";
	if (volume.pages > disk_sectors / SECTOR_OF_PAGE(1))
		return "truncated: the volume is larger than the disk";
	if (volume.file_count > FILES_MAX || !on_volume(volume.directory_page, pages_of(volume.file_count * sizeof(struct file))))
		return "damaged: the directory is not on the volume";
	if (!on_volume(volume.scratch_page, volume.scratch_pages))
		return "damaged: the room for writing is not on the volume";
	return NULL;
}

static const char *read_directory(void)
{
	unsigned size = volume.file_count * sizeof(struct file), pages = pages_of(size);
	struct file *directory = map_pages(pages);
	const char *problem = disk_read(SECTOR_OF_PAGE(volume.directory_page), directory, pages * VOLUME_PAGE);

	if (problem)
		return problem;
	if (crc32(0, directory, size) != volume.directory_crc32)
		return "damaged: the directory's checksum is wrong";
	for (unsigned i = 0; i < volume.file_count; i++) {
		directory[i].name[FILE_NAME_SIZE - 1] = 0;
		directory[i].first_page = LITTLE_32(directory[i].first_page);
		directory[i].size = LITTLE_32(directory[i].size);
		directory[i].crc32 = LITTLE_32(directory[i].crc32);
		if (!on_volume(directory[i].first_page, pages_of(directory[i].size)))
			return "damaged: a file is not on the volume";
	}
	files = directory;
	return NULL;
}

const char *volume_open(void)
{
	const char *problem = read_header();

	if (!problem)
		problem = read_directory();
	if (problem)
		volume = (struct volume_header){0};
	return problem;
}

const struct file *find_file(const char *name)
{
	for (unsigned i = 0; i < volume.file_count; i++)
		if (equal(files[i].name, name))
			return &files[i];
	return NULL;
}

const void *file_contents(const struct file *file, const char **problem)
{
	const void **cached = &contents[file - files];
	unsigned pages = pages_of(file->size);
	void *buffer;

	*problem = NULL;
	if (*cached)
		return *cached;
	if (pages + pages / 1024 + 2 > free_frames()) { /* with page tables */
		*problem = "the machine has too little memory for it";
		return NULL;
	}
	buffer = map_pages(pages);
	*problem = disk_read(SECTOR_OF_PAGE(file->first_page), buffer, pages * VOLUME_PAGE);
	if (*problem)
		return NULL;
	*cached = buffer;
	return buffer;
}
