"""What follows `--drive`, and opening the disk that it describes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from dbt_disco.disks.block_backend import SERIAL_LENGTH, BlockBackend, Delivery
from dbt_disco.disks.cached_image import CachedImage
from dbt_disco.disks.disk_error import DiskError
from dbt_disco.disks.modified_disk import ModifiedDisk
from dbt_disco.disks.raw_image import RawImage

if TYPE_CHECKING:
    from dbt_disco.disks.sector_cache import SectorCache
    from runtime.system.physical_memory import PhysicalMemory


class SharingMode(Enum):
    """How a virtual machine uses an image that others may want, too."""

    SHARED = "shared"
    """The image is only read; what the guest writes vanishes with the virtual machine."""
    OVERLAY = "overlay"
    """The image is only read; what the guest writes is kept in another file."""
    EXCLUSIVE = "exclusive"
    """The image is written in place, by one virtual machine at a time."""


class Disk(BlockBackend, Protocol):
    """An open disk."""

    def delivery(self, memory: PhysicalMemory) -> Delivery | None:
        """How sectors get into a virtual machine's memory without passing through Python; None: they do."""

    def close(self) -> None:
        """Write out what is to be kept, and let others use the image; nothing else may be called afterwards."""


@dataclass(frozen=True)
class Drive:
    """A disk of a virtual machine, as described by its user."""

    file: Path
    mode: SharingMode = SharingMode.SHARED
    overlay: Path | None = None
    """Where the guest's writes are kept; with mode OVERLAY only."""
    format: str | None = None
    """"raw" or "qcow2"; None: what the file says of itself."""
    serial: bytes = b""
    read_only: bool = False

    def open(self, holder: str, cache: SectorCache | None = None) -> Disk:
        """Open the disk for the virtual machine called `holder`; what is only read is read through `cache`.

        Raises DiskError if a file is missing, damaged, or in use by another virtual machine, which is named.
        """
        image = self._raw_file()
        if self.overlay is None and (self.mode is SharingMode.EXCLUSIVE or self.read_only):
            return RawImage(image, holder, self.serial, writable=not self.read_only)
        base: RawImage | CachedImage = (raw := RawImage(image, holder))
        try:
            if cache is not None:
                base = CachedImage(raw, cache)
            if self.overlay is None:
                return ModifiedDisk(base, self.serial)
            from dbt_disco.disks.overlay_file import OverlayDisk  # late: loads SQLite

            return OverlayDisk(base, self.overlay, holder, self.serial, read_only=self.read_only)
        except BaseException:
            base.close()
            raise

    def _raw_file(self) -> Path:
        from dbt_disco.disks.qcow2_image import is_qcow2, raw_copy

        if self.format == "raw" or not (self.format == "qcow2" or is_qcow2(self.file)):
            return self.file
        if self.mode is SharingMode.EXCLUSIVE:
            raise DiskError(
                f"{self.file}: mode=exclusive needs a raw image; use mode=overlay:FILE, or convert it with qemu-img"
            )
        return raw_copy(self.file, trusted=self.format == "qcow2")


_FORMATS: Final = ("raw", "qcow2")
_SWITCH: Final = {"on": True, "off": False}
_USAGE_ERROR: Final = 2
_KEYS: Final = ("file", "mode", "format", "serial", "readonly")


def parse_drive(text: str) -> Drive:
    """Read `file=FILE[,mode=shared|overlay:FILE|exclusive][,format=raw|qcow2][,serial=TEXT][,readonly=on|off]`.

    A comma in a value is doubled, as for QEMU. Raises DiskError if the text is not of this form.
    """
    values: dict[str, str] = {}
    for quoted in text.replace(",,", "\0").split(","):
        part = quoted.replace("\0", ",")
        key, equals, value = part.partition("=")
        if key not in _KEYS or not equals or not value:
            raise _unclear(text, f"{part!r} is none of {', '.join(f'{name}=…' for name in _KEYS)}")
        if key in values:
            raise _unclear(text, f"{key}= is given twice")
        values[key] = value
    if "file" not in values:
        raise _unclear(text, "file=FILE is missing")
    mode, overlay = _parse_mode(text, values.get("mode", SharingMode.SHARED.value))
    serial = values.get("serial", "")
    if not serial.isascii() or len(serial) > SERIAL_LENGTH:
        raise _unclear(text, f"serial= takes at most {SERIAL_LENGTH} ASCII characters")
    return Drive(
        Path(values["file"]),
        mode,
        overlay,
        _choice(text, "format", values["format"], _FORMATS) if "format" in values else None,
        serial.encode(),
        _SWITCH[_choice(text, "readonly", values.get("readonly", "off"), tuple(_SWITCH))],
    )


def _parse_mode(text: str, value: str) -> tuple[SharingMode, Path | None]:
    name, colon, file = value.partition(":")
    if name == SharingMode.OVERLAY.value:
        if not file:
            raise _unclear(text, "mode=overlay:FILE needs the file that keeps the writes")
        return SharingMode.OVERLAY, Path(file)
    if colon or name not in (SharingMode.SHARED.value, SharingMode.EXCLUSIVE.value):
        raise _unclear(text, f"mode= is shared, overlay:FILE or exclusive, not {value}")
    return SharingMode(name), None


def _choice(text: str, key: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise _unclear(text, f"{key}= is {' or '.join(choices)}, not {value}")
    return value


def _unclear(text: str, reason: str) -> DiskError:
    return DiskError(f"--drive {text}: {reason}", _USAGE_ERROR)
