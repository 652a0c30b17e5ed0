"""struct termios on MIPS and on the host: other places in c_cc, some other local flags (asm/termbits.h)."""

from __future__ import annotations

from typing import Final

from dbt_disco.linux.flag_table import FlagTable
from dbt_disco.linux.layout import Layout

TERMIOS: Final = Layout("I iflag, I oflag, I cflag, I lflag, B line, 23B cc")
HOST_TERMIOS: Final = Layout("I iflag, I oflag, I cflag, I lflag, B line, 19B cc")
TERMIOS2: Final = Layout("I iflag, I oflag, I cflag, I lflag, B line, 23B cc, I ispeed, I ospeed")
HOST_TERMIOS2: Final = Layout("I iflag, I oflag, I cflag, I lflag, B line, 19B cc, I ispeed, I ospeed")

# Input, output and control flags agree with the host's.
_LOCAL_FLAGS: Final = FlagTable(
    ("ISIG", 0x1, 0x1),
    ("ICANON", 0x2, 0x2),
    ("XCASE", 0x4, 0x4),
    ("ECHO", 0x8, 0x8),
    ("ECHOE", 0x10, 0x10),
    ("ECHOK", 0x20, 0x20),
    ("ECHONL", 0x40, 0x40),
    ("NOFLSH", 0x80, 0x80),
    ("IEXTEN", 0x100, 0x8000),
    ("ECHOCTL", 0x200, 0x200),
    ("ECHOPRT", 0x400, 0x400),
    ("ECHOKE", 0x800, 0x800),
    ("FLUSHO", 0x2000, 0x1000),
    ("PENDIN", 0x4000, 0x4000),
    ("TOSTOP", 0x8000, 0x100),
    ("EXTPROC", 0x1_0000, 0x1_0000),
)

# Control character, its index in the guest's c_cc, in the host's.
_CHARACTERS: Final = (
    ("VINTR", 0, 0),
    ("VQUIT", 1, 1),
    ("VERASE", 2, 2),
    ("VKILL", 3, 3),
    ("VMIN", 4, 6),
    ("VTIME", 5, 5),
    ("VEOL2", 6, 16),
    ("VSWTC", 7, 7),
    ("VSTART", 8, 8),
    ("VSTOP", 9, 9),
    ("VSUSP", 10, 10),
    ("VREPRINT", 12, 12),
    ("VDISCARD", 13, 13),
    ("VWERASE", 14, 14),
    ("VLNEXT", 15, 15),
    ("VEOF", 16, 4),
    ("VEOL", 17, 11),
)


def to_host(settings: dict[str, object]) -> dict[str, object]:
    """The fields of the host's termios for the guest's."""
    return _translated(settings, to_host=True)


def to_guest(settings: dict[str, object]) -> dict[str, object]:
    """The fields of the guest's termios for the host's."""
    return _translated(settings, to_host=False)


def _translated(settings: dict[str, object], to_host: bool) -> dict[str, object]:
    flags, old = settings["lflag"], settings["cc"]
    assert isinstance(flags, int) and isinstance(old, tuple)
    characters = [0] * (19 if to_host else 23)
    for _, guest, host in _CHARACTERS:
        source, target = (guest, host) if to_host else (host, guest)
        characters[target] = old[source]
    local = _LOCAL_FLAGS.to_host(flags) if to_host else _LOCAL_FLAGS.to_guest(flags)
    return {**settings, "lflag": local, "cc": tuple(characters)}
