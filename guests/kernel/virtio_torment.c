#include "virtio_torment.h"

#include "integer.h"
#include "memory.h"
#include "panic.h"
#include "virtio_mmio.h"

#define KINDS 6
#define QUEUES 5
#define REGISTERS 0x200
#define KERNEL_START 0x100000
#define ARENA_PAGES 256 /* behind the queues */
#define INDIRECT 4
#define CHAIN_MAX 6

struct victim {
	struct virtio_device device;
	bool is_there;
	unsigned queues, size;
};

static struct victim victims[KINDS];
static struct virtqueue *rings; /* QUEUES for each kind */
static unsigned arena, arena_size; /* physical; the rings are its beginning */
static bool reaches_everything;
unsigned virtio_torment_broken;

void virtio_torment_init(bool everywhere)
{
	unsigned ring_pages = (KINDS * QUEUES * sizeof *rings + PAGE_SIZE - 1) / PAGE_SIZE, pages = ring_pages + ARENA_PAGES;

	if (pages > free_frames())
		panic("out of memory: devices are tormented with %u pages, and %u are left", pages, free_frames());
	arena = allocate_frames(pages);
	arena_size = pages * PAGE_SIZE;
	rings = (struct virtqueue *)(KSEG0 + arena);
	reaches_everything = everywhere;
}

bool virtio_torment_find(unsigned kind)
{
	victims[kind].is_there = virtio_find(&victims[kind].device, kind);
	return victims[kind].is_there;
}

bool virtio_torment_owns(unsigned address)
{
	return address - arena < arena_size;
}

static struct virtqueue *ring_of(const struct victim *victim, unsigned queue)
{
	return &rings[(unsigned)(victim - victims) * QUEUES + queue];
}

unsigned virtio_torment_address(noise_source any)
{
	if (reaches_everything && any() % 4 == 0)
		return KERNEL_START + any() % (arena - KERNEL_START);
	switch (any() % 24) {
	case 0: /* no memory */
		return 0x10000000 + any() % 0xf0000000;
	case 1: /* over its end */
		return 0x0fffffc0 + any() % 64;
	case 2:
		return arena + any() % arena_size / 16 * 16;
	case 3:
	case 4: /* the rings, of any device */
		return arena + any() % (KINDS * QUEUES * sizeof *rings);
	case 5: /* a page */
		return arena + any() % (arena_size / PAGE_SIZE) * PAGE_SIZE;
	default:
		return arena + any() % arena_size;
	}
}

/* A length of a buffer that begins there; it ends in the arena, if it must. */
static unsigned length_from(unsigned address, noise_source any)
{
	static const unsigned lengths[] = {0, 1, 4, 12, 16, 512, 512, 1024, 4096, 4096, 65536};
	unsigned choice = any() % 14, length;

	if (choice < sizeof lengths / sizeof *lengths)
		length = lengths[choice];
	else
		length = choice == 11 ? any() : any() % 70000;
	if (!reaches_everything && virtio_torment_owns(address) && length > arena + arena_size - address)
		length = arena + arena_size - address;
	return length;
}

static void start_over(struct victim *victim, noise_source any)
{
	unsigned features;

	if (virtio_needs_reset(&victim->device))
		virtio_torment_broken++;
	victim->queues = 0;
	victim->size = 1u << any() % 9;
	if (virtio_begin(&victim->device, any(), &features))
		return;
	for (struct virtqueue *ring = ring_of(victim, 0);
	     victim->queues < QUEUES && virtio_add_queue(&victim->device, victim->queues, victim->size, ring); ring++) {
		ring->available.index = ring->used.index = 0;
		victim->queues++;
	}
	virtio_go(&victim->device);
}

static void touch_register(struct victim *victim, noise_source any)
{
	static const unsigned char known[] = {0x00, 0x10, 0x14, 0x20, 0x24, 0x30, 0x34, 0x38, 0x44, 0x50, 0x60, 0x64,
					      0x70, 0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4, 0xb0, 0xfc};
	static const unsigned short values[] = {0, 1, 2, 3, 8, 11, 15, 15, 64, 79, 128, 143, 255, 256, 0x8000, 0xffff};
	unsigned offset = any() % 3 ? known[any() % sizeof known] : any() % REGISTERS;
	unsigned value = any() % 2 ? values[any() % (sizeof values / sizeof *values)] : any();
	volatile char *address = (volatile char *)victim->device.registers + offset;
	bool sets_queue = offset >= 0x80 && offset < 0xa8;

	if (sets_queue && !reaches_everything)
		value = offset & 4 ? 0 : virtio_torment_address(any); /* the device stores to the used ring */
	if (any() % 4)
		*(volatile unsigned *)((unsigned)address & ~3u) = sets_queue ? LITTLE_32(value) : value;
	else if (any() % 2)
		*(volatile unsigned char *)address = (unsigned char)value;
	else
		(void)*(volatile unsigned *)((unsigned)address & ~3u);
}

static void set_descriptor(struct descriptor *descriptor, unsigned address, unsigned length, unsigned flags, unsigned next)
{
	*descriptor = (struct descriptor){LITTLE_64((unsigned long long)address), LITTLE_32(length),
					  LITTLE_16((unsigned short)flags), LITTLE_16((unsigned short)next)};
}

static void make_available(struct victim *victim, struct virtqueue *ring, unsigned first)
{
	unsigned short index = LITTLE_16(ring->available.index);

	ring->available.ring[index % victim->size] = LITTLE_16((unsigned short)first);
	ring->available.index = LITTLE_16((unsigned short)(index + 1));
}

/* Descriptors that lead anywhere, and overlap. */
static void make_chain(struct victim *victim, struct virtqueue *ring, noise_source any)
{
	unsigned first = any() % victim->size, last = first + any() % CHAIN_MAX;

	if (last >= victim->size)
		last = victim->size - 1;
	for (unsigned index = first; index <= last; index++) {
		unsigned address = virtio_torment_address(any), length = length_from(address, any), next = index + 1;
		unsigned flags = (any() % 8 < 5 ? DESCRIPTOR_WRITE : 0) | (index < last ? DESCRIPTOR_NEXT : 0);

		if (any() % 10 == 0 && (reaches_everything || flags)) {
			flags = INDIRECT;
			length = any() % 40 * sizeof(struct descriptor);
			if (!reaches_everything) /* to where there are descriptors: whatever else is there might lead out of the arena */
				address = arena + any() % (KINDS * QUEUES) * sizeof *rings;
		} else if (any() % 20 == 0) {
			flags = any() & ~(unsigned)INDIRECT;
		}
		if (any() % 20 == 0)
			next = any() % 2 ? any() % victim->size : any(); /* a loop, or out of the table */
		set_descriptor(&ring->descriptors[index], address, length, flags, next);
	}
	make_available(victim, ring, first);
}

/* What looks like a request to a disk, and for other devices is a buffer to be read and one to be written. */
static void make_request(struct victim *victim, struct virtqueue *ring, noise_source any)
{
	static const unsigned char types[] = {0, 0, 0, 1, 1, 4, 8, 11, 13, 99};
	unsigned header = arena + (unsigned)(sizeof *rings) * KINDS * QUEUES + any() % PAGE_SIZE / 16 * 16;
	unsigned data = virtio_torment_address(any), *words = (unsigned *)(KSEG0 + header);
	unsigned type = types[any() % sizeof types];

	if (victim->size < 4)
		return;
	words[0] = LITTLE_32(type);
	words[1] = 0;
	words[2] = LITTLE_32(any() % 8 ? any() % 256 : any()); /* to a balloon, a page below this kernel */
	words[3] = any() % 16 ? 0 : any();
	set_descriptor(&ring->descriptors[0], header, 16, DESCRIPTOR_NEXT, 1);
	set_descriptor(&ring->descriptors[1], data, length_from(data, any),
		       DESCRIPTOR_NEXT | (type == 0 || type == 8 ? DESCRIPTOR_WRITE : 0), 2);
	set_descriptor(&ring->descriptors[2], header + 64, 1, DESCRIPTOR_WRITE, 0);
	make_available(victim, ring, 0);
}

static void notify(struct victim *victim, noise_source any)
{
	victim->device.registers[0x50 / 4] = LITTLE_32(any() % 16 ? any() % (victim->queues + 1) : any());
}

static void scribble(struct virtqueue *ring, noise_source any)
{
	switch (any() % 4) {
	case 0:
		ring->available.index = (unsigned short)any();
		break;
	case 1:
		ring->used.index = (unsigned short)any();
		break;
	case 2:
		ring->available.flags = (unsigned short)any();
		break;
	default:
		ring->available.ring[any() % VIRTQUEUE_SIZE] = (unsigned short)any();
	}
}

void virtio_torment(unsigned kind, noise_source any)
{
	struct victim *victim = &victims[kind];
	struct virtqueue *ring;

	if (!victim->queues || any() % 50 == 0 || (any() % 8 == 0 && virtio_needs_reset(&victim->device)))
		start_over(victim, any);
	if (!victim->queues)
		return;
	ring = ring_of(victim, any() % victim->queues);
	switch (any() % 12) {
	case 0:
	case 1:
		touch_register(victim, any);
		break;
	case 2:
	case 3:
	case 4:
		make_request(victim, ring, any);
		break;
	case 5:
	case 6:
	case 7:
		make_chain(victim, ring, any);
		break;
	case 8:
		scribble(ring, any);
		break;
	default:
		notify(victim, any);
	}
}

void virtio_torment_end(void)
{
	for (struct victim *victim = victims; victim < victims + KINDS; victim++)
		if (victim->is_there)
			virtio_reset(&victim->device);
}
