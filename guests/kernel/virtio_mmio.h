/* Virtio over MMIO, version 2 (Virtual I/O Device 1.2, 4.2), and its split virtqueues (2.7). */
#ifndef VIRTIO_MMIO_H
#define VIRTIO_MMIO_H

#include <stdbool.h>

/* Interrupt reasons. */
#define VIRTIO_USED_BUFFER 1
#define VIRTIO_CONFIGURATION_CHANGE 2

#define VIRTQUEUE_SIZE 256

struct virtio_device {
	volatile unsigned *registers;
	unsigned interrupt; /* n of IPn */
};

/* All of this is little-endian. */
struct descriptor {
	unsigned long long address;
	unsigned length;
	unsigned short flags, next;
};
#define DESCRIPTOR_NEXT 1
#define DESCRIPTOR_WRITE 2 /* by the device */

struct virtqueue {
	struct descriptor descriptors[VIRTQUEUE_SIZE] __attribute__((aligned(16)));
	struct {
		unsigned short flags, index, ring[VIRTQUEUE_SIZE];
	} available;
	struct {
		unsigned short flags, index;
		struct {
			unsigned id, length;
		} ring[VIRTQUEUE_SIZE];
	} used __attribute__((aligned(4)));
};

/* The first device of a kind that the device tree names; false if there is none. */
bool virtio_find(struct virtio_device *device, unsigned kind);

/* Reset the device, agree on those of the wanted features (below 32) that it has, and have it use this queue, which is
 * in KSEG0, as its first. What the features are, in *features. NULL, or what is wrong with the device. */
const char *virtio_start(struct virtio_device *device, unsigned wanted, unsigned *features, struct virtqueue *queue);

/* The same step by step: reset it and agree on features; have it use a queue, whose size is a power of two, false if it has
 * no such queue; begin. */
void virtio_reset(const struct virtio_device *device);
const char *virtio_begin(const struct virtio_device *device, unsigned wanted, unsigned *features);
bool virtio_add_queue(const struct virtio_device *device, unsigned number, unsigned size, struct virtqueue *queue);
void virtio_go(const struct virtio_device *device);

/* A word of the device's configuration. */
unsigned virtio_configuration(const struct virtio_device *device, unsigned offset);

/* Make the chain from this descriptor on available, and tell the device. */
void virtio_submit(const struct virtio_device *device, struct virtqueue *queue, unsigned first);

/* Why the device interrupts; it then no longer does. */
unsigned virtio_acknowledge(const struct virtio_device *device);

/* Whether the device has given up. */
bool virtio_needs_reset(const struct virtio_device *device);

#endif
