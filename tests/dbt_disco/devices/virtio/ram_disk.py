"""A disk in memory that remembers what was asked of it."""

from __future__ import annotations

from dbt_disco.disks.block_backend import SECTOR_SIZE


class RamDisk:
    def __init__(self, sector_count: int = 64, read_only: bool = False, serial: bytes = b"disk-1") -> None:
        self.data = bytearray(sector_count * SECTOR_SIZE)
        self.sector_count = sector_count
        self.read_only = read_only
        self.serial = serial
        self.calls: list[tuple[str, int, int]] = []
        self.broken = False

    def read(self, sector: int, count: int) -> bytes:
        self._note("read", sector, count)
        return bytes(self.data[sector * SECTOR_SIZE : (sector + count) * SECTOR_SIZE])

    def write(self, sector: int, data: bytes) -> None:
        assert len(data) % SECTOR_SIZE == 0
        self._note("write", sector, len(data) // SECTOR_SIZE)
        self.data[sector * SECTOR_SIZE : sector * SECTOR_SIZE + len(data)] = data

    def flush(self) -> None:
        self.calls.append(("flush", 0, 0))
        self._fail_if_broken()

    def discard(self, sector: int, count: int) -> None:
        self._note("discard", sector, count)
        self.data[sector * SECTOR_SIZE : (sector + count) * SECTOR_SIZE] = bytes(count * SECTOR_SIZE)

    def _note(self, name: str, sector: int, count: int) -> None:
        assert sector >= 0 and count > 0 and sector + count <= self.sector_count, "the device must check"
        assert name == "read" or not self.read_only
        self.calls.append((name, sector, count))
        self._fail_if_broken()

    def _fail_if_broken(self) -> None:
        if self.broken:
            raise OSError(5, "Input/output error")
