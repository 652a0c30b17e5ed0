"""The environment that this process was given, for the guest."""

from __future__ import annotations

import os
from typing import Final

_COERCED: Final = frozenset({b"C.UTF-8", b"C.utf8", b"UTF-8"})
"""What Python sets LC_CTYPE to at its start, in the C locale (PEP 538)."""
_VARIABLE: Final = b"LC_CTYPE"


def host_environment() -> dict[bytes, bytes]:
    """Name → value: as Python has it, but for what Python has put there itself."""
    variables = dict(os.environb)
    if variables.get(_VARIABLE) in _COERCED:
        given = _given_value()
        if given is None:
            del variables[_VARIABLE]
        else:
            variables[_VARIABLE] = given
    return variables


def _given_value() -> bytes | None:
    """LC_CTYPE as it was when this process was started."""
    with open("/proc/self/environ", "rb") as file:
        entries = file.read().split(b"\0")
    return next((entry.partition(b"=")[2] for entry in entries if entry.startswith(_VARIABLE + b"=")), None)
