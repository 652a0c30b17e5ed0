"""What follows --drive, and the errors that a user sees."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dbt_disco.disks.disk_error import DiskError
from dbt_disco.disks.drive import Drive, SharingMode, parse_drive

HOLD = """
import sys
from dbt_disco.disks.drive import parse_drive
disk = parse_drive(sys.argv[1]).open("other")
print("open", flush=True)
sys.stdin.read()
"""
"""Opens a drive and keeps it open until standard input ends."""


@pytest.mark.parametrize(
    ("text", "drive"),
    [
        ("file=a.img", Drive(Path("a.img"))),
        ("file=/b,mode=shared,serial=S-1", Drive(Path("/b"), serial=b"S-1")),
        ("mode=exclusive,file=b", Drive(Path("b"), SharingMode.EXCLUSIVE)),
        ("file=b,mode=overlay:o:p,format=raw", Drive(Path("b"), SharingMode.OVERLAY, Path("o:p"), "raw")),
        ("file=a,,b=c,readonly=on", Drive(Path("a,b=c"), read_only=True)),
        ("file=a,,,mode=exclusive", Drive(Path("a,"), SharingMode.EXCLUSIVE)),
        ("file=,,a,,,,b,readonly=off", Drive(Path(",a,,b"))),
    ],
)
def test_parsing(text: str, drive: Drive) -> None:
    assert parse_drive(text) == drive


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "'' is none of file=…"),
        ("a.img", "'a.img' is none of file=…"),
        ("file=", "'file=' is none of"),
        ("file=a,if=virtio", "'if=virtio' is none of"),
        ("file=a,file=b", "file= is given twice"),
        ("mode=shared", "file=FILE is missing"),
        ("file=a,mode=private", "mode= is shared, overlay:FILE or exclusive, not private"),
        ("file=a,mode=shared:b", "mode= is shared, overlay:FILE or exclusive, not shared:b"),
        ("file=a,mode=overlay", "needs the file that keeps the writes"),
        ("file=a,mode=overlay:", "needs the file that keeps the writes"),
        ("file=a,format=vmdk", "format= is raw or qcow2, not vmdk"),
        ("file=a,readonly=yes", "readonly= is on or off, not yes"),
        ("file=a,serial=123456789012345678901", "at most 20 ASCII characters"),
        ("file=a,serial=ä", "at most 20 ASCII characters"),
    ],
)
def test_unclear_drives(text: str, reason: str) -> None:
    with pytest.raises(DiskError) as raised:
        parse_drive(text)
    assert str(raised.value).startswith(f"--drive {text}: ")
    assert reason in str(raised.value) and raised.value.exit_status == 2


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    def error(path: Path) -> str:
        with pytest.raises(DiskError) as raised:
            Drive(path).open("test")
        return str(raised.value)

    assert error(tmp_path / "none") == f"{tmp_path / 'none'}: No such file or directory"
    assert "Is a directory" in error(tmp_path)
    image = tmp_path / "image"
    image.write_bytes(b"")
    assert error(image).startswith(f"{image}: the image is empty; `truncate --size=64M`")
    image.write_bytes(bytes(1000))
    assert error(image).startswith(f"{image}: the image has 1000 bytes, not a multiple of 512")
    assert "neither a file nor a block device" in error(Path("/dev/null"))


@pytest.mark.parametrize(
    ("first", "second", "goes_together"),
    [
        ("shared", "shared", True),
        ("shared", "overlay:new", True),
        ("overlay:one", "overlay:two", True),
        ("overlay:one", "overlay:one", False),
        ("shared", "exclusive", False),
        ("exclusive", "shared", False),
        ("exclusive", "exclusive", False),
        ("exclusive", "overlay:one", False),
    ],
)
@pytest.mark.parametrize("in_another_process", [False, True])
def test_use_by_several(
    first: str, second: str, goes_together: bool, in_another_process: bool, tmp_path: Path
) -> None:
    (tmp_path / "image").write_bytes(bytes(4096))

    def text(mode: str) -> str:
        return f"file={tmp_path / 'image'},mode={mode.replace('overlay:', f'overlay:{tmp_path}/')}"

    def attempt() -> None:
        if goes_together:
            parse_drive(text(second)).open("mine").close()
            return
        with pytest.raises(DiskError) as raised:
            parse_drive(text(second)).open("mine")
        assert "in use by " in str(raised.value)
        holder = f"process {other.pid} (" if in_another_process else "virtual machine other"
        assert holder in str(raised.value)

    if in_another_process:
        command = [sys.executable, "-c", HOLD, text(first)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None and other.stdout.readline() == "open\n"
            attempt()
            other.kill()
    else:
        disk = parse_drive(text(first)).open("other")
        attempt()
        disk.close()
    parse_drive(text(second)).open("mine").close()  # nothing is left behind, however the holder has ended


def test_a_failed_open_leaves_nothing_locked(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(bytes(4096))
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(DiskError):
        Drive(tmp_path / "image", SharingMode.OVERLAY, tmp_path / "no" / "overlay").open("first")
    assert len(os.listdir("/proc/self/fd")) == before
    Drive(tmp_path / "image", SharingMode.EXCLUSIVE).open("second").close()
