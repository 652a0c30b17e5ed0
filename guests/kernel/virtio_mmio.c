#include "virtio_mmio.h"

#include "device_tree.h"
#include "integer.h"
#include "memory.h"
#include "page_table.h"
#include "string.h"

#define MAGIC_VALUE 0x000
#define VERSION 0x004
#define DEVICE_ID 0x008
#define DEVICE_FEATURES 0x010
#define DEVICE_FEATURES_SELECT 0x014
#define DRIVER_FEATURES 0x020
#define DRIVER_FEATURES_SELECT 0x024
#define QUEUE_SELECT 0x030
#define QUEUE_SIZE_MAX 0x034
#define QUEUE_SIZE 0x038
#define QUEUE_READY 0x044
#define QUEUE_NOTIFY 0x050
#define INTERRUPT_STATUS 0x060
#define INTERRUPT_ACKNOWLEDGE 0x064
#define STATUS 0x070
#define QUEUE_DESCRIPTORS 0x080
#define QUEUE_AVAILABLE 0x090
#define QUEUE_USED 0x0a0
#define CONFIGURATION 0x100

#define MAGIC 0x74726976
#define ACKNOWLEDGE 1
#define DRIVER 2
#define DRIVER_OK 4
#define FEATURES_OK 8
#define NEEDS_RESET 64
#define FEATURE_VERSION_1 1 /* of the second 32 */

static unsigned get(const struct virtio_device *device, unsigned offset)
{
	return LITTLE_32(device->registers[offset / 4]);
}

static void put(const struct virtio_device *device, unsigned offset, unsigned value)
{
	device->registers[offset / 4] = LITTLE_32(value);
}

bool virtio_find(struct virtio_device *device, unsigned kind)
{
	struct node node = {0};
	unsigned length;

	while (next_node(&node)) {
		const char *compatible = property(&node, "compatible", &length);

		if (!compatible || !equal(compatible, "virtio,mmio"))
			continue;
		device->registers = (volatile unsigned *)(KSEG1 + property_cell(&node, "reg", 0, 0));
		device->interrupt = property_cell(&node, "interrupts", 0, 0);
		if (get(device, MAGIC_VALUE) == MAGIC && get(device, DEVICE_ID) == kind)
			return true;
	}
	return false;
}

static unsigned agree_on_features(const struct virtio_device *device, unsigned wanted)
{
	put(device, DEVICE_FEATURES_SELECT, 0);
	wanted &= get(device, DEVICE_FEATURES);
	put(device, DRIVER_FEATURES_SELECT, 0);
	put(device, DRIVER_FEATURES, wanted);
	put(device, DRIVER_FEATURES_SELECT, 1);
	put(device, DRIVER_FEATURES, FEATURE_VERSION_1);
	return wanted;
}

static void put_address(const struct virtio_device *device, unsigned offset, const void *address)
{
	put(device, offset, physical_address(address));
	put(device, offset + 4, 0);
}

void virtio_reset(const struct virtio_device *device)
{
	put(device, STATUS, 0);
}

const char *virtio_begin(const struct virtio_device *device, unsigned wanted, unsigned *features)
{
	if (get(device, VERSION) != 2)
		return "not version 2 of virtio over MMIO";
	virtio_reset(device);
	put(device, STATUS, ACKNOWLEDGE | DRIVER);
	*features = agree_on_features(device, wanted);
	put(device, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
	if (!(get(device, STATUS) & FEATURES_OK))
		return "the device does not agree on the features";
	return NULL;
}

bool virtio_add_queue(const struct virtio_device *device, unsigned number, unsigned size, struct virtqueue *queue)
{
	put(device, QUEUE_SELECT, number);
	if (get(device, QUEUE_SIZE_MAX) < size)
		return false;
	put(device, QUEUE_SIZE, size);
	put_address(device, QUEUE_DESCRIPTORS, queue->descriptors);
	put_address(device, QUEUE_AVAILABLE, &queue->available);
	put_address(device, QUEUE_USED, &queue->used);
	put(device, QUEUE_READY, 1);
	return true;
}

void virtio_go(const struct virtio_device *device)
{
	put(device, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

const char *virtio_start(struct virtio_device *device, unsigned wanted, unsigned *features, struct virtqueue *queue)
{
	const char *problem = virtio_begin(device, wanted, features);

	if (problem)
		return problem;
	if (!virtio_add_queue(device, 0, VIRTQUEUE_SIZE, queue))
		return "the device's queue is too short";
	virtio_go(device);
	return NULL;
}

unsigned virtio_configuration(const struct virtio_device *device, unsigned offset)
{
	return get(device, CONFIGURATION + offset);
}

void virtio_submit(const struct virtio_device *device, struct virtqueue *queue, unsigned first)
{
	unsigned short index = LITTLE_16(queue->available.index);

	queue->available.ring[index % VIRTQUEUE_SIZE] = LITTLE_16((unsigned short)first);
	__asm__ volatile("sync" : : : "memory"); /* the device sees the request before the index … */
	queue->available.index = LITTLE_16((unsigned short)(index + 1));
	__asm__ volatile("sync" : : : "memory"); /* … and the index before the notification */
	put(device, QUEUE_NOTIFY, 0);
}

unsigned virtio_acknowledge(const struct virtio_device *device)
{
	unsigned reason = get(device, INTERRUPT_STATUS);

	put(device, INTERRUPT_ACKNOWLEDGE, reason);
	return reason;
}

bool virtio_needs_reset(const struct virtio_device *device)
{
	return get(device, STATUS) & NEEDS_RESET;
}
