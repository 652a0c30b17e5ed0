/* The disk: a virtio block device (Virtual I/O Device 1.2, 5.2). */
#ifndef DISK_H
#define DISK_H

#define SECTOR_SIZE 512

/* Find the disk and start its driver. NULL, or why there is none to be used. */
const char *disk_init(void);

extern unsigned disk_sectors;

/* A request's data is in pieces that are contiguous in physical memory. What the device takes: the most pieces, and the
 * most bytes in one, which may be set to less. */
extern unsigned disk_segments_max, disk_segment_size;

/* Transfer whole sectors, in as many requests as it takes; the buffer may be mapped memory. Everybody waits for the end
 * of a request in wait_for. NULL, or what went wrong. */
const char *disk_read(unsigned sector, void *buffer, unsigned length);
const char *disk_write(unsigned sector, const void *buffer, unsigned length);

/* Have everything written on stable storage. */
const char *disk_flush(void);

extern unsigned disk_requests;

/* For a machine that is to go wrong: have the device follow a chain of descriptors without an end, and wait for it. */
const char *disk_submit_loop(void);

#endif
