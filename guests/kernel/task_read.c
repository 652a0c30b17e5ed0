/* read: how fast the disk is read into the same memory again and again, once it is in the monitor's cache.
 *
 *	size=N		bytes a request, a multiple of the page size; 1M
 *	segments=N	pieces of memory a request goes to; as few as the device takes
 *	repeat=N	requests; 256
 *	align=page|none	whether the memory begins on a page, or one sector behind
 *	touch=yes|no	whether a word of every page is looked at after each request; no
 *
 * The requests go through header, directory and files one after the other, and then from the beginning again; a first time
 * around is not measured.
 */
#include <stddef.h>

#include "cp0.h"
#include "disk.h"
#include "integer.h"
#include "memory.h"
#include "options.h"
#include "page_table.h"
#include "report.h"
#include "tasks.h"
#include "timer.h"
#include "volume.h"

#define SIZE_MAX (1u << 20)

/* The size of the segments that make so many of a request. */
static unsigned segment_size(unsigned size, unsigned segments)
{
	if (size % segments || size / segments % SECTOR_SIZE || size / segments > disk_segment_size)
		usage_error("segments=%u: %u bytes are not cut into so many equal pieces of whole sectors, of at most %u bytes",
			    segments, size, disk_segment_size);
	return size / segments;
}

static unsigned touch_pages(const char *buffer, unsigned size)
{
	unsigned sum = 0;

	for (unsigned offset = 0; offset < size; offset += PAGE_SIZE)
		sum += *(const volatile unsigned char *)(buffer + offset);
	return sum;
}

void task_read(void)
{
	unsigned size = option_number("size", SIZE_MAX, PAGE_SIZE, SIZE_MAX), repeat = option_number("repeat", 256, 1, 1u << 20);
	bool aligned = option_is("align", "page", "none", "page"), touches = option_is("touch", "yes", "no", "no");
	unsigned largest = scatter_frames ? PAGE_SIZE : disk_segment_size, least = (size + largest - 1) / largest;
	unsigned segments = option_number("segments", least, least, disk_segments_max), device_segment_size = disk_segment_size;
	unsigned places = volume.scratch_page / (size / PAGE_SIZE);
	unsigned long long counts = 0, rate;
	const char *problem = NULL;
	char *buffer;

	if (size % PAGE_SIZE)
		usage_error("size=%u: not a multiple of %u", size, PAGE_SIZE);
	if (segments > disk_segments_max || (scatter_frames && !aligned))
		usage_error("size=%u: with these pieces of memory it is no single request", size);
	disk_segment_size = segment_size(size, segments);
	if (!places) {
		failed("read: the volume's files are smaller than one request");
		return;
	}
	buffer = (char *)map_pages(size / PAGE_SIZE + 1) + (aligned ? 0 : SECTOR_SIZE);
	for (unsigned i = 0; i < places + repeat && !problem; i++) {
		unsigned start = READ_CP0(C0_COUNT);

		problem = disk_read(SECTOR_OF_PAGE(i % places * (size / PAGE_SIZE)), buffer, size);
		if (touches)
			touch_pages(buffer, size);
		if (i >= places)
			counts += READ_CP0(C0_COUNT) - start;
	}
	disk_segment_size = device_segment_size;
	if (problem) {
		failed("read: %s", problem);
		return;
	}
	rate = (unsigned long long)(size / PAGE_SIZE) * repeat * counts_per_second;
	for (; counts > 0xffffffff; counts >>= 1)
		rate >>= 1;
	divide(&rate, (unsigned)counts);
	print("read: size=%u segments=%u align=%s touch=%s requests=%u pages=%u counts=%llu pages_per_second=%llu\n", size, segments,
	      aligned ? "page" : "none", touches ? "yes" : "no", repeat, size / PAGE_SIZE * repeat, counts, rate);
}
