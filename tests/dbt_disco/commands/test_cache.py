"""The translation cache as a user sees it: shown, cleared, damaged, and shared by processes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from runtime.disk_cache import generation_key
from tests.dbt_disco.commands.command import HELLO, QUEENS, REPOSITORY, Done, command, launcher

GUEST = (QUEENS, 300)
"""Long enough for something to be hot, and for the compiler to be done in time."""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"XDG_CACHE_HOME": str(tmp_path)}


def files(tmp_path: Path) -> list[Path]:
    return sorted(path for path in (tmp_path / "dbt-disco").rglob("*") if path.is_file())


def run(environment: dict[str, str]) -> Done:
    done = command("run", "--engine", "translator", HELLO, env=environment)
    assert (done.status, done.errors) == (0, "")
    return done


def test_show_and_clear(environment: dict[str, str], tmp_path: Path) -> None:
    assert command("cache", env=environment).output.splitlines()[1] == "empty"
    run(environment)
    foreign = tmp_path / "dbt-disco" / "guests" / "file"
    foreign.parent.mkdir()
    foreign.write_text("not the cache's")
    location, generation = command("cache", "show", env=environment).output.splitlines()
    assert location == f"location: {tmp_path / 'dbt-disco'}"
    held = [path for path in files(tmp_path) if path != foreign]
    size = sum(path.stat().st_size for path in held)
    assert generation.split()[1:4] == [generation_key(), str(len(held)), "files"]
    assert f" {size:,} bytes" in generation
    assert generation.endswith("(current)")
    done = command("cache", "clear", env=environment)
    assert done.output == f"removed 1 generations, {len(held)} files, {size:,} bytes\n"
    assert files(tmp_path) == [foreign]


def test_clear_old(environment: dict[str, str], tmp_path: Path) -> None:
    run(environment)
    before = files(tmp_path)
    old = tmp_path / "dbt-disco" / ("0" * 20) / "regions" / "x"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"1234")
    done = command("cache", "clear", "--old", env=environment)
    assert done.output == "removed 1 generations, 1 files, 4 bytes\n"
    assert files(tmp_path) == before


def test_old_needs_clear(environment: dict[str, str]) -> None:
    assert command("cache", "--old", env=environment).status == 2


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "directory"])
def test_damaged_entries_are_ignored_and_replaced(
    environment: dict[str, str], tmp_path: Path, damage: str
) -> None:
    expected = run(environment).output
    held = files(tmp_path)
    assert len(held) > 3
    good = {path: path.read_bytes() for path in held}
    for path, data in good.items():
        if damage == "directory":
            path.unlink()
            path.mkdir()
        else:
            middle = len(data) // 2
            flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
            path.write_bytes({"truncated": data[:middle], "flipped": flipped, "empty": b""}[damage])
    assert run(environment).output == expected
    if damage != "directory":
        repaired = [path for path in held if path.read_bytes() != good[path]]
        assert len(repaired) < len(held) // 4, "damaged files should have been written anew"


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    run(os.environ | {"XDG_CACHE_HOME": str(blocked)})


def test_concurrent_processes(environment: dict[str, str], tmp_path: Path) -> None:
    """Several at once fill an empty cache, while it is cleared under their feet."""
    expected = command("run", "--no-cache", *GUEST).output
    children = [
        subprocess.Popen(
            launcher("run", *GUEST),
            cwd=REPOSITORY,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    assert command("cache", "clear", env=environment).status == 0
    for child in children:
        output, errors = child.communicate(timeout=120)
        assert (child.returncode, output, errors) == (0, expected, "")
    assert command("run", *GUEST, env=environment).output == expected
    assert not list(tmp_path.rglob(".new-*"))


def test_a_relative_cache_home_does_not_count(tmp_path: Path) -> None:
    """As the XDG base directory specification has it; it would move with the guest's working directory."""
    environment = os.environ | {
        "XDG_CACHE_HOME": "relative",
        "HOME": str(tmp_path),
        "PYTHONPATH": str(REPOSITORY),
    }
    (tmp_path / "here").mkdir()
    command("run", HELLO, env=environment, cwd=tmp_path / "here")
    assert list((tmp_path / "here").iterdir()) == []
    assert list((tmp_path / ".cache" / "dbt-disco").iterdir())
