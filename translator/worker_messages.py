"""How messages travel between the run time and the compile worker: marshalled, behind a four-byte length."""

from __future__ import annotations

import marshal
import struct
from enum import IntEnum
from typing import IO, Any


class Extent(IntEnum):
    """How much code a region takes in."""

    STATIC = 0
    """There is no profile: a few blocks, following every edge."""
    GLUE = 1
    """Code between regions: it ends where another region can be entered."""
    PROFILED = 2
    """As far as the profile says that control goes."""
    MERGED = 3
    """The same, with what is part of other regions, to be entered in their place."""


ENTERS_REGION = 1
"""In the byte that a page of code has for a word: a region can be entered there …"""
BEGINS_BLOCK = 2
"""… and a block of a region begins there."""

_LENGTH = struct.Struct("<I")


def send(file: IO[bytes], message: Any) -> None:
    """Write one message. `OSError` if the other side is gone."""
    data = marshal.dumps(message)
    file.write(_LENGTH.pack(len(data)) + data)
    file.flush()


def receive(file: IO[bytes]) -> Any:
    """Read one message. `EOFError` if the other side is gone."""
    header = file.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(header)
    data = file.read(length)
    if len(data) < length:
        raise EOFError
    return marshal.loads(data)
