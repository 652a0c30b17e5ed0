"""The block device (5.2): a disk whose requests are answered at once, in the order in which they were made."""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag
from typing import Any, ClassVar, Final

from dbt_disco.devices.virtio.descriptor_chain import DescriptorChain, parts_of
from dbt_disco.devices.virtio.driver_error import DriverError
from dbt_disco.devices.virtio.virtio_device import VirtioDevice
from dbt_disco.devices.virtio.virtqueue import Virtqueue
from dbt_disco.disks.block_backend import SECTOR_SIZE, SERIAL_LENGTH, BlockBackend, Delivery
from runtime.system.machine_memory import OutOfMachineMemory

QUEUE_SIZE: Final = 256
SEGMENT_MAX: Final = QUEUE_SIZE - 2
"""Data buffers in a request: all descriptors of a chain but those of header and status."""
SEGMENT_SIZE_MAX: Final = 64 << 10
"""Bytes in a data buffer; also what Linux takes if nothing is said."""
REQUEST_MAX: Final = SEGMENT_MAX * SEGMENT_SIZE_MAX
"""Bytes of data in a request, however cut: what a guest can make us allocate."""
PHYSICAL_BLOCK_EXPONENT: Final = 3
"""log2 of the sectors in what the guest is told is a physical block: a page, so that it aligns partitions to pages."""
RANGES_MAX: Final = 64
"""Ranges in a discard request."""
DISCARD_MAX: Final = 1 << 22
"""Sectors in a range to be discarded."""
ZEROES_MAX: Final = REQUEST_MAX // SECTOR_SIZE
"""Sectors in the one range of a write-zeroes request; the device may have to write them one by one."""

_HEADER: Final = struct.Struct("<IIQ")  # type, reserved, sector
_RANGE: Final = struct.Struct("<QII")  # sector, sectors, flags
_UNMAP: Final = 1
_CONFIGURATION: Final = struct.Struct("<QIIHBBIBBHIBxHIIIIIB3x")
_WRITEBACK_OFFSET: Final = 32


class Feature(IntFlag):
    """Feature bits of the block device (5.2.3)."""

    SIZE_MAX = 1 << 1
    SEG_MAX = 1 << 2
    RO = 1 << 5
    BLK_SIZE = 1 << 6
    FLUSH = 1 << 9
    TOPOLOGY = 1 << 10
    CONFIG_WCE = 1 << 11
    DISCARD = 1 << 13
    WRITE_ZEROES = 1 << 14


class Request(IntEnum):
    """Types of requests (5.2.6)."""

    IN = 0
    OUT = 1
    FLUSH = 4
    GET_ID = 8
    DISCARD = 11
    WRITE_ZEROES = 13


class Result(IntEnum):
    """The byte at the end of every request."""

    OK = 0
    IOERR = 1
    UNSUPP = 2


class _Refused(Exception):
    """The request ends with a result other than OK."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.name)
        self.result = result


_ALWAYS_OFFERED: Final = int(
    Feature.SIZE_MAX
    | Feature.SEG_MAX
    | Feature.BLK_SIZE
    | Feature.FLUSH
    | Feature.TOPOLOGY
    | Feature.CONFIG_WCE
)
_OFFERED_IF_WRITABLE: Final = int(Feature.DISCARD | Feature.WRITE_ZEROES)


class BlockDevice(VirtioDevice):
    """A virtio disk in front of a `BlockBackend`."""

    DEVICE_ID: ClassVar[int] = 2
    QUEUE_SIZES: ClassVar[tuple[int, ...]] = (QUEUE_SIZE,)

    def __init__(self, backend: BlockBackend, deliver: Delivery | None = None) -> None:
        """`deliver`: another way for what is read, by which whole pages are mapped instead of copied."""
        super().__init__()
        self._backend = backend
        self._deliver = deliver
        self._sector_count = backend.sector_count
        self._writeback = True
        self._writeback_configurable = False

    @property
    def features(self) -> int:
        return _ALWAYS_OFFERED | (int(Feature.RO) if self._backend.read_only else _OFFERED_IF_WRITABLE)

    def negotiated(self, features: int) -> None:
        """A driver that does not know FLUSH relies on every write being on stable storage (5.2.5.2)."""
        self._writeback = bool(features & Feature.FLUSH)
        self._writeback_configurable = bool(features & Feature.CONFIG_WCE)

    def configuration(self) -> bytes:
        return _CONFIGURATION.pack(
            self._sector_count,
            SEGMENT_SIZE_MAX,
            SEGMENT_MAX,
            0,  # geometry: not offered
            0,
            0,
            SECTOR_SIZE,
            PHYSICAL_BLOCK_EXPONENT,
            0,  # the first block is aligned
            1 << PHYSICAL_BLOCK_EXPONENT,  # suggested minimum
            0,  # no suggested maximum
            self._writeback,
            1,  # queues
            DISCARD_MAX,
            RANGES_MAX,
            1 << PHYSICAL_BLOCK_EXPONENT,  # alignment of discarded ranges
            ZEROES_MAX,
            1,  # ranges in a write-zeroes request
            1,  # writing zeroes may deallocate
        )

    def write_configuration(self, offset: int, data: bytes) -> None:
        if offset == _WRITEBACK_OFFSET and len(data) == 1 and self._writeback_configurable:
            self._writeback = bool(data[0])

    def serve(self, index: int, queue: Virtqueue) -> bool:
        return queue.serve(self._answer)

    def reset(self) -> None:
        self._writeback = True
        self._writeback_configurable = False

    def state(self) -> dict[str, Any]:
        return {"writeback": self._writeback}

    def restore(self, state: dict[str, Any]) -> None:
        self._writeback = state["writeback"]

    def _answer(self, chain: DescriptorChain) -> int:
        """Carry out one request; returns the bytes written."""
        if not chain.writable_length:
            raise DriverError("a block request has no room for its result")
        kind, _, sector = _HEADER.unpack(chain.read(0, _HEADER.size))
        room = chain.writable_length - 1
        try:
            written = self._carry_out(kind, sector, chain, room)
            result = Result.OK
        except _Refused as refused:
            written, result = 0, refused.result
        except OutOfMachineMemory:  # no fault of the disk's, and the guest could not mend it
            raise
        except OSError:
            written, result = 0, Result.IOERR
        chain.write(room, bytes([result]))
        return written + 1 if written == room else written

    def _carry_out(self, kind: int, sector: int, chain: DescriptorChain, room: int) -> int:
        """Returns how many bytes of data were written to the driver's buffers."""
        match kind:
            case Request.IN:
                self._check(sector, room)
                self._read(sector, chain, room)
                return room
            case Request.OUT:
                length = chain.readable_length - _HEADER.size
                self._check(sector, length)
                self._write(sector, chain.read(_HEADER.size, length))
            case Request.FLUSH:
                self._backend.flush()
            case Request.GET_ID:
                serial = self._backend.serial.ljust(SERIAL_LENGTH, b"\0")[: min(room, SERIAL_LENGTH)]
                chain.write(0, serial)
                return len(serial)
            case Request.DISCARD:
                for first, count, _ in self._ranges(chain, RANGES_MAX, DISCARD_MAX, known_flags=0):
                    self._backend.discard(first, count)
            case Request.WRITE_ZEROES:
                for first, count, flags in self._ranges(chain, 1, ZEROES_MAX, known_flags=_UNMAP):
                    self._write_zeroes(first, count, may_unmap=bool(flags & _UNMAP))
            case _:
                raise _Refused(Result.UNSUPP)
        return 0

    def _read(self, sector: int, chain: DescriptorChain, length: int) -> None:
        """Fill the first `length` writable bytes."""
        if not length:
            return
        if self._deliver is not None:
            buffers = list(parts_of(chain.writable, 0, length))
            if not any(buffer.length % SECTOR_SIZE for buffer in buffers):
                self._deliver(sector, buffers)
                return
        chain.write(0, self._backend.read(sector, length // SECTOR_SIZE))

    def _write(self, sector: int, data: bytes) -> None:
        self._check_writable()
        if data:
            self._backend.write(sector, data)
            self._flush_unless_writeback()

    def _write_zeroes(self, sector: int, count: int, may_unmap: bool) -> None:
        if may_unmap:
            self._backend.discard(sector, count)
        else:
            self._backend.write(sector, bytes(count * SECTOR_SIZE))
        self._flush_unless_writeback()

    def _ranges(
        self, chain: DescriptorChain, most: int, sectors_max: int, known_flags: int
    ) -> list[tuple[int, int, int]]:
        """The ranges (sector, sectors, flags) of a discard or write-zeroes request, all of them checked."""
        self._check_writable()
        length = chain.readable_length - _HEADER.size
        if length % _RANGE.size or not 0 < length <= most * _RANGE.size:
            raise _Refused(Result.IOERR)
        ranges = list(_RANGE.iter_unpack(chain.read(_HEADER.size, length)))
        if any(flags & ~known_flags for _, _, flags in ranges):
            raise _Refused(Result.UNSUPP)
        for sector, count, _ in ranges:
            if count > sectors_max or sector + count > self._sector_count:
                raise _Refused(Result.IOERR)
        return [(sector, count, flags) for sector, count, flags in ranges if count]

    def _check(self, sector: int, length: int) -> None:
        """Whether `length` bytes from `sector` on can be transferred."""
        if (
            length % SECTOR_SIZE
            or length > REQUEST_MAX
            or sector + length // SECTOR_SIZE > self._sector_count
        ):
            raise _Refused(Result.IOERR)

    def _check_writable(self) -> None:
        if self._backend.read_only:
            raise _Refused(Result.IOERR)

    def _flush_unless_writeback(self) -> None:
        if not self._writeback:
            self._backend.flush()
