/* A driver of virtio devices that does anything at random, some of it close enough to right that a device goes along for a
 * while. */
#ifndef VIRTIO_TORMENT_H
#define VIRTIO_TORMENT_H

#include <stdbool.h>

typedef unsigned (*noise_source)(void);

/* Take memory for it; `everywhere`: devices may be told to store to any memory. */
void virtio_torment_init(bool everywhere);

/* Whether there is a device of a kind, which is then to be tormented. */
bool virtio_torment_find(unsigned kind);

/* Do one thing to the device of a kind. */
void virtio_torment(unsigned kind, noise_source any);

/* An address to give to devices, mostly of memory. */
unsigned virtio_torment_address(noise_source any);

/* Whether nobody needs what is at a physical address. */
bool virtio_torment_owns(unsigned address);

/* Leave them all reset. */
void virtio_torment_end(void);

/* How often a device had given up and was started anew. */
extern unsigned virtio_torment_broken;

#endif
