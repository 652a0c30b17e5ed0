"""Guests that take away what we need ourselves, whose process it is as well: descriptors, files, rights."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dbt_disco.commands.command import REPOSITORY, command
from tests.missing import skip_for_lack

GUEST = REPOSITORY / "guests" / "prebuilt" / "mipsel" / "linux" / "confinement"
WAYS = ("descriptors", "limit", "root", "user")


def empty_root(way: str, tmp_path: Path) -> Path:
    if way in ("root", "user") and os.geteuid() != 0:
        skip_for_lack(f"only root can change its {way}")
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.mark.parametrize("way", WAYS)
def test_everything_goes_on(way: str, tmp_path: Path) -> None:
    """From an empty cache: words are still decoded, signals delivered, and regions compiled."""
    root, statistics = empty_root(way, tmp_path), tmp_path / "statistics"
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    options = ("--engine", "translator", "--strace", "--stats=json", "--stats-file", statistics)
    done = command("run", *options, GUEST, way, root, env=environment)
    assert " passed, 0 failed\n" in done.output and done.status == 0, done.output + done.errors
    found = json.loads(statistics.read_text())
    assert found["instructions_by_tier"]["translated"] > found["instructions"] // 2
    assert found["failures"] == []


@pytest.mark.parametrize("way", WAYS)
def test_the_guest_sees_what_it_sees_under_qemu(
    way: str, tmp_path: Path, program: Callable[[str], str]
) -> None:
    root = empty_root(way, tmp_path)
    done = command("run", GUEST, way, root)
    assert done.status == 0, done.output + done.errors
    words = [program("qemu-mipsel"), GUEST, way, root]
    assert done.output == subprocess.run(words, capture_output=True, text=True, timeout=60).stdout
