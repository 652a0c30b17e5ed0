/* checksum: read files into memory, check them against the directory's CRC-32, and report their SHA-256.
 *
 *	files=NAME,NAME,…	which ones; all, if not given
 */
#include <stddef.h>

#include "crc32.h"
#include "options.h"
#include "report.h"
#include "sha256.h"
#include "tasks.h"
#include "volume.h"

static void check(const struct file *file)
{
	char digest[SHA256_HEX];
	const char *problem;
	const void *contents = file_contents(file, &problem);
	struct sha256 sum;
	unsigned crc;

	if (!contents) {
		failed("checksum: %s: %s", file->name, problem);
		return;
	}
	crc = crc32(0, contents, file->size);
	if (crc != file->crc32) {
		failed("checksum: %s: damaged, its CRC-32 is %08x and should be %08x", file->name, crc, file->crc32);
		return;
	}
	sha256_start(&sum);
	sha256_add(&sum, contents, file->size);
	sha256_finish(&sum, digest);
	report("checksum: file=%s bytes=%u crc32=%08x sha256=%s\n", file->name, file->size, crc, digest);
}

void task_checksum(void)
{
	const char *list = option("files", NULL);
	char name[FILE_NAME_SIZE];

	if (!list)
		for (unsigned i = 0; i < volume.file_count; i++)
			check(&files[i]);
	else
		while (next_item(&list, name, sizeof name)) {
			const struct file *file = find_file(name);

			if (file)
				check(file);
			else
				failed("checksum: %s: no such file on the disk", name);
		}
}
