"""The block device: requests as Linux's virtio_blk makes them, and as it must not."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbt_disco.devices.virtio.block import REQUEST_MAX, BlockDevice, Feature, Request, Result
from dbt_disco.devices.virtio.registers import Register
from dbt_disco.disks.block_backend import SECTOR_SIZE
from tests.dbt_disco.devices.virtio.driver import ALL_FEATURES, Driver, DriverQueue, Transfer
from tests.dbt_disco.devices.virtio.guest import Guest
from tests.dbt_disco.devices.virtio.ram_disk import RamDisk

WITHOUT_FLUSH = ALL_FEATURES & ~int(Feature.FLUSH | Feature.CONFIG_WCE)
CONFIGURATION = struct.Struct("<QIIHBBIBBHIBxHIIIIIB")


def started(disk: RamDisk, wanted: int = ALL_FEATURES) -> tuple[Guest, DriverQueue]:
    guest = Guest(BlockDevice(disk))
    driver = Driver(guest)
    driver.start(wanted)
    return guest, driver.queues[0]


def header(kind: int, sector: int = 0) -> bytes:
    return struct.pack("<IIQ", kind, 0, sector)


def result(transfer: Transfer) -> Result:
    return Result(transfer.data[-1])


def pattern(sectors: int, seed: int = 0) -> bytes:
    return b"".join((seed + number).to_bytes(4, "little") * 128 for number in range(sectors))


def test_the_configuration_says_what_the_disk_is_like() -> None:
    guest = Guest(BlockDevice(RamDisk(1 << 12)))
    data = b"".join(guest.load(Register.CONFIG + offset, 1).to_bytes(1, "little") for offset in range(57))
    fields = CONFIGURATION.unpack(data)
    capacity, size_max, seg_max, *geometry, block_size, exponent, offset, minimum, optimum = fields[:11]
    assert (capacity, seg_max, geometry, block_size) == (1 << 12, 254, [0, 0, 0], 512)
    assert size_max % 4096 == 0
    assert (512 << exponent, offset, 512 * minimum, optimum) == (4096, 0, 4096, 0)
    writeback, queues, _, discard_ranges, alignment, zeroes_max, zeroes_ranges, may_unmap = fields[11:]
    assert (writeback, queues, discard_ranges > 1, alignment) == (1, 1, True, 8)
    assert zeroes_max > 0 and (zeroes_ranges, may_unmap) == (1, 1)


def test_a_read_only_disk_says_so() -> None:
    features = BlockDevice(RamDisk(read_only=True)).features
    assert features & Feature.RO and not features & (Feature.DISCARD | Feature.WRITE_ZEROES)
    assert not BlockDevice(RamDisk()).features & Feature.RO


sectors = st.integers(1, 16)


@settings(max_examples=100, deadline=None)
@given(st.lists(sectors, min_size=1, max_size=8), st.integers(0, 127), st.booleans(), st.booleans())
def test_scattered_writes_and_reads(cuts: list[int], sector: int, indirect: bool, flush: bool) -> None:
    """Data cut at sectors, as Linux does; at arbitrary places is `test_virtqueue`'s matter."""
    disk = RamDisk(256)
    _, queue = started(disk, ALL_FEATURES if flush else WITHOUT_FLUSH)
    total = sum(cuts)
    data = pattern(total)
    parts, done = [], 0
    for cut in cuts:
        parts.append(data[done * SECTOR_SIZE : (done + cut) * SECTOR_SIZE])
        done += cut
    written = queue.request([header(Request.OUT, sector), *parts], [1], indirect)
    assert result(written) == Result.OK and written.written == 1
    assert disk.data[sector * SECTOR_SIZE :][: len(data)] == data
    assert disk.calls == [("write", sector, total)] + ([] if flush else [("flush", 0, 0)])
    lengths = [cut * SECTOR_SIZE for cut in cuts]
    read = queue.request([header(Request.IN, sector)], [*lengths, 1], indirect)
    assert result(read) == Result.OK and read.written == len(data) + 1
    assert read.data[:-1] == data
    assert disk.calls[-1] == ("read", sector, total)


def test_the_result_may_share_a_buffer_with_the_data() -> None:
    disk = RamDisk()
    disk.data[:512] = pattern(1, 7)
    _, queue = started(disk)
    assert queue.request([header(Request.IN)], [513]).data == pattern(1, 7) + b"\0"


def test_nothing_can_be_transferred() -> None:
    _, queue = started(RamDisk())
    assert result(queue.request([header(Request.IN, 64)], [1])) == Result.OK
    assert result(queue.request([header(Request.OUT)], [1])) == Result.OK


@pytest.mark.parametrize(
    ("kind", "sector", "length"),
    [
        (Request.IN, 64, 512),
        (Request.IN, 63, 1024),
        (Request.IN, 2**64 - 1, 512),
        (Request.IN, 0, 511),
        (Request.OUT, 64, 512),
        (Request.OUT, 63, 1024),
        (Request.OUT, 0, 513),
    ],
)
def test_transfers_off_the_disk_or_of_parts_of_sectors_fail(kind: Request, sector: int, length: int) -> None:
    disk = RamDisk()
    guest, queue = started(disk)
    data = [bytes(length)] if kind == Request.OUT else []
    room = [length] if kind == Request.IN else []
    transfer = queue.request([header(kind, sector), *data], [*room, 1])
    assert result(transfer) == Result.IOERR and not disk.calls
    assert transfer.written == (0 if room else 1)
    assert guest.transport.failure is None


def test_a_transfer_has_a_greatest_length() -> None:
    disk = RamDisk(2 * REQUEST_MAX // SECTOR_SIZE)
    _, queue = started(disk)
    piece = REQUEST_MAX // 2
    assert result(queue.request([header(Request.IN)], [piece, piece, SECTOR_SIZE, 1])) == Result.IOERR
    assert not disk.calls


def test_a_read_only_disk_is_not_written() -> None:
    disk = RamDisk(read_only=True)
    _, queue = started(disk)
    for kind in (Request.OUT, Request.DISCARD, Request.WRITE_ZEROES):
        assert result(queue.request([header(kind), bytes(512)], [1])) == Result.IOERR
    assert result(queue.request([header(Request.IN)], [512, 1])) == Result.OK


def test_errors_of_the_host_are_errors_of_the_request() -> None:
    disk = RamDisk()
    guest, queue = started(disk)
    disk.broken = True
    for readable, writable in (
        ([header(Request.IN)], [512, 1]),
        ([header(Request.OUT), bytes(512)], [1]),
        ([header(Request.FLUSH)], [1]),
        ([header(Request.DISCARD), struct.pack("<QII", 0, 8, 0)], [1]),
    ):
        assert result(queue.request(readable, writable)) == Result.IOERR
    disk.broken = False
    assert result(queue.request([header(Request.IN)], [512, 1])) == Result.OK
    assert guest.transport.failure is None


def test_flush() -> None:
    disk = RamDisk()
    _, queue = started(disk)
    assert result(queue.request([header(Request.FLUSH)], [1])) == Result.OK
    assert disk.calls == [("flush", 0, 0)]


@pytest.mark.parametrize(
    ("serial", "expected"), [(b"", bytes(20)), (b"abc", b"abc" + bytes(17)), (b"x" * 30, b"x" * 20)]
)
def test_the_serial_number(serial: bytes, expected: bytes) -> None:
    _, queue = started(RamDisk(serial=serial))
    transfer = queue.request([header(Request.GET_ID)], [20, 1])
    assert transfer.data == expected + b"\0" and transfer.written == 21


def test_unknown_requests_are_unsupported() -> None:
    guest, queue = started(RamDisk())
    for kind in (2, 3, 10, 14, 0xFFFF_FFFF):
        assert result(queue.request([header(kind)], [512, 1])) == Result.UNSUPP
    assert guest.transport.failure is None


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([(0, 8, 0), (32, 16, 0), (63, 1, 0)], Result.OK),
        ([(0, 0, 0)], Result.OK),
        ([(0, 8, 1)], Result.UNSUPP),
        ([(0, 8, 2)], Result.UNSUPP),
        ([(63, 2, 0)], Result.IOERR),
        ([(2**64 - 1, 1, 0)], Result.IOERR),
        ([(0, 0xFFFF_FFFF, 0)], Result.IOERR),
        ([(0, 1, 0)] * 65, Result.IOERR),
        ([], Result.IOERR),
    ],
)
def test_discard(ranges: list[tuple[int, int, int]], expected: Result) -> None:
    disk = RamDisk()
    disk.data[:] = b"\xff" * len(disk.data)
    _, queue = started(disk)
    data = b"".join(struct.pack("<QII", *one) for one in ranges)
    assert result(queue.request([header(Request.DISCARD), data], [1])) == expected
    discarded = [("discard", *one[:2]) for one in ranges if one[1]]
    assert disk.calls == (discarded if expected == Result.OK else [])


@pytest.mark.parametrize(("flags", "call"), [(0, "write"), (1, "discard")])
def test_write_zeroes(flags: int, call: str) -> None:
    disk = RamDisk()
    disk.data[:] = b"\xff" * len(disk.data)
    _, queue = started(disk)
    request = [header(Request.WRITE_ZEROES), struct.pack("<QII", 8, 16, flags)]
    assert result(queue.request(request, [1])) == Result.OK
    assert disk.calls == [(call, 8, 16)]
    assert disk.data == b"\xff" * 4096 + bytes(8192) + b"\xff" * (64 * 512 - 12288)
    two = [header(Request.WRITE_ZEROES), struct.pack("<QII", 8, 16, flags) * 2]
    assert result(queue.request(two, [1])) == Result.IOERR


def test_ranges_come_whole() -> None:
    _, queue = started(RamDisk())
    assert result(queue.request([header(Request.DISCARD), bytes(17)], [1])) == Result.IOERR


def test_the_driver_can_ask_for_writes_through_the_cache() -> None:
    disk = RamDisk()
    guest, queue = started(disk)
    write = [header(Request.OUT), bytes(512)]
    zeroes = [header(Request.WRITE_ZEROES), struct.pack("<QII", 0, 1, 1)]
    guest.store(Register.CONFIG + 32, 0, 1)
    assert guest.load(Register.CONFIG + 32, 1) == 0
    queue.request(write, [1])
    queue.request(zeroes, [1])
    assert [name for name, *_ in disk.calls] == ["write", "flush", "discard", "flush"]
    disk.calls.clear()
    guest.store(Register.CONFIG + 32, 1, 1)
    queue.request(write, [1])
    assert [name for name, *_ in disk.calls] == ["write"]


def test_the_cache_mode_is_fixed_unless_negotiated_and_a_reset_restores_it() -> None:
    disk = RamDisk()
    guest = Guest(BlockDevice(disk))
    driver = Driver(guest)
    driver.start(WITHOUT_FLUSH)
    guest.store(Register.CONFIG + 32, 1, 1)
    driver.queues[0].request([header(Request.OUT), bytes(512)], [1])
    assert [name for name, *_ in disk.calls] == ["write", "flush"]
    driver.start()
    assert guest.load(Register.CONFIG + 32, 1) == 1


@pytest.mark.parametrize(("readable", "writable"), [([b"short"], [1]), ([], [1]), ([header(Request.IN)], [])])
def test_requests_without_header_or_result_need_a_reset(readable: list[bytes], writable: list[int]) -> None:
    guest, queue = started(RamDisk())
    queue.add(readable, writable)
    queue.notify()
    assert guest.transport.failure is not None


def test_other_fields_of_the_configuration_are_not_written() -> None:
    guest, _ = started(RamDisk())
    before = guest.transport.device.configuration()
    for offset in range(0, 0x100, 4):
        guest.store(Register.CONFIG + offset, 0)
    assert guest.transport.device.configuration() == before
