/* What is on the disk: a header, a directory of files that are only read, and room that every machine may write to.
 * dbt_disco/demo/disk_image.py makes it. All numbers are little-endian, all places are counted in pages of 4096 bytes. */
#ifndef VOLUME_H
#define VOLUME_H

#include <stdbool.h>

#define VOLUME_PAGE 4096
#define FILE_NAME_SIZE 48 /* with the final zero */

struct volume_header { /* page 0 */
	char magic[8];
	unsigned version;
	unsigned pages; /* of the whole volume */
	unsigned directory_page, file_count;
	unsigned directory_crc32;
	unsigned scratch_page, scratch_pages; /* behind the files, to the end */
};

struct file {
	char name[FILE_NAME_SIZE];
	unsigned first_page, size; /* size in bytes; the rest of the last page is zero */
	unsigned crc32;
	unsigned reserved;
};

/* Read header and directory, into the processor's byte order. NULL, or why there are no files. */
const char *volume_open(void);

extern struct volume_header volume;
extern const struct file *files; /* volume.file_count of them */

const struct file *find_file(const char *name);

/* A file's contents in memory, where they stay; they are read at the first call, in requests as large as possible into
 * whole pages. NULL, and in *problem why, if that cannot be done. */
const void *file_contents(const struct file *file, const char **problem);

/* The disk's sector at a page. */
#define SECTOR_OF_PAGE(page) ((page) * (VOLUME_PAGE / SECTOR_SIZE))

#endif
