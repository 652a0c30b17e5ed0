"""What a test needs and a machine may lack: a program, a library, a guest, the network."""

from __future__ import annotations

import ctypes.util
import os
from typing import NoReturn

import pytest


def skip_for_lack(reason: str) -> NoReturn:
    """Skip the test; in CI, which must have everything, fail."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason}, and CI must not skip what needs it")
    pytest.skip(reason)


def need_libslirp() -> None:
    """For tests of `--net user`."""
    if ctypes.util.find_library("slirp") is None:
        skip_for_lack("libslirp is not installed")
