"""The cpio archive, as cpio reads it, and what is in the initramfs."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dbt_disco.debian.cpio_archive import CpioWriter
from dbt_disco.debian.fetch_error import FetchError
from dbt_disco.debian.initramfs import write_initramfs
from tests.dbt_disco.commands.command import HELLO
from tests.dbt_disco.debian.packages import entry, write_package


def listing(archive: bytes, cpio: str) -> dict[str, list[str]]:
    """Path → the other columns of `ls -ln`, but for the time."""
    done = subprocess.run([cpio, "-itvn", "--quiet"], input=archive, capture_output=True, check=True)
    assert not done.stderr
    rows = [line.split() for line in done.stdout.decode().splitlines()]
    return {" ".join(row[8:] if row[0][0] != "c" else row[9:]): row for row in rows}


def test_cpio_reads_what_we_write(tmp_path: Path, program: Callable[[str], str]) -> None:
    cpio = program("cpio")
    output = io.BytesIO()
    writer = CpioWriter(output)
    contents = {"empty": b"", **{f"a/b/{size}": bytes([size]) * size for size in range(1, 9)}}
    for path, data in contents.items():
        writer.file(path, data, 0o640)
    writer.directory("a/b")
    writer.directory("tmp", 0o1777)
    writer.symbolic_link("bin/sh", "busybox")
    writer.character_device("dev/console", 5, 1, 0o600)
    writer.close()
    archive = output.getvalue()
    assert len(archive) % 512 == 0
    rows = listing(archive, cpio)
    assert list(rows) == [
        *("empty", "a", "a/b", *(f"a/b/{size}" for size in range(1, 9))),
        *("tmp", "bin", "bin/sh -> busybox", "dev", "dev/console"),
    ]
    assert all(row[2:4] == ["0", "0"] for row in rows.values())
    assert [rows[name][0] for name in ("empty", "a", "tmp")] == ["-rw-r-----", "drwxr-xr-x", "drwxrwxrwt"]
    assert rows["dev/console"][0] == "crw-------" and rows["dev/console"][4:6] == ["5,", "1"]
    subprocess.run(
        [cpio, "-id", "--quiet", "--no-preserve-owner", "a/*", "empty", "bin/*"],
        input=archive,
        check=True,
        cwd=tmp_path,
    )
    assert {path: (tmp_path / path).read_bytes() for path in contents} == contents
    assert (tmp_path / "bin" / "sh").readlink() == Path("busybox")


def test_a_file_that_the_format_cannot_hold() -> None:
    class Huge(bytes):
        def __len__(self) -> int:
            return 1 << 32

    with pytest.raises(ValueError, match="big: too large"):
        CpioWriter(io.BytesIO()).file("big", Huge())


def test_contents(tmp_path: Path, program: Callable[[str], str]) -> None:
    """busybox is a program that prints "hello, world": those are its applets."""
    package = write_package(
        tmp_path / "busybox.deb", [(entry("bin/busybox", mode=0o755), HELLO.read_bytes())]
    )
    modules = {"virtio.ko": b"1", "ext4.ko": b"2"}
    archives = []
    for _ in range(2):
        output = io.BytesIO()
        write_initramfs(output, package, modules)
        archives.append(output.getvalue())
    assert archives[0] == archives[1]
    rows = listing(archives[0], program("cpio"))
    words = subprocess.run([program("qemu-mipsel"), HELLO], capture_output=True, text=True).stdout.split()
    for name in ("init", "bin/busybox", "dev/console", "dev/null", "proc", "sys", "lib/modules/ext4.ko"):
        assert name in rows
    assert words and all(f"{word} -> /bin/busybox" in rows for word in words)
    assert b"virtio.ko\next4.ko\n" in archives[0]


def test_busybox_that_does_not_work(tmp_path: Path) -> None:
    package = tmp_path / "busybox.deb"
    write_package(package, [(entry("bin/busybox", mode=0o755), b"\x7fELF no program")])
    with pytest.raises(FetchError, match="busybox does not tell its applets: dbt-disco: ") as raised:
        write_initramfs(io.BytesIO(), package, {})
    assert "\n" not in str(raised.value)
    write_package(package, [(entry("bin/other"), b"")])
    with pytest.raises(FetchError, match="it has no busybox"):
        write_initramfs(io.BytesIO(), package, {})


@pytest.mark.parametrize("script", ["initramfs-init", "start", "console-shell"])
def test_scripts_are_shell_scripts(script: str, program: Callable[[str], str]) -> None:
    path = Path(__file__).parents[3] / "dbt_disco" / "debian" / "guest" / script
    subprocess.run([program("dash"), "-n", path], check=True)
    assert path.read_text().startswith("#!/bin/sh\n")
