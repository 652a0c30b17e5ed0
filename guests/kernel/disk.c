#include "disk.h"

#include "integer.h"
#include "interrupts.h"
#include "memory.h"
#include "page_table.h"
#include "string.h"
#include "virtio_mmio.h"

#define BLOCK_DEVICE 2

#define FEATURE_SIZE_MAX (1 << 1)
#define FEATURE_SEG_MAX (1 << 2)
#define FEATURE_FLUSH (1 << 9)
#define CONFIGURATION_CAPACITY 0
#define CONFIGURATION_SIZE_MAX 8
#define CONFIGURATION_SEG_MAX 12

#define REQUEST_READ 0
#define REQUEST_WRITE 1
#define REQUEST_FLUSH 4
#define RESULT_OK 0
#define RESULT_IO_ERROR 1

#define DATA_DESCRIPTORS (VIRTQUEUE_SIZE - 2) /* all but those of header and result */

unsigned disk_sectors, disk_segments_max, disk_segment_size, disk_requests;

static struct virtio_device device;
static struct virtqueue queue __attribute__((aligned(PAGE_SIZE)));
static struct {
	unsigned type, reserved;
	unsigned long long sector;
} header;
static volatile unsigned char result;

static unsigned features;
static unsigned short used; /* used index seen by the interrupt handler */
static volatile bool request_done;
static bool broken;

static void interrupt(void)
{
	unsigned reason = virtio_acknowledge(&device);

	if (reason & VIRTIO_USED_BUFFER && used != LITTLE_16(*(volatile unsigned short *)&queue.used.index)) {
		used++;
		request_done = true;
	}
	if (reason & VIRTIO_CONFIGURATION_CHANGE && virtio_needs_reset(&device))
		broken = request_done = true;
}

const char *disk_init(void)
{
	const char *problem;

	if (!virtio_find(&device, BLOCK_DEVICE))
		return "no disk";
	problem = virtio_start(&device, FEATURE_SIZE_MAX | FEATURE_SEG_MAX | FEATURE_FLUSH, &features, &queue);
	if (problem)
		return problem;
	disk_sectors = virtio_configuration(&device, CONFIGURATION_CAPACITY);
	if (virtio_configuration(&device, CONFIGURATION_CAPACITY + 4))
		disk_sectors = 0xffffffff; /* nobody here looks beyond 2 TB */
	disk_segment_size = features & FEATURE_SIZE_MAX ? virtio_configuration(&device, CONFIGURATION_SIZE_MAX) : 1 << 16;
	disk_segments_max = features & FEATURE_SEG_MAX ? virtio_configuration(&device, CONFIGURATION_SEG_MAX) : 1;
	if (disk_segments_max > DATA_DESCRIPTORS)
		disk_segments_max = DATA_DESCRIPTORS;
	enable_interrupt(device.interrupt, interrupt);
	return NULL;
}

static void set_descriptor(unsigned index, unsigned address, unsigned length, unsigned flags)
{
	queue.descriptors[index] = (struct descriptor){LITTLE_64((unsigned long long)address), LITTLE_32(length),
						       LITTLE_16((unsigned short)flags), LITTLE_16((unsigned short)(index + 1))};
}

/* Descriptors from 1 on for as much of a buffer as goes into one request; how much that is, and how many they are. */
static unsigned describe(const char *buffer, unsigned length, unsigned flags, unsigned *count)
{
	unsigned done = 0, part;

	for (*count = 0; done < length && *count < disk_segments_max; done += part) {
		unsigned left = length - done;

		part = contiguous_bytes(buffer + done, left < disk_segment_size ? left : disk_segment_size);
		set_descriptor(++*count, physical_address(buffer + done), part, flags | DESCRIPTOR_NEXT);
	}
	return done / SECTOR_SIZE * SECTOR_SIZE == done ? done : 0;
}

/* Carry out the request whose data, if any, is in that many descriptors from 1 on. */
static const char *carry_out(unsigned type, unsigned sector, unsigned count)
{
	header.type = LITTLE_32(type);
	header.sector = LITTLE_64((unsigned long long)sector);
	set_descriptor(0, physical_address(&header), sizeof header, DESCRIPTOR_NEXT);
	set_descriptor(count + 1, physical_address((const void *)&result), sizeof result, DESCRIPTOR_WRITE);
	request_done = false;
	disk_requests++;
	virtio_submit(&device, &queue, 0);
	wait_for(&request_done);
	if (broken)
		return "the device needs a reset";
	if (result != RESULT_OK)
		return result == RESULT_IO_ERROR ? "input/output error" : "request not supported";
	return NULL;
}

static const char *transfer(unsigned type, unsigned sector, const char *buffer, unsigned length, unsigned flags)
{
	while (length) {
		unsigned count, part = describe(buffer, length, flags, &count);
		const char *problem;

		if (!part)
			return "the buffer is in pieces that are no sectors";
		problem = carry_out(type, sector, count);
		if (problem)
			return problem;
		buffer += part;
		length -= part;
		sector += part / SECTOR_SIZE;
	}
	return NULL;
}

const char *disk_read(unsigned sector, void *buffer, unsigned length)
{
	return transfer(REQUEST_READ, sector, buffer, length, DESCRIPTOR_WRITE);
}

const char *disk_write(unsigned sector, const void *buffer, unsigned length)
{
	return transfer(REQUEST_WRITE, sector, buffer, length, 0);
}

const char *disk_flush(void)
{
	return features & FEATURE_FLUSH ? carry_out(REQUEST_FLUSH, 0, 0) : NULL;
}

const char *disk_submit_loop(void)
{
	set_descriptor(0, physical_address(&header), sizeof header, DESCRIPTOR_NEXT);
	queue.descriptors[0].next = 0;
	request_done = false;
	virtio_submit(&device, &queue, 0);
	wait_for(&request_done);
	return broken ? "the device needs a reset" : NULL;
}
