"""How messages travel between the run time and the compile worker: marshalled, behind a four-byte length."""

from __future__ import annotations

import marshal
import struct
from typing import Any, BinaryIO

_LENGTH = struct.Struct("<I")


def send(file: BinaryIO, message: Any) -> None:
    """Write one message. `OSError` if the other side is gone."""
    data = marshal.dumps(message)
    file.write(_LENGTH.pack(len(data)) + data)
    file.flush()


def receive(file: BinaryIO) -> Any:
    """Read one message. `EOFError` if the other side is gone."""
    header = file.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(header)
    data = file.read(length)
    if len(data) < length:
        raise EOFError
    return marshal.loads(data)
