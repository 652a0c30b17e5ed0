"""Fixtures of the corpus: the sysroot, a directory of input files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.conformance.real_programs.sysroot import SysrootUnavailable, sysroot

INPUTS = Path(__file__).parent / "inputs"


@pytest.fixture(scope="session")
def debian_sysroot() -> Path:
    """Debian's mipsel programs; skips where they cannot be had, but never in CI."""
    try:
        return sysroot()
    except SysrootUnavailable as reason:
        message = f"no Debian mipsel packages: {reason}"
        if os.environ.get("CI"):
            pytest.fail(f"{message}, and CI must not skip what needs them")
        pytest.skip(message)


@pytest.fixture
def input_directory(tmp_path: Path) -> Path:
    """A fresh copy of the input files, the working directory of a case."""
    return Path(shutil.copytree(INPUTS, tmp_path / "inputs"))
