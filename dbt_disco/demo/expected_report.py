"""What our own guest kernel (guests/kernel) must report, computed without it."""

from __future__ import annotations

import hashlib
import zlib
from array import array
from collections.abc import Iterable, Sequence
from typing import Final

from dbt_disco.demo.disk_image import SECTOR_SIZE, DiskFile, Volume

_MASK: Final = 0xFFFF_FFFF
_WORDS_PER_SECTOR: Final = SECTOR_SIZE // 4
_SECTOR_STEP: Final = 0x9E37_79B9
_FNV_OFFSET, _FNV_PRIME = 0x811C_9DC5, 0x0100_0193

_COMPUTED_WORDS: Final = 1 << 18
_MULTIPLIER, _INCREMENT = 1_664_525, 1_013_904_223


def volume_line(volume: Volume) -> str:
    """What is said of a disk in order."""
    return f"volume: files={len(volume.files)} pages={volume.pages} scratch_pages={volume.scratch_pages}"


def checksum_line(file: DiskFile) -> str:
    """What task=checksum reports of a file."""
    crc, digest = zlib.crc32(file.contents), hashlib.sha256(file.contents).hexdigest()
    return f"checksum: file={file.name} bytes={len(file.contents)} crc32={crc:08x} sha256={digest}"


def write_line(volume: Volume, sectors: int, seed: str) -> str:
    """What task=write reports, once it has read back what it wrote."""
    crc = zlib.crc32(written_sectors(sectors, seed))
    return f"write: sectors={sectors} first={volume.first_scratch_sector} seed={seed} crc32={crc:08x}"


def compute_line(rounds: int) -> str:
    """What task=compute reports."""
    return f"compute: rounds={rounds} crc32={zlib.crc32(computed_words(rounds)):08x}"


def done_line(reported: Iterable[str], failures: int = 0) -> str:
    """The last line, after these lines of the report: of the volume, of checksums, of writing and computing."""
    digest = hashlib.sha256("".join(f"{line}\n" for line in reported).encode()).hexdigest()
    return f"done: failures={failures} sha256={digest}"


def report_of_all(volume: Volume, name: str, sectors: int, rounds: int) -> Sequence[str]:
    """All that task=all reports on a machine called `name`: every file, its own sectors, the computation, the end."""
    lines = [volume_line(volume), *map(checksum_line, volume.files)]
    lines += [write_line(volume, sectors, name), compute_line(rounds)]
    return [*lines, done_line(lines)]


def written_sectors(count: int, seed: str) -> bytes:
    """What task=write writes: noise that follows from seed and sector (guests/kernel/noise.h)."""
    hashed = _FNV_OFFSET
    for byte in seed.encode():
        hashed = (hashed ^ byte) * _FNV_PRIME & _MASK
    words: list[int] = []
    for sector in range(count):
        state = (hashed ^ sector * _SECTOR_STEP & _MASK) or 1
        for _ in range(_WORDS_PER_SECTOR):
            state ^= state << 13 & _MASK
            state ^= state >> 17
            state ^= state << 5 & _MASK
            words.append(state)
    return _little_endian(words)


def computed_words(rounds: int) -> bytes:
    """The memory in which task=compute works, in the end.

    `rounds` steps of x → a x + c are one such step, found by repeated squaring.
    """
    multiplier, increment = 1, 0
    step = (_MULTIPLIER, _INCREMENT)
    while rounds:
        if rounds & 1:
            multiplier, increment = multiplier * step[0] & _MASK, (increment * step[0] + step[1]) & _MASK
        step = (step[0] * step[0] & _MASK, (step[0] + 1) * step[1] & _MASK)
        rounds >>= 1
    return _little_endian([(multiplier * word + increment) & _MASK for word in range(_COMPUTED_WORDS)])


def _little_endian(words: Sequence[int]) -> bytes:
    packed = array("I", words)
    if array("I", [1]).tobytes()[0] != 1:  # a big-endian host
        packed.byteswap()
    return packed.tobytes()
