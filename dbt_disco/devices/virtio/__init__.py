"""Virtio devices on the MMIO transport, version 2 (Virtual I/O Device, version 1.2).

`transport` is the register block, `virtqueue` and `descriptor_chain` read what a driver has put into memory, and
there is one file per device type. Section numbers in comments are those of virtio 1.2.
"""
